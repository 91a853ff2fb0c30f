{{/* Where pods run: those of the daemon and those that clean up alike. The node's network is there when pods' is not. */}}
{{- define "netmend.placement" -}}
{{- with .Values.imagePullSecrets -}}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{ end -}}
automountServiceAccountToken: false
hostNetwork: true
dnsPolicy: Default
enableServiceLinks: false
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 0 }}
{{- end }}
{{- end }}

{{/* Which nodes have the daemon, and so are cleaned, and what it is there. */}}
{{- define "netmend.everyNode" -}}
serviceAccountName: {{ include "netmend.serviceAccount" . }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsUser: 0
  runAsGroup: 0
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/*
NET_ADMIN    read packet filters, connection tracking and IPVS; set offloads, sysctls and rules
NET_RAW      read the tables of iptables-legacy, for which the kernel wants a raw socket
SYS_ADMIN    enter the network namespaces of pods (setns)
SYS_PTRACE   open /proc/PID/ns/net of processes that are another user's or have more capabilities
SYS_CHROOT   run the node's own iptables, which a few fixes need
*/}}
{{- define "netmend.securityContext" -}}
privileged: false
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
  add: {{ concat (list "NET_ADMIN" "NET_RAW" "SYS_ADMIN" "SYS_PTRACE") (ternary (list "SYS_CHROOT") (list) .fix) .root.Values.securityContext.addCapabilities | toJson }}
{{- with .root.Values.securityContext.seLinuxOptions }}
seLinuxOptions: {{- toYaml . | nindent 2 }}
{{- end }}
{{- if semverCompare ">=1.30.0-0" .root.Capabilities.KubeVersion.Version }}
appArmorProfile: {type: {{ .root.Values.securityContext.appArmorProfile }}}
{{- end }}
{{- end }}
