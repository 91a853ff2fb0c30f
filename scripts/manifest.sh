#!/bin/bash
# manifest.sh: writes deploy/netmend.yaml and deploy/netmend-uninstall.yaml, what the chart renders with its default values, for who has no Helm; and gives the
# chart its copy of the alerts, because a chart cannot read what is outside of it.
set -euo pipefail
cd "$(dirname "$0")/.."
helm=$(scripts/cache.sh helm)/helm

{
	echo "# Made by make gen from deploy/prometheus/netmend-rules.yaml. DO NOT EDIT."
	cat deploy/prometheus/netmend-rules.yaml
} >deploy/helm/netmend/files/netmend-rules.yaml

render() { # what it is, helm's arguments...
	printf '# %s\n# Made by make gen from deploy/helm/netmend. DO NOT EDIT.\n' "$1"
	shift
	"$helm" template netmend deploy/helm/netmend --namespace kube-system --kube-version 1.35.0 \
		--api-versions admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy "$@" |
		sed '/^ *app.kubernetes.io\/managed-by: Helm$/d; /^ *helm.sh\/chart: /d'
}

render "netmend on every node in mode audit: kubectl apply -f netmend.yaml" --include-crds --no-hooks >deploy/netmend.yaml
render "Takes netmend off every node: kubectl apply -f netmend-uninstall.yaml, wait for the Job kube-system/netmend-withdraw, then delete both files' objects" \
	--show-only templates/uninstall.yaml >deploy/netmend-uninstall.yaml
