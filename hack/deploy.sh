#!/usr/bin/env bash
# Installs the operator into (or removes it from) the cluster that kubectl points at.
# usage: hack/deploy.sh apply|delete MANAGER_IMAGE AGENT_IMAGE
set -euo pipefail
cd "$(dirname "$0")/.."
action=${1:?usage: hack/deploy.sh apply|delete MANAGER_IMAGE AGENT_IMAGE} manager=${2:-} agent=${3:-}

overlay=$(mktemp -d -p config .deploy-XXXXXX)
trap 'rm -rf "$overlay"' EXIT
cat >"$overlay/kustomization.yaml" <<K
resources: [../default]
images:
  - name: controller
    newName: ${manager%:*}
    newTag: ${manager##*:}
patches:
  - target: {kind: Deployment, name: softphone-manager}
    patch: |
      - {op: replace, path: /spec/template/spec/containers/0/env/0, value: {name: AGENT_IMAGE, value: "$agent"}}
K

case $action in
  apply)
    kubectl kustomize "$overlay" | kubectl apply --server-side --force-conflicts -f -
    kubectl wait --for=condition=Established crd -l app.kubernetes.io/part-of=softphone-operator --timeout=60s
    # kubectl keeps what it knew of the server's kinds for hours: make it look again, until the new ones are told.
    for _ in {1..50}; do
      kubectl api-resources --api-group=voip.softphone.dev --no-headers 2>/dev/null | grep -q softphoneaccounts && break
      sleep 0.2
    done
    kubectl rollout status -n softphone-system deployment/softphone-manager --timeout=180s
    ;;
  delete) kubectl kustomize "$overlay" | kubectl delete --ignore-not-found -f - ;;
  *) echo "neither apply nor delete: $action" >&2; exit 2 ;;
esac
