# make help lists the targets.

GO      ?= go
BIN     := bin
COMMANDS := moq moq-relay moq-pub moq-sub moq-api moq-dir moq-clock moq-bench moq-interop-client

.PHONY: help build run compose test unit lint web e2e drills interop fuzz bench multipath lab film clean
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## static binaries into bin/
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o $(BIN)/ $(addprefix ./cmd/,$(COMMANDS))

run: build ## a cluster on this machine: api, directory, two relays and a test broadcast
	@$(GO) build -o $(BIN)/.cluster ./dev/cluster
	@exec $(BIN)/.cluster

compose: ## the same in containers, with Redis (needs Docker)
	docker compose up --build

test: ## everything; installs through apt what it lacks when it can
	@dev/test

unit: ## Go tests only
	$(GO) test ./...

lint: ## gofmt and go vet
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo 'run gofmt -w on these files' >&2; exit 1; }
	$(GO) vet ./...

web: ## player: type check and unit tests (needs node and npm)
	cd web && npm install --no-audit --no-fund --silent && npm run --silent check && npm test --silent

e2e: build ## whole cluster in real processes: ffmpeg, Redis and Chromium
	$(GO) test -count=1 -timeout 10m ./e2e/...

drills: build ## what a playing page survives: the publisher and each relay stopped and killed under it
	cd web && npm install --no-audit --no-fund --silent && MOQ_DRILLS=1 node --test e2e/live.e2e.js

interop: build ## other people's software against ours
	$(GO) test -count=1 -timeout 5m ./interop/...

FIGURES := docs/figures
BENCH   ?=
bench: build ## measure all of docs/performance.md: two hours on two quiet cores; BENCH=--quick takes minutes
	$(BIN)/moq-bench session $(if $(BENCH),--runs 3) > $(FIGURES)/session.txt
	$(BIN)/moq-bench urgent --way direct $(if $(BENCH),--runs 1 --duration 20s) > $(FIGURES)/urgent.txt
	$(BIN)/moq-bench bars relay $(BENCH) > $(FIGURES)/relay.txt || true
	$(BIN)/moq-bench plot --out $(FIGURES) --page docs/performance.md $(FIGURES)/session.txt $(FIGURES)/urgent.txt $(FIGURES)/relay.txt

multipath: build ## measure all of docs/multipath.md: as root with real links as well, which takes two hours; BENCH=--quick takes a minute
	$(BIN)/moq-bench bars multipath $(BENCH) > $(FIGURES)/multipath.txt || true
	$(BIN)/moq-bench plot --out $(FIGURES) --page docs/multipath.md $(FIGURES)/multipath.txt

LAB ?= --scenario '[0-9]+[a-z]?' --peer bond,single,mptcp --runs 3
lab: build ## a publisher with several links between network namespaces, beside MPTCP: needs root, and asks sudo for it
	$(if $(filter 0,$(shell id -u)),,sudo) $(BIN)/moq-bench multipath --backend lab $(LAB)

film: build ## what a viewer sees while the publisher's networks come and go, as docs/figures/bond.png: needs root, ffmpeg and Chromium
	cd web && npm install --no-audit --no-fund --silent
	$(GO) run ./dev/film -out $(FIGURES)/bond.png

FUZZTIME ?= 30s
fuzz: ## each fuzz target for FUZZTIME
	@dev/fuzz $(FUZZTIME)

clean: ## remove what make built
	rm -rf $(BIN) web/node_modules interop/node_modules
