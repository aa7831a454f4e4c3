package call_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/account"
	"github.com/softphone-operator/softphone-operator/agent/call"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// from delivers a first INVITE of another caller; extra as in parse.
func (b *bench) from(address string, extra ...string) *caller {
	p := &caller{b: b, callID: "a", seq: 1}
	head := p.head("INVITE", "")
	for i, line := range head {
		if strings.HasPrefix(line, "From:") {
			head[i] = "From: " + address + ";tag=caller"
		}
	}
	p.tx = b.deliver(append(head, extra...)...)
	return p
}

func rule(condition, param string, actions ...account.Clause) account.Rule {
	return account.Rule{Conditions: []account.Clause{{Type: condition, Param: param}}, Actions: actions}
}

func does(action, param string) account.Clause { return account.Clause{Type: action, Param: param} }

// TestWhoCalls looks for the caller where the account says.
func TestWhoCalls(t *testing.T) {
	const pai = `P-Asserted-Identity: "Asserted" <sip:+1555@pbx.test;user=phone>`
	order := func(places ...string) func(*call.Options) {
		return func(o *call.Options) { o.Account.RemoteContact = places }
	}
	usual := order("pai", "from", "rpid", "ppi")
	for sentence, c := range map[string]struct {
		change func(*call.Options)
		from   string
		extra  []string
		want   string // remote, name
		by     string
	}{
		"From, where nothing else says": {usual, `"Bob \"B\"" <sip:2000@pbx.test>`, nil, `sip:2000@pbx.test Bob "B"`, "2000, by From"},
		"P-Asserted-Identity goes first": {usual, "<sip:2000@pbx.test>", []string{pai},
			"sip:+1555@pbx.test Asserted", "+1555, by P-Asserted-Identity"},
		"unless the account says otherwise": {order("from", "pai"), "<sip:2000@pbx.test>", []string{pai},
			"sip:2000@pbx.test ", "2000, by From"},
		"an asserted tel URI is a number": {usual, "<sip:2000@pbx.test>", []string{"P-Asserted-Identity: <tel:+1-555-0100;x=y>"},
			"tel:+15550100 ", "+15550100, by P-Asserted-Identity"},
		"the first of two asserted ones": {usual, "<sip:2000@pbx.test>", []string{`P-Asserted-Identity: "A, B" <sip:1@x.test>, <tel:2>`},
			"sip:1@x.test A, B", "1, by P-Asserted-Identity"},
		"one that cannot be read is none": {usual, "<sip:2000@pbx.test>", []string{"P-Asserted-Identity: <>"},
			"sip:2000@pbx.test ", "2000, by From"},
		"Remote-Party-ID": {order("rpid"), "<sip:2000@pbx.test>", []string{`Remote-Party-ID: "Rita" <sip:3000@pbx.test>; party=calling ;privacy=off;screen=yes`},
			"sip:3000@pbx.test Rita", "3000, by Remote-Party-ID"},
		"Remote-Party-ID of the called party is none": {order("rpid", "ppi"), "<sip:2000@pbx.test>",
			[]string{"Remote-Party-ID: <sip:1000@pbx.test>;party=called", "P-Preferred-Identity: <sip:4000@pbx.test>"},
			"sip:4000@pbx.test ", "4000, by P-Preferred-Identity"},
		"Remote-Party-ID that is private": {order("rpid"), "<sip:2000@pbx.test>", []string{"Remote-Party-ID: <sip:3000@pbx.test>;privacy=full"},
			"sip:anonymous@anonymous.invalid anonymous", "anonymous, by Remote-Party-ID, whose privacy is not off"},
		"no place that the account names says anything": {order("rpid"), "<sip:2000@pbx.test>", nil,
			"sip:2000@pbx.test ", "2000, by From, as nothing else says"},
		"an anonymous caller": {order("from"), `"Anonymous" <sip:anonymous@anonymous.invalid>`, nil,
			"sip:anonymous@anonymous.invalid anonymous", "anonymous, by From"},
		"an anonymous From whom the server knows": {usual, "<sip:anonymous@anonymous.invalid>", []string{pai},
			"sip:+1555@pbx.test Asserted", "+1555, by P-Asserted-Identity"},
		"and who asks not to be shown": {usual, "<sip:anonymous@anonymous.invalid>", []string{pai, "Privacy: critical; ID"},
			"sip:anonymous@anonymous.invalid anonymous", "anonymous, by P-Asserted-Identity, with Privacy: id"},
		"Privacy: none hides nothing": {usual, "<sip:2000@pbx.test>", []string{pai, "Privacy: none"},
			"sip:+1555@pbx.test Asserted", "+1555, by P-Asserted-Identity"},
		"a tel URI in From": {usual, "<tel:+1-555>", nil, "tel:+1555 ", "+1555, by From"},
	} {
		t.Run(sentence, func(t *testing.T) {
			simulate(t, c.change, func(b *bench) {
				b.from(c.from, append(c.extra, sdpBody(offerPCMU)...)...)
				r := b.record()
				name := r.RemoteName
				if r.Anonymous {
					name += "anonymous"
				}
				if got := r.Remote + " " + name; got != c.want {
					b.t.Errorf("the record says %q, want %q", got, c.want)
				}
				if !slices.Contains(r.Treatment, "caller: "+c.by) {
					b.t.Errorf("treatment %q does not say %q", r.Treatment, c.by)
				}
			})
		})
	}
}

