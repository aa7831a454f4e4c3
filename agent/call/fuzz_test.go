package call_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/call"
)

// FuzzHandleRequest throws requests at a line with a running call: whatever
// comes, nothing breaks, and every request but ACK has its final response once
// the longest timer is over. TAG stands for the call's own tag.
func FuzzHandleRequest(f *testing.F) {
	p := &caller{callID: "a", seq: 2}
	for _, extra := range [][]string{nil, sdpBody(offerPCMU), reoffer("inactive"), {"Require: x"}, {"Contact: *"}, {"Content-Type: text/plain", "", "x"},
		{"Require: 100rel"}, {"RAck: 1 1 INVITE"}, {"Record-Route: <sip:1.2.3.4;lr>"}, {"Call-Info: <x>;answer-after=1"},
		{referTo3000, "Referred-By: <sip:x>"}, {"Event: refer", "Subscription-State: active"}, {"Replaces: a;to-tag=TAG;from-tag=caller"}} {
		for _, method := range []string{"INVITE", "ACK", "BYE", "INFO", "UPDATE", "PRACK", "OPTIONS", "CANCEL", "REFER", "NOTIFY", "SUBSCRIBE"} {
			for _, tag := range []string{"", "TAG", "other"} {
				f.Add(parse(append(p.head(method, tag), extra...)...).String())
			}
		}
	}
	f.Fuzz(func(t *testing.T, raw string) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, followAny)
			defer b.finish()
			running := b.invite("a", sdpBody(offerPCMU)...)
			m, err := sip.NewParser().ParseSIP([]byte(strings.ReplaceAll(raw, "TAG", running.tag())))
			if err != nil {
				return
			}
			req, ok := m.(*sip.Request)
			if !ok || req.From() == nil || req.To() == nil || req.CallID() == nil || req.CSeq() == nil || req.Via() == nil {
				return // package ua answers these
			}
			req.SetSource(serverAddr.String())
			tx := newServerTx(t, req)
			b.set.HandleRequest(req, tx)
			synctest.Wait()
			time.Sleep(2 * time.Minute)
			b.net.hangUp()
			codes := tx.codes()
			if last := codes[max(0, len(codes)-3):]; !req.IsAck() && (len(last) != 3 || last < "200") || req.IsAck() && codes != "" {
				t.Errorf("answered %q:\n%s", codes, raw)
			}
		})
	})
}

// FuzzResponse throws a response at a call that two phones ring for: whatever it is, the
// call ends when its transaction does, and nothing is left of it.
func FuzzResponse(f *testing.F) {
	for _, status := range []string{"100 Trying", "180 Ringing", "183 Session Progress", "199 Early Dialog Terminated", "200 OK", "302 Moved", "401 Unauthorized", "420 Bad Extension", "487 Request Terminated", "503 Service Unavailable", "699 What"} {
		for _, extra := range [][]string{
			nil, {contactCallee}, {"Require: 100rel", "RSeq: 2"}, {"Require: 100rel", "RSeq: 99999999999"}, {"Unsupported: 100rel"}, {"Retry-After: x", "Warning: 399"},
			{"Contact: *"}, {"Record-Route: <sip:1.2.3.4>"}, {`WWW-Authenticate: Digest realm="a", nonce="b"`}, answered(), answered("Require: 100rel", "RSeq: 1"),
		} {
			res := parse(append([]string{
				"SIP/2.0 " + status, "Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKx", "From: <sip:1000@pbx.test>;tag=FROM", "To: <sip:2000@pbx.test>;tag=one",
				"Call-ID: CALL", "CSeq: 1 INVITE",
			}, extra...)...)
			f.Add(res.String())
		}
	}
	f.Fuzz(func(t *testing.T, raw string) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, nil)
			defer b.finish()
			b.dial(call.Dial{})
			invite := b.net.only("INVITE")
			m, err := sip.NewParser().ParseSIP([]byte(raw))
			res, ok := m.(*sip.Response)
			if err != nil || !ok || res.From() == nil || res.To() == nil || res.CallID() == nil || res.CSeq() == nil || res.Via() == nil {
				return // package ua drops these
			}
			invite.respond(180, "Ringing", "one", silentBranch(1)...)
			invite.respond(183, "Session Progress", "two", branch(2)...)
			invite.deliver(res)
			if res.IsProvisional() {
				invite.respond(486, "Busy Here", "two")
			}
			b.net.hangUp()
		})
	})
}

// FuzzReferTo: what a REFER may name ends in no header of ours but as it was meant.
func FuzzReferTo(f *testing.F) {
	for _, s := range []string{
		"<sip:3000@pbx.test>", "sip:3000@pbx.test;method=INVITE", "<tel:+15550100>", `"A" <sips:a@b?Replaces=c%3Bto-tag%3Dd%3Bfrom-tag%3De&Require=replaces>`,
		"<sip:a@b?Replaces=%0d%0aVia%3Bto-tag%3Dd%3Bfrom-tag%3De>", "<sip:a@b?Replaces=%zz>", "<sip:>", "<sip:a@b;method=>", "*", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		_, replaces, err := call.ParseReferTo(value)
		if err != nil || replaces == "" {
			return
		}
		if strings.ContainsAny(replaces, "\r\n\x00,") {
			t.Errorf("%q gives the header %q", value, replaces)
		}
		plain, escaped, err := call.ParseReplaces(replaces)
		if err != nil || plain != replaces {
			t.Errorf("%q is read as %q (%v)", replaces, plain, err)
		}
		if _, again, err := call.ParseReferTo("<sip:a@b?Replaces=" + escaped + ">"); err != nil || again != replaces {
			t.Errorf("%q comes back as %q (%v)", replaces, again, err)
		}
	})
}
