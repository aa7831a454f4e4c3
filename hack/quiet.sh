#!/usr/bin/env bash
# Prints what a `go test -v` run is worth reading in a log: results, tables, failures; without the noise of starting subtests.
grep -v -E '^(=== (RUN|PAUSE|CONT|NAME)|testing: warning)' || true