// TestWishesOfTheCalled is what do-not-disturb and rules for incoming calls make
// of an INVITE. The clock of these tests begins on Saturday, 2000-01-01, 00:00 UTC.
func TestWishesOfTheCalled(t *testing.T) {
	dnd := func(weekdays int, contacts ...account.DNDContact) func(*call.Options) {
		return func(o *call.Options) {
			o.Account.DoNotDisturb = &account.DoNotDisturb{Entries: []account.DNDEntry{
				{Enabled: true, From: "00:00", To: "23:59", Weekdays: weekdays, Contacts: contacts},
			}}
		}
	}
	rules := func(all ...account.Rule) func(*call.Options) {
		return func(o *call.Options) { o.Account.IncomingRewriting = all }
	}
	for sentence, c := range map[string]struct {
		change func(*call.Options)
		extra  []string
		codes  string
		has    string // a line of the last response
		remote string
		says   string // the last step
	}{
		"do-not-disturb on a Saturday": {dnd(32), nil, "486", "", "sip:2000@pbx.test", "do-not-disturb: entry 1 of doNotDisturb, 486"},
		"not on a Saturday":            {dnd(31), nil, "100 180", "", "sip:2000@pbx.test", "ring: for 1m0s, then 480"},
		"a rule rejects": {rules(rule("equals", "2000", does("rejectCall", ""))), nil,
			"486", "", "sip:2000@pbx.test", "rewriting: rule 1 rejects, 486"},
		"a rule forwards and sets a header": {rules(rule("startsWith", "20", does("forwardCall", "+1 555"), does("setHeader", "X-Rule: one"))), nil,
			"302", "X-Rule: one", "sip:2000@pbx.test", "rewriting: rule 1 forwards to +1 555, 302"},
		"a rule answers at once, with its header": {rules(rule("startsWith", "20", does("answerImmediately", ""), does("setHeader", "X-Rule: one"))), nil,
			"100 200", "X-Rule: one", "sip:2000@pbx.test", "auto-answer: at once, by rule 1 of incomingRewriting"},
		"a rule shows another number": {rules(rule("startsWith", "2", does("replace", "+49 2"))), nil,
			"100 180", "", "sip:+49 2000@pbx.test", "ring: for 1m0s, then 480"},
		"a header that nobody may set is left out": {rules(rule("numeric", "", does("setHeader", "Via: evil"))), nil,
			"100 180", "", "sip:2000@pbx.test", "setHeader: header not allowed: Via is set by the call itself"},
		"forwarding to a number the fleet refuses": {
			func(o *call.Options) { o.Account.ForwardingEnabled, o.Account.ForwardingNumber = true, "0900 123" }, nil,
			"480", "", "sip:2000@pbx.test", "not forwarded: forwarding: premium-rate numbers are not called (the fleet's destinations may allow it): 0900123"},
		"forwarding tells of the history the call came with": {
			func(o *call.Options) { o.Account.ForwardingEnabled, o.Account.ForwardingNumber = true, "3000" },
			[]string{"History-Info: <sip:5@pbx.test>;index=1, <sip:1000@pbx.test>;index=1.1"},
			"302", "Contact: <sip:3000@pbx.test>;mp=1.1", "sip:2000@pbx.test", "forwarding: to 3000, 302"},
		"and begins one where there is none": {
			func(o *call.Options) { o.Account.ForwardingEnabled, o.Account.ForwardingNumber = true, "3000" }, nil,
			"302", "History-Info: <sip:1000@pbx.test>;index=1", "sip:2000@pbx.test", "forwarding: to 3000, 302"},
		"a call that comes back is not sent away again": {
			func(o *call.Options) { o.Account.ForwardingEnabled, o.Account.ForwardingNumber = true, "3000" },
			[]string{"Diversion: <sip:7@x.test>;reason=no-answer, <sip:1000@PBX.test>;reason=unconditional"},
			"100 180", "", "sip:2000@pbx.test", "ring: for 1m0s, then 480"},
		"an automatic answer that is required and not given": {nil, []string{"Answer-Mode: Auto;require"},
			"403", "", "sip:2000@pbx.test", "auto-answer: off, but the caller requires an automatic answer, 403"},
	} {
		t.Run(sentence, func(t *testing.T) {
			simulate(t, c.change, func(b *bench) {
				p := b.invite("a", append(c.extra, sdpBody(offerPCMU)...)...)
				if got := p.tx.codes(); got != c.codes {
					b.t.Fatalf("answered %s, want %s", got, c.codes)
				}
				if c.has != "" && !strings.Contains(p.tx.last().String(), "\r\n"+c.has+"\r\n") {
					b.t.Errorf("no %q in\n%s", c.has, p.tx.last())
				}
				r := b.record()
				if r.Remote != c.remote || len(r.Treatment) == 0 || r.Treatment[len(r.Treatment)-1] != c.says {
					b.t.Errorf("record of %s: %q", r.Remote, r.Treatment)
				}
				if p.tx.last().StatusCode == 200 {
					p.ack()
				}
			})
		})
	}
	simulate(t, dnd(96, account.DNDContact{Phone: "20 00"}), func(b *bench) { // Sunday's last second, and Monday
		time.Sleep(48*time.Hour - time.Second)
		if got := b.invite("a", sdpBody(offerPCMU)...).tx.codes(); got != "486" {
			b.t.Errorf("in the last second of Sunday answered %s", got)
		}
		time.Sleep(time.Second)
		if got := b.invite("b", sdpBody(offerPCMU)...).tx.codes(); got != "100 180" {
			b.t.Errorf("on Monday answered %s", got)
		}
	})
}

