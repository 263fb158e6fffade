# What people do here: make demo, make test. The rest is for those who build it.

GO        ?= go
VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS   := -s -w -X github.com/acequia-tv/acequia/internal/telemetry.version=$(VERSION)
TOOL      := $(GO) tool -modfile=tools/go.mod
FUZZTIME  ?= 20s

.DEFAULT_GOAL := help
.PHONY: help demo build test race browser-test lint vet vuln fuzz bench gen rootfs image image-official clean

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: build ## build, start everything, print an address that plays, keep running
	./bin/acequia demo

build: ## the static binary, bin/acequia
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/acequia ./cmd/acequia

test: ## all tests
	$(GO) test -shuffle=on ./...

race: ## all tests under the race detector
	$(GO) test -race -shuffle=on -count=1 ./...

browser-test: ## HLS in Chromium with hls.js; needs node, npm and chromium, and is skipped without
	@if command -v npm >/dev/null && command -v chromium >/dev/null; then npm --prefix test/browser ci --no-audit --no-fund; \
	else echo "npm or chromium is not installed: nothing to test with"; fi
	$(GO) test -count=1 -v -run Chromium ./internal/app

lint: ## golangci-lint
	$(TOOL) golangci-lint run ./...

vet: ## go vet
	$(GO) vet ./...

vuln: ## known vulnerabilities in what the binary links
	$(TOOL) govulncheck ./...

fuzz: ## every fuzz target for FUZZTIME (20s)
	@set -e; $(GO) list -f '{{.Dir}}' ./... | while read -r dir; do \
		grep -hos '^func Fuzz[A-Za-z0-9_]*' "$$dir"/*_test.go | awk '{print $$2}' | while read -r target; do \
			echo "fuzz $$dir $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$dir"; \
		done; \
	done

bench: build ## benchmarks of the parts, and the relay against a bare copy of bytes
	$(GO) test -run '^$$' -bench . -benchmem ./...
	$(GO) run ./bench/relay

gen: ## everything that is generated: the reference pages
	$(GO) test ./internal/cli -run Reference -update
	$(GO) test ./internal/app -run Reference -update
	$(GO) test ./internal/api -run Reference -update

# The certificates of certificate authorities, for trackers and transport files
# over HTTPS: the first of the usual places that exists.
CA_BUNDLE ?= $(firstword $(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem))

TAG := $(subst +,-,$(VERSION))

rootfs: build
	rm -rf bin/image && mkdir -p bin/image/rootfs/config bin/image/rootfs/etc/ssl/certs
	mkdir -m 1777 bin/image/rootfs/tmp
	cp bin/acequia bin/image/rootfs/
	$(if $(CA_BUNDLE),cp $(CA_BUNDLE) bin/image/rootfs/etc/ssl/certs/ca-certificates.crt,@echo "no CA bundle found: HTTPS trackers will not work in the image")

image: rootfs ## container images acequia and acequia-engine, $(VERSION) and latest
	docker build -t acequia:$(TAG) -t acequia:latest -f deploy/Dockerfile bin/image
	docker build -t acequia-engine:$(TAG) -t acequia-engine:latest -f deploy/engine.Dockerfile bin/image

# What the image of an official engine is made from, where it is not the usual.
official_arguments := $(foreach a,BASE URL,$(if $($(a)),--build-arg $(a)=$($(a))))$(if $(ENGINE), --build-arg VERSION=$(ENGINE))

image-official: rootfs ## container image acequia-engine-official; needs SHA256 of the engine's archive, takes ENGINE, URL and BASE
	docker build -t acequia-engine-official:latest --build-arg SHA256=$(SHA256) $(official_arguments) -f deploy/engine-official.Dockerfile bin/image

clean:
	rm -rf bin
