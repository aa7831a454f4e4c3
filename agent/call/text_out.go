package call

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/account/rewrite"
	"github.com/softphone-operator/softphone-operator/agent/treatment"
	"github.com/softphone-operator/softphone-operator/agent/ua"
)

// ErrTooLong says that a text is longer than the account's maxMessageBodySize.
var ErrTooLong = errors.New("text is too long")

// ErrNoText says that there is no such text message.
var ErrNoText = errors.New("no such text message")

// Message is a text to send.
type Message struct {
	// To is a number, or a SIP or tel URI. The account's rewriting rules apply to it.
	To string `json:"to"`
	// Text to send, UTF-8.
	Text string `json:"text"`
	// Headers to add to the MESSAGE, beside the account's.
	Headers map[string]string `json:"headers,omitempty"`
	// Confirm says that whoever asked has confirmed the number, where a rewriting rule
	// asks for that.
	Confirm bool `json:"confirm,omitempty"`
	// Placement is what was decided on it already (Set.RouteText); nil = nothing.
	Placement *treatment.Placement `json:"-"`
}

// RouteText decides what becomes of a text before it is sent, as Route does of a call.
func (s *Set) RouteText(m Message) (*treatment.Placement, error) {
	o := s.options()
	switch {
	case m.Text == "" || !utf8.ValidString(m.Text):
		return nil, fmt.Errorf("%w: text is empty or no UTF-8", ErrBadValue)
	case len(m.Text) > o.mostText():
		return nil, fmt.Errorf("%w: %d bytes, %d allowed (maxMessageBodySize)", ErrTooLong, len(m.Text), o.mostText())
	}
	if err := checkHeaders(m.Headers); err != nil {
		return nil, err
	}
	if err := dialable(m.To); err != nil {
		return nil, err
	}
	p := treatment.PlaceText(treatment.Wanted{
		To: strings.TrimSpace(m.To), Confirmed: m.Confirm, Account: o.Account, Network: o.network(),
	})
	switch p.Outcome {
	case treatment.Unconfirmed:
		return nil, fmt.Errorf("%w: %s", ErrUnconfirmed, p.Why)
	case treatment.Dropped:
		return nil, fmt.Errorf("%w: %s", ErrRefused, p.Why)
	}
	if p.Line == o.Line {
		p.Line = ""
	}
	return &p, nil
}

