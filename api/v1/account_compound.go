package v1

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

// DoNotDisturb is when calls are rejected, and whose.
type DoNotDisturb struct {
	// GMTOffsetInMinutes is the time zone of the entries, east of Greenwich; absent: UTC.
	// +optional
	// +kubebuilder:validation:Minimum=-1440
	// +kubebuilder:validation:Maximum=1440
	GMTOffsetInMinutes *int32 `json:"gmtOffsetInMinutes,omitempty"`

	// Entries are the rules; one that applies is enough.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Entries []DNDEntry `json:"entries,omitempty"`
}

// DNDEntry is one do-not-disturb rule: on these weekdays, between these times of day.
type DNDEntry struct {
	// Enabled switches the rule; absent: true.
	// +optional
	Enabled *bool `json:"enabled,omitempty"`

	// From this time of day, HH:MM.
	// +required
	// +kubebuilder:validation:MaxLength=5
	// +kubebuilder:validation:XValidation:rule="self.matches('^([01][0-9]|2[0-3]):[0-5][0-9]$')",message="must be a time of day, HH:MM from 00:00 to 23:59"
	From string `json:"from"`

	// To this time of day, HH:MM, its last second included. Before from, the rule runs past midnight.
	// +required
	// +kubebuilder:validation:MaxLength=5
	// +kubebuilder:validation:XValidation:rule="self.matches('^([01][0-9]|2[0-3]):[0-5][0-9]$')",message="must be a time of day, HH:MM from 00:00 to 23:59"
	To string `json:"to"`

	// Weekdays the rule begins on; none: never.
	// +required
	// +listType=set
	// +kubebuilder:validation:MaxItems=7
	Weekdays []Weekday `json:"weekdays"`

	// Contacts the rule holds for; none: every caller.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Contacts []DNDContact `json:"contacts,omitempty"`

	// Comment for people.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Comment *string `json:"comment,omitempty"`
}

// Weekday is a day of the week.
//
// +kubebuilder:validation:Enum=Mon;Tue;Wed;Thu;Fri;Sat;Sun
type Weekday string

// DNDContact is one caller of a do-not-disturb rule.
type DNDContact struct {
	// Identifier of the contact in its source.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Identifier *string `json:"identifier,omitempty"`

	// Source of the contact, an address book.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Source *string `json:"source,omitempty"`

	// Phone number the caller is known by; without one the contact never matches.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Phone *string `json:"phone,omitempty"`

	// Name for people.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Name *string `json:"name,omitempty"`
}

// RewritingRule is one number-rewriting rule; the first whose conditions all hold is applied.
type RewritingRule struct {
	// Conditions that must all hold; none: the rule always applies.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Conditions []RewritingCondition `json:"conditions,omitempty"`

	// Actions, in their order.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Actions []RewritingAction `json:"actions,omitempty"`
}

// RewritingCondition is one condition of a rule.
type RewritingCondition struct {
	// Type of the condition.
	// +required
	// +kubebuilder:validation:Enum=startsWith;doesntStartWith;equals;lengthEquals;shorterThan;longerThan;networkType;ssid;contains;numeric
	Type string `json:"type"`

	// Param of the condition: a text, a length, a network type or an SSID.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Param *string `json:"param,omitempty"`
}

// RewritingAction is one action of a rule.
type RewritingAction struct {
	// Type of the action. rejectCall, forwardCall and answerImmediately act on incoming calls only.
	// +required
	// +kubebuilder:validation:Enum=replace;prepend;append;continue;recordCall;dialOut;confirm;drop;callThrough;overrideDialAction;setHeader;rejectCall;forwardCall;answerImmediately
	Type string `json:"type"`

	// Param of the action: a text, a number, a dial action, or NAME:VALUE of a header.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Param *string `json:"param,omitempty"`
}

// BLFTarget is an extension or SIP URI whose calls are watched.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=256
type BLFTarget string
