#!/bin/bash
# cache.sh kubernetes|cluster|cni|kernel|npd|helm: makes what the tests run against and prints the directory that holds it.
#
#   kubernetes  etcd, kube-apiserver and kube-proxy, built from source
#   cluster     what a whole cluster needs besides: kubelet, kube-controller-manager, kube-scheduler and kubectl, built from source
#   cni         cnitool and eight of the reference plugins, built from source
#   kernel      Debian's cloud kernel with its modules, unpacked, for a guest
#   npd         node-problem-detector with its configuration, built from source, to measure beside
#   helm        helm, built from source, which renders and installs the chart
#
# Everything is kept below ${XDG_CACHE_HOME:-$HOME/.cache}/netmend by version, is tried before it is kept, and is made once however many ask.
set -euo pipefail

kubernetes=1.35.4
etcd=3.6.5
plugins=1.9.1
cnitool=1.3.0
npd=1.34.0
helm=3.19.0
helmkube=1.34 # the version of Kubernetes that helm renders for when it asks no cluster: that of its own k8s.io modules

cache=${XDG_CACHE_HOME:-$HOME/.cache}/netmend

build() { # of Go programs: where none of the caller's settings may matter
	env GOFLAGS= GOWORK=off CGO_ENABLED=0 go "$@"
}

# Builds programs of Kubernetes into a directory. k8s.io/kubernetes requires its own staging modules as v0.0.0 and replaces them by directories, which a module
# that requires it must do by version.
build_kubernetes() { # directory, program...
	local into=$1 version=v$kubernetes programs=("${@:2}")
	mkdir "$into/src"
	cd "$into/src"
	go mod init kubernetes.invalid/build 2>/dev/null
	go mod edit -require="k8s.io/kubernetes@$version"
	gomod=$(cd / && GOFLAGS='' go mod download -json "k8s.io/kubernetes@$version" | sed -n 's/.*"GoMod": "\(.*\)".*/\1/p')
	while read -r module; do
		go mod edit -replace="$module=$module@v0.${kubernetes#1.}"
	done < <(awk '$1 ~ /^k8s.io\// && $2 == "v0.0.0" {print $1}' "$gomod")
	# Unstamped it says v0.0.0-master, to which helm installs no chart that asks for a version.
	local stamp="-X k8s.io/component-base/version.gitVersion=$version -X k8s.io/client-go/pkg/version.gitVersion=$version"
	build build -mod=mod -trimpath -buildvcs=false -ldflags="-s -w $stamp" -o "$into/" "${programs[@]/#/k8s.io/kubernetes/cmd/}"
	cd /
	rm -r "$into/src"
}

make_kubernetes() {
	build_kubernetes "$1" kube-apiserver kube-proxy

	mkdir "$1/etcdsrc"
	cd "$1/etcdsrc"
	go mod init etcd.invalid/build 2>/dev/null
	go mod edit -require="go.etcd.io/etcd/server/v3@v$etcd"
	build build -mod=mod -trimpath -buildvcs=false -ldflags='-s -w' -o "$1/etcd" go.etcd.io/etcd/server/v3

	cd /
	rm -r "$1/etcdsrc"
}

try_kubernetes() {
	for program in kube-apiserver kube-proxy; do
		[ "$("$1/$program" --version)" = "Kubernetes v$kubernetes" ] || return 1
	done
	"$1/etcd" --version >/dev/null
}

make_cluster() { build_kubernetes "$1" kubelet kube-controller-manager kube-scheduler kubectl; }

try_cluster() {
	for program in kubelet kube-controller-manager kube-scheduler; do
		[ "$("$1/$program" --version)" = "Kubernetes v$kubernetes" ] || return 1
	done
	"$1/kubectl" version --client >/dev/null
}

make_cni() {
	GOBIN=$1 build install -trimpath "github.com/containernetworking/cni/cnitool@v$cnitool"
	local programs=()
	for plugin in main/bridge main/host-device main/loopback main/macvlan main/ptp ipam/host-local meta/portmap meta/tuning; do
		programs+=("github.com/containernetworking/plugins/plugins/$plugin@v$plugins")
	done
	GOBIN=$1 build install -trimpath "${programs[@]}"
}

try_cni() {
	for plugin in bridge host-device host-local loopback macvlan portmap ptp tuning; do
		CNI_COMMAND=VERSION "$1/$plugin" <<<'{"cniVersion":"1.0.0"}' >/dev/null || return 1
	done
	[ -x "$1/cnitool" ]
}

