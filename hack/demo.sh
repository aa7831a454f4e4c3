#!/usr/bin/env bash
# The main job, for everyone to see: the operator on a real cluster, two registered lines, one call between them,
# one check that passes and one that is meant to fail.
# usage: hack/demo.sh up|down
# With KUBECONFIG set that cluster is used (IMG and AGENT_IMG name images it can pull, DEMO_REGISTRAR a registrar that
# knows alice and bob by the passwords secret-alice and secret-bob); otherwise a development cluster is started here.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PWD/bin:$PATH
namespace=softphone-demo

step() { printf '\n== %s\n' "$*"; }

own_cluster() {
  step "a real cluster: etcd, API server, scheduler, kubelet, containerd"
  bin/cluster up
  export KUBECONFIG=$PWD/.cluster/kubeconfig
  step "images of the operator and the agent"
  go run ./hack/image
  bin/cluster load .cluster/images/*.tar
  own=1 IMG=voip.softphone.dev/manager:dev AGENT_IMG=voip.softphone.dev/agent:dev
}

up() {
  if [ -z "${KUBECONFIG:-}" ]; then
    own_cluster
  else
    : "${IMG:?with KUBECONFIG set, IMG names the manager image}" "${AGENT_IMG:?with KUBECONFIG set, AGENT_IMG names the agent image}"
    : "${DEMO_REGISTRAR:?with KUBECONFIG set, DEMO_REGISTRAR is host[:port] of a registrar that knows alice and bob}"
  fi

  step "the operator"
  hack/deploy.sh apply "$IMG" "$AGENT_IMG"
  if [ -n "${own:-}" ]; then # the tag stays the same when the program changes
    kubectl rollout restart -n softphone-system deployment/softphone-manager
    kubectl rollout status -n softphone-system deployment/softphone-manager --timeout=120s
  fi

  step "two lines: kubectl apply -f config/demo/accounts.yaml"
  sed "s/registrar\.test/${DEMO_REGISTRAR:-registrar.test}/" config/demo/accounts.yaml | kubectl apply -f -
  kubectl wait -n $namespace --for=condition=Ready softphoneaccount/alice softphoneaccount/bob --timeout=120s

  step "a call: kubectl softphone call -n $namespace alice bob --seconds 8 --tone 1004"
  kubectl softphone call -n $namespace alice bob --seconds 8 --tone 1004 | tee "${TMPDIR:-/tmp}/softphone-demo-call"

  step "two checks: kubectl apply -f config/demo/checks.yaml"
  kubectl apply -f config/demo/checks.yaml
  kubectl wait -n $namespace --for=condition=Passing callcheck/alice-calls-bob --timeout=90s
  kubectl wait -n $namespace --for=condition=Passing=False callcheck/alice-calls-nobody --timeout=90s

  step "what there is now: kubectl get softphone -A"
  kubectl get softphone -A
  step "the two lines and the call"
  kubectl softphone status -n $namespace
  echo
  cat "${TMPDIR:-/tmp}/softphone-demo-call"
  rm -f "${TMPDIR:-/tmp}/softphone-demo-call"
  step "a check that passes: kubectl softphone check run -n $namespace alice-calls-bob"
  kubectl softphone check run -n $namespace alice-calls-bob
  step "a check that is meant to fail: kubectl softphone check run -n $namespace alice-calls-nobody"
  if kubectl softphone check run -n $namespace alice-calls-nobody; then
    echo "nobody has that number, and yet the check passed" >&2
    exit 1
  fi
}

down() {
  if [ -z "${KUBECONFIG:-}" ]; then
    bin/cluster down
  else
    kubectl delete --ignore-not-found -f config/demo/checks.yaml -f config/demo/accounts.yaml
    hack/deploy.sh delete "${IMG:-controller:latest}" "${AGENT_IMG:-agent:latest}"
  fi
}

case ${1:-} in
  up) up ;;
  down) down ;;
  *) echo "usage: hack/demo.sh up|down" >&2; exit 2 ;;
esac
