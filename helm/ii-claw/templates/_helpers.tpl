{{- define "ii-claw.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The beginning of every object's name; room is left for "-scheduler". */}}
{{- define "ii-claw.fullname" -}}
{{- $name := include "ii-claw.name" . -}}
{{- $own := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- .Values.fullnameOverride | default $own | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "ii-claw.selectorLabels" -}}
app.kubernetes.io/name: {{ include "ii-claw.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "ii-claw.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "ii-claw.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "ii-claw.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{- define "ii-claw.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (ternary (include "ii-claw.fullname" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{- define "ii-claw.secretName" -}}
{{- .Values.existingSecret | default (include "ii-claw.fullname" .) -}}
{{- end -}}

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
runDays: II_CLAW_RUN_DAYS
mediaMaxMib: II_CLAW_MEDIA_MAX_MIB
mediaDays: II_CLAW_MEDIA_DAYS
{{- end -}}

{{/* Refuses values that no cluster could run on; says which and what to do. */}}
{{- define "ii-claw.check" -}}
{{- $keys := include "ii-claw.secretKeys" . | fromYaml -}}
{{- $missing := list -}}
{{- $given := list -}}
{{- range $value, $key := $keys -}}
  {{- if index $.Values.secrets $value -}}
    {{- $given = append $given (printf "secrets.%s" $value) -}}
  {{- else -}}
    {{- $missing = append $missing (printf "secrets.%s" $value) -}}
  {{- end -}}
{{- end -}}
{{- range $value, $_ := include "ii-claw.optionalSecretKeys" . | fromYaml -}}
  {{- if index $.Values.secrets $value -}}
    {{- $given = append $given (printf "secrets.%s" $value) -}}
  {{- end -}}
{{- end -}}
{{- if and .Values.existingSecret $given -}}
  {{- fail (printf "existingSecret is %q, so %s would not be used: set one or the other." .Values.existingSecret (join ", " $given)) -}}
{{- end -}}
{{- if and (not .Values.existingSecret) $missing -}}
  {{- fail (printf "%s must be set; or set existingSecret to the name of a Secret with the keys %s. A master key is made with: openssl rand -base64 32" (join ", " $missing) (values $keys | sortAlpha | join ", ")) -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) -}}
  {{- fail "ingress.enabled is true, so ingress.hosts must name at least one host, like [claw.example.com]." -}}
{{- end -}}
{{- $ours := include "ii-claw.env" (dict "root" . "role" "worker") | fromYamlArray -}}
{{- range .Values.extraEnv -}}
  {{- $name := .name -}}
  {{- range $ours -}}
    {{- if eq .name $name -}}
      {{- fail (printf "extraEnv sets %s, which the chart sets itself: use secrets, existingSecret or settings." $name) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* One variable out of the Secret. */}}
{{- define "ii-claw.secretEnv" -}}
- name: {{ .key }}
  valueFrom:
    secretKeyRef:
      name: {{ include "ii-claw.secretName" .root }}
      key: {{ .key }}
      {{- if .optional }}
      optional: true
      {{- end }}
{{ end -}}

{{/* What every command needs: the database and how to log. */}}
{{- define "ii-claw.databaseEnv" -}}
{{ include "ii-claw.secretEnv" (dict "root" . "key" "DATABASE_URL") -}}
{{- range $key := include "ii-claw.optionalSecretKeys" . | fromYaml -}}
{{ include "ii-claw.secretEnv" (dict "root" $ "key" $key "optional" true) -}}
{{- end -}}
{{- with .Values.settings -}}
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

{{/* The environment of a role; called with root and role. */}}
{{- define "ii-claw.env" -}}
{{- $root := .root -}}
{{ include "ii-claw.databaseEnv" $root }}
{{ range $key := include "ii-claw.secretKeys" $root | fromYaml -}}
{{- if ne $key "DATABASE_URL" -}}
{{ include "ii-claw.secretEnv" (dict "root" $root "key" $key) -}}
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
{{- range $key, $value := dict "II_CLAW_MEDIA" .media "II_CLAW_TRUSTED_PROXIES" .trustedProxies -}}
{{- if $value -}}
- name: {{ $key }}
  value: {{ $value | quote }}
{{ end -}}
{{- end -}}
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
{{- if $root.Values.rpcCertificate }}
{{- range $key, $file := dict "II_CLAW_RPC_TLS_CERT" "tls.crt" "II_CLAW_RPC_TLS_KEY" "tls.key" "II_CLAW_RPC_TLS_CA" "ca.crt" }}
- name: {{ $key }}
  value: "/etc/ii-claw/rpc/{{ $file }}"
{{- end }}
{{- end }}
{{- end -}}

{{/* Where pods reach the gateways. */}}
{{- define "ii-claw.serviceUrl" -}}
http://{{ include "ii-claw.fullname" . }}-gateway.{{ .Release.Namespace }}.svc:{{ .Values.service.port }}
{{- end -}}

{{/* The "restricted" level of the pod security standards, and nothing to write to. */}}
{{- define "ii-claw.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}
