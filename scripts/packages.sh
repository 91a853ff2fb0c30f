#!/bin/sh
# packages.sh NAME...: makes sure that these Debian packages are installed. Root installs the missing ones; anybody else is told their names.
set -eu

missing=
for name in "$@"; do
	[ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing="$missing $name"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
	echo "packages: missing here:$missing (as root: apt-get install --no-install-recommends$missing)" >&2
	exit 1
fi
echo "packages: installing$missing"
export DEBIAN_FRONTEND=noninteractive
# A source that cannot be refreshed does not matter as long as the packages can be had.
apt-get update -qq || echo "packages: not every package list could be refreshed" >&2
# shellcheck disable=SC2086 # a list of names
apt-get install -y -qq --no-install-recommends $missing </dev/null >/dev/null
