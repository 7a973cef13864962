#!/usr/bin/env bash
# Installs what is missing on this machine, and nothing else.
#
#   scripts/setup.sh run    what `make run` needs: PostgreSQL, nats-server
#   scripts/setup.sh test   and what `make test` needs: nginx, PgBouncer, Prometheus, Python, Node and their packages
#
# It is quick when everything is there. Packages come from apt; elsewhere it says
# what to install. No system-wide server is left running that was not there before.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly OLDEST_POSTGRES=15
readonly OLDEST_NODE=18

say() { printf '%s\n' "$*" >&2; }
die() {
    say "setup: $*"
    exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# --- what is there ---------------------------------------------------------------------

# The directories the programs are looked for in, as crates/devstack does.
postgres_dirs() {
    if [ -n "${II_CLAW_POSTGRES_BIN:-}" ]; then
        printf '%s\n' "$II_CLAW_POSTGRES_BIN"
        return
    fi
    pg_config --bindir 2>/dev/null || true
    printf '%s\n' /usr/lib/postgresql/*/bin
    if have postgres; then dirname "$(readlink -f "$(command -v postgres)")"; fi
}

have_postgres() {
    local dir version
    while read -r dir; do
        [ -x "$dir/postgres" ] && [ -x "$dir/initdb" ] && [ -x "$dir/psql" ] || continue
        version=$("$dir/postgres" --version 2>/dev/null | sed -n 's/.*(PostgreSQL) \([0-9]*\).*/\1/p')
        [ "${version:-0}" -ge "$OLDEST_POSTGRES" ] && return 0
    done < <(postgres_dirs)
    return 1
}

# Any version, even one that is too old: the machine's owner knows PostgreSQL.
have_any_postgres() { compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null; }

have_nats() {
    if [ -n "${II_CLAW_NATS_BIN:-}" ]; then return 0; fi
    have nats-server || [ -x /usr/sbin/nats-server ]
}

have_nginx() { have nginx || [ -x /usr/sbin/nginx ]; }

have_pgbouncer() { [ -x /usr/sbin/pgbouncer ]; }

# The server, and the programs that check rules and the alertmanager's configuration.
have_prometheus() { have prometheus && have promtool; }
have_alertmanager() { have amtool; }

have_python() { have python3 && python3 -c 'import venv, ensurepip' 2>/dev/null; }

# --- apt -------------------------------------------------------------------------------

as_root=()
updated=no

# Explains and gives up unless packages can be installed.
need_apt() {
    local command="apt-get update && apt-get install -y --no-install-recommends $*"
    have apt-get || die "this machine has no apt-get; install what corresponds to: $*"
    [ "$(id -u)" -eq 0 ] && return
    # Without a terminal there is nobody to ask for a password.
    if have sudo && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
        as_root=(sudo)
        return
    fi
    die "missing: $*. Run this as root, then try again:
    $command"
}

apt_get() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -q "$@"; }

apt_install() {
    say "setup: installing $*"
    if [ "$updated" = no ]; then
        apt_get update
        updated=yes
    fi
    apt_get install -y --no-install-recommends "$@"
}

# Debian's package makes a cluster and starts it; ours are private to their directory.
install_postgres() {
    if have_any_postgres; then
        apt_install postgresql
        return
    fi
    local conf=/etc/postgresql-common/createcluster.conf status=0
    apt_install postgresql-common
    "${as_root[@]}" cp -p "$conf" "$conf.before-ii-claw"
    "${as_root[@]}" sed -i 's/^#\{0,1\} *create_main_cluster *=.*/create_main_cluster = false/' "$conf"
    apt_install postgresql || status=$?
    "${as_root[@]}" mv "$conf.before-ii-claw" "$conf"
    return "$status"
}

# Debian's package starts a server on the public port; `ii-claw` runs its own.
install_nats() {
    apt_install nats-server
    if [ -d /run/systemd/system ]; then
        "${as_root[@]}" systemctl disable --now nats-server || say "setup: could not stop the nats-server service"
    fi
}

