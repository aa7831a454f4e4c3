package media

// Frame is a stretch of PCM on its way through the chain. What it is made of travels with it, so that no stage has to be told apart
// from the samples how to read them.
type Frame struct {
	Samples   []int16 // mono
	Rate      int     // sampling rate in Hz
	Timestamp uint32  // RTP timestamp of the first sample
}

// filter is the seam for what looks at, or changes, received audio between decoder and source.
type filter interface {
	filter(f Frame)
}

// protection is the seam for what keeps packets secret and unforged on the wire. What a method gives is valid until it is called
// again, and may lie in the packet it was given.
type protection interface {
	// ready says whether there are keys: without them nothing may be sent, and nothing that comes can be read.
	ready() bool
	protectRTP(packet []byte) ([]byte, error)
	unprotectRTP(packet []byte) ([]byte, error)
	protectRTCP(packet []byte) ([]byte, error)
	unprotectRTCP(packet []byte) ([]byte, error)
	// name of the cipher, for people; "" = none.
	name() string
}

// unprotected is RTP/AVP: packets go as they are.
type unprotected struct{}

func (unprotected) ready() bool                                 { return true }
func (unprotected) name() string                                { return "" }
func (unprotected) protectRTP(packet []byte) ([]byte, error)    { return packet, nil }
func (unprotected) unprotectRTP(packet []byte) ([]byte, error)  { return packet, nil }
func (unprotected) protectRTCP(packet []byte) ([]byte, error)   { return packet, nil }
func (unprotected) unprotectRTCP(packet []byte) ([]byte, error) { return packet, nil }
