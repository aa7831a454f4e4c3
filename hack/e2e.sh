#!/usr/bin/env bash
# Runs the end-to-end tests on the development cluster. One that was up stays up; one started here is taken down.
# usage: hack/e2e.sh short|long [FLAG of the test binary …]
set -euo pipefail
cd "$(dirname "$0")/.."
drill=${1:?usage: hack/e2e.sh short|long}
shift

bin/cluster status >/dev/null 2>&1 || trap 'bin/cluster down' EXIT
bin/cluster up
bin/cluster load .cluster/images/*.tar
bin/cluster exec -- hack/deploy.sh apply voip.softphone.dev/manager:dev voip.softphone.dev/agent:dev
# The tag stays the same when the program changes.
bin/cluster exec -- kubectl rollout restart -n softphone-system deployment/softphone-manager
bin/cluster exec -- kubectl rollout status -n softphone-system deployment/softphone-manager --timeout=120s

go test -c -o bin/e2e.test ./test/e2e
pages=()
[ "$drill" = short ] || pages=(-measurements docs/measurements)
bin/cluster exec -- bin/e2e.test -test.v -test.count=1 -test.timeout 40m -drill "$drill" "${pages[@]}" "$@" | hack/quiet.sh
