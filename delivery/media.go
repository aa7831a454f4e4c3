package delivery

// MediaReport is what an agent found out about where the audio of a line's calls can be
// reached. It names addresses, no ports: those are others in every call.
type MediaReport struct {
	Reach MediaReach `json:"reach"`
	// Way is how: plain (the agent's own address), stun or turn.
	Way string `json:"way,omitempty"`
	// Finding as one word a program can act on.
	Finding MediaFinding `json:"finding"`
	// Address that calls announce, and Seen, where others see us, if it is another.
	Address string `json:"address,omitempty"`
	Seen    string `json:"seen,omitempty"`
	// Detail for people: an error.
	Detail string `json:"detail,omitempty"`
}

// MediaReach says whether the audio of others gets to us.
type MediaReach string

// What is known of it.
const (
	MediaReachable   MediaReach = "reachable"
	MediaUnreachable MediaReach = "unreachable"
	MediaUnsure      MediaReach = "unsure" // where the server relays audio, or answers to where it comes from
)

// MediaFinding is what that is read from.
type MediaFinding string

// The findings.
const (
	MediaDirect       MediaFinding = "Direct"       // no NAT
	MediaMapped       MediaFinding = "Mapped"       // a NAT, and STUN found the address before it
	MediaRelayed      MediaFinding = "Relayed"      // by a TURN server
	MediaBehindNAT    MediaFinding = "BehindNAT"    // and nobody to ask, or nobody answers
	MediaSymmetricNAT MediaFinding = "SymmetricNAT" // and no relay
	MediaNoRelay      MediaFinding = "NoRelay"      // though calls have to be relayed
	MediaNoPorts      MediaFinding = "NoPorts"      // no port of the range is free
)
