// Package render makes the account XML that an agent is given for one line: it
// turns a SoftphoneAccount and the values behind its references into layers,
// merges them and judges the result.
//
// It is pure: who calls it has read the Secrets. Its messages never contain the
// value of a secret.
package render

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/softphone-operator/softphone-operator/account"
	v1 "github.com/softphone-operator/softphone-operator/api/v1"
)

// Version is part of what decides whether a line must be rendered anew; it goes
// up when the same input gives another document.
const Version = 2

// MaxDocument is the most bytes one line's document may have, so that one line
// cannot fill the Secret it shares with others.
const MaxDocument = 200_000

// Input is everything a line's document is made of.
type Input struct {
	// Name of the account; the title of an account that has none.
	Name string
	// Layer is what the account says.
	Layer v1.AccountLayer
	// Below are the layers under all others, in order of arrival.
	Below []account.Layer
	// Profiles of the fleet, then of the account, in order.
	Profiles []Profile
	// Values behind the References of the layer and of the profiles.
	Values Values
	// OwnTLS: the account itself says what its TLS connections are made with.
	OwnTLS bool
	// Material gives what TLSOf the account refers to, with warnings (ReadMaterial); it is asked of lines with TLS
	// alone, and by nobody when it is nil.
	Material func() (*Material, []string, error)
}

// Profile is a shared layer under an account.
type Profile struct {
	Name  string
	Layer v1.AccountLayer
	// Priority of its nodes; a profile that says none has that of provisioning.
	Priority int
}

// ProfileOf is the layer of a SoftphoneProfile.
func ProfileOf(p *v1.SoftphoneProfile) Profile {
	out := Profile{Name: p.Name, Layer: p.Spec.AccountLayer, Priority: account.PriorityProvisioning}
	if p.Spec.Priority != nil {
		out.Priority = int(*p.Spec.Priority)
	}
	return out
}

// Line is a rendered line.
type Line struct {
	// Document to deliver.
	Document []byte
	// Merged is the document before it was written: it knows what each value won over.
	Merged *account.Document
	// Address of record, user@host in lower-case host.
	Address string
	// TLS material of a line whose transport is, or may become, TLS; nil = the line needs none.
	TLS *Material
	// Inline names the nodes whose secret stands in an object in plain sight.
	Inline []string
	// Warnings of the document's validation.
	Warnings []string
}

// Failure is why a line cannot be rendered: a condition's reason and message.
type Failure struct {
	Reason  string
	Message string
}

// Error is the message.
func (f *Failure) Error() string { return f.Message }

