#!/bin/bash
# Reads the source without running it. Goes on after a failure, so that one run shows everything.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
go=${GO:-go}
failed=()

step() { # name, command...
	local name=$1
	shift
	echo "== $name"
	"$@" || failed+=("$name")
}

git() { command git -c safe.directory='*' "$@"; }

formatted() {
	local files
	files=$(git ls-files -z --cached --others --exclude-standard '*.go' | xargs -0 ls -d 2>/dev/null | xargs gofmt -l) || return 1
	[ -z "$files" ] || { echo "not as gofmt writes it: $files"; return 1; }
}

shells() {
	scripts/packages.sh shellcheck && git ls-files --cached --others --exclude-standard '*.sh' .ci/run | xargs shellcheck
}

other_systems() { # a snapshot is judged on any machine
	local os
	for os in linux/arm64 darwin/arm64; do
		GOOS=${os%/*} GOARCH=${os#*/} CGO_ENABLED=0 $go vet ./cmd/netmendctl || return 1
	done
}

fresh() { # in a copy, so that looking changes nothing
	local copy
	copy=$(mktemp -d) || return 1
	git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$copy" 2>/dev/null
	cp -r "$copy" "$copy.new" && make -s -C "$copy.new" gen GO="$go" >/dev/null && diff -r "$copy" "$copy.new"
	local status=$?
	rm -rf "$copy" "$copy.new"
	[ $status -eq 0 ] || echo "generated files are stale: make gen"
	return $status
}

step "gofmt" formatted
step "go vet" "$go" vet ./...
step "staticcheck" "$go" tool staticcheck ./...
step "shellcheck" shells
step "architecture" "$go" test -count=1 ./test/archtest
step "other systems" other_systems
step "generated files" fresh

if [ ${#failed[@]} -gt 0 ]; then
	printf 'FAILED: %s\n' "${failed[@]}"
	exit 1
fi
echo "lint: nothing to complain about"
