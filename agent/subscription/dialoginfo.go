package subscription

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// DialogInfo is a document of the dialog event package (RFC 4235 §4): what calls
// somebody has, all of them (Full) or those that changed.
type DialogInfo struct {
	Version uint64
	Full    bool
	Entity  string
	Dialogs []Dialog
}

// Dialog is one call in it.
type Dialog struct {
	ID string
	// Direction is initiator, recipient, or "" where the document does not say.
	Direction string
	// State is trying, proceeding, early, confirmed or terminated.
	State DialogState
	// Event and Code say what led to the state: cancelled, rejected, replaced,
	// local-bye, remote-bye, error, timeout; 486 …
	Event string
	Code  int
	// Remote is the other party's identity, where the document tells it.
	Remote string
}

// DialogState is what somebody's call does (RFC 4235 §3.7.1), and in sum what
// somebody who is watched does.
type DialogState string

// The states. Unknown and Idle are of somebody, not of a call.
const (
	Unknown    DialogState = "unknown" // nobody told yet
	Idle       DialogState = "idle"    // there is no call
	Trying     DialogState = "trying"
	Proceeding DialogState = "proceeding"
	Early      DialogState = "early"
	Confirmed  DialogState = "confirmed"
	Terminated DialogState = "terminated" // the last call has ended
)

// DialogStates lists them, what is more last; terminated is what was.
var DialogStates = []DialogState{Unknown, Idle, Terminated, Trying, Proceeding, Early, Confirmed}

// Bounds of a document.
const (
	mostDialogInfo = 128 << 10 // bytes
	mostDepth      = 16        // elements within each other
	mostElements   = 8192
	mostAttributes = 32 // of one element
	mostDialogs    = 256
)

// ErrDialogInfo says that a body is no dialog-info document.
var ErrDialogInfo = errors.New("not a dialog-info document")

// ParseDialogInfo reads a body of application/dialog-info+xml. The namespace is not
// insisted on, as servers in the field leave it out; version, state, and the id and
// state of every dialog are. There are no entities but XML's own, no DTD, and bounds
// to everything, so that a document costs what its size says.
func ParseDialogInfo(body []byte) (DialogInfo, error) {
	if len(body) > mostDialogInfo {
		return DialogInfo{}, fmt.Errorf("%w: %d bytes, %d allowed", ErrDialogInfo, len(body), mostDialogInfo)
	}
	p := &infoParser{}
	d := xml.NewDecoder(bytes.NewReader(body))
	d.CharsetReader = charset
	for {
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = p.take(token)
		}
		if err != nil {
			return DialogInfo{}, fmt.Errorf("%w: at byte %d: %w", ErrDialogInfo, d.InputOffset(), err)
		}
	}
	switch {
	case !p.began:
		return DialogInfo{}, fmt.Errorf("%w: it is empty", ErrDialogInfo)
	case len(p.open) > 0:
		return DialogInfo{}, fmt.Errorf("%w: <%s> is not closed", ErrDialogInfo, clip(p.open[len(p.open)-1].Local))
	}
	return p.info, nil
}

// charset reads what is UTF-8 for certain; the rest of the world's encodings are not needed.
func charset(name string, r io.Reader) (io.Reader, error) {
	switch strings.ToLower(name) {
	case "utf-8", "us-ascii", "ascii":
		return r, nil
	}
	return nil, fmt.Errorf("encoding %q", clip(name))
}

// infoParser is the state of reading a document.
type infoParser struct {
	info     DialogInfo
	open     []xml.Name // elements we are in
	began    bool
	elements int
	dialog   *Dialog
	text     strings.Builder
}

func (p *infoParser) take(token xml.Token) error {
	switch t := token.(type) {
	case xml.Directive:
		return errors.New("a DTD is not read")
	case xml.StartElement:
		return p.start(t)
	case xml.EndElement:
		return p.end(t.Name)
	case xml.CharData:
		if p.dialog != nil {
			p.text.Write(t)
		} else if len(p.open) == 0 && len(bytes.Trim(t, "\ufeff \t\r\n\x00")) > 0 {
			return errors.New("text outside of the document")
		}
	}
	return nil
}