# The cloud kernel that Debian's metapackage stands for, for example linux-image-6.1.0-56-cloud-amd64.
kernel_package() {
	apt-cache depends linux-image-cloud-amd64 2>/dev/null | awk '$1 == "Depends:" && $2 ~ /^linux-image-[0-9]/ {print $2; exit}'
}

make_kernel() {
	mkdir "$1/deb"
	cd "$1/deb"
	# A package list from yesterday may name a file that is gone.
	apt-get download -qq "$(kernel_package)" >&2 || { apt-get update -qq && apt-get download -qq "$(kernel_package)"; } >&2
	dpkg-deb -x ./*.deb .
	mv boot/vmlinuz-* "$1/vmlinuz"
	mkdir -p "$1/lib"
	mv lib/modules "$1/lib/modules" 2>/dev/null || mv usr/lib/modules "$1/lib/modules"
	cd /
	rm -r "$1/deb"
	release=$(ls "$1/lib/modules")
	/sbin/depmod -b "$1" "$release"
}

try_kernel() {
	[ -s "$1/vmlinuz" ] && /sbin/modprobe -d "$1" -S "$(ls "$1/lib/modules")" --show-depends ip_vs >/dev/null
}

make_npd() {
	mkdir "$1/src"
	cd "$1/src"
	go mod init npd.invalid/build 2>/dev/null
	go mod edit -require="k8s.io/node-problem-detector@v$npd"
	GONOSUMDB='*' build build -mod=mod -trimpath -buildvcs=false -ldflags='-s -w' -tags disable_stackdriver_exporter \
		-o "$1/" k8s.io/node-problem-detector/cmd/nodeproblemdetector
	cp -r "$(cd "$1/src" && GOFLAGS='' go list -mod=mod -m -f '{{.Dir}}' k8s.io/node-problem-detector)/config" "$1/config"
	chmod -R u+w "$1/config"
	chmod +x "$1"/config/plugin/*.sh
	cd /
	rm -r "$1/src"
}

try_npd() {
	"$1/nodeproblemdetector" --version >/dev/null && [ -x "$1/config/plugin/network_problem.sh" ]
}

# As helm's own Makefile sets them.
make_helm() {
	local x="-X helm.sh/helm/v3" major=${helmkube%.*} minor=${helmkube#*.}
	GOBIN=$1 build install -trimpath -ldflags="-s -w $x/internal/version.version=v$helm $x/pkg/chartutil.k8sVersionMajor=$major $x/pkg/chartutil.k8sVersionMinor=$minor \
		$x/pkg/lint/rules.k8sVersionMajor=$major $x/pkg/lint/rules.k8sVersionMinor=$minor" "helm.sh/helm/v3/cmd/helm@v$helm"
}

try_helm() {
	[ "$("$1/helm" version --template '{{.Version}}')" = "v$helm" ]
}

case ${1-} in
	kubernetes) version=$kubernetes-$etcd-stamped ;;
	cluster) version=$kubernetes ;;
	cni) version=$plugins-$cnitool-8 ;;
	npd) version=$npd ;;
	helm) version=$helm ;;
	kernel)
		[ "$(dpkg --print-architecture)" = amd64 ] || { echo "cache: the guest runs on amd64 only" >&2; exit 1; }
		version=$(kernel_package)
		[ -n "$version" ] || { apt-get update -qq >&2 && version=$(kernel_package); }
		[ -n "$version" ] || { echo "cache: no package linux-image-cloud-amd64 in apt's lists" >&2; exit 1; } ;;
	*) sed -n '2,11p' "$0" >&2; exit 2 ;;
esac

dir=$cache/$1-$version
mkdir -p "$cache"
exec 9>"$cache/$1.lock"
flock 9
if ! "try_$1" "$dir" 2>/dev/null; then
	rm -rf "$dir"
	new=$(mktemp -d "$cache/$1.XXXXXX")
	trap 'rm -rf "$new"' EXIT
	echo "cache: making $1 $version (once; kept in $dir)" >&2
	# The lock is not for children: a build server that outlived this script would hold it.
	"make_$1" "$new" 9>&- >&2
	"try_$1" "$new"
	chmod 755 "$new"
	mv "$new" "$dir"
fi
echo "$dir"
