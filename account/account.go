package account

// Transport is how SIP travels; see the constants.
type Transport string

// The transports of an account. TLS writes sips: URIs, TLSSIP keeps sip: URIs over TLS.
const (
	UDP    Transport = "udp"
	TCP    Transport = "tcp"
	TLS    Transport = "tls"
	TLSSIP Transport = "tls+sip:"
)

// Account is the typed view of a document: effective values, schema defaults
// filled in. Every field is tied to its row of the schema by the node tag; a
// pointer is nil when the node is empty or absent.
type Account struct {
	Title           string `node:"title"`
	Username        string `node:"username"`
	Password        string `node:"password"`
	CloudUsername   string `node:"cloud_username"`
	CloudPassword   string `node:"cloud_password"`
	UserDisplayName string `node:"userDisplayName"`
	AuthUsername    string `node:"authUsername"` // empty: Username; see DigestUsername
	UserCallerID    string `node:"userCallerId"`
	VoiceMailNumber string `node:"voiceMailNumber"`

	*Settings
}

// Settings are the part of an account that many accounts have in common. Equal
// ones may be one (Share): they are read, never written.
type Settings struct {
	// Server.
	Host         string    `node:"host"`
	Transport    Transport `node:"transport"`
	Expires      int       `node:"expires"` // seconds
	AllowMessage bool      `node:"allowMessage"`

	// Push relay.
	SIPISHost             string `node:"sipisHost"`
	SIPISRegServer        string `node:"sipisRegServer"`
	SIPISHostPrefixLength int    `node:"sipisHostPrefixLength"`

	// Proxies.
	Proxy                  string    `node:"proxy"`
	OutboundProxyEnabled   bool      `node:"outboundProxy_enabled"`
	OutboundProxyHost      string    `node:"outboundProxy_host"`
	OutboundProxyTransport Transport `node:"outboundProxy_transport"` // empty: Transport

	// Voicemail.
	SubscribeForVoicemail bool `node:"subscribeForVoicemail"`

	// Audio codecs, by payload number, preferred first. 3G is any cellular network.
	CodecOrder              []int `node:"codecOrder"`
	CodecOrder3G            []int `node:"codecOrder3G"`
	HonorTheirCodecListWiFi bool  `node:"honorTheirCodecListWiFi"`
	HonorTheirCodecList3G   bool  `node:"honorTheirCodecList3G"`
	Ptime                   int   `node:"ptime"`   // milliseconds
	Ptime3G                 int   `node:"ptime3G"` // milliseconds
	ForcePtime              bool  `node:"forcePtime"`
	ForcePtime3G            bool  `node:"forcePtime3G"`

	// Opus. While Class is set the other values are the preset's.
	OpusOptions   Opus `node:"opusOptions."`
	OpusOptions3G Opus `node:"opusOptions3G."`

	// Video.
	AllowVideo           bool   `node:"allowVideo"`
	VideoCodecOrder      []int  `node:"videoCodecOrder"`
	VideoCodecOrder3G    []int  `node:"videoCodecOrder3G"`
	VideoMinKbpsWifi     int    `node:"videoMinKbpsWifi"` // kbit/s
	VideoMaxKbpsWifi     int    `node:"videoMaxKbpsWifi"` // kbit/s
	VideoMinKbps3G       int    `node:"videoMinKbps3G"`   // kbit/s
	VideoMaxKbps3G       int    `node:"videoMaxKbps3G"`   // kbit/s
	VideoDimsWifi        string `node:"videoDimsWifi"`
	VideoDims3G          string `node:"videoDims3G"`
	VideoFPSWifi         *int   `node:"videoFpsWifi"` // frames a second
	VideoFPS3G           *int   `node:"videoFps3G"`   // frames a second
	AutoSendVideoWifi    *bool  `node:"autoSendVideoWifi"`
	AutoSendVideo3G      *bool  `node:"autoSendVideo3G"`
	AutoReceiveVideoWifi *bool  `node:"autoReceiveVideoWifi"`
	AutoReceiveVideo3G   *bool  `node:"autoReceiveVideo3G"`

	// DTMF.
	DTMFOrder                         []string `node:"dtmfOrder"`
	DTMFAll                           bool     `node:"dtmfAll"`
	RFC2833NegotiateOnly8kHzClockRate bool     `node:"rfc2833NegotiateOnly8kHzClockRate"`
	RFC2833AdjustDurationTo8kHz       bool     `node:"rfc2833AdjustDurationTo8kHz"`

	// NAT.
	STUN                     string   `node:"STUN"`
	STUNUsername             string   `node:"STUNUsername"`
	STUNPassword             string   `node:"STUNPassword"`
	NatTraversal             string   `node:"natTraversal"`
	IgnoreSymmetricNat       bool     `node:"ignoreSymmetricNat"`
	ICEDefaultCandidateOrder []string `node:"iceDefaultCandidateOrder"`
	ContactIP                string   `node:"contactIP"`
	ForcedContact            string   `node:"forcedContact"`
	SendAudioBack            bool     `node:"sendAudioBack"`
	KeepAlive                bool     `node:"keepAlive"`
	KeepAlivePeriod          int      `node:"keepAlivePeriod"` // seconds
	RTPPortRangeStart        int      `node:"rtpPortRangeStart"`
	RTPPortRangeEnd          int      `node:"rtpPortRangeEnd"`
	ListeningPort            string   `node:"listeningPort"`            // "" sticky random, "0" random each time, or a port
	NetworkLossCallTimeoutMs int      `node:"networkLossCallTimeoutMs"` // milliseconds

	// Compound nodes.
	Headers      []Header      `node:"headers"`
	DoNotDisturb *DoNotDisturb `node:"doNotDisturb"`
	Rewriting    []Rule        `node:"rewriting"`

	// Incoming calls.
	ICM                                  string   `node:"icm"` // auto, push, keepAwake, off
	RequiresRegistrationForOutgoingCalls bool     `node:"requiresRegistrationForOutgoingCalls"`
	BlockRegistrationDuringPushCall      bool     `node:"blockRegistrationDuringPushCall"`
	RemoteContact                        []string `node:"remoteContact"`

	// Secure calls: enabled, required or empty.
	SDESIncoming string `node:"sdesIncoming"`
	SDESOutgoing string `node:"sdesOutgoing"`
	ZRTPIncoming string `node:"zrtpIncoming"`
	ZRTPOutgoing string `node:"zrtpOutgoing"`
	DTLSIncoming string `node:"dtlsIncoming"`
	DTLSOutgoing string `node:"dtlsOutgoing"`

	// Web services.
	ExtProvURL                  string `node:"extProvUrl"`
	ExtProvInterval             int    `node:"extProvInterval"` // seconds
	GenericBalanceCheckURL      string `node:"genericBalanceCheckUrl"`
	GenericBalanceCheckPostData string `node:"genericBalanceCheckPostData"`
	WCBEnabled                  bool   `node:"wcb_enabled"`
	WCBURL                      string `node:"wcb_url"`
	WCBMethod                   string `node:"wcb_method"`
	CallbackNumber              string `node:"callbackNumber"`
	CTHEnabled                  bool   `node:"cth_enabled"`
	CTHDialString               string `node:"cth_dialString"`
	CTHWSEnabled                bool   `node:"cth_ws_enabled"`
	CTHWSURL                    string `node:"cth_ws_url"`
	CTHWSMethod                 string `node:"cth_ws_method"`

	// Forwarding.
	ForwardingEnabled bool   `node:"forwardingEnabled"`
	ForwardingNumber  string `node:"forwardingNumber"`

	// Misc.
	VPNStartupURL   string `node:"vpnStartupUrl"`
	CustomActionURL string `node:"customActionUrl"`

	// Tones, in the call-tone language.
	InitialTone     string `node:"initialTone"`
	RingingTone     string `node:"ringingTone"`
	EndCallTone     string `node:"endCallTone"`
	BusyTone        string `node:"busyTone"`
	CallWaitingTone string `node:"callWaitingTone"`
	ZRTPTone        string `node:"zrtpTone"`

	// Auto answer.
	AutoAnswerEnabled          bool `node:"autoAnswerEnabled"`
	AutoAnswerTimeoutInSeconds int  `node:"autoAnswerTimeoutInSeconds"`

	// BLF lists the extensions to watch.
	BLF []string `node:"blf"`

	// Desktop.
	WebMessagesPollingIntervalMs           int `node:"webMessagesPollingIntervalMs"`
	WebMessagesBackgroundPollingIntervalMs int `node:"webMessagesBackgroundPollingIntervalMs"`

	// VideoConferencingEnabled is nil when the node is absent: allowed.
	VideoConferencingEnabled *bool `node:"videoConferencingEnabled"`

	// Nodes of the shipped defaults that the document does not describe.
	OutboundProxyPort                   *int     `node:"outboundProxy_port"`
	BgrOutboundProxyPort                *int     `node:"bgrOutboundProxy_port"`
	BgrTransport                        string   `node:"bgrTransport"`
	PushNAT                             bool     `node:"pushNAT"`
	PushVoicemail                       bool     `node:"pushVoicemail"`
	SendAuthenticationPreemptively      bool     `node:"sendAuthenticationPreemptively"`
	RememberRegistrationState           bool     `node:"rememberRegistrationState"`
	NetworkUse                          string   `node:"networkUse"`
	SymmetricNatSubstituteAddress       string   `node:"symmetricNatSubstituteAddress"`
	OutgoingRemoteContact               []string `node:"outgoingRemoteContact"`
	UserCallerIDMethod                  string   `node:"userCallerIdMethod"`
	AllowToHeaderMismatch               bool     `node:"allowToHeaderMismatch"`
	IgnoreRemoteUserDomain              bool     `node:"ignoreRemoteUserDomain"`
	CallWaiting                         bool     `node:"callWaiting"`
	PeriodicRingtonePeriod              int      `node:"periodicRingtonePeriod"`
	SaveAndNotifyCallsAnsweredElseWhere bool     `node:"saveAndNotifyCallsAnsweredElseWhere"`
	RFC2833Volume                       int      `node:"rfc2833Volume"`
	FreeswitchZRTPCompatibility         bool     `node:"freeswitchZrtpCompatibility"`
	PresenceMethod                      string   `node:"presenceMethod"`
	MaxMessageBodySize                  int      `node:"maxMessageBodySize"` // bytes
	GenericRateCheckURL                 string   `node:"genericRateCheckUrl"`
	GenericSMSFetchURL                  string   `node:"genericSmsFetchUrl"`
	GenericSMSSendURL                   string   `node:"genericSmsSendUrl"`
	PushTokenReporterURL                string   `node:"pushTokenReporterUrl"`
	NetworkID                           string   `node:"networkId"`
	IncomingRewriting                   []Rule   `node:"incomingRewriting"`
}

