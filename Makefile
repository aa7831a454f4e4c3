# `make demo` and `make test` are the two commands of the README; both install what they need.
SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# One set of flags for every build of this repository, so that nothing compiles twice.
export CGO_ENABLED ?= 0
GO ?= go
TOOL := $(GO) tool -modfile=hack/tools/go.mod
CLUSTER := bin/cluster

# Where images go for other people's clusters: make docker-build docker-push deploy IMG=registry/softphone-manager:tag
IMG ?=
AGENT_IMG ?= $(subst manager,agent,$(IMG))
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

# How long drills run: `make test` runs the same code for short times, `make drill` for long ones.
# Only long times are worth a page in docs/measurements.
DRILL ?= short
PAGES = $(if $(filter long,$(DRILL)),-measurements $(CURDIR)/docs/measurements)
GOTEST := $(GO) test

##@ Use

.PHONY: demo
demo: deps-cluster build $(CLUSTER) ## The main job on a real cluster: two registered lines, a call, a check that passes and one that fails.
	hack/demo.sh up

.PHONY: demo-down
demo-down: $(CLUSTER) ## Take away everything the demo started.
	hack/demo.sh down

.PHONY: test
test: deps test-unit test-fuzz test-interop test-e2e ## All tests: unit, envtest, fuzz, interop, e2e.

.PHONY: build
build: deps-build ## Build the programs into bin/; the agent as it is in its image: static, with libopus.
	$(GO) build -ldflags '-X main.version=$(VERSION)' -o bin/ $$($(GO) list ./cmd/... | grep -v /agent)
	$(GO) run ./hack/image --version $(VERSION) --binary agent --out bin/agent

# Where people have their terminals; the programs in the cluster run on Linux.
.PHONY: build-cli
build-cli: ## Build kubectl-softphone for the systems people sit at, into bin/cli/.
	@for at in linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64; do \
	  GOOS=$${at%/*} GOARCH=$${at#*/} CGO_ENABLED=0 $(GO) build -ldflags '-s -w -X main.version=$(VERSION)' \
	    -o bin/cli/kubectl-softphone-$${at%/*}-$${at#*/} ./cmd/kubectl-softphone; done

.PHONY: deploy
deploy: ## Install the operator into the cluster of $KUBECONFIG (IMG=… AGENT_IMG=…).
	@test -n "$(IMG)" || { echo "say which image: make deploy IMG=registry/softphone-manager:tag AGENT_IMG=registry/softphone-agent:tag" >&2; exit 1; }
	hack/deploy.sh apply "$(IMG)" "$(AGENT_IMG)"

.PHONY: undeploy
undeploy: ## Remove the operator from the cluster of $KUBECONFIG.
	hack/deploy.sh delete "$(IMG)" "$(AGENT_IMG)"

.PHONY: docker-build
docker-build: ## Build both images with docker (IMG=… AGENT_IMG=…).
	docker build --target manager --build-arg VERSION=$(VERSION) -t "$(IMG)" .
	docker build --target agent --build-arg VERSION=$(VERSION) -t "$(AGENT_IMG)" .

.PHONY: docker-push
docker-push: ## Push both images.
	docker push "$(IMG)"
	docker push "$(AGENT_IMG)"

##@ Development cluster

.PHONY: cluster-up
cluster-up: deps-cluster $(CLUSTER) ## Start (or check) the development cluster.
	$(CLUSTER) up

.PHONY: cluster-down
cluster-down: $(CLUSTER) ## Stop it; nothing stays running.
	$(CLUSTER) down

.PHONY: $(CLUSTER)
$(CLUSTER):
	@$(GO) build -o $(CLUSTER) ./hack/cluster

.PHONY: images
images: deps-build ## Write the image archives the development cluster runs.
	$(GO) run ./hack/image

##@ Tests

.PHONY: test-unit
test-unit: deps-build kube ## Every package's own tests; the controllers' run against a real API server (envtest). Media and codecs with Opus, which the latter do without, too.
	$(GOTEST) $$($(GO) list ./... | grep -v -e /test/e2e -e /test/interop -e /agent/media)
	CGO_ENABLED=1 $(GOTEST) ./agent/codec/... ./agent/media

.PHONY: test-race
test-race: deps-build ## The agent's tests under the race detector.
	CGO_ENABLED=1 $(GOTEST) -race ./agent/... ./account/... ./delivery/...

# The account document is everybody's input, be it typed, fetched or imported; what comes over the network is anybody's.
.PHONY: test-fuzz
test-fuzz: deps-build ## Every fuzz target: those of what reads an account for 10 s each, in a drill 10 minutes; the others 4 s, in a drill a minute.
	hack/fuzz.sh $(if $(filter long,$(DRILL)),10m,10s) account controllers/render cmd/kubectl-softphone
	CGO_ENABLED=1 hack/fuzz.sh $(if $(filter long,$(DRILL)),1m,4s) agent check delivery

# What runs beside each other there mostly waits, hence more of it than there are cores.
.PHONY: test-interop
test-interop: deps-build deps-peers ## The agent against kamailio, sipp and baresip.
	$(GOTEST) -v -count=1 -timeout 5m ./test/peer/... | hack/quiet.sh
	CGO_ENABLED=1 $(GOTEST) -v -count=1 -timeout $(if $(filter long,$(DRILL)),90m,25m) ./test/interop -parallel 6 -drill $(DRILL) $(PAGES) | hack/quiet.sh

.PHONY: test-e2e
test-e2e: deps-cluster $(CLUSTER) kube images build ## The whole on a real cluster.
	hack/e2e.sh $(DRILL)

.PHONY: drill
drill: DRILL = long
drill: deps test-fuzz test-interop test-e2e ## The same tests with the long times; the table goes to docs/measurements/.

.PHONY: fuzz
fuzz: ## Every fuzz target for FUZZTIME (default 10s) each.
	hack/fuzz.sh $(or $(FUZZTIME),10s)

.PHONY: bench
bench: deps-build deps-peers ## Benchmarks, those beside sipp and baresip included: `name value unit` lines, and bench.json.
	$(GO) run ./test/bench

##@ Upkeep

.PHONY: generate
generate: ## Regenerate deepcopy, CRDs, RBAC and docs from their sources.
	$(GO) run ./hack/schema .
	$(TOOL) controller-gen object:headerFile=hack/boilerplate.go.txt paths=./api/...
	$(TOOL) controller-gen crd paths=./api/... output:crd:artifacts:config=config/crd/bases
	$(TOOL) controller-gen rbac:roleName=manager-role paths=./controllers/... output:rbac:artifacts:config=config/rbac

.PHONY: verify
verify: ## Fail when generated files are stale, a file is not formatted or vet complains.
	hack/verify.sh

.PHONY: lint
lint: ## golangci-lint, with the import rules.
	$(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0 run ./...

.PHONY: kube
kube: $(CLUSTER) ## Build Kubernetes (bin/kube) when it is missing or outdated.
	@$(CLUSTER) build

.PHONY: deps deps-build deps-cluster deps-peers
deps: deps-build deps-cluster deps-peers
deps-build:
	@hack/install-packages.sh build
deps-cluster:
	@hack/install-packages.sh cluster
deps-peers:
	@hack/install-packages.sh peers

.PHONY: help
help: ## Show this.
	@awk 'BEGIN {FS = ":.*##"} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*##/ {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
