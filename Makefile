# The commands of this repository. `make` alone lists them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# The targets share one target directory and one machine.
.NOTPARALLEL:

CARGO ?= cargo
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
# Arguments for the load generator, as in `make bench BENCH_ARGS="--help"`.
BENCH_ARGS ?=
# Arguments for the measurements of scheduled jobs, as in `make cron CRON_ARGS="--due 10000"`.
CRON_ARGS ?=
# Arguments for the measurements of hand-overs, as in `make failover FAILOVER_ARGS="--rounds 20"`.
FAILOVER_ARGS ?=
# Arguments for the measurement of idle channels, as in `make idle IDLE_ARGS="--type discord --channels 1000"`.
IDLE_ARGS ?=
# Arguments for the simulation.
SIM_ARGS ?= --seeds 10000
# What fails and how often, as in `make chaos CHAOS_ARGS="kill --rounds 20 --seed 7"`; everything at length when empty.
CHAOS_ARGS ?=
# Which PostgreSQL `make test-postgres` takes, and what of the system tests it runs there: accepting, crashes, jobs, erasing.
PG ?= 18
PG_SYSTEM ?= contract:: crash:: dead_letters:: erased:: job_webhooks:: keys:: pairing:: pooler:: up::
# Arguments of node's test runner for visitors of the web chat, as in `make peer-webchat WEBCHAT_ARGS="--test-name-pattern tabs"`.
WEBCHAT_ARGS ?=
# Arguments for the fuzzer, as in `make fuzz-api FUZZ_ARGS="--seed 7"`.
FUZZ_ARGS ?=

# A database and a broker for as long as a command runs.
WITH_SERVICES := II_CLAW_BIN=$(TARGET)/debug/ii-claw $(TARGET)/debug/with-services

# The modules that a macro declares (adapters/mod.rs), which cargo fmt does not find.
ADAPTERS := $(wildcard crates/channels/src/adapters/*.rs crates/channels/src/adapters/*/mod.rs)
RUSTFMT := rustfmt --edition 2024

BINARIES := -p ii-claw -p claw-gateway -p claw-shard-worker -p claw-scheduler-leader

.PHONY: help
help: ## List these commands
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r name text; do \
		printf '  make %-11s %s\n' "$$name" "$$text"; done

.PHONY: setup
setup: ## Install what is missing to run: PostgreSQL and nats-server
	@scripts/setup.sh run

.PHONY: setup-test
setup-test: ## Install what is missing to test, too: nginx, PgBouncer, Prometheus, Python, Node and their packages
	@scripts/setup.sh test

.PHONY: run
run: setup ## Build, then run everything on this machine: database, broker and all roles
	$(CARGO) build --locked -p ii-claw
	@exec $(TARGET)/debug/ii-claw up

# The system tests come last and see real processes; nothing may follow them.
.PHONY: test
test: setup-test fmt-check lint doc deploy-check upgrade-test ## Check all that continuous integration checks
	$(CARGO) build --locked -p ii-claw -p claw-testkit
	$(WITH_SERVICES) $(CARGO) test --workspace --exclude claw-system-tests --locked --lib --bins --tests
	$(WITH_SERVICES) $(CARGO) test -p claw-system-tests --locked --tests

.PHONY: peer-slack
peer-slack: ## Have a conversation with an emulator of Slack
	$(CARGO) test -p claw-channels --lib --locked --no-run
	@tests/peers/emulate/run.sh slack $(CARGO) test -p claw-channels --lib --locked -- slack::tests::peer --nocapture || { status=$$?; [ $$status -eq 3 ] && exit 0; exit $$status; }
# Needs root, for the servers drop to users of their own; where they can't be had it says so.
.PHONY: peer-mail
peer-mail: ## Have a conversation by mail with real servers: Dovecot and Postfix
	$(CARGO) test -p claw-channels --lib --locked --no-run
	@tests/peers/mail/run.sh $(CARGO) test -p claw-channels --lib --locked -- email::tests::peer --nocapture || { status=$$?; [ $$status -eq 3 ] && exit 0; exit $$status; }

.PHONY: peer-twilio
peer-twilio: ## Have a conversation by text message with an emulator of Twilio
	$(CARGO) test -p claw-channels --lib --locked --no-run
	@tests/peers/emulate/run.sh twilio $(CARGO) test -p claw-channels --lib --locked -- sms::tests::peer --nocapture || { status=$$?; [ $$status -eq 3 ] && exit 0; exit $$status; }

# Builds another version, which takes a minute more; without that one in the history it says so and ends well.
.PHONY: upgrade-test
upgrade-test: setup-test ## Check that the version before this one and this one work as one cluster
	$(CARGO) build --locked -p ii-claw -p claw-testkit
	@CARGO=$(CARGO) tests/upgrade/build.sh || { status=$$?; [ $$status -eq 3 ] && exit 0; exit $$status; }; \
	II_CLAW_PREVIOUS_BIN=$(TARGET)/previous/ii-claw $(WITH_SERVICES) \
		$(CARGO) test -p claw-system-tests --locked --test system -- --ignored --nocapture upgrade::

