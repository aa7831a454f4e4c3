package call

import "github.com/softphone-operator/softphone-operator/agent/media"

// prompt is the source of a call tone; nil without one. It may read files.
func (o Options) prompt(text string) (media.Source, error) {
	if text == "" {
		return nil, nil
	}
	p, err := media.NewPrompt(text, o.Files, o.Log)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// answering is what a call is answered with. A tone that cannot be played is silence, and the record says why: an echo in its place
// would be taken for what was meant.
func (c *call) answering() media.Source {
	p, err := c.opts.prompt(c.opts.Play)
	switch {
	case err != nil:
		c.log.Warn("calls are answered with silence", "play", c.opts.Play, "error", err)
		c.rec.Treatment = append(c.rec.Treatment, "play: silence, for: "+err.Error())
		return media.Silence{}
	case p == nil:
		return media.Echo{}
	}
	return p
}
