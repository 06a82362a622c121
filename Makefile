# The front door. Each target installs what it needs (scripts/install.sh) and then works.
SHELL := /bin/bash
CARGO ?= cargo
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
export PATH := $(HOME)/.cargo/bin:$(abspath $(TARGET_DIR))/tools/bin:$(PATH)

# Handed on to the program:  make run ARGS='--data /some/where'
ARGS ?=
# Tests of interop to run, a part of a name:  make interop ONLY=baresip
ONLY ?=
# How long each fuzz target runs, in seconds.
SECONDS_EACH ?= 60

.PHONY: help run test check bench bench-parse fuzz interop

help:
	@echo 'make run      build and start the demo exchange with two accounts'
	@echo 'make test     unit tests, 256 simulated seeds, limits of the hot paths, real phones'
	@echo 'make interop  real phones only  (ONLY=part-of-a-name)'
	@echo 'make check    what has to pass before a commit'
	@echo 'make bench    cost beside Kamailio and rtpengine  (ONLY=reg,call), voice quality beside other phones'
	@echo '              (ONLY=quality for all of it), and parsing beside other SIP crates'
	@echo 'make fuzz     every fuzz target for SECONDS_EACH=60 seconds'

run:
	@scripts/install.sh build
	$(CARGO) run --package offhook -- demo $(ARGS)

test:
	@scripts/install.sh test
	$(CARGO) test --workspace
	@python3 guards/run.py
	$(CARGO) build --package offhook
	@python3 interop/run.py -k '$(ONLY)'

interop:
	@scripts/install.sh interop
	$(CARGO) build --package offhook
	@python3 interop/run.py -k '$(ONLY)'

check:
	@scripts/install.sh build deny
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) xtask layers
	$(CARGO) xtask sizes
	$(CARGO) test --workspace
	$(CARGO) deny --all-features check bans licenses sources
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --no-deps

bench:
	@scripts/install.sh bench
	$(CARGO) build --release --package offhook --package offhook-udp-batch --package offhook-media \
	  --bin offhook --example relay_floor --example codecs
	@[ -n '$(ONLY)' ] || $(MAKE) --no-print-directory bench-parse
	@python3 bench/run.py --offhook '$(TARGET_DIR)/release/offhook' --only '$(ONLY)' $(ARGS)

bench-parse:
	@scripts/install.sh bench
	$(CARGO) run --release --manifest-path bench/Cargo.toml --target-dir '$(TARGET_DIR)/bench' -- \
	  --results bench/results

fuzz:
	@scripts/install.sh fuzz
	scripts/fuzz.sh $(SECONDS_EACH)