# Its PgBouncer is the system's, as is all but the database.
.PHONY: test-postgres
test-postgres: setup-test ## Test the store, and the system in short, on another PostgreSQL: make test-postgres PG=17
	$(CARGO) build --locked -p ii-claw -p claw-testkit
	bin=$$(tests/postgres/binaries.sh $(PG)); export II_CLAW_POSTGRES_BIN=$$bin; \
	$(WITH_SERVICES) $(CARGO) test -p claw-store --locked --lib --tests; \
	$(WITH_SERVICES) $(CARGO) test -p claw-system-tests --locked --test system -- $(PG_SYSTEM)

.PHONY: with-services
with-services: ## Run one command with a test database and broker: make with-services CMD="cargo test -p claw-store"
	$(CARGO) build --locked -p ii-claw -p claw-testkit
	$(WITH_SERVICES) $(CMD)

.PHONY: fmt
fmt: ## Format the code
	$(CARGO) fmt --all
	$(RUSTFMT) $(ADAPTERS)

.PHONY: fmt-check
fmt-check: ## Check the formatting
	$(CARGO) fmt --all --check
	$(RUSTFMT) --check $(ADAPTERS)

.PHONY: lint
lint: ## Run the linter; a warning is an error
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

.PHONY: doc
doc: ## Build the documentation of the code
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked

.PHONY: release
release: ## Build the optimised programs
	$(CARGO) build --release --locked $(BINARIES)

.PHONY: bench
bench: setup release ## Measure under load, e.g. make bench BENCH_ARGS="--help"
	II_CLAW_BIN=$(TARGET)/release/ii-claw $(CARGO) run --release --locked -p claw-bench -- $(BENCH_ARGS)

.PHONY: cron
cron: setup release ## Measure scheduled jobs and kill and freeze their leader at the tick, each a hundred times: an hour and a half
	status=0; export II_CLAW_BIN=$(TARGET)/release/ii-claw; \
	$(CARGO) run --release --locked -p claw-bench -- --jobs burst,sustained,stored $(CRON_ARGS) || status=$$?; \
	$(CARGO) run --release --locked -p claw-chaos -- jobs-kill jobs-freeze --rate 20 || status=$$?; \
	exit $$status

.PHONY: failover
failover: setup release ## Measure how long channels are without service when workers die, leave and join
	II_CLAW_BIN=$(TARGET)/release/ii-claw $(CARGO) run --release --locked -p claw-failover -- all $(FAILOVER_ARGS)

.PHONY: idle
idle: setup release ## Measure what 5,000 idle Telegram channels cost one worker
	II_CLAW_BIN=$(TARGET)/release/ii-claw $(CARGO) run --release --locked -p claw-failover -- idle $(IDLE_ARGS)

.PHONY: sim
sim: ## Simulate placement and pipeline from many seeds, e.g. make sim SIM_ARGS="--seed 7 --trace"
	$(CARGO) run --release --locked -p claw-sim -- $(SIM_ARGS)

.PHONY: chaos
chaos: setup release ## Break processes and networks under load for hours, e.g. make chaos CHAOS_ARGS="--help"
	II_CLAW_BIN=$(TARGET)/release/ii-claw $(CARGO) run --release --locked -p claw-chaos -- $(CHAOS_ARGS)

.PHONY: monitoring
monitoring: ## Write the dashboards, rules and their tests anew from the metrics' names
	II_CLAW_MONITORING_UPDATE=1 $(CARGO) test -p claw-monitoring --locked --test committed the_committed_files
	deploy/sync-chart.sh
	deploy/prometheus/check.sh

.PHONY: cost
cost: setup-test ## Measure what messages and membership cost the database, by themselves
	$(CARGO) build --locked -p ii-claw -p claw-testkit
	$(WITH_SERVICES) $(CARGO) test -p claw-store --locked --test store -- --ignored --nocapture cost

.PHONY: model
model: ## Look at every state of the model of leases and epochs, and print the figures
	$(CARGO) run --release --locked -p claw-model

.PHONY: simulate
simulate: ## Place 1,000,000 adapters on 100 workers and take workers away: balance, movement, times, load
	$(CARGO) run --release --locked -p claw-simulate

# A venv of its own, because the release of the zones is pinned to the one of chrono-tz.
.PHONY: schedule-oracle
schedule-oracle: ## Compute by Python when schedules run: the tables that claw-schedule is tested with
	@python3 -m venv target/schedule-oracle
	@target/schedule-oracle/bin/pip install --quiet --disable-pip-version-check \
		--requirement crates/schedule/tests/oracle/requirements.txt
	target/schedule-oracle/bin/python crates/schedule/tests/oracle/generate.py

