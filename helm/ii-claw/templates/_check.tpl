{{/* Refuses values that no cluster could run on; each refusal is a sentence that says which and what to do. */}}

{{- define "ii-claw.check" -}}
{{- include "ii-claw.checkSecrets" . -}}
{{- include "ii-claw.checkTrial" . -}}
{{- include "ii-claw.checkMigrations" . -}}
{{- include "ii-claw.checkReach" . -}}
{{- include "ii-claw.checkScaling" . -}}
{{- include "ii-claw.checkEnv" . -}}
{{- include "ii-claw.checkSettings" . -}}
{{- include "ii-claw.checkQuantities" . -}}
{{- include "ii-claw.checkCertificate" . -}}
{{- end -}}

{{/* The Secret comes from one place, and is whole. */}}
{{- define "ii-claw.checkSecrets" -}}
{{- $keys := include "ii-claw.secretKeys" . | fromYaml -}}
{{- $missing := list -}}
{{- $given := list -}}
{{- range $value, $key := $keys -}}
  {{- if index $.Values.secrets $value -}}
    {{- $given = append $given (printf "secrets.%s" $value) -}}
  {{- end -}}
  {{- if not (include "ii-claw.secretValue" (dict "root" $ "value" $value)) -}}
    {{- $missing = append $missing (printf "secrets.%s" $value) -}}
  {{- end -}}
{{- end -}}
{{- range $value, $_ := include "ii-claw.optionalSecretKeys" . | fromYaml -}}
  {{- if index $.Values.secrets $value -}}
    {{- $given = append $given (printf "secrets.%s" $value) -}}
  {{- end -}}
{{- end -}}
{{- if and .Values.existingSecret .Values.externalSecret.enabled -}}
  {{- fail (printf "existingSecret is %q and externalSecret.enabled is true: the Secret comes from one or the other." .Values.existingSecret) -}}
{{- end -}}
{{- if and .Values.existingSecret $given -}}
  {{- fail (printf "existingSecret is %q, so %s would not be used: set one or the other." .Values.existingSecret (join ", " $given)) -}}
{{- end -}}
{{- if .Values.externalSecret.enabled -}}
  {{- if $given -}}
    {{- fail (printf "externalSecret.enabled is true, so %s would not be used: set one or the other." (join ", " $given)) -}}
  {{- end -}}
  {{- if not (and .Values.externalSecret.storeRef.name .Values.externalSecret.remoteKey) -}}
    {{- fail "externalSecret.enabled is true, so externalSecret.storeRef.name must name a store and externalSecret.remoteKey the entry in it." -}}
  {{- end -}}
{{- end -}}
{{- if and (include "ii-claw.ownSecret" .) $missing -}}
  {{- fail (printf "%s must be set; or set existingSecret to the name of a Secret with the keys %s. A master key is made with: openssl rand -base64 32" (join ", " $missing) (values $keys | sortAlpha | join ", ")) -}}
{{- end -}}
{{- if and (include "ii-claw.ownSecret" .) (eq .Values.settings.databasePooler "transaction") (not .Values.secrets.leaseDatabaseUrl) -}}
  {{- fail "settings.databasePooler is transaction, so secrets.leaseDatabaseUrl must lead to the same database past the pooler: locks belong to sessions." -}}
{{- end -}}
{{- end -}}

{{/* The servers for a trial have their addresses in the chart's own Secret. */}}
{{- define "ii-claw.checkTrial" -}}
{{- range $server, $parts := dict "postgres" (list "databaseUrl" "password") "nats" (list "natsUrl" "token") -}}
  {{- $values := index $.Values $server -}}
  {{- if $values.enabled -}}
    {{- if not (include "ii-claw.ownSecret" $) -}}
      {{- fail (printf "%s.enabled is true, but existingSecret or externalSecret says which server to use: switch one of them off." $server) -}}
    {{- end -}}
    {{- if index $.Values.secrets (first $parts) -}}
      {{- fail (printf "%s.enabled is true, so secrets.%s would not be used: set one or the other." $server (first $parts)) -}}
    {{- end -}}
    {{- if not (index $values (last $parts)) -}}
      {{- fail (printf "%s.enabled is true, so %s.%s must be set: openssl rand -hex 24" $server $server (last $parts)) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* A hook runs before everything else of the chart is made, so it can't wait for any of that. */}}
{{- define "ii-claw.checkMigrations" -}}
{{- if eq .Values.migrations "hook" -}}
  {{- if .Values.postgres.enabled -}}
    {{- fail "migrations is hook, which runs before the database of postgres.enabled is made and would wait for it for ever: use migrations: initContainer." -}}
  {{- end -}}
  {{- if .Values.externalSecret.enabled -}}
    {{- fail "migrations is hook, which runs before the Secret of externalSecret.enabled is made and would wait for it for ever: use migrations: initContainer, or make the ExternalSecret yourself and set existingSecret." -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Who reaches what. */}}
{{- define "ii-claw.checkReach" -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) -}}
  {{- fail "ingress.enabled is true, so ingress.hosts must name at least one host, like [claw.example.com]." -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) -}}
  {{- fail "httpRoute.enabled is true, so httpRoute.parentRefs must name at least one Gateway, like [{name: public, namespace: gateways}]." -}}
{{- end -}}
{{- if and .Values.rpcCertificate .Values.certManager.enabled -}}
  {{- fail (printf "rpcCertificate is %q and certManager.enabled is true: the certificate comes from one or the other." .Values.rpcCertificate) -}}
{{- end -}}
{{- if and .Values.metrics.podMonitor.enabled .Values.metrics.serviceMonitor.enabled -}}
  {{- fail "metrics.podMonitor.enabled and metrics.serviceMonitor.enabled are both true: every pod would be scraped twice." -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled (or .Values.metrics.podMonitor.enabled .Values.metrics.serviceMonitor.enabled) (not .Values.networkPolicy.scrapers) -}}
  {{- fail "networkPolicy.enabled is true and a monitor is on, so networkPolicy.scrapers must say where Prometheus runs, like [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]." -}}
{{- end -}}
{{- end -}}

{{- define "ii-claw.checkScaling" -}}
{{- range $role := list "gateway" "worker" -}}
  {{- $settings := index $.Values $role -}}
  {{- with $settings.autoscaling -}}
    {{- if ne .kind "none" -}}
      {{- if gt (.minReplicas | int) (.maxReplicas | int) -}}
        {{- fail (printf "%s.autoscaling.minReplicas (%v) is above maxReplicas (%v)." $role .minReplicas .maxReplicas) -}}
      {{- end -}}
      {{- if and .cpuPercent (not (dig "requests" "cpu" "" $settings.resources)) -}}
        {{- fail (printf "%s.autoscaling goes by a part of the requested CPU, so %s.resources.requests.cpu must be set." $role $role) -}}
      {{- end -}}
      {{- if not (or .cpuPercent (ternary .metrics .triggers (eq .kind "hpa"))) -}}
        {{- fail (printf "%s.autoscaling has nothing to go by: set cpuPercent, or %s." $role (ternary "metrics" "triggers" (eq .kind "hpa"))) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{- define "ii-claw.checkEnv" -}}
{{- $ours := include "ii-claw.env" . | fromYamlArray -}}
{{- range .Values.extraEnv -}}
  {{- $name := .name -}}
  {{- range $ours -}}
    {{- if eq .name $name -}}
      {{- fail (printf "extraEnv sets %s, which the chart sets itself: use secrets, existingSecret or settings." $name) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}