func fail(reason, format string, args ...any) *Failure {
	return &Failure{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// BuiltIn is the layer under every account: what a fleet's pods need that the
// nodes' own defaults do not give. UDP mappings in front of a pod live 30–180 s.
func BuiltIn() []account.Layer {
	doc := &account.Document{}
	doc.Set("keepAlive", "1", account.PriorityProvisioning, account.SourceProvisioning)
	return []account.Layer{{Doc: doc, Source: account.SourceProvisioning, Priority: account.PriorityProvisioning}}
}

// Render makes the document of a line. The error is a *Failure.
func Render(in Input) (*Line, error) {
	merged, inline, err := merge(in)
	if err != nil {
		return nil, err
	}
	return finish(in, merged, inline)
}

// Merged is the account of all layers, with the provenance of every value and what
// it shadows, whether it is valid or not. The error is a *Failure.
func Merged(in Input) (*account.Document, error) {
	merged, _, err := merge(in)
	return merged, err
}

// merge gathers the layers in their order of arrival; inline are the places where
// a secret stands in plain sight.
func merge(in Input) (merged *account.Document, inline []string, err error) {
	layers := append([]account.Layer{}, in.Below...)
	for _, p := range in.Profiles {
		all, seen, err := layersOf(&p.Layer, in.Values, func(doc *account.Document) account.Layer {
			return account.Layer{Doc: doc, Source: account.SourceProvisioning, Priority: p.Priority}
		})
		if err != nil {
			return nil, nil, inProfile(p.Name, err)
		}
		for _, where := range seen {
			inline = append(inline, where+" of SoftphoneProfile "+p.Name)
		}
		layers = append(layers, all...)
	}
	own, seen, err := layersOf(&in.Layer, in.Values, gui)
	if err != nil {
		return nil, nil, err
	}
	merged = account.Merge(append(layers, own...)...)
	if title, ok := merged.Get("title"); !ok || title.Value() == "" {
		merged.Set("title", in.Name, account.PriorityDefault, account.SourceDefault)
	}
	return merged, append(seen, inline...), nil
}

// layersOf are the documents of one object: its XML, then what it says itself.
func layersOf(l *v1.AccountLayer, values Values, sign func(*account.Document) account.Layer) (layers []account.Layer, inline []string, err error) {
	own, err := Document(l, values)
	if err != nil {
		return nil, nil, err
	}
	fromXML, err := importedDocument(l.XMLFrom, values)
	if err != nil {
		return nil, nil, err
	}
	if fromXML != nil {
		layers = append(layers, sign(fromXML))
	}
	return append(layers, sign(own)), inlineSecrets(l, fromXML), nil
}

// inProfile says whose fault it is.
func inProfile(name string, err error) error {
	var f *Failure
	if errors.As(err, &f) {
		return fail(f.Reason, "SoftphoneProfile %s: %s", name, f.Message)
	}
	return err
}

func gui(doc *account.Document) account.Layer {
	return account.Layer{Doc: doc, Source: account.SourceGUI, Priority: account.PriorityGUI}
}

// finish judges the merged document and writes it.
func finish(in Input, merged *account.Document, inline []string) (*Line, error) {
	problems := merged.Validate(account.Authored)
	if errs := account.Errors(problems); len(errs) > 0 {
		return nil, fail(v1.ReasonInvalidAccount, "%s", sentences(errs))
	}
	var out bytes.Buffer
	if err := merged.Write(&out, account.WriteOptions{Provenance: true}); err != nil {
		return nil, fail(v1.ReasonInvalidAccount, "the account XML cannot be written: %v", err)
	}
	if out.Len() > MaxDocument {
		return nil, fail(v1.ReasonTooLarge, "the account XML has %d bytes, and a line may have %d: shorten it", out.Len(), MaxDocument)
	}
	line := &Line{Document: out.Bytes(), Merged: merged, Address: address(merged), Inline: inline}
	for _, p := range problems {
		if p.Warning {
			line.Warnings = append(line.Warnings, sentence(p))
		}
	}
	if err := secure(in, merged, line); err != nil {
		return nil, err
	}
	return line, nil
}

// secure adds the TLS material that the line needs.
func secure(in Input, merged *account.Document, line *Line) error {
	if !usesTLS(merged) {
		if in.OwnTLS {
			line.Warnings = append(line.Warnings, "spec.tls: the line's transport is not TLS, so nothing is made with it")
		}
		return nil
	}
	if in.Material == nil {
		return nil // nobody wants to know
	}
	var err error
	var warnings []string
	line.TLS, warnings, err = in.Material()
	line.Warnings = append(line.Warnings, warnings...)
	return err
}

func address(doc *account.Document) string {
	value := func(name string) string {
		n, ok := doc.Get(name)
		if !ok {
			return ""
		}
		return n.Value()
	}
	return Address(value("username"), value("host"))
}

// Address joins a user and a host the way two accounts are compared: hosts have
// no case (RFC 3261 §19.1.4), and the default port says nothing.
func Address(user, host string) string {
	if user == "" || host == "" {
		return ""
	}
	return user + "@" + strings.TrimSuffix(strings.TrimSuffix(strings.ToLower(host), ":5060"), ".")
}

// sentence is a problem without the place, which means nothing in a merged document.
func sentence(p account.Problem) string {
	if p.Node == "" {
		return p.Message
	}
	return p.Node + ": " + p.Message
}

// sentences are the first few problems; a condition's message is no log.
func sentences(problems []account.Problem) string {
	const shown = 3
	var all []string
	for i, p := range problems {
		if i == shown {
			all = append(all, fmt.Sprintf("and %d more", len(problems)-shown))
			break
		}
		all = append(all, sentence(p))
	}
	return strings.Join(all, "; ")
}
