{{- define "netmend.name" -}}
{{- default .Release.Name .Values.nameOverride | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "netmend.selector" -}}
app.kubernetes.io/name: netmend
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "netmend.labels" -}}
{{ include "netmend.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "netmend.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}
{{- end }}

{{- define "netmend.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "netmend.name" .) .Values.serviceAccount.name }}
{{- else -}}
{{ default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* An IPv6 address needs brackets before a port. */}}
{{- define "netmend.listen" -}}
{{- $a := .Values.http.address -}}
{{- if contains ":" $a }}[{{ $a }}]{{ else }}{{ $a }}{{ end }}:{{ .Values.http.port }}
{{- end }}

{{/* The address by which kubelet, on the same node, asks how the daemon is. */}}
{{- define "netmend.probe" -}}
{{- if has .Values.http.address (list "" "0.0.0.0") }}127.0.0.1{{ else if eq .Values.http.address "::" }}::1{{ else }}{{ .Values.http.address }}{{ end }}
{{- end }}

{{/* What the daemon has of the API server's credentials: a token that kubelet renews, good for this pod alone. */}}
{{- define "netmend.tokenVolume" -}}
- name: token
  projected:
    defaultMode: 0400
    sources:
    - serviceAccountToken:
        path: token
        expirationSeconds: 3607
    - configMap:
        name: kube-root-ca.crt
        items:
        - {key: ca.crt, path: ca.crt}
    - downwardAPI:
        items:
        - path: namespace
          fieldRef: {apiVersion: v1, fieldPath: metadata.namespace}
{{- end }}

{{- define "netmend.apiServer" -}}
{{- with .Values.kubernetes.apiServer }}
{{- if .host -}}
- name: KUBERNETES_SERVICE_HOST
  value: {{ .host | quote }}
- name: KUBERNETES_SERVICE_PORT
  value: {{ .port | quote }}
{{- end }}
{{- end }}
{{- end }}
