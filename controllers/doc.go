// Package controllers is the operator: one reconciler per kind and one for
// placement, each a table of contents over gather, decide and write.
//
//	account    accepts, renders and reports a line:            SoftphoneAccount.status
//	placement  binds lines to agents, a namespace at a time:   SoftphoneAgent objects and their spec
//	agent      delivers the lines' files and keeps the pod:    Secret, Pod, SoftphoneAgent.status
//	fleet      guards and sums up:                             NetworkPolicy, PodDisruptionBudget, SoftphoneFleet.status
//
// Every object and every status has one writer. What must be decided is decided
// by pure functions, one file each, with their tests beside them; packages
// render, placement and podspec are pure as a whole. Secrets are watched by their
// metadata and read when needed: their contents are in no cache.
package controllers
