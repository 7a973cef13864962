{{/* Refuses settings that a role would end at, or an API server would not take: the rules are theirs, as far as a template can tell.
Those of the settings are in crates/config/src/settings.rs, crates/media/src/location.rs and tracing-subscriber's EnvFilter. */}}

{{/* ii-claw's own, of days that are compared with others. */}}
{{- define "ii-claw.defaultDays" -}}
messageDays: 90
mediaDays: 7
{{- end -}}

{{- define "ii-claw.checkSettings" -}}
{{- include "ii-claw.checkDays" . -}}
{{- $settings := .Values.settings -}}
{{- $address := `(((25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\.){3}(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])/(3[0-2]|[12]?[0-9])|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))` -}}
{{- if and $settings.trustedProxies (not (regexMatch (printf "^%s(,%s)*$" $address $address) $settings.trustedProxies)) -}}
  {{- fail (printf "settings.trustedProxies is %q; it must be networks with the length of their prefix, separated by commas without spaces, like 10.0.0.0/8,192.168.1.5/32." $settings.trustedProxies) -}}
{{- end -}}
{{- $prefix := `(/+([A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*/*)?)?` -}}
{{- $option := `(region=[A-Za-z0-9-]+|endpoint=https?(:|%3[Aa])[^&\s]+|path_style=(true|false))` -}}
{{- $bucket := printf `[Ss]3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]%s(\?%s(&%s)*)?` $prefix $option $option -}}
{{- if and $settings.media (not (regexMatch (printf "^(%s|/tmp(/.*)?)$" $bucket) (trim $settings.media))) -}}
  {{- fail "settings.media must be a bucket, like s3://bucket/prefix?region=eu-central-1 (options: region, endpoint, path_style), or empty for a volume of each pod; of folders a pod can write to those in /tmp alone." -}}
{{- end -}}
{{- /* Directives with spans may hold regular expressions: those are for the role to judge. */ -}}
{{- if not (contains "[" $settings.log) -}}
  {{- range splitList "," $settings.log -}}
    {{- if and . (not (regexMatch `^[\pL\pN_:-][^=\s]*(=((?i:off|error|warn|info|debug|trace)|[0-5])?)?$` .)) -}}
      {{- fail (printf "settings.log has %q, which is neither a level (off, error, warn, info, debug, trace) nor a directive like claw_gateway=debug." .) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* What is kept for how long, and that it goes together. */}}
{{- define "ii-claw.checkDays" -}}
{{- $days := dict -}}
{{- $whose := dict -}}
{{- range $value, $default := include "ii-claw.defaultDays" . | fromYaml -}}
  {{- $set := index $.Values.settings $value -}}
  {{- $_ := set $days $value (ternary $default $set (kindIs "invalid" $set) | int64) -}}
  {{- $_ := set $whose $value (ternary ", by default" "" (kindIs "invalid" $set)) -}}
{{- end -}}
{{- $settings := .Values.settings -}}
{{- range $value := list "messageDays" "deadLetterDays" -}}
  {{- $set := index $settings $value -}}
  {{- if and (not (kindIs "invalid" $set)) (gt ($set | int64) 0) (lt ($set | int64) 7) -}}
    {{- fail (printf "settings.%s is %v; it must be 0 (for ever) or a number of days from 7 to 3650." $value $set) -}}
  {{- end -}}
{{- end -}}
{{- $messages := $days.messageDays -}}
{{- if and (gt $messages 0) (gt $days.mediaDays $messages) -}}
  {{- fail (printf "settings.mediaDays is %d%s, more than settings.messageDays (%d%s): attachments whose messages are forgotten could not be erased with their user. Set it to %d or less." $days.mediaDays $whose.mediaDays $messages $whose.messageDays $messages) -}}
{{- end -}}
{{- $failed := $settings.deadLetterDays | int64 -}}
{{- if and (gt $failed 0) (lt $failed $messages) -}}
  {{- fail (printf "settings.deadLetterDays is %d, less than settings.messageDays (%d%s): set it to %d or more, or to 0 for ever." $failed $messages $whose.messageDays $messages) -}}
{{- end -}}
{{- end -}}

{{/* Quantities of what pods ask for (https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/). */}}
{{- define "ii-claw.checkQuantities" -}}
{{- range $part := list "gateway" "worker" "scheduler" "postgres" "nats" -}}
  {{- range $kind, $quantities := (index $.Values $part).resources -}}
    {{- range $resource, $quantity := $quantities -}}
      {{- if not (or (kindIs "invalid" $quantity) (regexMatch `^\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$` (toString $quantity))) -}}
        {{- fail (printf "%s.resources.%s.%s is %q, which is no quantity of Kubernetes: write it like 500m, 64Mi or 2Gi." $part $kind $resource (toString $quantity)) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* What cert-manager would not take (https://cert-manager.io/docs/reference/api-docs/#cert-manager.io/v1.CertificateSpec). */}}
{{- define "ii-claw.checkCertificate" -}}
{{- with .Values.certManager -}}
  {{- if .enabled -}}
    {{- $duration := include "ii-claw.seconds" .duration | int64 -}}
    {{- $before := include "ii-claw.seconds" .renewBefore | int64 -}}
    {{- if lt $duration 3600 -}}
      {{- fail (printf "certManager.duration is %s; cert-manager takes 1h or more." .duration) -}}
    {{- end -}}
    {{- if lt $before 300 -}}
      {{- fail (printf "certManager.renewBefore is %s; cert-manager takes 5m or more." .renewBefore) -}}
    {{- end -}}
    {{- if ge $before $duration -}}
      {{- fail (printf "certManager.renewBefore is %s, which must be less than certManager.duration (%s)." .renewBefore .duration) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* A duration like 1h30m. */}}
{{- define "ii-claw.seconds" -}}
{{- $seconds := 0 -}}
{{- range regexFindAll "[0-9]+[hms]" . -1 -}}
  {{- $unit := . | trimAll "0123456789" -}}
  {{- $seconds = add $seconds (mul (trimSuffix $unit . | int64) (index (dict "h" 3600 "m" 60 "s" 1) $unit)) -}}
{{- end -}}
{{- $seconds -}}
{{- end -}}
