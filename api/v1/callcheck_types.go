package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// CallCheckSpec is a scheduled call and what is expected of it.
//
// +kubebuilder:validation:XValidation:rule="!has(self.limits) || !has(self.limits.of) || has(self.limits.failures)",message="limits.of needs limits.failures: how many of these runs may fail?"
type CallCheckSpec struct {
	// From is the SoftphoneAccount that calls, in this namespace. The check runs on the agent that has its line.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	From string `json:"from"`

	// To is whom it calls.
	// +required
	To CheckTarget `json:"to"`

	// Schedule of the runs.
	// +optional
	// +kubebuilder:default={}
	Schedule *CheckSchedule `json:"schedule,omitempty"`

	// Suspend stops the schedule. A run that is asked for still happens.
	// +optional
	Suspend *bool `json:"suspend,omitempty"`

	// DurationSeconds of a call, from its answer.
	// +optional
	// +kubebuilder:default=5
	// +kubebuilder:validation:Minimum=2
	// +kubebuilder:validation:Maximum=3600
	DurationSeconds *int32 `json:"durationSeconds,omitempty"`

	// Expect is what a run must show; without it, that the call is answered and audio is heard.
	// +optional
	Expect *CheckExpectations `json:"expect,omitempty"`

	// Limits say when failed runs make the check fail; without them the last run decides.
	// +optional
	Limits *CheckLimits `json:"limits,omitempty"`
}

// CheckTarget is whom a check calls: one of the three.
//
// +kubebuilder:validation:XValidation:rule="[has(self.account), has(self.number), has(self.uri)].exists_one(x, x)",message="give exactly one of account, number and uri"
type CheckTarget struct {
	// Account is a SoftphoneAccount of this namespace. Its line shows a tone of its own to the caller, so that a call that is
	// heard in one direction only is told from one that is silent.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Account *string `json:"account,omitempty"`

	// Number to dial, as on a telephone.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[0-9*#+][0-9*# ().+/-]*$`
	Number *string `json:"number,omitempty"`

	// URI to call, sip:user@host.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern=`^sips?:[^\s<>"]+$`
	URI *string `json:"uri,omitempty"`
}

// CheckSchedule says when a check runs.
type CheckSchedule struct {
	// IntervalSeconds between the starts of two runs. A run that takes longer is followed by the next at once.
	// +optional
	// +kubebuilder:default=60
	// +kubebuilder:validation:Minimum=10
	// +kubebuilder:validation:Maximum=86400
	IntervalSeconds *int32 `json:"intervalSeconds,omitempty"`

	// JitterPercent of the interval by which each run may come earlier or later, so that checks do not call in step.
	// +optional
	// +kubebuilder:default=5
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=50
	JitterPercent *int32 `json:"jitterPercent,omitempty"`
}

// CheckAudio says which directions of a call must carry audio.
//
// +kubebuilder:validation:Enum=both;received;none
type CheckAudio string

// The kinds of audio.
const (
	AudioBoth     CheckAudio = "both"
	AudioReceived CheckAudio = "received"
	AudioNone     CheckAudio = "none"
)