# Debian's packages of servers start them on public ports; the tests run their own: a package and its service.
without_starting() {
    local policy=/usr/sbin/policy-rc.d ours=no status=0
    if [ ! -e "$policy" ]; then
        ours=yes
        printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
        "${as_root[@]}" chmod 755 "$policy"
    fi
    apt_install "$1" || status=$?
    [ "$ours" = no ] || "${as_root[@]}" rm -f "$policy"
    if [ "$status" -eq 0 ] && [ -d /run/systemd/system ]; then
        "${as_root[@]}" systemctl disable --now "$2" || say "setup: could not stop the $2 service"
    fi
    return "$status"
}

install_missing() {
    local missing=()
    have_postgres || missing+=(postgresql)
    have_nats || missing+=(nats-server)
    [ -z "${II_CLAW_POSTGRES_BIN:-}" ] || have_postgres ||
        die "II_CLAW_POSTGRES_BIN does not hold the programs of PostgreSQL $OLDEST_POSTGRES or newer"
    if [ "$1" = test ]; then
        have_nginx || missing+=(nginx-light)
        have_pgbouncer || missing+=(pgbouncer)
        have_prometheus || missing+=(prometheus)
        have_alertmanager || missing+=(prometheus-alertmanager)
        have_python || missing+=(python3 python3-venv)
        have node || missing+=(nodejs npm)
        have curl || missing+=(curl)
        have faketime || missing+=(faketime)
        [ -e /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)
    fi
    [ "${#missing[@]}" -gt 0 ] || return 0
    need_apt "${missing[@]}"
    local package others=()
    for package in "${missing[@]}"; do
        case $package in
        postgresql) install_postgres ;;
        nats-server) install_nats ;;
        nginx-light) without_starting nginx-light nginx ;;
        pgbouncer) without_starting pgbouncer pgbouncer ;;
        prometheus) without_starting prometheus prometheus ;;
        prometheus-alertmanager) without_starting prometheus-alertmanager prometheus-alertmanager ;;
        *) others+=("$package") ;;
        esac
    done
    [ "${#others[@]}" -eq 0 ] || apt_install "${others[@]}"
}

# A package of the right name can still be too old.
check() {
    have_postgres || die "PostgreSQL $OLDEST_POSTGRES or newer is needed and this system's package is older: \
install it from PostgreSQL's own packages, or set II_CLAW_POSTGRES_BIN to the directory of its programs"
    have_nats || die "nats-server could not be installed: set II_CLAW_NATS_BIN to the program"
    [ "$1" = test ] || return 0
    have_pgbouncer || die "pgbouncer is needed at /usr/sbin/pgbouncer: install it, any version since 1.18"
    have_nginx || die "nginx is needed: install it, any version since 1.19.5"
    have_prometheus || die "prometheus and promtool are needed: install Prometheus, any version since 2.42"
    have_alertmanager || die "amtool is needed: install Prometheus' alertmanager, any version since 0.25"
    have_python || die "python3 with its venv module is needed"
    have npm || die "npm is needed beside node"
    local node
    node=$(node --version)
    node=${node#v}
    [ "${node%%.*}" -ge "$OLDEST_NODE" ] || die "Node $OLDEST_NODE or newer is needed; this is $node"
}

# --- packages for the tests ------------------------------------------------------------

# A copy of the lists that were installed tells whether there is anything to do.
python_packages() {
    local venv=target/venv wanted=({tests/contract,tests/fuzz,tests/peers/{rotel,s3},clients/python/tests}/requirements.txt)
    if "$venv/bin/python" -c '' 2>/dev/null && cat "${wanted[@]}" | cmp -s - "$venv/installed.txt"; then return; fi
    say "setup: installing ${wanted[*]} in $venv"
    mkdir -p target
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "${wanted[@]/#/--requirement=}"
    cat "${wanted[@]}" >"$venv/installed.txt"
}

node_packages() {
    local dir=tests/peers/telegram
    if cmp -s "$dir/package-lock.json" "$dir/node_modules/.installed.json"; then return; fi
    say "setup: installing the packages of $dir"
    (cd "$dir" && npm ci --no-audit --no-fund --loglevel=error)
    cp "$dir/package-lock.json" "$dir/node_modules/.installed.json"
}

# ---------------------------------------------------------------------------------------

level=${1:-run}
case $level in
run | test) ;;
*) die "usage: $0 [run|test]" ;;
esac
install_missing "$level"
check "$level"
if [ "$level" = test ]; then
    python_packages
    node_packages
fi
