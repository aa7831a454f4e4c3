package interop

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestAThousandDigitsByINFO: eight calls at a time send 125 digits each in INFO, over UDP and through a proxy; each arrives once,
// in its place. (What goes through the media has its thousand in agent/media, TestAThousandDigits.)
func TestAThousandDigitsByINFO(t *testing.T) {
	t.Parallel()
	const each = 125 // a record keeps 128
	users, nodes := []string{"alice"}, map[string]string{"alice": "<dtmfOrder>info</dtmfOrder>"}
	var called []string
	for i := range 8 {
		user := fmt.Sprintf("bob%d", i)
		called, users, nodes[user] = append(called, user), append(users, user), autoAnswer
	}
	a, _, _ := lines(t, `{"version":1}`, users, nodes)
	random, sent := rand.New(rand.NewPCG(2976, 6086)), map[string]string{}
	for _, user := range called {
		digits := make([]byte, each)
		for i := range digits {
			digits[i] = "0123456789*#ABCD"[random.IntN(16)]
		}
		sent[user] = string(digits)
		a.dial(fmt.Sprintf(`{"line":"alice","to":%q,"dtmf":%q}`, user, digits))
	}
	wrong := 0
	for _, user := range called {
		r := a.awaitIncoming(user, "was told all digits", func(r record) bool { return len(r.DTMF) >= each })
		for i := range sent[user] {
			if r.DTMF[i] != sent[user][i] {
				wrong++
			}
		}
		if r.DTMF != sent[user] {
			t.Errorf("%s was told %s, sent were %s", user, r.DTMF, sent[user])
		}
	}
	outcome(t, "two lines", "%d digits by INFO in %d calls, %d wrong", each*len(called), len(called), wrong)
}