// Send sends a text and returns its id at once; Text tells what became of it. Errors
// wrap ErrBadTarget, ErrBadHeader, ErrBadValue, ErrTooLong, ErrTooMany, ErrRefused,
// ErrUnconfirmed, ErrOtherLine, ErrDraining or ErrClosed.
func (s *Set) Send(m Message) (id string, err error) {
	if m.Placement == nil {
		if m.Placement, err = s.RouteText(m); err != nil {
			return "", err
		}
		if m.Placement.Line != "" {
			return "", fmt.Errorf("%w: %s", ErrOtherLine, m.Placement.Line)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.opts
	target, err := targetOf(m.Placement.To, o.Account.Host, o.Link)
	if err != nil {
		return "", err
	}
	if why := o.Destinations.Refuse(target.User); why != "" {
		return "", fmt.Errorf("%w: %s", ErrRefused, why)
	}
	switch {
	case s.closed:
		return "", ErrClosed
	case !s.refuse.IsZero():
		return "", ErrDraining
	case s.sending >= mostSending:
		return "", fmt.Errorf("%w: %d texts are under way", ErrTooMany, s.sending)
	}
	t := Text{
		ID: newID(), Line: o.Line, Direction: Out, Remote: plainURI(target), Text: m.Text, At: time.Now(), Treatment: m.Placement.Steps,
	}
	s.open()
	s.texts.add(t)
	s.sending++
	s.calls.Go(func() { s.carryText(o, m, t, o.Link.Secure(target)) })
	return t.ID, nil
}

// carryText sends a text and notes what became of it.
func (s *Set) carryText(o Options, m Message, t Text, target sip.Uri) {
	end := broken
	o.Endpoint.Guard(o.Line, func() { end = s.deliver(o, m, &t, target) })
	t.Code, t.Reason, t.EndedAt = end.Code, end.Reason, time.Now()
	if end.By != Remote {
		t.Code = 0 // nobody answered
	}
	s.mu.Lock()
	s.sending--
	if i := s.texts.find(t.ID); i >= 0 {
		s.texts.all[i] = t
	}
	s.mu.Unlock()
	o.OnText(t)
}

// deliver sends the MESSAGE to the first server that takes it.
func (s *Set) deliver(o Options, m Message, t *Text, target sip.Uri) End {
	ctx, cancel := context.WithTimeout(s.stopped, setupTime)
	defer cancel()
	servers, err := o.candidates(ctx)
	if err != nil {
		return End{Reason: "no way to the server: " + err.Error(), By: Network}
	}
	req, steps := newMessage(o, m, target)
	t.Treatment = append(t.Treatment, steps...)
	for {
		end, elsewhere := deliverTo(ctx, o, servers[0], req)
		if !elsewhere || len(servers) < 2 {
			return end
		}
		t.Treatment = append(t.Treatment, fmt.Sprintf("server %s: %s; trying %s", servers[0], end.Reason, servers[1]))
		servers, req = servers[1:], anew(req)
	}
}

// deliverTo sends the MESSAGE to a server, and again with credentials where they are
// asked for. elsewhere: another server may do better.
func deliverTo(ctx context.Context, o Options, server ua.Candidate, req *sip.Request) (end End, elsewhere bool) {
	auth := ua.Credentials{Username: o.Account.DigestUsername(), Password: ua.Secret(o.Account.Password)}.Session(o.Nonces)
	auth.Prepare(req)
	for {
		server.Aim(req)
		res, err := ask(ctx, o.Endpoint, req)
		switch {
		case err != nil && isTimeout(err):
			return End{Reason: "no answer from " + server.String(), By: Timeout}, true
		case err != nil:
			return End{Reason: fmt.Sprintf("MESSAGE not sent: %v", err), By: Network}, unserved(err)
		case !isChallenge(res):
			return End{Code: res.StatusCode, Reason: status(res), By: Remote}, res.StatusCode == sip.StatusServiceUnavailable
		}
		next, err := auth.Next(req, res)
		if err != nil {
			return End{Code: res.StatusCode, Reason: status(res) + ": " + err.Error(), By: Remote}, false
		}
		req = next
	}
}

// ask waits for the final response to a request outside of any call.
func ask(ctx context.Context, e Endpoint, req *sip.Request) (*sip.Response, error) {
	tx, err := e.Request(ctx, req)
	if err != nil {
		return nil, err
	}
	defer tx.Terminate()
	for {
		select {
		case res := <-tx.Responses():
			if !res.IsProvisional() {
				return res, nil
			}
		case <-tx.Done():
			return nil, tx.Err()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// newMessage builds a MESSAGE (RFC 3428 §4), which makes no dialog and has no Contact.
func newMessage(o Options, m Message, target sip.Uri) (req *sip.Request, steps []string) {
	req = sip.NewRequest(sip.MESSAGE, target)
	for _, route := range o.Link.Routes(o.Route) {
		req.AppendHeader(&sip.RouteHeader{Address: route})
	}
	callID := sip.CallIDHeader(ua.NewCallID())
	req.AppendHeader(&sip.FromHeader{}) // sayWhoCalls knows it once the other headers are there
	req.AppendHeader(&sip.ToHeader{Address: *target.Clone()})
	req.AppendHeader(&callID)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: 1, MethodName: sip.MESSAGE})
	addAccountHeaders(req, o.Account)
	steps = addTextRuleHeaders(req, m.Placement.Headers)
	addHeaders(req, m.Headers)
	steps = append(steps, sayWhoCalls(req, o.Account, o.Link, ua.NewTag())...)
	contentType := sip.ContentTypeHeader(mediaText + ";charset=UTF-8")
	req.AppendHeader(&contentType)
	req.SetBody([]byte(m.Text))
	return req, steps
}

// addTextRuleHeaders adds what rewriting rules set, and says what may not be.
func addTextRuleHeaders(req *sip.Request, headers []rewrite.Header) (steps []string) {
	for _, h := range headers {
		if err := checkHeader(h.Name, h.Value); err != nil {
			steps = append(steps, "setHeader: "+err.Error())
			continue
		}
		setHeader(req, h.Name, h.Value)
	}
	return steps
}

// newID is how people and programs name a call or a text.
func newID() string { return strings.ToLower(rand.Text()[:16]) }
