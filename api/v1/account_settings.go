package v1

import "k8s.io/apimachinery/pkg/util/intstr"

// AccountSettings mirrors the account XML node by node. The JSON name of a field is the node's XML name; every field is
// optional, and one that is not set says nothing.
//
// +kubebuilder:validation:XValidation:rule="!has(self.rtpPortRangeStart) || !has(self.rtpPortRangeEnd) || self.rtpPortRangeEnd >= self.rtpPortRangeStart + 4",message="rtpPortRangeEnd must be at least 4 above rtpPortRangeStart"
type AccountSettings struct {
	// Title is the label of the account; absent: metadata.name.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Title *string `json:"title,omitempty"`

	// Username is the SIP user part.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="!self.matches('[\\\\s<>@]')",message="username is the user part alone: no sip:, no @host, no spaces"
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('sip:') && !self.startsWith('sips:')",message="username is the user part alone: no sip:, no @host, no spaces"
	Username *string `json:"username,omitempty"`

	// Password is the SIP digest password.
	// +optional
	Password *SecretValue `json:"password,omitempty"`

	// AuthUsername is the digest user name where it is not username.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	AuthUsername *string `json:"authUsername,omitempty"`

	// UserDisplayName is the quoted name put before the SIP URI.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="!self.matches('[\\\\r\\\\n]')",message="userDisplayName must not contain a line break"
	UserDisplayName *string `json:"userDisplayName,omitempty"`

	// UserCallerId is the user part of From in outgoing calls; absent: username.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="!self.matches('[\\\\s<>@]')",message="userCallerId is a user part alone: no @host, no spaces"
	UserCallerId *string `json:"userCallerId,omitempty"`

	// Host is the SIP domain, and the server too unless proxy names another. HOST or HOST:PORT.
	// +optional
	Host *HostPort `json:"host,omitempty"`

	// Proxy is the SIP server used in place of host. HOST or HOST:PORT.
	// +optional
	Proxy *HostPort `json:"proxy,omitempty"`

	// OutboundProxy_enabled turns the outbound proxy on.
	// +optional
	OutboundProxy_enabled *bool `json:"outboundProxy_enabled,omitempty"`

	// OutboundProxy_host is the outbound proxy; it counts only with outboundProxy_enabled. HOST or HOST:PORT.
	// +optional
	OutboundProxy_host *HostPort `json:"outboundProxy_host,omitempty"`

	// OutboundProxy_transport is the transport to the outbound proxy; absent: transport.
	// +optional
	OutboundProxy_transport *Transport `json:"outboundProxy_transport,omitempty"`

	// Transport of SIP; default udp. tls writes sips: URIs, tls+sip: keeps sip: URIs over TLS.
	// +optional
	Transport *Transport `json:"transport,omitempty"`

	// Expires is the number of seconds asked for in REGISTER; default 600.
	// +optional
	// +kubebuilder:validation:Minimum=30
	// +kubebuilder:validation:Maximum=604800
	Expires *int32 `json:"expires,omitempty"`

	// AllowMessage puts MESSAGE in Allow; default false.
	// +optional
	AllowMessage *bool `json:"allowMessage,omitempty"`

	// Icm is the incoming call mode; default auto (the fleet's incomingCallMode decides). off does not register.
	// +optional
	// +kubebuilder:validation:Enum=auto;push;keepAwake;off
	Icm *string `json:"icm,omitempty"`

	// KeepAlive sends keep-alive packets to the SIP server; default of a fleet: true.
	// +optional
	KeepAlive *bool `json:"keepAlive,omitempty"`

	// KeepAlivePeriod is the gap between keep-alives in seconds; default 30.
	// +optional
	// +kubebuilder:validation:Minimum=5
	// +kubebuilder:validation:Maximum=86400
	KeepAlivePeriod *int32 `json:"keepAlivePeriod,omitempty"`

	// AutoAnswerEnabled answers incoming calls by itself; default false.
	// +optional
	AutoAnswerEnabled *bool `json:"autoAnswerEnabled,omitempty"`

	// AutoAnswerTimeoutInSeconds before the answer, 0 = at once; default 5. A Call-Info answer-after of the caller goes before it.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=3600
	AutoAnswerTimeoutInSeconds *int32 `json:"autoAnswerTimeoutInSeconds,omitempty"`

	// ForwardingEnabled redirects every incoming call to forwardingNumber (302); default false.
	// +optional
	ForwardingEnabled *bool `json:"forwardingEnabled,omitempty"`

	// ForwardingNumber is the target of the redirection.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	ForwardingNumber *string `json:"forwardingNumber,omitempty"`

	// CallWaiting takes a further call while one is running; default true. Without it the caller gets 486.
	// +optional
	CallWaiting *bool `json:"callWaiting,omitempty"`

	// CodecOrder lists audio codecs on Wi-Fi, the preferred first, by name (Opus, G722, PCMU, PCMA, GSM, iLBC, G729) or by
	// the payload number of the account XML.
	// +optional
	CodecOrder CodecList `json:"codecOrder,omitempty"`

	// CodecOrder3G lists audio codecs on cellular networks, as codecOrder.
	// +optional
	CodecOrder3G CodecList `json:"codecOrder3G,omitempty"`

	// Ptime is the packet time on Wi-Fi in milliseconds; default 20.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=200
	Ptime *int32 `json:"ptime,omitempty"`

	// Ptime3G is the packet time on cellular networks in milliseconds; default 30.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=200
	Ptime3G *int32 `json:"ptime3G,omitempty"`

	// ForcePtime keeps ptime even if the peer asks for another; default false.
	// +optional
	ForcePtime *bool `json:"forcePtime,omitempty"`

	// ForcePtime3G keeps ptime3G even if the peer asks for another; default false.
	// +optional
	ForcePtime3G *bool `json:"forcePtime3G,omitempty"`

	// HonorTheirCodecListWiFi obeys the peer's first codec on Wi-Fi; default true.
	// +optional
	HonorTheirCodecListWiFi *bool `json:"honorTheirCodecListWiFi,omitempty"`

	// HonorTheirCodecList3G obeys the peer's first codec on cellular networks; default false.
	// +optional
	HonorTheirCodecList3G *bool `json:"honorTheirCodecList3G,omitempty"`

	// RtpPortRangeStart is the first RTP port; default 10000.
	// +optional
	// +kubebuilder:validation:Minimum=1025
	// +kubebuilder:validation:Maximum=65535
	RtpPortRangeStart *int32 `json:"rtpPortRangeStart,omitempty"`

	// RtpPortRangeEnd is the last RTP port; default 65535.
	// +optional
	// +kubebuilder:validation:Minimum=1025
	// +kubebuilder:validation:Maximum=65535
	RtpPortRangeEnd *int32 `json:"rtpPortRangeEnd,omitempty"`

	// SendAudioBack sends audio to where audio comes from (symmetric RTP); default true.
	// +optional
	SendAudioBack *bool `json:"sendAudioBack,omitempty"`

	// NatTraversal decides which addresses go into SDP; default auto.
	// +optional
	// +kubebuilder:validation:Enum=off;auto;stunOnly;turnAlways;ice
	NatTraversal *string `json:"natTraversal,omitempty"`

	// ContactIP is the address in Contact and Via; default internal. static takes forcedContact.
	// +optional
	// +kubebuilder:validation:Enum=internal;external;static
	ContactIP *string `json:"contactIP,omitempty"`

	// ForcedContact is the IP address used when contactIP is static.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="isIP(self)",message="forcedContact must be an IP address"
	ForcedContact *string `json:"forcedContact,omitempty"`

	// ListeningPort is the local SIP port. Absent: the agent's shared one. 0: a socket of the line's own. A number: a
	// shared socket on that port.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=65535
	// +kubebuilder:validation:XValidation:rule="self == 0 || self > 1024",message="listeningPort must be 0 or from 1025 to 65535"
	ListeningPort *int32 `json:"listeningPort,omitempty"`

	// VoiceMailNumber is dialled for the target voicemail.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	VoiceMailNumber *string `json:"voiceMailNumber,omitempty"`

	// DtmfOrder lists the ways to send digits, in the order of trial; default rfc2833, info, audio.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=3
	// +kubebuilder:validation:XValidation:rule="self.all(m, self.exists_one(other, other == m))",message="a method is listed twice"
	DtmfOrder []DTMFMethod `json:"dtmfOrder,omitempty"`

	// Headers are extra SIP headers in requests.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Headers []SIPHeader `json:"headers,omitempty"`

	// NetworkLossCallTimeoutMs is how long an established call survives the loss of the network, in milliseconds; default 30000.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=3600000
	NetworkLossCallTimeoutMs *int32 `json:"networkLossCallTimeoutMs,omitempty"`
}

