{{/* The settings of all commands, out of values: each variable is rendered in one place, for every role. */}}

{{/* Which value becomes which key of the Secret: all that are needed, then those that need not be. */}}
{{- define "ii-claw.secretKeys" -}}
databaseUrl: DATABASE_URL
natsUrl: NATS_URL
apiKey: II_CLAW_API_KEY
masterKey: II_CLAW_MASTER_KEY
aiWebhookUrl: AI_WEBHOOK_URL
aiWebhookSecret: AI_WEBHOOK_SECRET
{{- end -}}
{{- define "ii-claw.optionalSecretKeys" -}}
leaseDatabaseUrl: II_CLAW_LEASE_DATABASE_URL
aiWebhookSecretPrevious: AI_WEBHOOK_SECRET_PREVIOUS
otherMasterKeys: II_CLAW_OTHER_MASTER_KEYS
otlpHeaders: OTEL_EXPORTER_OTLP_HEADERS
{{- end -}}

{{/* Which value of settings becomes which variable of every role: those that are numbers. */}}
{{- define "ii-claw.numbers" -}}
databaseConnections: II_CLAW_DATABASE_CONNECTIONS
webhookTimeoutSecs: II_CLAW_WEBHOOK_TIMEOUT_SECS
webhookRetryHours: AI_WEBHOOK_RETRY_HOURS
streamSecs: II_CLAW_STREAM_SECS
streams: II_CLAW_STREAMS
typingSecs: II_CLAW_TYPING_SECS
sendWaitMs: II_CLAW_SEND_WAIT_MS
sendTtlSecs: II_CLAW_SEND_TTL_SECS
minEverySecs: II_CLAW_MIN_EVERY_SECS
eventsHours: II_CLAW_EVENTS_HOURS
messageDays: II_CLAW_MESSAGE_DAYS
deadLetterDays: II_CLAW_DEAD_LETTER_DAYS
runDays: II_CLAW_RUN_DAYS
mediaMaxMib: II_CLAW_MEDIA_MAX_MIB
mediaDays: II_CLAW_MEDIA_DAYS
{{- end -}}

{{/* The text of a key of the Secret; called with root and value. The servers for a trial say where they are themselves. */}}
{{- define "ii-claw.secretValue" -}}
{{- $values := .root.Values -}}
{{- $name := include "ii-claw.fullname" .root -}}
{{- if and (eq .value "databaseUrl") $values.postgres.enabled -}}
{{- printf "postgres://ii-claw:%s@%s-postgres:5432/ii_claw" $values.postgres.password $name -}}
{{- else if and (eq .value "natsUrl") $values.nats.enabled -}}
{{- printf "nats://%s@%s-nats:4222" $values.nats.token $name -}}
{{- else -}}
{{- index $values.secrets .value -}}
{{- end -}}
{{- end -}}

{{/* One variable out of a Secret. */}}
{{- define "ii-claw.secretEnv" -}}
- name: {{ .key }}
  valueFrom:
    secretKeyRef:
      name: {{ .secret }}
      key: {{ .key }}
      {{- if .optional }}
      optional: true
      {{- end }}
{{ end -}}

{{/* What every command needs: the database and how to log; called with root and secret. */}}
{{- define "ii-claw.databaseEnv" -}}
{{- $secret := .secret -}}
{{ include "ii-claw.secretEnv" (dict "secret" $secret "key" "DATABASE_URL") -}}
{{- range $key := include "ii-claw.optionalSecretKeys" .root | fromYaml -}}
{{ include "ii-claw.secretEnv" (dict "secret" $secret "key" $key "optional" true) -}}
{{- end -}}
{{- with .root.Values.settings -}}
{{- if not (kindIs "invalid" .shards) -}}
- name: II_CLAW_SHARDS
  value: {{ .shards | int64 | quote }}
{{ end -}}
{{- if .databasePooler -}}
- name: II_CLAW_DATABASE_POOLER
  value: {{ .databasePooler | quote }}
{{ end -}}
{{- if .log -}}
- name: II_CLAW_LOG
  value: {{ .log | quote }}
{{ end -}}
- name: II_CLAW_LOG_FORMAT
  value: {{ .logFormat | quote }}
{{- end }}
{{- end -}}

{{/* The environment that all roles share. */}}
{{- define "ii-claw.env" -}}
{{- $root := . -}}
{{- $secret := include "ii-claw.secretName" $root -}}
{{ include "ii-claw.databaseEnv" (dict "root" $root "secret" $secret) }}
{{ range $key := include "ii-claw.secretKeys" $root | fromYaml -}}
{{- if ne $key "DATABASE_URL" -}}
{{ include "ii-claw.secretEnv" (dict "secret" $secret "key" $key) -}}
{{- end -}}
{{- end -}}
{{- with $root.Values.settings -}}
{{- $settings := . -}}
{{- range $value, $key := include "ii-claw.numbers" $root | fromYaml -}}
{{- $number := index $settings $value -}}
{{- if not (kindIs "invalid" $number) -}}
- name: {{ $key }}
  value: {{ $number | int64 | quote }}
{{ end -}}
{{- end -}}
{{- range $key, $value := dict "II_CLAW_MEDIA" .media "II_CLAW_OTLP_ENDPOINT" .otlpEndpoint "II_CLAW_TRUSTED_PROXIES" .trustedProxies -}}
{{- if $value -}}
- name: {{ $key }}
  value: {{ $value | quote }}
{{ end -}}
{{- end -}}
{{- if not (kindIs "invalid" .traceShare) -}}
- name: II_CLAW_TRACE_SHARE
  value: {{ .traceShare | quote }}
{{ end -}}
{{- if .allowPrivateUrls -}}
- name: II_CLAW_ALLOW_PRIVATE_URLS
  value: "true"
{{ end -}}
- name: II_CLAW_PUBLIC_URL
  value: {{ .publicUrl | default (include "ii-claw.serviceUrl" $root) | quote }}
{{- end }}
- name: POD_IP
  valueFrom:
    fieldRef:
      fieldPath: status.podIP
- name: II_CLAW_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: II_CLAW_RPC_ADVERTISE
  value: "$(POD_IP):4201"
{{- if include "ii-claw.rpcSecretName" $root }}
{{- range $key, $file := dict "II_CLAW_RPC_TLS_CERT" "tls.crt" "II_CLAW_RPC_TLS_KEY" "tls.key" "II_CLAW_RPC_TLS_CA" "ca.crt" }}
- name: {{ $key }}
  value: "/etc/ii-claw/rpc/{{ $file }}"
{{- end }}
{{- end }}
{{- end -}}
