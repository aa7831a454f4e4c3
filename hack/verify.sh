#!/usr/bin/env bash
# Fails when the tree is not what its own tools would make of it: formatting, vet, generated files.
set -euo pipefail
cd "$(dirname "$0")/.."

unformatted=$(git ls-files '*.go' | xargs gofmt -l)
[ -z "$unformatted" ] || { echo "not gofmt'ed:"; echo "$unformatted"; exit 1; } >&2
go vet ./...

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
generated=(docs/account.md api/v1/account_settings.go api/v1/zz_generated.deepcopy.go config/crd/bases config/rbac/role.yaml)
for path in "${generated[@]}"; do
  mkdir -p "$scratch/$(dirname "$path")"
  cp -r "$path" "$scratch/$path"
done
make --no-print-directory generate
stale=0
for path in "${generated[@]}"; do
  diff -ru "$scratch/$path" "$path" || stale=1
done
[ $stale = 0 ] || { echo "generated files were stale; they are up to date now: commit them" >&2; exit 1; }
