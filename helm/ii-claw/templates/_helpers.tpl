{{/* Names, labels and what pods have in common. The environment is in _env.tpl, what is refused in _check.tpl. */}}

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
{{- with .Values.image -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ with .digest }}@{{ . }}{{ end }}
{{- end -}}
{{- end -}}

{{- define "ii-claw.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (ternary (include "ii-claw.fullname" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{/* The Secret with the settings, whoever makes it. */}}
{{- define "ii-claw.secretName" -}}
{{- .Values.existingSecret | default (include "ii-claw.fullname" .) -}}
{{- end -}}

{{/* Whether the chart itself makes that Secret. */}}
{{- define "ii-claw.ownSecret" -}}
{{- if not (or .Values.existingSecret .Values.externalSecret.enabled) }}true{{ end -}}
{{- end -}}

{{/* The Secret with tls.crt, tls.key and ca.crt for calls between roles; empty: they call without TLS. */}}
{{- define "ii-claw.rpcSecretName" -}}
{{- .Values.rpcCertificate | default (ternary (printf "%s-rpc" (include "ii-claw.fullname" .)) "" .Values.certManager.enabled) -}}
{{- end -}}

{{/* Where pods reach the gateways. */}}
{{- define "ii-claw.serviceUrl" -}}
http://{{ include "ii-claw.fullname" . }}-gateway.{{ .Release.Namespace }}.svc:{{ .Values.service.port }}
{{- end -}}

{{/* The "restricted" level of the pod security standards: the pod's part, called with the user that its image has, ... */}}
{{- define "ii-claw.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* ... and the containers', which have nothing to write to. */}}
{{- define "ii-claw.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* The beginning of every pod's spec that runs our image. */}}
{{- define "ii-claw.podBasics" -}}
automountServiceAccountToken: false
# A Service called ii-claw would set variables that begin like our settings.
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- include "ii-claw.podSecurityContext" 10001 | nindent 2 }}
{{- end -}}

{{/* How autoscalers take pods away. A worker that leaves hands its shards over, a gateway closes its sockets: one at a time, and
not at every breath. */}}
{{- define "ii-claw.scaleDown" -}}
scaleDown:
  stabilizationWindowSeconds: {{ .scaleDownSeconds }}
  policies:
    - {type: Pods, value: 1, periodSeconds: 60}
{{- end -}}

{{/* "2 gateways" or "2 to 9 gateways"; called with the role and its values. */}}
{{- define "ii-claw.howMany" -}}
{{- $autoscaling := (last .).autoscaling -}}
{{- if eq $autoscaling.kind "none" }}{{ (last .).replicas }}{{ else }}{{ $autoscaling.minReplicas }} to {{ $autoscaling.maxReplicas }}{{ end }} {{ first . }}s
{{- end -}}
