#!/usr/bin/env bash
# Runs the fuzz targets of the repository, or of some of its folders, for a time each: two beside each other, one core each.
# usage: hack/fuzz.sh 10s [FOLDER...]
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:?usage: hack/fuzz.sh TIME [FOLDER...]}
shift

one() { # TIME FOLDER TARGET
  local out code=0
  out=$(go test "./$2" -run '^$' -fuzz "^$3\$" -fuzztime "$1" -timeout 0 -parallel 1 2>&1 </dev/null) || code=$?
  # The end of the time may reach a worker amid an input, and is then taken for a failure (golang/go#75804): there is no failing input.
  if [ $code -ne 0 ] && grep -q 'context deadline exceeded' <<<"$out" && ! grep -q -e 'Failing input' -e panic <<<"$out"; then
    code=0
  fi
  if grep -q 'no fuzz tests to fuzz' <<<"$out"; then # a build without what it is about
    code=1
  fi
  # The last progress line tells how much was tried.
  [ $code -eq 0 ] && out=$(grep -E '^fuzz: elapsed' <<<"$out" | tail -1)
  printf -- '--- %s: %s %s\n%s\n' "$([ $code -eq 0 ] && echo PASS || echo FAIL)" "$2" "$3" "$out"
  return $code
}
export -f one

files=('*_test.go')
[ $# -eq 0 ] || files=("${@/%//*_test.go}")
targets=$(git grep -oE '^func Fuzz[A-Za-z0-9_]+' -- "${files[@]}" | sed -E 's,^(.*)/[^/]+:func ,\1 ,')
[ -n "$targets" ] || { echo "no fuzz target in ${*:-the repository}" >&2; exit 1; }
xargs -L1 -P2 bash -c 'one "$@"' one "$time" <<<"$targets"
