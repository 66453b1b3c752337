{{/* The program's own file, from `config` and `merchants`. */}}

{{/* A value as TOML. JSON's strings, numbers and truth values are TOML's; Helm's own toToml makes 12 to 12.0. */}}
{{- define "ipn-receiver.toml.value" -}}
{{- if kindIs "map" . -}}
{ {{- $comma := "" -}}
{{- range $key, $value := . -}}
{{- $comma }} {{ include "ipn-receiver.toml.key" $key }} = {{ include "ipn-receiver.toml.value" $value }}
{{- $comma = "," -}}
{{- end }} }
{{- else -}}
{{- toRawJson . -}}
{{- end -}}
{{- end -}}

{{- define "ipn-receiver.toml.key" -}}
{{- ternary . (toJson .) (regexMatch "^[A-Za-z0-9_-]+$" .) -}}
{{- end -}}

{{- define "ipn-receiver.toml" -}}
# Made by the Helm chart of its values `config` and `merchants`; what stands in Secrets is added by environment variables.
{{- range $table, $settings := .Values.config }}
{{- if $settings }}

[{{ $table }}]
{{- range $setting, $value := $settings }}
{{ include "ipn-receiver.toml.key" $setting }} = {{ include "ipn-receiver.toml.value" $value }}
{{- end }}
{{- end }}
{{- end }}
{{- range .Values.merchants }}

[[merchants]]
{{- range $setting, $value := omit . "keySecret" }}
{{ $setting }} = {{ include "ipn-receiver.toml.value" $value }}
{{- end }}
private_key_file = {{ printf "%s/private-key.pem" (include "ipn-receiver.merchantFolder" .) | toJson }}
{{- if not .public_key_id }}
public_key_id_file = {{ printf "%s/public-key-id" (include "ipn-receiver.merchantFolder" .) | toJson }}
{{- end }}
{{- end }}
{{ end -}}

{{/* Where everything the program is given as files is mounted. */}}
{{- define "ipn-receiver.folder" -}}/etc/ipn-receiver{{- end -}}

{{/* What everyone takes from Secrets, and over it, property by property, what is one part's own; as a
list in JSON. (list $ own "secretFiles"), or "secretProperties" */}}
{{- define "ipn-receiver.secrets" -}}
{{- $root := index . 0 -}}
{{- $which := index . 2 -}}
{{- $found := dict -}}
{{- range concat (get $root.Values.kafka $which) (dig "kafka" $which list (index . 1)) -}}
{{- $_ := set $found .property . -}}
{{- end -}}
{{- $list := list -}}
{{- range keys $found | sortAlpha -}}
{{- $list = append $list (get $found .) -}}
{{- end -}}
{{- $list | toJson -}}
{{- end -}}

{{/* Where a merchant's key files are, seen from the program's file. */}}
{{- define "ipn-receiver.merchantFolder" -}}
merchants/{{ .id }}-{{ .environment }}
{{- end -}}

{{/* Everything the program is given as files, in one volume, so that Kubernetes exchanges changed Secrets as a whole and
without a restart. (list $ configMap own works): who does not work gets no API key. */}}
{{- define "ipn-receiver.files" -}}
{{- $root := index . 0 -}}
{{- $own := index . 2 -}}
name: files
projected:
  defaultMode: 0440
  sources:
    - configMap:
        name: {{ index . 1 }}
    {{- range include "ipn-receiver.secrets" (list $root $own "secretFiles") | fromJsonArray }}
    - secret:
        name: {{ .secretName }}
        items:
          - key: {{ .secretKey }}
            path: kafka/{{ .property }}
    {{- end }}
    {{- if index . 3 }}
    {{- range $root.Values.merchants }}
    - secret:
        name: {{ .keySecret.name }}
        items:
          - key: {{ .keySecret.privateKey | default "private-key.pem" }}
            path: {{ include "ipn-receiver.merchantFolder" . }}/private-key.pem
          {{- if not .public_key_id }}
          - key: {{ .keySecret.publicKeyId | default "public-key-id" }}
            path: {{ include "ipn-receiver.merchantFolder" . }}/public-key-id
          {{- end }}
    {{- end }}
    {{- end }}
{{- end -}}
