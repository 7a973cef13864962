#!/usr/bin/env bash
# A conversation by mail with real servers: Dovecot for IMAP, Postfix for SMTP, both with TLS, on 127.0.0.1 only.
#
#   tests/peers/mail/run.sh COMMAND...    runs COMMAND with both up, and tells it where they are (II_CLAW_MAIL_PEER)
#
# Needs root: both drop to users of their own. What can't be had ends with 3, and says so.
set -euo pipefail

skip() {
    printf 'SKIPPED: the conversation by mail was not had: %s\n' "$*" >&2
    exit 3
}
have() { [ -x "$1" ] || command -v "$1" >/dev/null 2>&1; }

[ $# -gt 0 ] || skip "no command was given"
[ "$(id -u)" = 0 ] || skip "it needs root"
if ! have /usr/sbin/dovecot || ! have /usr/sbin/postfix || [ ! -e /usr/lib/dovecot/lmtp ]; then
    command -v apt-get >/dev/null || skip "Dovecot and Postfix are not installed, and there is no apt-get"
    echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends dovecot-imapd dovecot-lmtpd postfix >&2 ||
        skip "Dovecot and Postfix can't be installed"
fi
have openssl || skip "there is no openssl to make a certificate with"

room=$(mktemp -d)
chmod 755 "$room"
dovecot() { /usr/sbin/dovecot -c "$room/dovecot.conf" "$@"; }
leave() {
    postfix -c "$room/postfix" stop 2>/dev/null || true
    dovecot stop 2>/dev/null || true
    rm -rf "$room"
}
trap leave EXIT

# --- who vouches for them, and a password ----------------------------------------------

openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj '/CN=mail test' -keyout "$room/ca.key" -out "$room/ca.pem" 2>/dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=localhost' -keyout "$room/key.pem" -out "$room/request.pem" 2>/dev/null
openssl x509 -req -in "$room/request.pem" -CA "$room/ca.pem" -CAkey "$room/ca.key" -CAcreateserial -days 2 \
    -extfile <(printf 'subjectAltName=DNS:localhost\n') -out "$room/cert.pem" 2>/dev/null
password=$(openssl rand -hex 16)
chmod 600 "$room"/*.key "$room/key.pem"

# --- Dovecot ---------------------------------------------------------------------------

id vmail >/dev/null 2>&1 || useradd --system --no-create-home --shell /usr/sbin/nologin vmail
mkdir -p "$room/mail" "$room/run"
chown vmail "$room/mail"
printf '%s:{PLAIN}%s::::::\n' claw@example.org "$password" ada@example.org "$password" > "$room/users"
chmod 644 "$room/users"
cat > "$room/dovecot.conf" <<EOF
base_dir = $room/run
log_path = $room/dovecot.log
protocols = imap lmtp
listen = 127.0.0.1
ssl = required
ssl_cert = <$room/cert.pem
ssl_key = <$room/key.pem
mail_location = maildir:$room/mail/%u
mail_uid = vmail
mail_gid = vmail
first_valid_uid = 1
first_valid_gid = 1
passdb {
  driver = passwd-file
  args = $room/users
  mechanisms = plain login none
}
passdb {
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = $room/oauth2.conf
}
namespace inbox {
  inbox = yes
  mailbox Sent {
    auto = create
    special_use = \\Sent
  }
}
userdb {
  driver = static
  args = uid=vmail gid=vmail home=$room/mail/%u
}
service imap-login {
  inet_listener imap {
    port = 21143
  }
  inet_listener imaps {
    port = 21993
    ssl = yes
  }
}
service lmtp {
  unix_listener lmtp {
    mode = 0666
  }
}
service auth {
  inet_listener {
    port = 21100
  }
}
auth_mechanisms = plain login xoauth2 oauthbearer
EOF
# Access tokens are judged by their signature (JSON Web Tokens, HS256), with the password as the key.
mkdir -p "$room/keys/default/HS256"
printf '%s' "$password" | base64 -w0 > "$room/keys/default/HS256/default"
cat > "$room/oauth2.conf" <<EOF
introspection_mode = local
local_validation_key_dict = fs:posix:prefix=$room/keys/
username_attribute = email
EOF
chmod -R a+rX "$room/keys" "$room/oauth2.conf"
dovecot

# --- Postfix ---------------------------------------------------------------------------

mkdir -p "$room/postfix" "$room/spool" "$room/data"
chown postfix "$room/data"
# Whom Postfix takes mail for: one of them is not in Dovecot, so what is sent to them comes back.
printf '%s x\n' claw@example.org ada@example.org gone@example.org > "$room/postfix/people"
cat > "$room/postfix/main.cf" <<EOF
compatibility_level = 3.6
queue_directory = $room/spool
data_directory = $room/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
maillog_file = $room/postfix.log
maillog_file_prefixes = $room
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = localhost.example.org
mydestination =
mynetworks =
alias_maps =
alias_database =
virtual_mailbox_domains = example.org
virtual_mailbox_maps = texthash:$room/postfix/people
virtual_transport = lmtp:unix:$room/run/lmtp
smtpd_tls_cert_file = $room/cert.pem
smtpd_tls_key_file = $room/key.pem
smtpd_tls_security_level = encrypt
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:127.0.0.1:21100
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = reject_unlisted_recipient, permit_sasl_authenticated, reject
EOF
{
    printf '127.0.0.1:21587 inet n - n - - smtpd\n'
    printf '127.0.0.1:21465 inet n - n - - smtpd -o smtpd_tls_wrappermode=yes\n'
    printf 'pickup unix n - n 60 1 pickup\ncleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\n'
    printf 'tlsmgr unix - - n 1000? 1 tlsmgr\nanvil unix - - n - 1 anvil\npostlog unix-dgram n - n - 1 postlogd\n'
    printf 'rewrite unix - - n - - trivial-rewrite\n'
    for service in bounce defer trace; do printf '%s unix - - n - 0 bounce\n' "$service"; done
    for service in lmtp error proxymap verify; do printf '%s unix - - n - - %s\n' "$service" "$service"; done
    printf 'retry unix - - n - - error\n'
} > "$room/postfix/master.cf"
postfix -c "$room/postfix" start 2>>"$room/postfix.start.log"

for port in 21143 21993 21587 21465; do
    for _ in $(seq 100); do
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && continue 2
        sleep 0.1
    done
    cat "$room"/*.log >&2
    skip "nothing listens at port $port"
done

status=0
II_CLAW_MAIL_PEER="$password" SSL_CERT_FILE="$room/ca.pem" "$@" || status=$?
[ "$status" = 0 ] || tail -n 40 "$room"/*.log >&2
exit "$status"
