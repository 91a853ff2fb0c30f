#!/bin/sh
# Audits this machine for make, for which findings are a result and no failure.
set -u
cd "$(dirname "$0")/.." || exit 2

bin/netmendctl audit
status=$?
case $status in
	0) exit 0 ;;
	1) echo "(bin/netmendctl audit ends with exit code 1 because of these findings)" ;;
	*) exit "$status" ;;
esac