// HostPort is a host name or an IP address, and optionally a port.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=262
// +kubebuilder:validation:XValidation:rule="self.matches('^([A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\\\\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\\\\.?|\\\\[[0-9A-Fa-f:.]+\\\\])(:[0-9]{1,5})?$')",message="must be HOST or HOST:PORT: no sip:, no user, no spaces, an IPv6 address in brackets"
// +kubebuilder:validation:XValidation:rule="!self.matches(':[0-9]+$') || (int(self.substring(self.lastIndexOf(':') + 1)) >= 1 && int(self.substring(self.lastIndexOf(':') + 1)) <= 65535)",message="the port must be from 1 to 65535"
type HostPort string

// Transport is how SIP travels.
//
// +kubebuilder:validation:Enum=udp;tcp;tls;"tls+sip:"
type Transport string

// DTMFMethod is a way to send digits.
//
// +kubebuilder:validation:MaxLength=8
// +kubebuilder:validation:Enum=rfc2833;info;audio
type DTMFMethod string

// CodecList lists audio codecs by name or payload number, none of them twice.
//
// +listType=atomic
// +kubebuilder:validation:MinItems=1
// +kubebuilder:validation:MaxItems=16
// +kubebuilder:validation:XValidation:rule="self.all(c, type(c) == int ? (c >= 0 && c <= 127) : c in ['Opus','G722','PCMU','PCMA','GSM','iLBC','G729'])",message="a codec is one of Opus, G722, PCMU, PCMA, GSM, iLBC, G729 or a payload number from 0 to 127"
type CodecList []intstr.IntOrString

// SIPHeader is one extra header.
type SIPHeader struct {
	// Method of the requests that carry it; * means all.
	// +required
	// +kubebuilder:validation:Pattern=`^([A-Z]+|\*)$`
	// +kubebuilder:validation:MaxLength=32
	Method string `json:"method"`

	// Name of the header.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern="^[A-Za-z0-9.!%*_+`'~-]+$"
	// +kubebuilder:validation:XValidation:rule="!(self.lowerAscii() in ['via','v','from','f','to','t','call-id','i','cseq','contact','m','route','record-route','max-forwards','content-length','l','content-type','c','authorization','proxy-authorization'])",message="this header belongs to the user agent and cannot be set"
	Name string `json:"name"`

	// Value of the header.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="!self.matches('[\\\\r\\\\n]')",message="a header's value must not contain a line break"
	Value string `json:"value,omitempty"`
}