// Opus is one set of Opus parameters. A nil number is the codec's own choice.
type Opus struct {
	Class              string `node:"class"`     // nb, wb, fb or empty
	Bandwidth          string `node:"bandwidth"` // nb, wb or fb
	Complexity         *int   `node:"complexity"`
	Bitrate            *int   `node:"bitrate"` // bit/s; nil automatic, -1 maximum
	FEC                bool   `node:"fec"`
	DTX                bool   `node:"dtx"`
	VBR                bool   `node:"vbr"`
	ExpectedPacketLoss int    `node:"expectedPacketLoss"` // percent
}

// Header is one extra SIP header of requests; Method "*" means every method.
type Header struct{ Method, Name, Value string }

// DoNotDisturb is the account's do-not-disturb rules.
type DoNotDisturb struct {
	// GMTOffsetInMinutes is the zone of the entries' times; nil means UTC.
	GMTOffsetInMinutes *int
	Entries            []DNDEntry
}

// DNDEntry is one rule: on these weekdays, between these times of day.
type DNDEntry struct {
	Enabled bool
	// From and To are HH:MM; To includes its last second.
	From, To string
	// Weekdays is a bit mask: 1 Monday … 64 Sunday.
	Weekdays int
	// Contacts limits the rule to these callers; empty means any caller.
	Contacts []DNDContact
	Comment  string
}

// DNDContact is one caller of a do-not-disturb rule.
type DNDContact struct{ Identifier, Source, Phone, Name string }

// Rule is one number-rewriting rule.
type Rule struct {
	Conditions []Clause
	Actions    []Clause
}

// Clause is one condition or action of a rule.
type Clause struct{ Type, Param string }

// DigestUsername is the name used to authenticate: authUsername, else username.
func (a *Account) DigestUsername() string {
	if a.AuthUsername != "" {
		return a.AuthUsername
	}
	return a.Username
}

// CallerID is the user part of From in an outgoing INVITE: userCallerId, else username.
func (a *Account) CallerID() string {
	if a.UserCallerID != "" {
		return a.UserCallerID
	}
	return a.Username
}
