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
		{"Record-Route: <sip:1.2.3.4;lr>"}, {"Call-Info: <x>;answer-after=1"},
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
