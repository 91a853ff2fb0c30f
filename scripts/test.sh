#!/bin/bash
# Runs everything that can be run here, one step after the other, and says at the end what failed. What a step needs and cannot have is a failure.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
go=${GO:-go}
failed=()

step() { # name, command...
	local name=$1 start=$SECONDS
	shift
	printf '\n== %s\n' "$name"
	"$@" || failed+=("$name")
	printf '== %s: %d s\n' "$name" $((SECONDS - start))
}

# Those that build nodes and boot a kernel are their own steps: they measure time and must not share the processors with each other.
units() {
	local packages
	packages=$($go list ./... | grep -v -e /test/e2e -e /test/services -e /test/cni -e /test/daemon -e /test/cri -e /test/guest -e /test/bench -e /test/demo -e /test/kubeapi -e /test/herald -e /test/scale -e /test/cluster) || return 1
	# shellcheck disable=SC2086 # a list of packages
	CGO_ENABLED=1 $go test -race -timeout 10m $packages
}

# shellcheck disable=SC2046 # a list of names
step "packages" scripts/packages.sh $(cat scripts/packages.txt)
step "cache of helm" scripts/cache.sh helm
step "units and fuzz seeds" units
if [ "$(id -u)" -eq 0 ]; then
	for what in kubernetes cluster cni kernel; do
		step "cache of $what" scripts/cache.sh "$what"
	done
	step "nodes in network namespaces" "$go" test -count=1 -timeout 25m ./test/e2e/... ./test/services/... ./test/kubeapi ./test/cni/... ./test/cri/...
	step "the daemon on nodes in network namespaces" "$go" test -count=1 -timeout 30m ./test/daemon
	step "what nodes tell a cluster" "$go" test -count=1 -v -timeout 25m ./test/herald
	step "5,000 nodes in a real API server" "$go" test -count=1 -v -timeout 25m ./test/scale
	step "a cluster" "$go" test -count=1 -timeout 25m ./test/cluster
	step "nodes in a guest kernel" "$go" test -count=1 -timeout 40m ./test/guest/...
	step "demo" "$go" run ./test/demo
else
	echo
	echo "not run: nodes in network namespaces, nodes in a guest kernel, the demo, and the kernel's part of the units: they need root"
	failed+=("what needs root")
fi

echo
if [ ${#failed[@]} -gt 0 ]; then
	printf 'FAILED: %s\n' "${failed[@]}"
	exit 1
fi
echo "all tests passed"
