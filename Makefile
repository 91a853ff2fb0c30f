# What can be done here; `make help` says it in words. Needs git, make and Go; `make test` installs what else it needs when root.
.DEFAULT_GOAL := help

GO       ?= go
FUZZTIME ?= 30s

# A checkout that git refuses to read, such as another user's, can be built all the same, without its revision in the program.
vcs := $(shell git rev-parse HEAD >/dev/null 2>&1 && echo true || echo false)

.PHONY: help
help: ## say what can be done
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## put static programs into bin/
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=$(vcs) -o bin/ $(patsubst %/main.go,./%,$(wildcard cmd/*/main.go))
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=$(vcs) -ldflags='-s -w' -o bin/ $(patsubst %/main.go,./%,$(wildcard plugins/*/main.go))

.PHONY: audit
audit: build ## audit this machine and change nothing (more options: bin/netmendctl audit --help)
	@scripts/audit.sh

.PHONY: test
test: ## run every test; as root it installs the packages that they need
	@GO='$(GO)' scripts/test.sh

.PHONY: e2e-cluster
e2e-cluster: ## run netmend on a real Kubernetes cluster of two nodes, which it builds and starts here (root)
	@scripts/packages.sh $(shell cat scripts/packages.txt)
	@$(GO) test -count=1 -timeout 40m -v ./test/cluster

.PHONY: demo
demo: ## play an incident with real packets: the fault, its audit, the mending (root, 30 seconds)
	@scripts/packages.sh iproute2 iptables ethtool
	@$(GO) run ./test/demo

.PHONY: lint
lint: ## gofmt, vet, staticcheck, shellcheck, architecture, freshness of generated files, builds for other systems
	@GO='$(GO)' scripts/lint.sh

.PHONY: gen
gen: ## write the generated files again: the list of checks, their pages, the README's table, the plain manifests
	@$(GO) run ./pkg/checks/internal/gen
	@scripts/manifest.sh

.PHONY: image
image: ## make the container image as an OCI archive, bin/netmend-image.tar (root; ARCH=arm64 for another processor)
	@GO='$(GO)' scripts/image.sh '$(ARCH)'

.PHONY: bench
bench: ## measure audits, the plugin and the idle daemon beside their peers, with many pods and Services (root, about 40 minutes)
	@scripts/packages.sh $(shell cat scripts/packages.txt)
	@$(GO) test -count=1 -timeout 90m -run "^$$" -bench . -benchtime 1x ./test/bench ./test/guest

.PHONY: fuzz
fuzz: ## run each fuzz test for FUZZTIME
	@GO='$(GO)' scripts/fuzz.sh '$(FUZZTIME)'

.PHONY: clean
clean: ## remove what was built here
	rm -rf bin
