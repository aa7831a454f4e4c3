// Package dtmf carries telephone digits as RTP telephone-events (RFC 4733).
package dtmf
