#!/bin/bash
# image.sh [ARCH]: builds netmend's programs and the container image of deploy/Dockerfile with them, for this machine's processor or another, as an OCI archive:
# bin/netmend-image.tar, or bin/netmend-image-ARCH.tar where an ARCH is given. It needs no registry and no container runtime. The name inside is
# localhost/netmend:VERSION, as the chart has it.
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}
arch=${1:-$("$go" env GOARCH)}
archive=bin/netmend-image${1:+-$1}.tar
version=$(sed -n 's/^appVersion: //p' deploy/helm/netmend/Chart.yaml)
vcs=$(git rev-parse HEAD >/dev/null 2>&1 && echo true || echo false)

scripts/packages.sh buildah
programs=bin/image/linux/$arch
mkdir -p "$programs"
GOOS=linux GOARCH=$arch CGO_ENABLED=0 "$go" build -trimpath -buildvcs="$vcs" -ldflags='-s -w' -o "$programs/" ./cmd/netmendd ./cmd/netmendctl ./plugins/netmend

# Neither what buildah keeps nor its settings are anybody else's: with them, what this machine's user has configured would matter.
store=$(mktemp -d)
trap 'rm -rf "$store"' EXIT
buildah() { command buildah --storage-driver vfs --root "$store/root" --runroot "$store/run" "$@"; }
buildah bud --quiet --isolation chroot --platform "linux/$arch" --timestamp 0 --tag "localhost/netmend:$version" --file deploy/Dockerfile . >/dev/null
rm -f "$archive"
buildah push --quiet "localhost/netmend:$version" "oci-archive:$archive:localhost/netmend:$version"
echo "$archive: localhost/netmend:$version for linux/$arch, $(du -k "$archive" | cut -f1) KiB"
