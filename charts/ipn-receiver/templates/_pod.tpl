{{/* Parts shared by all pods. */}}

{{/* Seconds from the deletion of a pod to its end: the wait before SIGTERM, the notice, the requests, the worker, and the
last flush of the inbox (10 s) and of traces (2 s), plus a margin. */}}
{{- define "ipn-receiver.terminationSeconds" -}}
{{- $notice := dig "shutdown" "notice_ms" 5000 .Values.config | int -}}
{{- $grace := dig "shutdown" "grace_ms" 20000 .Values.config | int -}}
{{- add .Values.preStopSleepSeconds (divf (add $notice $grace $grace) 1000 | ceil | int) 15 -}}
{{- end -}}

{{- define "ipn-receiver.podSecurityContext" -}}
runAsNonRoot: true
{{- if not (kindIs "invalid" .Values.podSecurity.runAsUser) }}
runAsUser: {{ .Values.podSecurity.runAsUser | int }}
{{- end }}
{{- if not (kindIs "invalid" .Values.podSecurity.group) }}
runAsGroup: {{ .Values.podSecurity.group | int }}
fsGroup: {{ .Values.podSecurity.group | int }}
{{- end }}
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "ipn-receiver.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* No pod uses the Kubernetes API. */}}
{{- define "ipn-receiver.podBasics" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- include "ipn-receiver.podSecurityContext" . | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "ipn-receiver.containerBasics" -}}
image: {{ include "ipn-receiver.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- include "ipn-receiver.containerSecurityContext" . | nindent 2 }}
{{- end -}}

{{/* Environment variables, so that commands in a pod (kubectl exec) use the same configuration. Kafka's properties override
the configuration file. (list $ own role) */}}
{{- define "ipn-receiver.env" -}}
{{- $root := index . 0 -}}
{{- $own := index . 1 -}}
- name: IPN_RECEIVER_CONFIG
  value: {{ include "ipn-receiver.folder" $root }}/receiver.toml
- name: IPN_RECEIVER__ROLE
  value: {{ index . 2 }}
- name: IPN_RECEIVER_LOG_FORMAT
  value: {{ $root.Values.log.format }}
{{- with $root.Values.log.filter }}
- name: RUST_LOG
  value: {{ . | quote }}
{{- end }}
{{- range include "ipn-receiver.secrets" (list $root $own "secretFiles") | fromJsonArray }}
- name: {{ include "ipn-receiver.propertyVariable" . }}
  value: {{ include "ipn-receiver.folder" $root }}/kafka/{{ .property }}
{{- end }}
{{- range include "ipn-receiver.secrets" (list $root $own "secretProperties") | fromJsonArray }}
- name: {{ include "ipn-receiver.propertyVariable" . }}
  valueFrom:
    secretKeyRef: {name: {{ .secretName }}, key: {{ .secretKey }}}
{{- end }}
{{- with $root.Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "ipn-receiver.propertyVariable" -}}
IPN_RECEIVER__KAFKA__PROPERTIES__{{ .property | replace "." "_" | upper }}
{{- end -}}

{{/* Prefers a node without another pod of the same component. (list $ component) */}}
{{- define "ipn-receiver.affinity" -}}
podAntiAffinity:
  preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- include "ipn-receiver.selector" . | nindent 12 }}
{{- end -}}
