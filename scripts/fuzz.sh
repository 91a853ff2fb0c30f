#!/bin/bash
# fuzz.sh TIME: runs each fuzz test for that long.
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}

$go list -f '{{.ImportPath}}' ./... | while read -r package; do
	$go test -list '^Fuzz' "$package" </dev/null | { grep '^Fuzz' || true; } | while read -r name; do
		echo "== $package $name"
		$go test -run '^$' -fuzz "^$name\$" -fuzztime "$1" "$package" </dev/null
	done
done