// TestRewriting is what the account's rules make of a number that is dialled.
func TestRewriting(t *testing.T) {
	with := func(all ...account.Rule) func(*call.Options) {
		return func(o *call.Options) { o.Account.Rewriting = all }
	}
	for sentence, c := range map[string]struct {
		change func(*call.Options)
		play   func(*bench)
	}{
		"another number is dialled, with the rule's header, and the record says why": {
			with(rule("startsWith", "0", does("replace", "+49"), does("setHeader", "X-Matched: yes"), does("recordCall", ""))), func(b *bench) {
				b.dial(call.Dial{To: "0 89-123", Headers: map[string]string{"X-Run": "7"}})
				invite := b.net.only("INVITE")
				if got := invite.req.Recipient.String() + " " + invite.req.To().Address.String() + " " + custom(invite.req); got != "sip:+4989123@pbx.test sip:+4989123@pbx.test X-Matched:yes X-Run:7" {
					b.t.Errorf("INVITE has %s", got)
				}
				invite.respond(486, "Busy Here", "callee")
				if r := b.record(); !r.RecordCall || r.Remote != "sip:+4989123@pbx.test" || !slices.Equal(r.Treatment, []string{"rewriting: rule 1 makes +4989123 of 089123"}) {
					b.t.Errorf("record is %+v", r)
				}
			}},
		"a rule hides the caller, as *31# does on a telephone": {with(rule("startsWith", "*31#", does("replace", ""), does("setHeader", "Privacy: id"))), func(b *bench) {
			b.dial(call.Dial{To: "*31#2000"})
			if req := b.net.only("INVITE").req; req.Recipient.User != "2000" || req.From().Address.String() != "sip:anonymous@anonymous.invalid" {
				b.t.Errorf("INVITE is\n%s", req)
			}
			if got := b.record().Treatment; len(got) != 3 || got[1] != "privacy: id is asked for, From is anonymous" {
				b.t.Errorf("treatment is %q", got)
			}
		}},
		"a dropped call is a record that names the rule, and no INVITE": {with(rule("equals", "1"), rule("startsWith", "20", does("drop", ""))), func(b *bench) {
			b.dial(call.Dial{To: "sip:2000@pbx.test"})
			b.wantEnd(403, call.Policy, "not dialled: rule 2 of rewriting drops the call")
			if n := len(b.net.requests("INVITE")); n != 0 {
				b.t.Errorf("%d INVITEs", n)
			}
		}},
		"a number to confirm is refused, and dialled when it is": {with(rule("startsWith", "20", does("confirm", ""))), func(b *bench) {
			if _, err := b.set.Dial(b.t.Context(), call.Dial{To: "2000"}); !errors.Is(err, call.ErrUnconfirmed) || !strings.Contains(err.Error(), "2000") {
				b.t.Errorf("unconfirmed: %v", err)
			}
			b.dial(call.Dial{To: "2000", Confirm: true})
			b.net.only("INVITE").respond(486, "Busy Here", "callee")
		}},
		"the guard looks at the number as rules left it": {with(rule("equals", "1", does("replace", "0900123"))), func(b *bench) {
			if _, err := b.set.Dial(b.t.Context(), call.Dial{To: "1"}); !errors.Is(err, call.ErrRefused) {
				b.t.Errorf("Dial: %v", err)
			}
		}},
		"the guard looks behind an access number": {func(o *call.Options) {
			o.Account.CTHEnabled, o.Account.CTHDialString = true, "2222,%targetNumber%#"
		}, func(b *bench) {
			if _, err := b.set.Dial(b.t.Context(), call.Dial{To: "0900123", DialAction: "callThrough"}); !errors.Is(err, call.ErrRefused) {
				b.t.Errorf("Dial: %v", err)
			}
			b.talk(call.Dial{To: "+49301234", DialAction: "callThrough", DTMF: "7"})
			if got := b.net.only("INVITE").req.Recipient.User + " " + b.session().has().sent; got != "2222 ,49301234#7" {
				b.t.Errorf("dialled %s", got)
			}
		}},
		"the network and its name count": {func(o *call.Options) {
			o.Network, o.SSID = delivery.WiFi, "Office"
			o.Account.Rewriting = []account.Rule{rule("networkType", "cellular", does("drop", "")), rule("ssid", "Office", does("prepend", "9"))}
		}, func(b *bench) {
			b.dial(call.Dial{To: "2000"})
			if got := b.net.only("INVITE").req.Recipient.User; got != "92000" {
				b.t.Errorf("dialled %s", got)
			}
		}},
		"another line is not this one's to call from": {with(rule("startsWith", "20", does("dialOut", "trunk"))), func(b *bench) {
			if _, err := b.set.Dial(b.t.Context(), call.Dial{To: "2000"}); !errors.Is(err, call.ErrOtherLine) {
				b.t.Errorf("Dial: %v", err)
			}
			p, err := b.set.Route(call.Dial{To: "sip:2000@pbx.test"})
			if err != nil || p.Line != "trunk" || p.To != "2000" {
				b.t.Errorf("Route: %+v, %v", p, err)
			}
		}},
		"this line by name is this line": {with(rule("startsWith", "20", does("dialOut", "bob"))), func(b *bench) {
			b.dial(call.Dial{To: "2000"})
			b.net.only("INVITE")
		}},
		"voicemail is the account's number": {func(o *call.Options) { o.Account.VoiceMailNumber = "*97" }, func(b *bench) {
			b.dial(call.Dial{To: "voicemail"})
			if got := b.net.only("INVITE").req.Recipient.String(); got != "sip:*97@pbx.test" {
				b.t.Errorf("dialled %s", got)
			}
		}},
		"without one it is no target": {nil, func(b *bench) {
			if _, err := b.set.Dial(b.t.Context(), call.Dial{To: "voicemail"}); !errors.Is(err, call.ErrBadTarget) {
				b.t.Errorf("Dial: %v", err)
			}
		}},
		"openUrl is told, not called": {func(o *call.Options) { o.Account.CustomActionURL = "https://crm.test/%uri%" }, func(b *bench) {
			b.dial(call.Dial{To: "+1555", DialAction: "openUrl"})
			b.wantEnd(380, call.Policy, "not dialled: openUrl: https://crm.test/%2B1555")
			if r := b.record(); r.URL != "https://crm.test/%2B1555" {
				b.t.Errorf("record is %+v", r)
			}
		}},
		"a dial action nobody knows is a mistake, one that needs a telephone is refused": {nil, func(b *bench) {
			if _, err := b.set.Dial(b.t.Context(), call.Dial{To: "1", DialAction: "shout"}); !errors.Is(err, call.ErrBadValue) {
				b.t.Errorf("shout: %v", err)
			}
			if _, err := b.set.Dial(b.t.Context(), call.Dial{To: "1", DialAction: "gsmCall"}); !errors.Is(err, call.ErrDialAction) {
				b.t.Errorf("gsmCall: %v", err)
			}
		}},
	} {
		t.Run(sentence, func(t *testing.T) { simulate(t, c.change, c.play) })
	}
}

