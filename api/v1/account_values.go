package v1

import "k8s.io/apimachinery/pkg/util/intstr"

// HostPort is a host name or an IP address, and optionally a port; empty where the node may say nothing.
//
// +kubebuilder:validation:MaxLength=262
// +kubebuilder:validation:XValidation:rule="self.size() == 0 || self.matches('^([A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\\\\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\\\\.?|\\\\[[0-9A-Fa-f:.]+\\\\])(:[0-9]{1,5})?$')",message="must be HOST or HOST:PORT: no sip:, no user, no spaces, an IPv6 address in brackets"
// +kubebuilder:validation:XValidation:rule="!self.matches(':[0-9]+$') || (int(self.substring(self.lastIndexOf(':') + 1)) >= 1 && int(self.substring(self.lastIndexOf(':') + 1)) <= 65535)",message="the port must be from 1 to 65535"
type HostPort string

// IPAddress is an IP address of version 4 or 6, or empty.
//
// +kubebuilder:validation:MaxLength=64
// +kubebuilder:validation:XValidation:rule="self.size() == 0 || isIP(self)",message="must be an IP address"
type IPAddress string

// WebURL is an http:// or https:// URL, with placeholders such as %account[username]%, or empty.
//
// +kubebuilder:validation:MaxLength=2048
// +kubebuilder:validation:XValidation:rule="self.size() == 0 || self.matches('^[Hh][Tt][Tt][Pp][Ss]?://[^/\\\\s][^\\\\s]*$')",message="must be a URL that starts with http:// or https://, names a host and has no spaces"
type WebURL string

// ProvisioningURL is an http:// or https:// URL with placeholders, or empty; lua:// is carried and never fetched.
//
// +kubebuilder:validation:MaxLength=2048
// +kubebuilder:validation:XValidation:rule="self.size() == 0 || self.matches('^([Hh][Tt][Tt][Pp][Ss]?|[Ll][Uu][Aa])://[^/\\\\s][^\\\\s]*$')",message="must be a URL that starts with http://, https:// or lua://, names a host and has no spaces"
type ProvisioningURL string

// Template is a text with placeholders such as %account[username]%.
//
// +kubebuilder:validation:MaxLength=16384
type Template string

// Tone is an expression of the call-tone language, such as periodic(sine(500ms,2000,480Hz),silence(500ms)), or empty.
//
// +kubebuilder:validation:MaxLength=1024
// +kubebuilder:validation:XValidation:rule="self.size() == 0 || self.matches('^\\\\s*(sine|silence|wav|periodic|compound)\\\\s*\\\\(.*\\\\)\\\\s*$')",message="must be a call tone: sine(…), silence(…), wav(…), periodic(…) or compound(…)"
type Tone string

// Transport is how SIP travels.
//
// +kubebuilder:validation:Enum=udp;tcp;tls;"tls+sip:"
type Transport string

// DTMFMethod is a way to send digits.
//
// +kubebuilder:validation:MaxLength=8
// +kubebuilder:validation:Enum=rfc2833;info;audio
type DTMFMethod string

// CandidateType is a kind of ICE candidate.
//
// +kubebuilder:validation:MaxLength=8
// +kubebuilder:validation:Enum=relay;srflx;host
type CandidateType string

// CallerHeader is a place in a request that may name the caller: P-Asserted-Identity, From, Remote-Party-ID,
// P-Preferred-Identity.
//
// +kubebuilder:validation:MaxLength=8
// +kubebuilder:validation:Enum=pai;from;rpid;ppi
type CallerHeader string

// CalleeHeader is a place in an answer that may name the called party.
//
// +kubebuilder:validation:MaxLength=8
// +kubebuilder:validation:Enum=pai;to;rpid;ppi
type CalleeHeader string

// CodecList lists audio codecs by name or payload number, none of them twice.
//
// +listType=atomic
// +kubebuilder:validation:MinItems=1
// +kubebuilder:validation:MaxItems=16
// +kubebuilder:validation:XValidation:rule="self.all(c, type(c) == int ? (c >= 0 && c <= 127) : c in ['Opus','G722','PCMU','PCMA','GSM','iLBC','G729'])",message="a codec is one of Opus, G722, PCMU, PCMA, GSM, iLBC, G729 or a payload number from 0 to 127"
type CodecList []intstr.IntOrString

// VideoCodecList lists video codecs by name or payload number, none of them twice.
//
// +listType=atomic
// +kubebuilder:validation:MinItems=1
// +kubebuilder:validation:MaxItems=16
// +kubebuilder:validation:XValidation:rule="self.all(c, type(c) == int ? (c >= 0 && c <= 127) : c in ['VP8','H264'])",message="a video codec is VP8, H264 or a payload number from 0 to 127"
type VideoCodecList []intstr.IntOrString