func (p *infoParser) start(e xml.StartElement) error {
	p.elements++
	switch {
	case p.elements > mostElements:
		return fmt.Errorf("more than %d elements", mostElements)
	case len(p.open) >= mostDepth:
		return fmt.Errorf("elements more than %d deep", mostDepth)
	case len(e.Attr) > mostAttributes:
		return fmt.Errorf("more than %d attributes", mostAttributes)
	case len(p.open) == 0 && p.began:
		return errors.New("more than one document")
	}
	p.open = append(p.open, e.Name)
	p.text.Reset()
	var err error
	switch name := e.Name.Local; {
	case len(p.open) == 1:
		p.began = true
		err = p.root(e)
	case len(p.open) == 2 && name == "dialog":
		err = p.startDialog(e)
	case len(p.open) == 3 && p.dialog != nil && name == "state":
		p.dialog.Event = clip(attribute(e, "event"))
		p.dialog.Code = code(attribute(e, "code"))
	}
	return err
}

func (p *infoParser) root(e xml.StartElement) error {
	if e.Name.Local != "dialog-info" {
		return fmt.Errorf("the element is <%s>", clip(e.Name.Local))
	}
	version, err := strconv.ParseUint(strings.TrimSpace(attribute(e, "version")), 10, 63)
	if err != nil {
		return fmt.Errorf("version %q", clip(attribute(e, "version")))
	}
	switch state := attribute(e, "state"); state {
	case "full", "partial":
		p.info.Full = state == "full"
	default:
		return fmt.Errorf("state %q is neither full nor partial", clip(state))
	}
	p.info.Version, p.info.Entity = version, clip(attribute(e, "entity"))
	return nil
}

func (p *infoParser) startDialog(e xml.StartElement) error {
	id := attribute(e, "id")
	if id == "" || len(id) > 256 {
		return errors.New("a dialog without an id, or with one that is too long")
	}
	if len(p.info.Dialogs) >= mostDialogs {
		return fmt.Errorf("more than %d dialogs", mostDialogs)
	}
	p.dialog = &Dialog{ID: id}
	switch direction := attribute(e, "direction"); direction {
	case "initiator", "recipient":
		p.dialog.Direction = direction
	}
	return nil
}

func (p *infoParser) end(name xml.Name) error {
	depth := len(p.open)
	if depth == 0 || p.open[depth-1] != name {
		return fmt.Errorf("</%s> closes nothing", clip(name.Local))
	}
	parent := ""
	if depth > 1 {
		parent = p.open[depth-2].Local
	}
	p.open = p.open[:depth-1]
	text := strings.TrimSpace(p.text.String())
	p.text.Reset()
	switch {
	case p.dialog == nil:
	case depth == 2:
		if p.dialog.State == "" {
			return errors.New("a dialog without a state")
		}
		p.info.Dialogs = append(p.info.Dialogs, *p.dialog)
		p.dialog = nil
	case depth == 3 && name.Local == "state":
		p.dialog.State = DialogState(strings.ToLower(text)) // kamailio says "Trying"
		if !slices.Contains(callStates, p.dialog.State) {
			return fmt.Errorf("dialog state %q", clip(text))
		}
	case depth == 4 && name.Local == "identity" && parent == "remote":
		p.dialog.Remote = clip(text)
	}
	return nil
}

// callStates are those that a call can be in.
var callStates = []DialogState{Trying, Proceeding, Early, Confirmed, Terminated}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name && a.Name.Space == "" {
			return a.Value
		}
	}
	return ""
}

// code is a SIP response code; what is none counts as not said.
func code(s string) int {
	n, err := strconv.Atoi(strings.TrimSpace(s))
	if err != nil || n < 100 || n > 699 {
		return 0
	}
	return n
}
