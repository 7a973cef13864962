#!/usr/bin/env bash
# Whether the role in this container answers: the image has no HTTP client, and bash speaks enough of it.
#
#   healthcheck [PATH]    /healthz unless given: the process works; /readyz: it can do its work
#
# A gateway and `up` answer at 4200, the other roles at 4201.
set -u

for port in 4200 4201; do
    if exec 3<>"/dev/tcp/127.0.0.1/$port"; then
        printf 'GET %s HTTP/1.0\r\n\r\n' "${1:-/healthz}" >&3
        grep -q '^HTTP/1.. 200' <&3
        exit
    fi 2>/dev/null
done
exit 1
