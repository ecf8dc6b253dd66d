# Every target is explained by `make help`. .ci/run calls check and test.

# The toolchain is the one that is installed (go.mod says which): none is downloaded.
export GOTOOLCHAIN := local
export CGO_ENABLED := 0

# What we run besides our own programs. The lab needs qemu, busybox, cpio and kmod;
# containernetworking-plugins and what follows are for the container runtimes.
PACKAGES := openvswitch-switch qemu-system-x86 busybox-static cpio kmod iproute2 nftables tcpdump iperf3 mariadb-server \
	containernetworking-plugins iptables podman containerd runc

# What Weft is compared with. Only make bench-ovn, and the tests of it, install it.
OVN_PACKAGES := ovn-central ovn-host

# make must not run two of these at once: the lab needs the machine to itself.
.NOTPARALLEL:
.PHONY: help deps build test check unit test-runtimes e2e chaos demo sandbox bench bench-datapath bench-api bench-cni bench-ovn bench-scale golden fuzz clean
.DEFAULT_GOAL := help

help: ## explain every target
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: .stamps/deps ## install the Debian packages that are missing (root or sudo)

.stamps/deps: Makefile .ci/deps
	@.ci/deps $(PACKAGES)
	@mkdir -p $(@D) && touch $@

.stamps/ovn: Makefile .ci/deps
	@.ci/deps $(OVN_PACKAGES)
	@mkdir -p $(@D) && touch $@

build: deps ## build every program into bin/
	go build -trimpath -ldflags '-s -w' -o bin/ ./...

test: build .stamps/ovn ## run all tests, the end-to-end ones in the lab too; ends with a line of counts
	bin/weft-testbed test

unit: build .stamps/ovn ## run the tests that need no lab: unit, scenario, property, real ovsdb-server and ovs-vswitchd
	bin/weft-testbed unit

test-runtimes: build ## run the tests in which podman, containerd, CRI, cnitool and Garden's way of calling plug containers in; half a minute, and some to build crictl once
	bin/weft-testbed runtimes

e2e: build ## run the end-to-end tests: three cells with real datapaths, in the lab
	bin/weft-testbed e2e

CHAOSTIME ?= 10m
chaos: build ## containers come and go for CHAOSTIME (10m) while agent, ovsdb-server and ovs-vswitchd are killed
	go test -count=1 -v -timeout 0 ./testbed/crash -run '^TestStorm$$' -storm $(CHAOSTIME)

check: deps ## static checks: gofmt, vet, staticcheck, go.mod, generated files, direction of imports
	@unformatted=$$(gofmt -l api buildinfo cellagent cni controller debug flows ovsdb settings testbed); \
		if [ -n "$$unformatted" ]; then echo "gofmt would change:" $$unformatted; exit 1; fi
	go vet ./...
	go tool staticcheck ./...
	go mod tidy -diff
	go test -count=1 ./flows/cmd/flowdump
	go test -count=1 ./testbed/archtest

demo: build ## show the whole line, narrated: three cells, one policy, the group id on the wire
	@bin/weft-testbed demo

sandbox: build ## the same three cells, with a shell
	@bin/weft-testbed sandbox

bench: build ## measure, write docs/performance.md; ends with one line of figures
	bin/weft-testbed bench --report docs/performance.md

bench-datapath: build ## measure what the pipeline costs packets, against hand-written flows, in the lab; 4 minutes
	bin/weft-testbed bench-datapath --report docs/performance.md

bench-api: build ## measure the policy API at 20,000 apps and 60,000 policies, on SQLite and MariaDB; ends with one line of figures
	bin/weft-testbed bench-api --report docs/performance.md

bench-cni: build ## measure CNI ADD and DEL by turns with the standard plugins, and in the lab; 5 minutes; ends with one line of figures
	bin/weft-testbed bench-cni --report docs/performance.md

SCENE ?= S M L
bench-ovn: build .stamps/ovn ## compare with OVN at SCENE ("S M L"; XL takes OVN a quarter of an hour), installs Debian's OVN; 8 minutes; ends with one line of figures
	bin/weft-testbed bench-ovn --scene "$(SCENE)" --report docs/performance.md --json docs/charts/ovn.json

CELLS ?= 1000
bench-scale: build ## measure one controller with a simulated fleet of CELLS (1000) cells; 4 minutes; ends with one line of figures
	bin/weft-testbed bench-scale --cells $(CELLS) --report docs/performance.md --json docs/charts/fleet.json

golden: deps ## rewrite what is generated: scenarios' flows and verdicts, documents, example files, docs/api.md
	go test -count=1 ./flows -update
	go run ./flows/cmd/flowdump -doc
	go run ./controller/cmd/weft-controller config doc docs/configuration.md controller/pki/weft-controller.yaml.tmpl
	go run ./cellagent/cmd/weft-agent config doc docs/configuration.md controller/pki/weft-agent.yaml.tmpl
	WEFT_GOLDEN=1 go test -count=1 ./api ./api/cmd/weft -run 'TestMessagesArePinned|TestReference'
	go test -count=1 ./testbed/runtimes -update

FUZZTIME ?= 30s
fuzz: deps ## fuzz every parser and handler for FUZZTIME (30s) each
	@go list ./... | while read -r package; do \
		for target in $$(go test -list '^Fuzz' "$$package" | grep '^Fuzz'); do \
			echo "$$package $$target"; go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) "$$package" || exit 1; \
		done; \
	done

clean: ## remove what was built; the lab's kernel stays in the user's cache
	rm -rf bin .stamps
