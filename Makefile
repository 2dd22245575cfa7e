# What one needs day to day. Each command installs what it needs first (see
# scripts/setup.sh) and does so only once.

# The pinned Node.js and npm come first; /usr/sbin holds ip and iptables where
# users don't have it on their PATH.
export PATH := $(CURDIR)/toolchain/node_modules/.bin:$(CURDIR)/node_modules/.bin:$(PATH):/usr/sbin:/sbin

# Of the image.
ARCH ?= $(if $(filter aarch64 arm64,$(shell uname -m)),arm64,amd64)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help setup demo test test-faults test-cluster cluster-up cluster-down check bench bench-idle bench-cluster soak fuzz build image packages library krew test-packages gen docs fmt clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

setup: ## install what demo, test and check need: Debian packages (as root), Node.js, npm packages; and build
	@scripts/setup.sh demo test check
	@[ ! -w . ] || $(MAKE) --silent dist/podplug.cjs

demo: ## plug two networks into a namespace that stands for a pod, and unplug them
	@scripts/setup.sh demo
	@[ ! -w . ] || $(MAKE) --silent dist/podplug.cjs
	@test/sandbox.sh demo/demo.sh

# T names files or folders to run, and options: make test T=test/cni
test: ## run the tests (T=test/cni: some of them), in namespaces of their own
	@scripts/setup.sh test
	@test/sandbox.sh vitest run --configLoader native $(T)

test-faults: ## the faults at full length: 1,000 kills at random instants, clock jumps, minutes of outage, a short soak
	@scripts/setup.sh test faults
	@[ ! -w . ] || $(MAKE) --silent dist/podplug.cjs
	@PODPLUG_KILLS=$${PODPLUG_KILLS:-1000} PODPLUG_MODEL_RUNS=$${PODPLUG_MODEL_RUNS:-2000} PODPLUG_OUTAGE_MS=60000 test/sandbox.sh vitest run --config test/faults/vitest.config.ts --configLoader native $(T)
	@[ -n "$(T)" ] || PODPLUG_SOAK_MINUTES=3 $(MAKE) --silent soak

test-cluster: .cache/image/base/$(ARCH).tar ## the tests on a real Kubernetes of one node, as root (T=test/cluster/…: some of them)
	@scripts/setup.sh cluster
	@test/cluster/cluster.sh run vitest run --config test/cluster/vitest.config.ts --configLoader native $(T)

bench-cluster: ## the time from an annotation to link, address and status on a real Kubernetes, as root
	@scripts/setup.sh cluster bench
	@[ ! -w . ] || $(MAKE) --silent dist/podplug.cjs
	@test/cluster/cluster.sh run node test/bench/cluster/bench.ts $(T)

cluster-up: ## bring that Kubernetes up and keep it: tests run in it until cluster-down
	@scripts/setup.sh cluster
	@test/cluster/cluster.sh up

cluster-down: ## end it
	@test/cluster/cluster.sh down

# RUNS inputs for each door in this process, a hundredth of them through the real door;
# T names some of them: make fuzz T='-t journal'
fuzz: ## put a million made-up inputs through every door (RUNS=…: another number), for an hour or so
	@scripts/setup.sh test
	@PODPLUG_FUZZ_RUNS=$(or $(RUNS),1000000) test/sandbox.sh vitest run --configLoader native test/fuzz $(T)

check: ## types, lint, format, generated code, imports, docs, unused code, shell
	@scripts/setup.sh check
	@scripts/check.sh

bench: ## attach and detach against the bare plugins: medians, p99, throughput
	@scripts/setup.sh bench
	@test/sandbox.sh node test/bench/bench.ts

bench-idle: ## what an agent with 110 attachments and nothing to do costs
	@scripts/setup.sh bench
	@[ ! -w . ] || $(MAKE) --silent dist/podplug.cjs
	@test/sandbox.sh node test/bench/idle.ts

soak: ## attach and detach at full rate for 30 minutes (PODPLUG_SOAK_MINUTES): no error, no leak, flat memory
	@scripts/setup.sh test
	@[ ! -w . ] || $(MAKE) --silent dist/podplug.cjs
	@test/sandbox.sh node test/soak/soak.ts --minutes $${PODPLUG_SOAK_MINUTES:-30}

build: ## bundle the program into dist/, for bin/podplug
	@scripts/setup.sh
	@node scripts/build.ts

library: ## the npm package podplug, the client library, as dist/library and dist/podplug-VERSION.tgz
	@scripts/setup.sh
	@node scripts/build-library.ts
	@cd dist && npm pack --silent ./library

# The same, when a source is newer; a folder is when a file in it was added or
# removed. gen itself would be the command above.
dist/podplug.cjs: $(shell find src gen/.) package.json package-lock.json scripts/build.ts scripts/bundle.ts scripts/light-headers.ts
	@echo 'setup: building the program' >&2
	@node scripts/build.ts

BUILDER ?= docker

# Debian's part of it is as new as Debian's packages are; with BASE there is none.
image: ## the container image podplug:VERSION (ARCH=arm64: for other machines; BUILDER=podman; BASE=an image)
	@$(if $(BASE),,rm -f .cache/image/base/$(ARCH).tar && $(MAKE) --silent .cache/image/base/$(ARCH).tar)
	@deploy/image/context.sh .cache/image/context $(if $(BASE),none,.cache/image/base) $(ARCH)
	@$(BUILDER) build --platform linux/$(ARCH) --build-arg TARGETARCH=$(ARCH) $(if $(BASE),--build-arg BASE=$(BASE)) \
	  --build-arg VERSION="$$(node -p 'require("./package.json").version')" \
	  --build-arg COMMIT="$$(git rev-parse HEAD)" \
	  --tag "podplug:$$(node -p 'require("./package.json").version')" .cache/image/context

.cache/image/base/%.tar: deploy/image/base.sh
	@scripts/setup.sh image
	@mkdir -p $(@D)
	@deploy/image/base.sh $* $@

packages: ## make the deb and the rpm in dist/packages (ARCH=arm64: for that processor)
	@scripts/setup.sh packages
	@node scripts/build-packages.ts --arch $(ARCH)

krew: packages ## kubectl's plugin for krew: archives, and their manifest, in dist/krew (URL=https://…: where they will be)
	@node scripts/build-krew.ts --url "$(URL)"

# They are as the sources are: built anew each time.
test-packages: packages ## install, upgrade and remove the packages on machines with systemd, in namespaces, as root
	@scripts/setup.sh test-packages
	@test/packages/machine.sh vitest run --config test/packages/vitest.config.ts --configLoader native $(T)

gen: ## write gen/ anew from proto/
	@scripts/setup.sh
	@buf generate

docs: ## write the generated pages of docs/, the dashboard and the chart's schema anew
	@scripts/setup.sh
	@node scripts/write-cli-docs.ts
	@node scripts/write-error-docs.ts
	@node scripts/write-config-docs.ts
	@node scripts/write-metrics-docs.ts
	@node scripts/write-dashboard.ts
	@node scripts/write-chart-schema.ts

fmt: ## format every file and sort imports
	@scripts/setup.sh
	@biome check --write --log-level=warn

clean: ## remove what was built and installed
	rm -rf dist .cache node_modules toolchain/node_modules