// TestWhoWeSayCalls is what an INVITE of ours says of the caller.
func TestWhoWeSayCalls(t *testing.T) {
	private := map[string]string{"Privacy": "id"}
	for sentence, c := range map[string]struct {
		change  func(*call.Options)
		headers map[string]string
		want    []string
	}{
		"From alone": {nil, nil, []string{"From: Bob <sip:1000@pbx.test>"}},
		"another number in From": {func(o *call.Options) { o.Account.UserCallerID = "+1555" }, nil,
			[]string{"From: Bob <sip:+1555@pbx.test>"}},
		"another number in P-Asserted-Identity": {func(o *call.Options) { o.Account.UserCallerID, o.Account.UserCallerIDMethod = "+1555", "pai" }, nil,
			[]string{"From: Bob <sip:1000@pbx.test>", `P-Asserted-Identity: "Bob" <sip:+1555@pbx.test>`}},
		"everywhere": {func(o *call.Options) {
			o.Account.UserCallerID, o.Account.UserCallerIDMethod = "+1555", "from, PPI,rpid,nonsense"
		}, nil,
			[]string{"From: Bob <sip:+1555@pbx.test>", `P-Preferred-Identity: "Bob" <sip:+1555@pbx.test>`, `Remote-Party-ID: "Bob" <sip:+1555@pbx.test>;party=calling;privacy=off`}},
		"nobody, but the server knows whom to bill": {nil, private,
			[]string{"From: Anonymous <sip:anonymous@anonymous.invalid>", `P-Preferred-Identity: "Bob" <sip:1000@pbx.test>`, "Privacy: id"}},
		"nobody, by a header of the account": {func(o *call.Options) {
			o.Account.Headers = []account.Header{{Method: "INVITE", Name: "Privacy", Value: "user;id"}}
		}, nil, []string{"From: Anonymous <sip:anonymous@anonymous.invalid>", `P-Preferred-Identity: "Bob" <sip:1000@pbx.test>`, "Privacy: user;id"}},
		"nobody, with the account's way of telling the server": {func(o *call.Options) { o.Account.UserCallerIDMethod = "from,rpid" }, private,
			[]string{"From: Anonymous <sip:anonymous@anonymous.invalid>", `Remote-Party-ID: "Bob" <sip:1000@pbx.test>;party=calling;privacy=full`, "Privacy: id"}},
		"Privacy: none hides nothing": {nil, map[string]string{"Privacy": "none"},
			[]string{"From: Bob <sip:1000@pbx.test>", "Privacy: none"}},
		"an identity the call brings stays": {func(o *call.Options) { o.Account.UserCallerIDMethod = "pai" }, map[string]string{"P-Asserted-Identity": "<sip:boss@pbx.test>"},
			[]string{"From: Bob <sip:1000@pbx.test>", "P-Asserted-Identity: <sip:boss@pbx.test>"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			simulate(t, func(o *call.Options) {
				o.Account.UserDisplayName = "Bob"
				if c.change != nil {
					c.change(o)
				}
			}, func(b *bench) {
				b.dial(call.Dial{Headers: c.headers})
				invite := b.net.only("INVITE")
				from := invite.req.From()
				got := []string{"From: " + from.DisplayName + " <" + from.Address.String() + ">"}
				for _, name := range []string{"P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID", "Privacy"} {
					for _, h := range invite.req.GetHeaders(name) {
						got = append(got, name+": "+h.Value())
					}
				}
				if !slices.Equal(got, c.want) {
					b.t.Errorf("INVITE says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
				}
				// What follows in the dialog says the same, and the tag is ours.
				invite.respond(200, "OK", "callee", answered()...)
				if ack := b.net.ack(0).From(); ack.Value() != from.Value() || from.Params.GetOr("tag", "") == "" {
					b.t.Errorf("ACK is from %s, INVITE from %s", ack.Value(), from.Value())
				}
			})
		})
	}
}

func FuzzWhoCalls(f *testing.F) {
	f.Add(`"A, \"B" <sip:1@x>;party=calling, <tel:+1-2>`, "id;critical", "rpid")
	f.Add("<sip:anonymous@anonymous.invalid>", "", "pai")
	f.Add("tel:1,,<>", "none", "ppi")
	f.Fuzz(func(t *testing.T, value, privacy, place string) {
		req := parse((&caller{callID: "f", seq: 1}).head("INVITE", "")...).(*sip.Request)
		for _, name := range []string{"P-Asserted-Identity", "Remote-Party-ID", "P-Preferred-Identity", "Diversion", "History-Info"} {
			req.AppendHeader(sip.NewHeader(name, value))
		}
		req.AppendHeader(sip.NewHeader("Privacy", privacy))
		call.TryIdentity(req, []string{place})
	})
}
