{{/* Names and labels. */}}

{{- define "ipn-receiver.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Short enough for the longest suffix that the chart appends. */}}
{{- define "ipn-receiver.fullname" -}}
{{- $name := include "ipn-receiver.name" . -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- .Values.fullnameOverride | default $full | trunc 48 | trimSuffix "-" -}}
{{- end -}}

{{/* The components: the Deployments, and their roles. */}}
{{- define "ipn-receiver.components" -}}
{{- ternary "all" "ingest,worker" (eq .Values.mode "all") -}}
{{- end -}}

{{/* Selector labels; they never change during the life of a release. (list $ component) */}}
{{- define "ipn-receiver.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "ipn-receiver.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Labels of every object. (list $ component) */}}
{{- define "ipn-receiver.labels" -}}
{{- $root := index . 0 -}}
{{ include "ipn-receiver.selector" . }}
app.kubernetes.io/version: {{ $root.Values.image.tag | default $root.Chart.AppVersion | trunc 63 | trimAll "-_." | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Labels of a pod, without labels that would replace pods whenever the chart's version changes. (list $ component) */}}
{{- define "ipn-receiver.podLabels" -}}
{{ include "ipn-receiver.selector" . }}
{{- with (index . 0).Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Labels, including those by which the Prometheus operator selects an object. */}}
{{- define "ipn-receiver.monitoringLabels" -}}
{{ include "ipn-receiver.labels" (list . "monitoring") }}
{{- with .Values.monitoring.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "ipn-receiver.serviceAccountName" -}}
{{- $made := ternary (include "ipn-receiver.fullname" .) "default" .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default $made -}}
{{- end -}}

{{/* Helm makes the Job's objects before all others, so it cannot use the service account of the release. */}}
{{- define "ipn-receiver.topicsServiceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{ include "ipn-receiver.serviceAccountName" . }}-topics
{{- else -}}
{{ include "ipn-receiver.serviceAccountName" . }}
{{- end -}}
{{- end -}}

{{/* The ports of Kafka, each once. */}}
{{- define "ipn-receiver.kafkaPorts" -}}
{{- $ports := list -}}
{{- range .Values.networkPolicy.kafkaPorts -}}
{{- $ports = append $ports (int . | toString) -}}
{{- end -}}
{{- range splitList "," .Values.config.kafka.bootstrap_servers -}}
{{- $ports = append $ports (regexFind "[0-9]+$" (regexFind ":[0-9]+$" (trim .)) | default "9092") -}}
{{- end -}}
{{ $ports | uniq | sortAlpha | join "," }}
{{- end -}}

{{- define "ipn-receiver.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository ($image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}
