{{/* What the schema cannot say, or cannot say plainly. (Under `helm lint` a failure is only told.) */}}
{{- define "ipn-receiver.validate" -}}
{{- if not .Values.image.repository -}}
{{- fail "image.repository is empty: name where your registry keeps the image, such as registry.example/ipn-receiver (scripts/image or docker build makes it)" -}}
{{- end -}}
{{- if not .Values.config.kafka.bootstrap_servers -}}
{{- fail "config.kafka.bootstrap_servers is empty: name at least one broker, as host:port" -}}
{{- end -}}
{{- if not .Values.merchants -}}
{{- fail "merchants is empty: add one, such as {id: A1O8CIV1A24A6X, region: eu, environment: live, keySecret: {name: amazon-pay-live}}" -}}
{{- end -}}
{{- range $part, $secrets := dict "kafka" .Values.kafka "ingest.kafka" .Values.ingest.kafka "worker.kafka" .Values.worker.kafka "topicsJob.kafka" .Values.topicsJob.kafka -}}
{{- range dig "secretProperties" list ($secrets | default dict) -}}
{{- if hasSuffix ".location" .property -}}
{{- fail (printf "%s.secretProperties: %s names a file, and the Secret's text would be taken for its name: put it under %s.secretFiles" $part .property $part) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if eq .Values.mode "split" -}}
{{- $keda := .Values.worker.keda -}}
{{- if and $keda.enabled (not $keda.serverAddress) -}}
{{- fail "worker.keda.serverAddress is empty: name your Prometheus, such as http://prometheus.monitoring:9090" -}}
{{- end -}}
{{- $workers := ternary $keda.maxReplicas .Values.worker.replicas $keda.enabled | int -}}
{{- $partitions := .Values.config.kafka.partitions | default 12 | int -}}
{{- $surge := 0 -}}
{{- if eq .Values.worker.strategy.type "RollingUpdate" -}}
{{- /* A percentage is one more at least. */ -}}
{{- $surge = dig "rollingUpdate" "maxSurge" "25%" .Values.worker.strategy -}}
{{- $surge = ternary 1 ($surge | int) (kindIs "string" $surge) -}}
{{- end -}}
{{- if gt (add $workers $surge) $partitions -}}
{{- fail (printf "%d workers and %d more during a rollout want partitions, and config.kafka.partitions is %d: who owns none is never ready; have fewer workers" $workers $surge $partitions) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) -}}
{{- fail "ingress.hosts is empty: name the host that Amazon Pay posts to" -}}
{{- end -}}
{{- if and .Values.gateway.enabled (not .Values.gateway.parentRefs) -}}
{{- fail "gateway.parentRefs is empty: name the Gateway that the route belongs to" -}}
{{- end -}}
{{- if .Values.networkPolicy.enabled -}}
{{- $open := list -}}
{{- range .Values.networkPolicy.kafkaPorts -}}
{{- $open = append $open (int . | toString) -}}
{{- end -}}
{{- range splitList "," .Values.config.kafka.bootstrap_servers -}}
{{- $server := trim . -}}
{{- $port := regexFind ":[0-9]+$" $server | trimPrefix ":" | default "9092" -}}
{{- if and $server (not (has $port $open)) -}}
{{- fail (printf "networkPolicy.kafkaPorts lacks %s, the port of %s (config.kafka.bootstrap_servers): nothing could connect to it; add it, and the ports that the brokers advertise" $port $server) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.monitoring.serviceMonitor.enabled .Values.monitoring.podMonitor.enabled -}}
{{- fail "monitoring.serviceMonitor and monitoring.podMonitor are both enabled: everything would be counted twice; keep one" -}}
{{- end -}}
{{- end -}}