# Servers that others wrote, each installed below target/ by its own rule.
.PHONY: peers
peers: peer-matrix peer-mail peer-slack peer-twilio peer-webchat ## Talk over servers, emulators and a browser that others wrote: all of the peers

.PHONY: peer-matrix
peer-matrix: setup ## Have people and an agent talk over a real homeserver, Synapse
	$(CARGO) build --locked -p ii-claw
	@if [[ " $${PEERS_SKIP:-} " == *" matrix "* ]]; then \
		printf '\n*** SKIPPED: nobody talked over Matrix (PEERS_SKIP) ***\n\n' >&2; exit 0; \
	fi; \
	python3 -m venv target/matrix-peer; \
	target/matrix-peer/bin/pip install --quiet --disable-pip-version-check --requirement tests/peers/matrix/requirements.txt; \
	for peer in conversation encrypted; do \
		II_CLAW_BIN=$(TARGET)/debug/ii-claw target/matrix-peer/bin/python tests/peers/matrix/$$peer.py || exit 1; \
	done

# Wants Chromium, which it installs as root; where it can't be had it says so.
.PHONY: peer-webchat
peer-webchat: setup ## Have visitors with a real browser, Chromium, talk over the web chat
	$(CARGO) build --locked -p ii-claw
	@II_CLAW_BIN=$(TARGET)/debug/ii-claw tests/peers/webchat/run.sh $(WEBCHAT_ARGS) || { status=$$?; [ $$status -eq 3 ] && exit 0; exit $$status; }

.PHONY: guide
guide: ## Examine the example of the guide to adapters, and show what of the project knows it
	$(CARGO) test -p claw-channels --lib --locked -- adapters::acme exam::tests::guide
	@git grep --count acme -- ':!docs' ':!crates/channels/src/exam/tests/guide.rs' ':!Makefile'

.PHONY: fuzz-api
fuzz-api: setup-test ## Fuzz the API by its own document: at least 5,000 requests
	$(CARGO) build --locked -p ii-claw
	II_CLAW_BIN=$(TARGET)/debug/ii-claw target/venv/bin/python tests/fuzz/run.py $(FUZZ_ARGS)

.PHONY: fuzz-parsers
fuzz-parsers: ## Fuzz every parser of what strangers send, ten minutes each, e.g. FUZZ_ARGS="--seconds 60 schedule"
	@command -v c++ >/dev/null || { echo 'a C++ compiler is missing: apt-get install g++' >&2; exit 1; }
	CARGO=$(CARGO) tests/fuzz-parsers/run.sh $(FUZZ_ARGS)

# The list of known vulnerabilities is a git repository of its own, which is not
# reachable from everywhere. All the rest is checked anywhere.
.PHONY: deny
deny: ## Check licences, sources, bans and known vulnerabilities of dependencies
	@command -v cargo-deny >/dev/null || $(CARGO) install --locked cargo-deny
	$(CARGO) deny --locked check bans licenses sources
	@if timeout 120 $(CARGO) deny fetch db; then \
		$(CARGO) deny --locked check --disable-fetch advisories; \
	else \
		printf '\n*** SKIPPED: known vulnerabilities were NOT checked ***\n' >&2; \
		printf '*** the advisory database could not be fetched; repeat where it can ***\n\n' >&2; \
	fi

.PHONY: deploy-check
deploy-check: ## Check the Helm chart, the Dockerfile and the compose file
	deploy/check.sh

# What the Dockerfile's first stage compiles, without an engine. The copy keeps the files' times, so a second run has little to do.
.PHONY: context-test
context-test: ## Check that the program compiles out of what the image's build gets to see
	rm -rf $(TARGET)/context
	python3 deploy/check_context.py $(TARGET)/context
	cd $(TARGET)/context && CARGO_TARGET_DIR=$(TARGET) $(CARGO) check --locked -p ii-claw

# An engine, and a base that is made of Debian's packages when none can be pulled. As root.
.PHONY: image-test
image-test: ## Build the image around target/release/ii-claw, and start it as its README says
	python3 deploy/image_test.py $(TARGET)/release/ii-claw

# An engine of its own where none runs, and Debian's packages in the place of images that can't be pulled. As root.
.PHONY: compose-test
compose-test: ## Bring deploy/compose.yaml up around target/release/ii-claw, kill containers of it, and see that nothing is lost
	python3 deploy/compose_test.py $(TARGET)/release/ii-claw

# It brings its own database, which it destroys.
.PHONY: restore-drill
restore-drill: setup release ## Destroy a cluster's database under load and restore it, from base backup and log, and from a dump
	python3 deploy/drill/run.py $(TARGET)/release/ii-claw

.PHONY: clean
clean: ## Remove what was built; the data in .ii-claw stays
	$(CARGO) clean