// CheckExpectations are what a run must show. A bound that is absent is not looked at; one that is crossed warns or fails.
type CheckExpectations struct {
	// Code is the final response to the INVITE.
	// +optional
	// +kubebuilder:default=200
	// +kubebuilder:validation:Minimum=200
	// +kubebuilder:validation:Maximum=699
	Code *int32 `json:"code,omitempty"`

	// RingWithinMs from the INVITE until it rings.
	// +optional
	RingWithinMs *MillisecondBounds `json:"ringWithinMs,omitempty"`

	// AnswerWithinMs from the INVITE until it is answered.
	// +optional
	AnswerWithinMs *MillisecondBounds `json:"answerWithinMs,omitempty"`

	// Audio that must be heard: both directions (the other side sends back what it hears), received (something is heard),
	// or none. Absent means both where to names an account, else received.
	// +optional
	Audio *CheckAudio `json:"audio,omitempty"`

	// FirstPacketMs from the answer to the first audio packet.
	// +optional
	FirstPacketMs *MillisecondBounds `json:"firstPacketMs,omitempty"`

	// MOS (ITU-T G.107) of what is heard, at least: 1 to 4.5.
	// +optional
	// +kubebuilder:validation:XValidation:rule="[has(self.warn) ? double(self.warn) : 1.0, has(self.fail) ? double(self.fail) : 1.0].all(x, x >= 1.0 && x <= 4.5)",message="a MOS is 1 to 4.5"
	// +kubebuilder:validation:XValidation:rule="!has(self.warn) || !has(self.fail) || double(self.warn) >= double(self.fail)",message="warn must not be less than fail"
	MOS *DecimalBounds `json:"mos,omitempty"`

	// LossPercent of packets, at most, in the worse direction that is known.
	// +optional
	// +kubebuilder:validation:XValidation:rule="[has(self.warn) ? double(self.warn) : 0.0, has(self.fail) ? double(self.fail) : 0.0].all(x, x <= 100.0)",message="loss is at most 100"
	// +kubebuilder:validation:XValidation:rule="!has(self.warn) || !has(self.fail) || double(self.warn) <= double(self.fail)",message="warn must not be more than fail"
	LossPercent *DecimalBounds `json:"lossPercent,omitempty"`

	// JitterMs of packets (RFC 3550), at most.
	// +optional
	JitterMs *MillisecondBounds `json:"jitterMs,omitempty"`

	// MouthToEarMs is how long sound may take one way, the mean of both ways. It is measured in calls of 5 seconds and more with
	// audio in both directions.
	// +optional
	MouthToEarMs *MillisecondBounds `json:"mouthToEarMs,omitempty"`
}

// MillisecondBounds warn or fail what takes longer.
//
// +kubebuilder:validation:XValidation:rule="!has(self.warn) || !has(self.fail) || self.warn <= self.fail",message="warn must not be more than fail"
type MillisecondBounds struct {
	// Warn above this.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=180000
	Warn *int32 `json:"warn,omitempty"`

	// Fail above this.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=180000
	Fail *int32 `json:"fail,omitempty"`
}

// Decimal is a number with up to two decimals, written as a text: "3.5".
//
// +kubebuilder:validation:Pattern=`^[0-9]{1,3}(\.[0-9]{1,2})?$`
// +kubebuilder:validation:MaxLength=6
type Decimal string

// DecimalBounds warn or fail.
type DecimalBounds struct {
	// Warn beyond this.
	// +optional
	Warn *Decimal `json:"warn,omitempty"`

	// Fail beyond this.
	// +optional
	Fail *Decimal `json:"fail,omitempty"`
}

// CheckLimits say when failed runs make the check fail. Runs that were inconclusive count for neither side.
//
// +kubebuilder:validation:XValidation:rule="!has(self.failures) || self.failures <= (has(self.of) ? self.of : 1)",message="failures must not be more than of"
type CheckLimits struct {
	// Failures among the last Of runs that make the check fail.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10
	Failures *int32 `json:"failures,omitempty"`

	// Of how many runs; absent = 1.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10
	Of *int32 `json:"of,omitempty"`

	// Consecutive failed runs that make the check fail.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10
	Consecutive *int32 `json:"consecutive,omitempty"`
}

