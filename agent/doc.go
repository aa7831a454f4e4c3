// Package agent runs lines: it takes whole snapshots of what is delivered, works
// out what each line has to do about the difference, and lets each line's own
// goroutine do it. It is the only place where registration, calls, reports and
// listeners meet; each of them knows nothing of the others.
package agent
