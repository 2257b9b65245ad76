# `make run` and `make test` work from a bare clone on a machine with Rust, Node 20, gcc, make and python3.

CARGO ?= cargo

.PHONY: run test check bench soak fuzz fmt ui build deps prompts

## Build the desk and the server, start with the demo site
run: build
	./target/release/perezvon serve --demo

build: ui
	REQUIRE_UI=1 $(CARGO) build --release --bin perezvon

ui: ui/dist/index.html

ui/dist/index.html: ui/package-lock.json $(shell find ui/src ui/public ui/index.html ui/vite.config.ts -type f 2>/dev/null)
	cd ui && npm ci --ignore-scripts --no-audit --no-fund && npm run build

## Install what the tests need, run everything
test: deps
	scripts/test

## What CI runs: lint, then the tests
check: deps
	scripts/check
	scripts/test

deps:
	scripts/install-test-tools

bench: deps
	scripts/bench

## An hour of recorded calls that come and go; SECONDS=180 CALLS=20 for a short one
soak: deps
	scripts/soak $(or $(SECONDS),3600) $(or $(CALLS),200)

## A minute for each of the fuzz targets
fuzz:
	scripts/fuzz

prompts:
	scripts/make-prompts

fmt:
	$(CARGO) fmt
	cd ui && npx prettier --write . >/dev/null
