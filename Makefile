# semper: build, run, prove. Everything here works from a clean checkout with Go alone;
# the examples and some tests want python3 and node, the race detector wants a C compiler.

GO        ?= go
VERSION   ?= $(shell git describe --tags --dirty 2>/dev/null)
LDFLAGS    = -s -w $(if $(VERSION),-X semper.Version=$(VERSION))
BUILD      = CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)'
LINT       = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
SOAK       = 30m
SCHEDULES  = 20000
CASES      = 2500
FUZZ       = 10m
KILLS      = 500

.PHONY: build run test migrations faults oracle fuzz bench bench-proxy bench-gate bench-hold kills lint fmt simulate soak clean

## build: one static binary, bin/semper
build:
	$(BUILD) -o bin/semper ./cmd/semper

## run: a server, an app under load, a second release under that load, and the ledger that shows nothing lost
run: build
	$(GO) run ./bench/cmd/demo -semper bin/semper $(ARGS)

## test: all tests with the race detector
test:
	$(GO) test -race -p 2 -timeout 14m ./...

## migrations: a column renamed under load, failing, hanging and well, on SQLite and on a PostgreSQL of its own; wants postgresql and python3-psycopg2
migrations:
	SEMPER_POSTGRES=1 $(GO) test -count=1 -v -timeout 10m -run '^TestMigrations' ./e2e

## faults: an edge with as many connections as the limit of descriptors lets, and aborts at every byte
faults:
	$(GO) test -count=1 -v -timeout 30m ./edge/faults -args -long

## oracle: supervise against Erlang/OTP itself, in CASES generated cases; wants erlang-base
oracle:
	@command -v escript >/dev/null || { echo "make oracle wants Erlang/OTP: apt-get install erlang-base" >&2; exit 1; }
	SEMPER_OTP_CASES=$(CASES) $(GO) test -count=1 -v -timeout 10m -run 'TestLive$$' ./supervise

## fuzz: what the edge reads from strangers, each way of looking for FUZZ; stops at the first finding and keeps it in testdata
fuzz:
	for t in FuzzRequest FuzzResponse FuzzPieces; do $(GO) test ./edge/http1 -run '^$$' -fuzz "^$$t\$$" -fuzztime $(FUZZ) || exit 1; done
	$(GO) test ./edge/conformance -run '^$$' -fuzz '^FuzzDrivers$$' -fuzztime $(FUZZ)

## bench: every figure semper claims, measured here; writes bench/RESULTS.md and bench/results.json
bench: build
	$(GO) run ./bench/cmd/bench -semper bin/semper $(ARGS)

## bench-proxy: the edge beside nginx, HAProxy, Caddy and httputil.ReverseProxy, on a machine that does nothing else; writes bench/proxy/RESULTS.md
bench-proxy: build
	$(GO) run ./bench/proxy -semper bin/semper $(ARGS)

## bench-gate: fails when an ordinary request costs more of nginx's processor time than agreed, or than GATE says
bench-gate: build
	$(GO) run ./bench/proxy -semper bin/semper -gate $(if $(GATE),-limit $(GATE)) $(ARGS)

## bench-hold: what requests cost that an edge holds, and how they go on; writes bench/hold/RESULTS.md
bench-hold:
	$(GO) run ./bench/hold -write $(ARGS)

## kills: KILLS processes of a semper killed at random moments under load, and the books of its queue after it
kills: build
	$(GO) run ./bench/kills -semper bin/semper -kills $(KILLS) $(ARGS)

## lint: formatting, vet, and the linters of .golangci.yml
lint:
	@unformatted="$$(gofmt -l $$(git ls-files '*.go'))"; test -z "$$unformatted" || { echo "not formatted (make fmt):"; echo "$$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) run $(LINT) run ./...

## fmt: format what git knows
fmt:
	gofmt -w $$(git ls-files '*.go')

## simulate: SCHEDULES random schedules of rollouts with faults between any two steps, the laws checked after each
simulate:
	SEMPER_SIM_SCHEDULES=$(SCHEDULES) $(GO) test -count=1 -v -timeout 30m -run '^TestSimulation$$' ./rollout

## soak: deploys, rollbacks and kills for SOAK under load
soak: build
	$(GO) run ./bench/cmd/bench -semper bin/semper -soak $(SOAK) $(ARGS)

clean:
	rm -rf bin
