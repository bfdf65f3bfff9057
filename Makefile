# klv-jobwatch: GNU make. `make help` lists what can be asked for.
#
# Objects live under build/MODE: release (default), debug, sanitize, coverage, torture, fuzz. CC, CFLAGS, PREFIX, DESTDIR as usual.

VERSION := 0.1.0

MODE  ?= release
CC    ?= cc
BUILD := build/$(MODE)

PREFIX       ?= /usr/local
SBINDIR      ?= $(PREFIX)/sbin
MANDIR       ?= $(PREFIX)/share/man
DATADIR      ?= $(PREFIX)/share
LIBDIR       ?= $(PREFIX)/lib
SYSCONFDIR   ?= /etc
UNITDIR      ?= $(LIBDIR)/systemd/system
PRESETDIR    ?= $(LIBDIR)/systemd/system-preset
CATALOGDIR   ?= $(LIBDIR)/systemd/catalog
BASHCOMPDIR  ?= $(DATADIR)/bash-completion/completions
ZSHCOMPDIR   ?= $(DATADIR)/zsh/site-functions
FISHCOMPDIR  ?= $(DATADIR)/fish/vendor_completions.d
DOCDIR       ?= $(DATADIR)/doc/klv-jobwatch

PYTHON := /usr/bin/python3

# Debian's names. BUILD_DEPS build; CHECK_DEPS test and demonstrate; BENCH_DEPS measure; LINT_DEPS lint and fuzz.
BUILD_DEPS := gcc make pkg-config libc6-dev libuv1-dev libcurl4-openssl-dev libjson-c-dev libsystemd-dev libsqlite3-dev \
              libconfuse-dev libssl-dev libxxhash-dev
CHECK_DEPS := libcmocka-dev python3 python3-pytest python3-pytest-xdist python3-aiohttp python3-trustme python3-cryptography python3-hpack faketime nghttp2-proxy \
              curl openssl ca-certificates procps util-linux iproute2 systemd debhelper dpkg-dev lintian man-db bash zsh fish python3-pyte
BENCH_DEPS := nginx-light jq curl valgrind
LINT_DEPS  := clang clang-format clang-tidy cppcheck shellcheck mandoc valgrind libclang-rt-dev gcovr

CORE_LIBS  := json-c libcrypto libconfuse libxxhash
SHELL_LIBS := libuv libcurl libsystemd sqlite3

ifeq ($(filter deps help clean uninstall,$(MAKECMDGOALS)),)
HAVE_LIBS := $(shell pkg-config --exists $(CORE_LIBS) $(SHELL_LIBS) && echo yes)
LIB_CFLAGS := $(if $(HAVE_LIBS),$(shell pkg-config --cflags $(CORE_LIBS) $(SHELL_LIBS)))
endif
CORE_LDLIBS  = $(shell pkg-config --libs $(CORE_LIBS)) -lm
SHELL_LDLIBS = $(shell pkg-config --libs $(SHELL_LIBS)) $(CORE_LDLIBS)

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wformat=2
ifneq ($(WERROR),)
WARNINGS += -Werror
endif

HARDEN_CFLAGS  := -fstack-protector-strong -fstack-clash-protection -fPIE
HARDEN_LDFLAGS := -pie -Wl,-z,relro,-z,now,-z,noexecstack

CFLAGS_release  := -O2 -g -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 $(HARDEN_CFLAGS)
LDFLAGS_release := $(HARDEN_LDFLAGS)
CFLAGS_debug    := -Og -g3
CFLAGS_sanitize := -O1 -g3 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
LDFLAGS_sanitize := -fsanitize=address,undefined -Wl,--export-dynamic-symbol=allocator_note_failure
CFLAGS_coverage := -O0 -g3 --coverage
LDFLAGS_coverage := --coverage
CFLAGS_torture := -O2 -g -DJOBWATCH_CRASH_POINTS

ALL_CFLAGS  = -std=gnu17 -D_GNU_SOURCE -DJOBWATCH_VERSION='"$(VERSION)"' $(WARNINGS) $(CFLAGS_$(MODE)) $(LIB_CFLAGS) -MMD -MP $(CFLAGS)
ALL_LDFLAGS = $(LDFLAGS_$(MODE)) $(LDFLAGS)