// CallCheckStatus is what the check's agent says of it.
type CallCheckStatus struct {
	// ObservedGeneration is the metadata.generation this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Agent that runs the check.
	// +optional
	Agent string `json:"agent,omitempty"`

	// DeliveredHash of what the agent was given, ReportedHash of what it runs.
	// +optional
	DeliveredHash string `json:"deliveredHash,omitempty"`
	// +optional
	ReportedHash string `json:"reportedHash,omitempty"`

	// RunAt is the value of the annotation voip.softphone.dev/run-at that a run was made for last.
	// +optional
	RunAt string `json:"runAt,omitempty"`

	// LastRun is the newest of Runs.
	// +optional
	LastRun *CheckRun `json:"lastRun,omitempty"`

	// Runs made last, newest first.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10
	Runs []CheckRun `json:"runs,omitempty"`

	// Counts of runs since the agent took the check over.
	// +optional
	Counts *CheckCounts `json:"counts,omitempty"`

	// Conditions of the check. Ready: it is accepted and runs on its schedule, whatever it finds. Passing: what it finds.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// CheckRun is one run of a check. What was not measured is absent.
type CheckRun struct {
	// StartedAt is when the run began.
	// +required
	StartedAt metav1.Time `json:"startedAt"`

	// Took is how long it took, the call included.
	// +optional
	Took *metav1.Duration `json:"took,omitempty"`

	// Result: pass, warn, fail or inconclusive.
	// +required
	Result string `json:"result"`

	// Reason in one word.
	// +optional
	Reason string `json:"reason,omitempty"`

	// Message in words.
	// +optional
	Message string `json:"message,omitempty"`

	// Code is the final response to the INVITE.
	// +optional
	Code int32 `json:"code,omitempty"`

	// Ring is the time from the INVITE until it rang, Setup until it was answered.
	// +optional
	Ring *metav1.Duration `json:"ring,omitempty"`
	// +optional
	Setup *metav1.Duration `json:"setup,omitempty"`

	// FirstPacket is the time from the answer to the first audio packet.
	// +optional
	FirstPacket *metav1.Duration `json:"firstPacket,omitempty"`

	// MOS of what was heard.
	// +optional
	MOS *Decimal `json:"mos,omitempty"`

	// LossPercent on the way here, SentLossPercent on the way there as the other side reports it.
	// +optional
	LossPercent *Decimal `json:"lossPercent,omitempty"`
	// +optional
	SentLossPercent *Decimal `json:"sentLossPercent,omitempty"`

	// Jitter of the packets that came.
	// +optional
	Jitter *metav1.Duration `json:"jitter,omitempty"`

	// MouthToEar is how long sound takes one way, the mean of both ways.
	// +optional
	MouthToEar *metav1.Duration `json:"mouthToEar,omitempty"`

	// SegmentalSNR says how far what differs between the sound that was sent and the one that came back is below it, in dB: 0 to 35.
	// +optional
	SegmentalSNR *Decimal `json:"segmentalSNR,omitempty"`

	// SpectralDistance is the log-spectral distance of the two, in dB.
	// +optional
	SpectralDistance *Decimal `json:"spectralDistance,omitempty"`

	// CallID is the SIP Call-ID, to find the call in others' logs.
	// +optional
	CallID string `json:"callID,omitempty"`
}

// CheckCounts are runs by result.
type CheckCounts struct {
	// Since the agent took the check over.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
	// +optional
	Pass int32 `json:"pass"`
	// +optional
	Warn int32 `json:"warn"`
	// +optional
	Fail int32 `json:"fail"`
	// +optional
	Inconclusive int32 `json:"inconclusive"`
}

// CallCheck is a scheduled synthetic call with expectations and a verdict.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=ccheck,categories=softphone
// +kubebuilder:printcolumn:name="Passing",type=string,JSONPath=`.status.conditions[?(@.type=="Passing")].status`
// +kubebuilder:printcolumn:name="Last-Run",type=date,JSONPath=`.status.lastRun.startedAt`
// +kubebuilder:printcolumn:name="MOS",type=string,JSONPath=`.status.lastRun.mos`
// +kubebuilder:printcolumn:name="Setup",type=string,JSONPath=`.status.lastRun.setup`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Passing")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="From",type=string,JSONPath=`.spec.from`,priority=1
// +kubebuilder:printcolumn:name="Agent",type=string,JSONPath=`.status.agent`,priority=1
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Passing")].message`,priority=1
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 100",message="the name of a CallCheck has at most 100 characters"
type CallCheck struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +required
	Spec CallCheckSpec `json:"spec"`
	// +optional
	Status CallCheckStatus `json:"status,omitempty"`
}

// Suspended tells whether the schedule is stopped.
func (c *CallCheck) Suspended() bool { return c.Spec.Suspend != nil && *c.Spec.Suspend }

// CallCheckList is a list of checks.
//
// +kubebuilder:object:root=true
type CallCheckList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []CallCheck `json:"items"`
}
