// Package kamailio runs a real registrar and proxy for tests: Debian's
// kamailio with digest authentication over UDP, TCP and, on request, TLS.
//
// It exists because a user agent that registers only with a registrar of its
// own making proves nothing. Every instance has its own directory, ports and
// sockets, so several run beside each other. What the registrar believes
// (its bindings) is read back from it as Go values, and a test can change its
// mind at run time: rotate a password, drop a binding, refuse a method, freeze
// the process or take it away.
//
// The package installs nothing: without kamailio, Start names the Debian
// package that is missing.
package kamailio
