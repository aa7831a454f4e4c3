package call

import "time"

// Direction of a call, seen from the line.
type Direction string

// The directions of a call.
const (
	In  Direction = "in"
	Out Direction = "out"
)

// State of a call.
type State string

// The states of a call, in the order it lives through them.
const (
	Trying      State = "trying"      // the INVITE is on its way
	Ringing     State = "ringing"     // the called side rings
	Early       State = "early"       // the called side sends audio before it answers (183)
	Established State = "established" // answered
	Ended       State = "ended"       // over; End says how
)

// By says who ended a call.
type By string

// Who may have ended a call.
const (
	Local   By = "local"   // somebody on our side
	Remote  By = "remote"  // the other side, or a server between
	Timeout By = "timeout" // nobody, in time
	Policy  By = "policy"  // a rule or a cap
	Network By = "network" // the network failed
)

// End is how a call ended.
type End struct {
	// Code is the final response to the INVITE; 200 = the call was answered.
	// Without a response 408 stands for no answer and 503 for a failed network
	// (RFC 3261 §8.1.3.1).
	Code int `json:"code"`
	// Reason in words, e.g. "486 Busy Here".
	Reason string `json:"reason"`
	By     By     `json:"by"`
	// Contacts a redirecting answer (3xx) named.
	Contacts []string `json:"contacts,omitempty"`
}

// RTP is a call's packets, seen from our side.
type RTP struct {
	Sent     uint64   `json:"sent"`
	Received uint64   `json:"received"`
	Lost     uint64   `json:"lost"`
	JitterMs *float64 `json:"jitterMs,omitempty"`
	RTTMs    *float64 `json:"rttMs,omitempty"`
	// SentLossPercent is what the other side said last of the packets it got of us (RTCP).
	SentLossPercent *float64 `json:"sentLossPercent,omitempty"`
}

// Tone that was listened for, and how long it was heard.
type Tone struct {
	FrequencyHz float64 `json:"frequencyHz"`
	Seconds     float64 `json:"seconds"`
}

// Heard is the tone received.
type Heard struct {
	FrequencyHz float64 `json:"frequencyHz"`
	LevelDBm0   float64 `json:"levelDbm0"`
}

// Record is what is known about a call: what /statusz and GET /calls/{id} show.
type Record struct {
	// ID of the call on this agent.
	ID string `json:"id"`
	// Line the call belongs to.
	Line string `json:"line"`
	// CallID is the SIP Call-ID.
	CallID    string    `json:"callId"`
	Direction Direction `json:"direction"`
	// Remote is the URI of the other side, without parameters; of an incoming call
	// with the number that the account's rules show. RemoteName is its display name.
	Remote     string `json:"remote"`
	RemoteName string `json:"remoteName,omitempty"`
	// Reached is who answered an outgoing call, by the response (the account's
	// outgoingRemoteContact); ReachedName the display name there.
	Reached     string `json:"reached,omitempty"`
	ReachedName string `json:"reachedName,omitempty"`
	// Anonymous callers do not say who they are, or ask that it is not shown.
	Anonymous bool  `json:"anonymous,omitempty"`
	State     State `json:"state"`
	// Codec sent, as "PCMU/8000"; "" before anything was negotiated.
	Codec string `json:"codec,omitempty"`
	// Hold is our direction while it is not sendrecv: sendonly, recvonly or inactive.
	Hold string `json:"hold,omitempty"`
	// Held says who holds the call: local, remote, both; "" = nobody. Who holds it does
	// not want to hear the other side.
	Held string `json:"held,omitempty"`
	// SessionTimer is what was agreed on how long the session lasts without a sign of life (RFC 4028); absent = for ever.
	SessionTimer *SessionTimer `json:"sessionTimer,omitempty"`
	// Protection of the media: none, sdes or dtls. Cipher is SRTP's crypto suite, as
	// "AEAD_AES_256_GCM", once there are keys.
	Protection string `json:"protection"`
	Cipher     string `json:"cipher,omitempty"`
	// NAT traversal of the media: off, plain (nobody was asked, or there is none), stun
	// or turn.
	NAT string `json:"nat"`
	RTP RTP    `json:"rtp"`
	// DTMF digits received.
	DTMF string `json:"dtmf"`
	// R and MOS by the E-model (ITU-T G.107); absent until measured.
	R   *float64 `json:"r,omitempty"`
	MOS *float64 `json:"mos,omitempty"`
	// Quality in both directions; absent before anything was measured.
	Quality *Quality `json:"quality,omitempty"`
	// Probe of a check; absent until it has come back.
	Probe *Probe `json:"probe,omitempty"`
	// Trouble there was with what is heard of the other side: one-way (nothing came for
	// nearly two seconds), silence (packets came, and nothing was heard in them for nearly
	// three), clipping.
	Trouble []string `json:"trouble,omitempty"`
	// Heard is the last tone received; absent when none was.
	Heard *Heard `json:"heard,omitempty"`

	StartedAt  time.Time `json:"startedAt"`
	AnsweredAt time.Time `json:"answeredAt,omitzero"`
	EndedAt    time.Time `json:"endedAt,omitzero"`
	// SetupMs from the INVITE to its answer, RingMs to the first sign of ringing
	// (180, or audio before the answer).
	SetupMs *int64 `json:"setupMs,omitempty"`
	RingMs  *int64 `json:"ringMs,omitempty"`
	// Responded: the server sent some response to the INVITE, be it 100.
	Responded bool `json:"responded,omitempty"`
	// FirstPacketMs from the answer to the first audio packet; 0 = it was there before.
	FirstPacketMs *int64 `json:"firstPacketMs,omitempty"`
	// Check is the run of a check that the call belongs to, on either side; Tones
	// are what is listened for in one, SoundSeconds how long anything was heard.
	Check string `json:"check,omitempty"`
	Tones []Tone `json:"tones,omitempty"`
	// StalledMs is how long our own process stood still while audio was due.
	StalledMs    int64   `json:"stalledMs,omitempty"`
	SoundSeconds float64 `json:"soundSeconds,omitempty"`
	// RecordCall: a rewriting rule wants the call recorded.
	RecordCall bool `json:"recordCall,omitempty"`
	// Recording of the call; absent where nobody wants one.
	Recording *Recording `json:"recording,omitempty"`
	// Transfer is what became of sending the call elsewhere; absent unless somebody asked for that.
	Transfer *TransferStatus `json:"transfer,omitempty"`
	// ReferredBy is the id of the call whose other side asked for this one (REFER),
	// Replaces of the one whose place this one took.
	ReferredBy string `json:"referredBy,omitempty"`
	Replaces   string `json:"replaces,omitempty"`
	// URL that a dial action opens instead of a call; it is told, not fetched.
	URL string `json:"url,omitempty"`
	// Treatment explains, step by step, what was done with a call: with an incoming
	// one every rule that was asked, with an outgoing one those that did something.
	Treatment []string `json:"treatment"`
	End       *End     `json:"end,omitempty"`
}