LIB_SRC    := $(wildcard lib/*.c)
DAEMON_SRC := $(wildcard daemon/*.c daemon/commands/*.c)
UNIT_SRC   := $(wildcard tests/unit/test_*.c)
SHELL_TEST_SRC := $(wildcard tests/integration/test_*.c)
PROBE_SRC  := $(wildcard tests/integration/*_probe.c)
SIM_SRC    := $(wildcard tests/sim/*.c)
FUZZ_SRC   := $(wildcard tests/fuzz/fuzz_*.c)

LIB_OBJ    := $(LIB_SRC:%.c=$(BUILD)/%.o)
DAEMON_OBJ := $(DAEMON_SRC:%.c=$(BUILD)/%.o)
ifeq ($(MODE),torture)
DAEMON_OBJ += $(BUILD)/tests/torture/crash_point.o
endif
SHELL_OBJ  := $(filter-out $(BUILD)/daemon/main.o,$(DAEMON_OBJ))
LIBJOBWATCH := $(BUILD)/libjobwatch.a
PROGRAM    := $(BUILD)/klv-jobwatch
UNIT_TESTS  := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/tests/%)
SHELL_TESTS := $(SHELL_TEST_SRC:tests/integration/%.c=$(BUILD)/tests/%)
PROBES      := $(PROBE_SRC:tests/integration/%.c=$(BUILD)/tests/%)
SIMULATOR   := $(BUILD)/tests/simulate
REFERENCE   := $(BUILD)/tests/reference
CORE_BENCH  := $(BUILD)/tests/core

.PHONY: all
all: need-libs $(PROGRAM)

.PHONY: need-libs
need-libs:
	@test -n "$(HAVE_LIBS)" || { echo "libraries are missing: run 'make deps' (Debian), or install: $(BUILD_DEPS)" >&2; exit 1; }

$(LIBJOBWATCH): $(LIB_OBJ)
	rm -f $@
	$(AR) rcs $@ $^

$(PROGRAM): $(DAEMON_OBJ) $(LIBJOBWATCH)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(SHELL_LDLIBS)

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c -o $@ $<

TEST_CFLAGS = -DTEST_DATA_DIR='"$(CURDIR)/tests/data"'
$(BUILD)/tests/unit/%.o $(BUILD)/tests/integration/%.o $(BUILD)/tests/sim/%.o: CFLAGS += $(TEST_CFLAGS)

$(UNIT_TESTS): $(BUILD)/tests/%: $(BUILD)/tests/unit/%.o $(LIBJOBWATCH)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(CORE_LDLIBS) -lcmocka

# What of ours takes memory goes through functions of this test.
FAILING := malloc calloc realloc reallocarray strdup strndup asprintf vasprintf fmemopen cfg_init json_object_new_object \
           json_object_new_array json_object_new_string json_object_new_string_len json_object_new_int64 json_object_new_boolean \
           json_object_object_add_ex json_object_array_add json_object_to_json_string_length json_tokener_new_ex printbuf_new \
           printbuf_memappend EVP_MD_CTX_new EVP_DigestInit_ex EVP_DigestUpdate EVP_DigestFinal_ex EVP_MAC_fetch EVP_MAC_CTX_new \
           EVP_MAC_init EVP_MAC_update EVP_MAC_final
$(BUILD)/tests/test_no_memory: LDFLAGS += $(FAILING:%=-Wl,--wrap=%)

$(SHELL_TESTS) $(PROBES): $(BUILD)/tests/%: $(BUILD)/tests/integration/%.o $(SHELL_OBJ) $(LIBJOBWATCH)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(SHELL_LDLIBS) -lcmocka -lpthread

$(SIMULATOR): $(SIM_SRC:%.c=$(BUILD)/%.o) $(LIBJOBWATCH)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(CORE_LDLIBS)

$(CORE_BENCH): $(BUILD)/tests/bench/core.o $(LIBJOBWATCH)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(CORE_LDLIBS)

$(REFERENCE): $(BUILD)/tests/bench/reference.o
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(shell pkg-config --libs libcurl json-c)

-include $(LIB_OBJ:.o=.d) $(DAEMON_OBJ:.o=.d) $(UNIT_SRC:%.c=$(BUILD)/%.d) $(SHELL_TEST_SRC:%.c=$(BUILD)/%.d) \
         $(PROBE_SRC:%.c=$(BUILD)/%.d) $(SIM_SRC:%.c=$(BUILD)/%.d) $(FUZZ_SRC:%.c=$(BUILD)/%.d)
.SECONDARY:

# One line for each program that passes, all that it said for one that fails.
.PHONY: unit
unit: $(UNIT_TESTS) $(SHELL_TESTS) ## build and run the tests in C
	@printf '%s\n' $(UNIT_TESTS) $(SHELL_TESTS) | xargs -P $$(nproc) -I{} sh -c \
	  'if $(TEST_WRAPPER) {} >{}.log 2>&1; then sed -n "s|.*\(PASSED.*\)|{}: \1|p" {}.log; else cat {}.log; echo "{}: FAILED"; exit 1; fi'

# Most of a test is waiting for another process, so more run at once than there are cores.
WORKERS ?= 3

.PHONY: integration
integration: all $(PROBES) ## run the daemon's tests against the simulated API
	KLV_BUILD=$(CURDIR)/$(BUILD) $(PYTHON) -m pytest -q -n $(WORKERS) -p no:cacheprovider tests/integration $(PYTEST_ARGS)

# RUNS counts the crash runs; the other faults of tests/README.md are taken in the same proportion.
.PHONY: torture
torture: torture-build ## break it on purpose: crashes, disk, memory, descriptors; RUNS (2000) from SEED (1). See tests/README.md
	$(call torture,$(if $(filter file,$(origin RUNS)),2000,$(RUNS)))

.PHONY: torture-quick
torture-quick: torture-build ## the same for about a minute
	$(call torture,30)

.PHONY: torture-memory
torture-memory: torture-build ## each allocation of a whole sweep fails once, about 10,000 of them (a quarter of an hour)
	$(call torture,20000)
torture-memory: PYTEST_ARGS = -k 'each_allocation_fails and one'

SOAK_HOURS ?= 24
SOAK_SPEED ?= 200

.PHONY: soak
soak: all ## a day (SOAK_HOURS) of traffic with every fault at random, SOAK_SPEED (200) times as fast: nothing lost, made up, or growing
	KLV_BUILD=$(CURDIR)/$(BUILD) KLV_SOAK_HOURS=$(SOAK_HOURS) KLV_SOAK_SPEED=$(SOAK_SPEED) KLV_SEED=$(SEED) $(PYTHON) -m pytest -q -s -p no:cacheprovider tests/torture/soak.py

.PHONY: torture-build
torture-build:
	$(MAKE) MODE=torture all
	$(MAKE) MODE=sanitize all
	$(MAKE) MODE=torture $(patsubst tests/torture/%.c,build/torture/%.so,$(SHIM_SRC)) build/sanitize/memory_shim.so

torture = KLV_BUILD=$(CURDIR)/build/torture KLV_RUNS=$(1) KLV_SEED=$(SEED) $(PYTHON) -m pytest -q -n $(WORKERS) -p no:cacheprovider \
  tests/torture $(PYTEST_ARGS)

# Libraries that LD_PRELOAD puts between the daemon and the system. dlsym(3) needs what -Wpedantic forbids.
SHIM_SRC := $(wildcard tests/torture/*_shim.c)
SHIM_CC  = $(CC) -std=gnu17 -D_GNU_SOURCE -O1 -g -fPIC -shared $(filter-out -Wpedantic,$(WARNINGS))
build/torture/%_shim.so: tests/torture/%_shim.c Makefile
	@mkdir -p $(@D)
	$(SHIM_CC) -o $@ $< -ldl -lpthread

build/sanitize/%_shim.so: tests/torture/%_shim.c Makefile
	@mkdir -p $(@D)
	$(SHIM_CC) -DSANITIZED -o $@ $< -ldl -lpthread

# Two machines, and a file's tests on one of them.
.PHONY: systemd-test
systemd-test: deb ## the package and its unit under a real systemd in a throw-away container (needs root, else it says why it is left out)
	$(PYTHON) -m pytest -q -rs -n 2 --dist loadfile -p no:cacheprovider tests/systemd $(PYTEST_ARGS)

RUNS ?= 1000
SEED ?= 1
# How many processes the simulator uses.
JOBS ?= $(shell nproc)

.PHONY: simulate
simulate: $(SIMULATOR) ## print latency and requests beside the naive watcher and cron, from days of virtual time
	JOBS=$(JOBS) $(SIMULATOR) table

.PHONY: simulate-runs
simulate-runs: $(SIMULATOR) ## RUNS (1000) random accounts from SEED (1), each a simulated day to a week: no promise may break
	JOBS=$(JOBS) $(SIMULATOR) runs $(RUNS) $(SEED)

.PHONY: simulate-brief
simulate-brief: $(SIMULATOR) ## two kinds of account of `make simulate` for half an hour: latency and requests judged by the same bars
	JOBS=$(JOBS) $(SIMULATOR) brief

.PHONY: budget-wire
budget-wire: all ## the budget over real sockets for minutes: a starved daemon, a busy neighbour, 200 times kill -9 in a minute
	KLV_LONG=1 KLV_BUILD=$(CURDIR)/$(BUILD) $(PYTHON) -m pytest -q -rP -n $(WORKERS) -p no:cacheprovider tests/integration/test_budget.py $(PYTEST_ARGS)

.PHONY: bench
bench: deps deps-bench ## measure one sweep beside a loop of libcurl and json-c, and beside bash, curl and jq (about ten minutes, most of them bash's)
	$(MAKE) all $(REFERENCE)
	$(PYTHON) tests/bench/bench.py $(PROGRAM) $(REFERENCE) $(BENCH_ARGS)
	$(MAKE) bench-gate

.PHONY: bench-scale
bench-scale: deps deps-bench ## a million jobs, 500 accounts, how soon a change arrives (about ten minutes)
	$(MAKE) all
	$(PYTHON) tests/bench/scale.py $(PROGRAM) $(SCALE_ARGS)

.PHONY: bench-http2
bench-http2: deps deps-bench ## the same lists by HTTP/1.1 and by HTTP/2: CPU, memory, time, connections
	$(MAKE) all
	$(PYTHON) tests/bench/http2.py $(PROGRAM) $(BENCH_ARGS)

.PHONY: bench-gate
bench-gate: deps-bench ## whether the core needs more instructions than tests/bench/core.txt says
	$(MAKE) $(CORE_BENCH)
	$(PYTHON) tests/bench/gate.py $(CORE_BENCH) $(GATE_ARGS)

.PHONY: bench-gate-update
bench-gate-update: ## write tests/bench/core.txt anew
	$(MAKE) bench-gate GATE_ARGS=--update

HISTORIES ?= 5000000

.PHONY: model
model: $(BUILD)/tests/test_job_diff_model ## HISTORIES (5000000) random histories from SEED (1): job_diff against a simple model of its rules
	JOB_DIFF_HISTORIES=$(HISTORIES) JOB_DIFF_SEED=$(SEED) $<

.PHONY: bench-commands
bench-commands: deps ## CPU of the commands' first screen on a store of a million jobs
	$(MAKE) all
	$(PYTHON) tests/bench/commands.py $(PROGRAM) $(BENCH_ARGS)

# On all cores, and without a line for each file.
QUICKLY = --no-print-directory --silent -j$(shell nproc)

.PHONY: check
check: deps ## install what is missing, build, run every test
	$(MAKE) $(QUICKLY) build-everything
	$(MAKE) unit
	$(MAKE) simulate-runs RUNS=10
	$(MAKE) simulate-brief
	$(MAKE) integration
	$(MAKE) systemd-test
	$(MAKE) manlint

.PHONY: demo
demo: deps ## install what is missing, build, show it at work for half a minute
	$(MAKE) $(QUICKLY) all
	$(PYTHON) tests/sim/demo.py $(BUILD)/klv-jobwatch

.PHONY: deps
deps: ## install the Debian packages that building and testing need (nothing is done when all are there)
	$(call install_missing,$(BUILD_DEPS) $(CHECK_DEPS))

.PHONY: deps-lint
deps-lint: ## install what linting, sanitizing and fuzzing need
	$(call install_missing,$(LINT_DEPS))

.PHONY: deps-bench
deps-bench: ## install what measuring needs (Debian starts nginx on port 80 where systemd runs; `make bench` uses one of its own)
	$(call install_missing,$(BENCH_DEPS))

# Those of the packages that are missing.
install_missing = @missing=$$(dpkg-query -W -f '$${Package} $${db:Status-Status}\n' $(1) 2>/dev/null | \
  awk '$$2 == "installed" { have[$$1] = 1 } END { split("$(1)", want); \
  for (i in want) if (!(want[i] in have)) printf "%s ", want[i] }'); \
  if [ -n "$$missing" ]; then $(APT_INSTALL) $$missing; fi

# Becomes root only when there is something to install and we are not root.
APT_INSTALL = $(if $(filter 0,$(shell id -u)),,sudo) env DEBIAN_FRONTEND=noninteractive sh -c \
  'apt-get update -qq && exec apt-get install -y -qq --no-install-recommends "$$@"' apt-get

ALL_C := $(wildcard lib/*.[ch] daemon/*.[ch] daemon/commands/*.[ch] tests/unit/*.[ch] tests/integration/*.[ch] \
                    tests/sim/*.[ch] tests/fuzz/*.[ch] tests/bench/*.[ch] tests/torture/*.[ch])
ALL_SH := .ci/run $(wildcard tests/*/*.sh config/completions/*.bash) $(wildcard systemd/debian/klv-jobwatch.p*)
MANPAGES := config/klv-jobwatch.8 config/klv-jobwatch.conf.5

.PHONY: lint
lint: deps-lint format-check manlint ## clang-tidy, cppcheck, shellcheck, layout, man pages, the wall around lib/
	cppcheck -j $$(nproc) --quiet --std=c17 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
	  --suppress=missingIncludeSystem -D_GNU_SOURCE lib daemon
	@printf '%s\n' $(LIB_SRC) $(DAEMON_SRC) | xargs -P $$(nproc) -n 4 sh -c \
	  'clang-tidy --quiet --warnings-as-errors="*" "$$@" -- -std=gnu17 -D_GNU_SOURCE -DJOBWATCH_VERSION=\"\" $(LIB_CFLAGS)' clang-tidy 2>/dev/null
	shellcheck $(ALL_SH)
	@! grep -nE '#include <(uv\.h|curl/|sqlite3\.h|systemd/)|\b(time|clock_gettime|gettimeofday|random|rand|getrandom)\(' \
	  lib/*.[ch] || { echo "lib/ is the core: no I/O, no clock, no chance" >&2; exit 1; }

.PHONY: format-check
format-check: ## whether clang-format would change anything
	clang-format --dry-run --Werror $(ALL_C)

.PHONY: format
format: ## let clang-format lay out all C
	clang-format -i $(ALL_C)

.PHONY: manlint
manlint: ## check the man pages
	@if command -v mandoc >/dev/null; then mandoc -T lint -W warning $(MANPAGES) && echo "man pages: fine"; \
	else echo "man pages: not checked, mandoc is missing (make deps-lint)"; fi

.PHONY: sanitize
sanitize: deps-lint ## every test again under AddressSanitizer and UndefinedBehaviorSanitizer
	$(MAKE) $(QUICKLY) MODE=sanitize build-everything
	$(MAKE) MODE=sanitize unit integration

VALGRIND := valgrind --quiet --error-exitcode=9 --leak-check=full --show-leak-kinds=definite,indirect,possible --trace-children=no

.PHONY: valgrind
valgrind: deps-lint ## the tests in C, and the daemon's of `once`, under valgrind
	$(MAKE) $(QUICKLY) MODE=debug build-everything
	$(MAKE) MODE=debug unit TEST_WRAPPER='$(VALGRIND)'
	KLV_BUILD=$(CURDIR)/build/debug KLV_WRAPPER='$(VALGRIND)' $(PYTHON) -m pytest -q -n $(WORKERS) -p no:cacheprovider tests/integration/test_once.py

# Branches of assert() are left out of the figures: the one that ends the process must never be taken.
GCOVR := gcovr --root . --object-directory build/coverage --gcov-ignore-parse-errors --exclude-branches-by-pattern '.*\bassert\(.*' \
         --exclude-unreachable-branches --exclude-throw-branches

.PHONY: coverage
coverage: deps-lint ## line and branch coverage by all tests: lib/ at least 95% and 90%, daemon/ at least 85% of lines
	find build/coverage -name '*.gcda' -delete 2>/dev/null || true
	$(MAKE) $(QUICKLY) MODE=coverage build-everything
	$(MAKE) MODE=coverage unit integration
	@$(GCOVR) --filter daemon/ --print-summary --fail-under-line 85
	@$(GCOVR) --filter lib/ --branches | sed -n '/^lib/p'
	@$(GCOVR) --filter lib/ --print-summary --fail-under-line 95 --fail-under-branch 90

.PHONY: warnings
warnings: ## both compilers with every warning an error
	$(MAKE) --no-print-directory -s MODE=release BUILD=build/gcc CC=gcc WERROR=1 build-everything
	$(MAKE) --no-print-directory -s MODE=release BUILD=build/clang CC=clang WERROR=1 build-everything

.PHONY: build-everything
build-everything: all $(UNIT_TESTS) $(SHELL_TESTS) $(PROBES) $(SIMULATOR) $(REFERENCE) $(CORE_BENCH)

# Built with MODE=fuzz and clang. What reads the state file is in the shell; the other fuzzers are linked with the core alone.
FUZZERS  := $(FUZZ_SRC:tests/fuzz/%.c=$(BUILD)/tests/%)
STORE_FUZZER := $(BUILD)/tests/fuzz_store
FUZZ_SECONDS ?= 10
CFLAGS_fuzz  := -g -O1 -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
LDFLAGS_fuzz := -fsanitize=fuzzer,address,undefined

$(filter-out $(STORE_FUZZER),$(FUZZERS)): $(BUILD)/tests/%: $(BUILD)/tests/fuzz/%.o $(LIBJOBWATCH)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(CORE_LDLIBS)

$(STORE_FUZZER): $(BUILD)/tests/fuzz/fuzz_store.o $(SHELL_OBJ) $(LIBJOBWATCH)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(SHELL_LDLIBS)

.PHONY: fuzzers
fuzzers: $(FUZZERS)

# Seeds are made of Klaviyo's schemas and of the original request; what a run finds worth keeping stays in build/corpus.
.PHONY: fuzz
fuzz: deps-lint ## build the fuzzers and run each for FUZZ_SECONDS (10), or those of FUZZ
	$(MAKE) MODE=fuzz CC=clang fuzzers
	$(PYTHON) tests/fuzz/seeds.py tests/data build/seeds
	tests/fuzz/run.sh build/fuzz/tests build/seeds build/corpus $(FUZZ_SECONDS) $(FUZZ)

INSTALL ?= install

# One source for the unit and its template: configuration, key, state directory, what a name has behind it.
fill_unit = sed 's|@SBINDIR@|$(SBINDIR)|; s|@SYSCONFDIR@|$(SYSCONFDIR)|g; s|@CONFIG@|$(1)|; s|@KEY@|$(2)|g; s|@STATE@|$(3)|g; s|@OF_INSTANCE@|$(4)|' \
  systemd/klv-jobwatch.service.in

.PHONY: install
install: all ## install under PREFIX (/usr/local), honouring DESTDIR
	$(INSTALL) -D -m 755 $(PROGRAM) $(DESTDIR)$(SBINDIR)/klv-jobwatch
	$(INSTALL) -D -m 644 config/klv-jobwatch.8 $(DESTDIR)$(MANDIR)/man8/klv-jobwatch.8
	$(INSTALL) -D -m 644 config/klv-jobwatch.conf.5 $(DESTDIR)$(MANDIR)/man5/klv-jobwatch.conf.5
	$(INSTALL) -d -m 755 $(DESTDIR)$(UNITDIR)
	$(call fill_unit,klv-jobwatch.conf,api-key,klv-jobwatch,) > $(DESTDIR)$(UNITDIR)/klv-jobwatch.service
	$(call fill_unit,%i.conf,%i.api-key,klv-jobwatch-%i, (%i)) > $(DESTDIR)$(UNITDIR)/klv-jobwatch@.service
	chmod 644 $(DESTDIR)$(UNITDIR)/klv-jobwatch.service $(DESTDIR)$(UNITDIR)/klv-jobwatch@.service
	$(INSTALL) -D -m 644 systemd/klv-jobwatch.preset $(DESTDIR)$(PRESETDIR)/50-klv-jobwatch.preset
	$(INSTALL) -D -m 644 systemd/klv-jobwatch.catalog $(DESTDIR)$(CATALOGDIR)/klv-jobwatch.catalog
	$(INSTALL) -D -m 644 config/klv-jobwatch.conf $(DESTDIR)$(DOCDIR)/examples/klv-jobwatch.conf
	$(INSTALL) -D -m 644 config/completions/klv-jobwatch.bash $(DESTDIR)$(BASHCOMPDIR)/klv-jobwatch
	$(INSTALL) -D -m 644 config/completions/_klv-jobwatch $(DESTDIR)$(ZSHCOMPDIR)/_klv-jobwatch
	$(INSTALL) -D -m 644 config/completions/klv-jobwatch.fish $(DESTDIR)$(FISHCOMPDIR)/klv-jobwatch.fish
	$(INSTALL) -d -m 755 $(DESTDIR)$(SYSCONFDIR)/klv-jobwatch
	test -e $(DESTDIR)$(SYSCONFDIR)/klv-jobwatch/klv-jobwatch.conf || \
	  $(INSTALL) -m 644 config/klv-jobwatch.conf $(DESTDIR)$(SYSCONFDIR)/klv-jobwatch/klv-jobwatch.conf
	@if [ -z "$(DESTDIR)" ] && [ -d /run/systemd/system ]; then systemctl daemon-reload; journalctl --update-catalog; fi

.PHONY: uninstall
uninstall: ## remove what install put there; configuration and state stay
	rm -f $(DESTDIR)$(SBINDIR)/klv-jobwatch $(DESTDIR)$(MANDIR)/man8/klv-jobwatch.8 \
	  $(DESTDIR)$(MANDIR)/man5/klv-jobwatch.conf.5 $(DESTDIR)$(UNITDIR)/klv-jobwatch.service \
	  $(DESTDIR)$(UNITDIR)/klv-jobwatch@.service $(DESTDIR)$(PRESETDIR)/50-klv-jobwatch.preset $(DESTDIR)$(CATALOGDIR)/klv-jobwatch.catalog \
	  $(DESTDIR)$(DOCDIR)/examples/klv-jobwatch.conf $(DESTDIR)$(BASHCOMPDIR)/klv-jobwatch \
	  $(DESTDIR)$(ZSHCOMPDIR)/_klv-jobwatch $(DESTDIR)$(FISHCOMPDIR)/klv-jobwatch.fish
	-rmdir $(DESTDIR)$(DOCDIR)/examples $(DESTDIR)$(DOCDIR)

# The Debian package is built by debhelper, which wants its folder debian/ at the top of a tree: in a folder of its own.
DEB_VERSION ?= $(VERSION)-1

.PHONY: deb
deb: all ## build a Debian package into build/deb (needs debhelper: make deps)
	rm -rf build/deb && mkdir -p build/deb/tree
	cp -r systemd/debian build/deb/tree/debian
	sed -i '1s/(.*)/($(DEB_VERSION))/' build/deb/tree/debian/changelog
	cd build/deb/tree && SOURCE=$(CURDIR) MAKEFLAGS= dpkg-buildpackage --build=binary --no-sign >../log 2>&1 || { cat ../log >&2; exit 1; }
	rm -rf build/deb/tree
	@ls build/deb/*.deb

.PHONY: version
version: ## print the version
	@echo $(VERSION)

.PHONY: clean
clean: ## remove build/
	rm -rf build

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
