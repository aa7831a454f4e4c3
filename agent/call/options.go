package call

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/account"
	"github.com/softphone-operator/softphone-operator/account/tone"
	"github.com/softphone-operator/softphone-operator/agent/media"
	"github.com/softphone-operator/softphone-operator/agent/recording"
	"github.com/softphone-operator/softphone-operator/agent/sdp"
	"github.com/softphone-operator/softphone-operator/agent/treatment"
	"github.com/softphone-operator/softphone-operator/agent/ua"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// Endpoint is what calls need of a *ua.Endpoint.
type Endpoint interface {
	Request(ctx context.Context, req *sip.Request) (sip.ClientTransaction, error)
	Write(req *sip.Request) error
	Resolve(ctx context.Context, hostport string, t ua.Transport) ([]ua.Candidate, error)
	LocalAddrFor(ctx context.Context, server netip.AddrPort) (netip.Addr, error)
	Port() int
	Guard(line string, f func()) (panicked bool)
}

// Media is what calls need of a *media.Session.
type Media interface {
	LocalRTP() netip.AddrPort
	Reach(ctx context.Context, n media.NAT) (media.Reach, error)
	RestartICE() (*sdp.ICE, error)
	Start(n sdp.Negotiated, source media.Source) error
	Update(n sdp.Negotiated, source media.Source) error
	SendDTMF(digits string) error
	SendTones(digits string) error
	SetOnDTMF(f func(digit rune))
	Stats() media.Stats
	Signs() media.Signs
	Answered()
	Close() error
}

// Caps bound a line's calls; 0 = no bound.
type Caps struct {
	// Concurrent calls, both directions together.
	Concurrent int
	// NewPerSecond calls taken from the network.
	NewPerSecond int
	// MaxDuration of an answered call; 0 = DefaultMaxDuration.
	MaxDuration time.Duration
}

// Defaults of Options.
const (
	DefaultMaxDuration = time.Hour
	DefaultNoAnswer    = 60 * time.Second
)

// Options of a Set.
type Options struct {
	// Line is the line's name, for records and logs.
	Line string
	// Account is the line's effective account. It is read, never written.
	Account *account.Account
	// ContactUser is the unguessable user of our Contact, the same that was
	// given to ua.Endpoint.Bind.
	ContactUser string
	// Endpoint requests go out by.
	Endpoint Endpoint
	// Link to the server; the zero value is UDP.
	Link ua.Link
	// Server gives the place new calls are sent to
	// (registration.Registration.Server).
	Server func(ctx context.Context) (ua.Candidate, error)
	// Candidates gives the places for new calls and texts, the best first; nil = Server's alone.
	Candidates func(ctx context.Context) ([]ua.Candidate, error)
	// Route is the host[:port] of an outbound proxy to name in a Route header
	// of new calls (Link.Routes); "" = none.
	Route string
	// Nonces shared with the line's registration; nil = own.
	Nonces *ua.NonceCache
	// Network selects the Wi-Fi or the cellular half of the account.
	Network delivery.NetworkType
	// SSID is the name of the Wi-Fi, for rewriting rules.
	SSID string
	// IncomingMode stands behind icm=auto: keepAwake, push or off.
	IncomingMode string
	Caps         Caps
	// Destinations guard what may be called.
	Destinations delivery.Destinations
	// Transfers say whose REFERs the line follows.
	Transfers delivery.Transfers
	// Budget counts the minutes of outgoing calls against Destinations'; nil = own.
	Budget *Budget
	// NoAnswer is how long an incoming call rings; 0 = DefaultNoAnswer.
	NoAnswer time.Duration
	// Servers are the addresses of the line's server, as far as they are known now; nil = none.
	Servers func() []netip.AddrPort
	// Dial places calls for who may send the line's elsewhere (Transfers); nil = Set.Dial.
	Dial func(ctx context.Context, d Dial) (id string, err error)
	// Play is the call tone that answered calls send (package tone); "" = they are echoed. Files
	// gives the audio files that tones name; nil = there are none.
	Play  string
	Files tone.Files
	// Record wants every call recorded; rules and Dial want single ones. Recordings keeps them;
	// nil = nobody does.
	Record     bool
	Recordings *recording.Store
	// NAT gives the servers that help to be reached from elsewhere; nil = none, and
	// calls announce their own address. With an error it gives what it found all the same.
	NAT func(ctx context.Context) (media.NAT, error)
	// Clock is what the audio of all of an agent's calls goes by; nil = one for each call.
	Clock *media.Clock
	// OpenMedia opens a call's audio; nil = media.Open.
	OpenMedia func(media.Config) (Media, error)
	// OnChange is told every change of a call, in order per call, from the
	// call's own goroutine; the end is the last change, and told once. It must
	// not block.
	OnChange func(Record)
	// OnText is told of every text message that came, and of every one that went when
	// there is an answer, or none is waited for any more. It must not block.
	OnText func(Text)
	// Log for what calls have to say; nil = discard.
	Log *slog.Logger
}

// Dial is an outgoing call to place.
type Dial struct {
	// To is a number, a SIP or tel URI, or "voicemail": the account's voiceMailNumber.
	// The account's rewriting rules apply to it.
	To string `json:"to"`
	// Seconds after the answer when the call is ended; 0 = Caps.MaxDuration.
	Seconds int `json:"seconds,omitempty"`
	// DTMF digits to send after the answer (0-9 * # A-D, "," is a pause).
	DTMF string `json:"dtmf,omitempty"`
	// Headers to add to the INVITE, beside the account's.
	Headers map[string]string `json:"headers,omitempty"`
	// ToneHz is the tone to send; 0 = silence.
	ToneHz float64 `json:"toneHz,omitempty"`
	// Play is a call tone to send instead (package tone): wav(greeting.wav) once,
	// periodic(wav(music.caf)) over and over. Its files are those of the prompts directory.
	Play string `json:"play,omitempty"`
	// Record the call: both directions, in the agent's state directory.
	Record bool `json:"record,omitempty"`
	// Check is the run of a check that the call is made for; "" = none. A line of
	// ours that answers learns it by CheckHeader.
	Check string `json:"-"`
	// Probe takes the place of the tone once, for media.ProbeLength, when the tone has come
	// back: it measures the way there and back, and what becomes of the sound.
	Probe bool `json:"-"`
	// Confirm says that whoever asked has confirmed the number, where a rewriting
	// rule asks for that.
	Confirm bool `json:"confirm,omitempty"`
	// DialAction is how to call: autoCall (""), voiceCall, videoCall, callThrough,
	// openUrl and so on (account.DialActions). A rewriting rule may say another.
	DialAction string `json:"dialAction,omitempty"`
	// LateOffer leaves the offer to the called side: the INVITE has none.
	LateOffer bool `json:"lateOffer,omitempty"`
	// Placement is what was decided on the call already (Set.Route); nil = nothing.
	Placement *treatment.Placement `json:"-"`

	prompt media.Source // of Play; nil = there is none
	errand *errand      // what it is placed for; nil = whoever asked of this agent
}
