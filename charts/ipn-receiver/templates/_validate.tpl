{{/* Checks that the schema cannot express, or not with a clear message. (`helm lint` only reports a failure.) */}}
{{- define "ipn-receiver.validate" -}}
{{- if not .Values.image.repository -}}
{{- fail "image.repository is empty: set the repository of the image, such as registry.example/ipn-receiver (build it with scripts/image or docker build)" -}}
{{- end -}}
{{- if not .Values.config.kafka.bootstrap_servers -}}
{{- fail "config.kafka.bootstrap_servers is empty: set at least one broker, as host:port" -}}
{{- end -}}
{{- if not .Values.merchants -}}
{{- fail "merchants is empty: add one, such as {id: A1O8CIV1A24A6X, region: eu, environment: live, keySecret: {name: amazon-pay-live}}" -}}
{{- end -}}
{{- range $part, $secrets := dict "kafka" .Values.kafka "ingest.kafka" .Values.ingest.kafka "worker.kafka" .Values.worker.kafka "topicsJob.kafka" .Values.topicsJob.kafka -}}
{{- range dig "secretProperties" list ($secrets | default dict) -}}
{{- if hasSuffix ".location" .property -}}
{{- fail (printf "%s.secretProperties: %s names a file, but its value here would be the text of the Secret: put it under %s.secretFiles" $part .property $part) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if eq .Values.mode "split" -}}
{{- $keda := .Values.worker.keda -}}
{{- if and $keda.enabled (not $keda.serverAddress) -}}
{{- fail "worker.keda.serverAddress is empty: set the URL of your Prometheus, such as http://prometheus.monitoring:9090" -}}
{{- end -}}
{{- $workers := ternary $keda.maxReplicas .Values.worker.replicas $keda.enabled | int -}}
{{- $partitions := .Values.config.kafka.partitions | default 12 | int -}}
{{- $surge := 0 -}}
{{- if eq .Values.worker.strategy.type "RollingUpdate" -}}
{{- /* A percentage is at least one pod. */ -}}
{{- $surge = dig "rollingUpdate" "maxSurge" "25%" .Values.worker.strategy -}}
{{- $surge = ternary 1 ($surge | int) (kindIs "string" $surge) -}}
{{- end -}}
{{- if gt (add $workers $surge) $partitions -}}
{{- fail (printf "%d workers and %d more during a rollout need partitions, and config.kafka.partitions is %d: a worker without partitions is never ready; reduce the number of workers" $workers $surge $partitions) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) -}}
{{- fail "ingress.hosts is empty: set the host name of the Merchant URL" -}}
{{- end -}}
{{- if and .Values.gateway.enabled (not .Values.gateway.parentRefs) -}}
{{- fail "gateway.parentRefs is empty: set the Gateway of the route" -}}
{{- end -}}
{{- if and .Values.monitoring.serviceMonitor.enabled .Values.monitoring.podMonitor.enabled -}}
{{- fail "monitoring.serviceMonitor and monitoring.podMonitor are both enabled: every metric would be counted twice; enable only one" -}}
{{- end -}}
{{- end -}}
