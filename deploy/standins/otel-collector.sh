#!/bin/sh
# Another collector in the place of OpenTelemetry's: it listens where that would, prints as that would that traces came, and
# does not read its configuration.
exec rotel-agent start --exporter=blackhole --debug-log=traces --pid-file=/dev/null \
    --otlp-grpc-endpoint=0.0.0.0:4317 --otlp-http-endpoint=0.0.0.0:4318
