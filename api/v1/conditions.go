package v1

// Condition types. Ready is positive; Reconciling and Stalled are there only while they are True, and mean what kstatus
// says: work goes on, or the user must act.
const (
	ConditionReady       = "Ready"
	ConditionReconciling = "Reconciling"
	ConditionStalled     = "Stalled"

	// Of accounts.

	// ConditionAccepted: the object makes sense by itself and may run.
	ConditionAccepted = "Accepted"
	// ConditionRendered: the account XML could be made of it and of what it refers to.
	ConditionRendered = "Rendered"
	// ConditionScheduled: the line is placed on an agent.
	ConditionScheduled = "Scheduled"
	// ConditionRegistered: the registrar knows the line.
	ConditionRegistered = "Registered"
	// ConditionInlineSecret is there while a secret stands in the object in plain sight.
	ConditionInlineSecret = "InlineSecret"

	// ConditionCertificateExpiring is there while a certificate that the line's TLS connection was made with has less
	// than 14 days left.
	ConditionCertificateExpiring = "CertificateExpiring"

	// ConditionMediaReachable: the audio of others gets to the line, as far as its agent could find out. Unknown where that
	// is up to the server; absent while nothing is known.
	ConditionMediaReachable = "MediaReachable"

	// Of checks.

	// ConditionPassing: what the check's last runs found. Unknown while nobody could look.
	ConditionPassing = "Passing"

	// Of fleets and agents.

	// ConditionProgressing: agents are being made, replaced or removed.
	ConditionProgressing = "Progressing"
	// ConditionDraining: the agent's lines are leaving.
	ConditionDraining = "Draining"
	// ConditionPromptsReady: what the fleet's prompts name is there. It is absent when the fleet has no prompts.
	ConditionPromptsReady = "PromptsReady"
)

// Reasons of conditions. One reason means one thing wherever it stands.
const (
	// Good ends.

	ReasonRegistered             = "Registered"
	ReasonNotRegisteringByPolicy = "NotRegisteringByPolicy"
	ReasonSuspended              = "Suspended"
	ReasonAccepted               = "Accepted"
	ReasonRendered               = "Rendered"
	ReasonScheduled              = "Scheduled"
	ReasonReady                  = "Ready"
	ReasonAsDesired              = "AsDesired"
	ReasonInlineSecret           = "InlineSecret"
	ReasonTrunkUp                = "TrunkUp"
	ReasonPromptsFound           = "PromptsFound"

	// Of checks: Running is Ready's, the others are Passing's. When a check does not pass, the reason is that of the run
	// that says so: NoAnswer, OneWay, LowMOS (package check).
	ReasonRunning = "Running"
	ReasonPassed  = "Passed"
	ReasonNoRun   = "NoRun"

	// On the way.

	ReasonPlacing       = "Placing"
	ReasonRegistering   = "Registering"
	ReasonQualifying    = "Qualifying"
	ReasonAgentNotReady = "AgentNotReady"
	ReasonFleetNotFound = "FleetNotFound"
	// ReasonProfileNotFound: the account or its fleet names a profile that does not exist.
	ReasonProfileNotFound = "ProfileNotFound"
	ReasonRollingOut      = "RollingOut"
	ReasonNoReport        = "NoReport"
	ReasonDraining        = "Draining"
	ReasonNodeCordoned    = "NodeCordoned"
	// ReasonVolumesNotMounted: the pod has its node for a while, and not yet its volumes or its network.
	ReasonVolumesNotMounted = "VolumesNotMounted"
	// ReasonPersistentVolumeClaimNotBound: the claim has no volume, or is about to go.
	ReasonPersistentVolumeClaimNotBound = "PersistentVolumeClaimNotBound"

	// What the user must mend.

	ReasonInvalidAccount                = "InvalidAccount"
	ReasonInvalidXML                    = "InvalidXML"
	ReasonSecretNotFound                = "SecretNotFound"
	ReasonSecretKeyMissing              = "SecretKeyMissing"
	ReasonInvalidSecretValue            = "InvalidSecretValue"
	ReasonConfigMapNotFound             = "ConfigMapNotFound"
	ReasonConfigMapKeyMissing           = "ConfigMapKeyMissing"
	ReasonPersistentVolumeClaimNotFound = "PersistentVolumeClaimNotFound"
	ReasonNameConflict                  = "NameConflict"
	ReasonInvalidCertificate            = "InvalidCertificate"
	ReasonTooLarge                      = "TooLarge"
	ReasonRejectedByAgent               = "RejectedByAgent"
	ReasonInvalidPodSettings            = "InvalidPodSettings"
	ReasonPodRefused                    = "PodRefused"
	ReasonAccountNotFound               = "AccountNotFound"
	ReasonDestinationRefused            = "DestinationRefused"
	ReasonInvalidCheck                  = "InvalidCheck"

	// Of the way of audio, by what was found: no NAT, a NAT whose address STUN knows, a TURN server between, a NAT and nobody
	// who tells what is before it, a NAT that is another for everybody, calls that must be relayed and are not, no free port.
	ReasonDirect       = "Direct"
	ReasonMapped       = "Mapped"
	ReasonRelayed      = "Relayed"
	ReasonBehindNAT    = "BehindNAT"
	ReasonSymmetricNAT = "SymmetricNAT"
	ReasonNoRelay      = "NoRelay"
	ReasonNoPorts      = "NoPorts"

	// What the registrar, or the way to it, says.

	ReasonUnauthorized         = "Unauthorized"
	ReasonForbidden            = "Forbidden"
	ReasonUserNotFound         = "UserNotFound"
	ReasonUnsupportedDigest    = "UnsupportedDigest"
	ReasonHostNotFound         = "HostNotFound"
	ReasonDNSFailure           = "DNSFailure"
	ReasonRegistrarTimeout     = "RegistrarTimeout"
	ReasonRegistrarUnreachable = "RegistrarUnreachable"
	ReasonRegistrarRejected    = "RegistrarRejected"
	ReasonRegistrarError       = "RegistrarError"
	ReasonCertificate          = "Certificate"
	ReasonCertificateExpiring  = "CertificateExpiring"
	ReasonCertificateExpired   = "CertificateExpired"
	ReasonHeldBack             = "HeldBack"
	ReasonBadConfiguration     = "BadConfiguration"
)
