# The front door. Each goal sets up what it needs and asks nothing; `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
APXS ?= apxs
PORT ?= 8000
DESTDIR ?=
# The interpreter where no home is configured, recorded in what is built; /usr/bin/python3 unless this says another.
PYTHON ?=
ifneq ($(PYTHON),)
ifeq ($(filter /%,$(PYTHON)),)
$(error PYTHON=$(PYTHON) must be the whole path of an interpreter, such as /opt/python3.13/bin/python3)
endif
export MOD_WSGI_PYTHON := $(PYTHON)
endif
TARGET := $(or $(CARGO_TARGET_DIR),target)
RELEASE := $(TARGET)/release
FILES := mod_wsgi.so mod_wsgi_python.so mod_wsgi_supervisor
REFERENCE := .build/reference
BENCH := $(abspath .build/bench)
# Free-threaded interpreters to build the host for besides; those of the machine unless this names others.
FREE_THREADED ?=
# The hosts for free-threaded Pythons that were built.
FREE_THREADED_HOSTS = $(notdir $(wildcard $(RELEASE)/mod_wsgi_python_*t.so))
# Newer Debians whose Pythons make pythons gets.
DEBIANS ?= trixie sid
# An earlier commit, whose build is profiled beside this one by make bench FULL=1 PART=4.
BEFORE ?=
# Such as --rounds 5 --seconds 4 --mpm prefork --only hello, or --parts where --mode daemon
BENCHFLAGS ?=
# Tests mostly wait for their own httpd, so more of them than processors may run side by side.
TEST_THREADS ?= 4
# How often make check tries each property: about half a minute in all.
PROPTEST_CASES ?= 10000
# How long make check runs each fuzzer.
FUZZ_SECONDS ?= 60
AVAILABLE := $(DESTDIR)/etc/apache2/mods-available

.PHONY: help
help: ## List the goals
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

.PHONY: build
build: cargo ## Build the three files in release mode, side by side in target/release, and a host for each free-threaded Python here
	@scripts/packages build
	$(CARGO) build --release --workspace
	@ln -f $(RELEASE)/libmod_wsgi.so $(RELEASE)/mod_wsgi.so
	@ln -f $(RELEASE)/libmod_wsgi_python.so $(RELEASE)/mod_wsgi_python.so
	@CARGO=$(CARGO) FREE_THREADED="$(FREE_THREADED)" scripts/free-threaded-hosts $(RELEASE)

.PHONY: run
run: build ## Start httpd with a demonstration on PORT (8000); Ctrl-C stops it
	@scripts/packages run
	@PORT=$(PORT) scripts/run $(RELEASE)

.PHONY: test
test: build ## Run all tests: unit tests of every crate, then the suite against a real httpd
	@scripts/packages run test
	MOD_WSGI_BUILT=$(abspath $(RELEASE)) $(CARGO) test --workspace --no-fail-fast -- --test-threads $(TEST_THREADS)

.PHONY: pythons
pythons: ## Get the Pythons that make matrix would lack: a free-threaded one, and as root those of newer Debians
	@scripts/packages pythons
	@scripts/pythons | grep -q 't$$' || scripts/free-threaded .build/pythons/3.14t
	@if [[ $$(id -u) -eq 0 ]]; then for suite in $(DEBIANS); do scripts/debian-root $$suite .build/roots/$$suite; done; fi
	@scripts/pythons; ls -1 .build/roots/*/usr/bin/python3.1[0-9] 2>/dev/null || true

.PHONY: matrix
matrix: build ## Run the suite on each Python of this machine from 3.10 on (PYTHONS= names interpreters), and on each MPM (MPMS=), with one and the same build
	@scripts/packages run test
	@CARGO=$(CARGO) TEST_THREADS=$(TEST_THREADS) scripts/matrix $(RELEASE)

.PHONY: test-reference
test-reference: cargo $(REFERENCE)/ready ## Run the suite against mod_wsgi 6.1.1 and list the known differences
	WSGI_UNDER_TEST=theirs $(CARGO) test --test suite -- --test-threads $(TEST_THREADS) 2>&1 | tee .build/reference.log
	@echo "Known differences from mod_wsgi 6.1.1:"
	@sed -n 's/^difference: [^ ]* /  /p' .build/reference.log | sort -u

.PHONY: differential
differential: build $(REFERENCE)/ready ## Compare the answers to some thousand requests with those of mod_wsgi 6.1.1, in three minutes
	DIFFERENTIAL=1 MOD_WSGI_BUILT=$(abspath $(RELEASE)) $(CARGO) test --test suite -- differential::

$(REFERENCE)/ready:
	@scripts/packages build run test reference
	rm -rf $(REFERENCE)
	/usr/bin/python3 -m venv $(REFERENCE)
	$(REFERENCE)/bin/pip install --quiet --disable-pip-version-check mod_wsgi==6.1.1
	touch $@

.PHONY: check
check: cargo ## Formatting, clippy without warnings, the rules of the house
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) test --quiet --test suite -- tidy
	$(CARGO) test --quiet -p wire --lib -- counters::order
	PROPTEST_CASES=$(PROPTEST_CASES) $(CARGO) test --quiet -p wire --test properties
	PROPTEST_CASES=$(PROPTEST_CASES) $(CARGO) test --quiet -p mod_wsgi_python --test pure properties
	PROPTEST_CASES=$(PROPTEST_CASES) $(CARGO) test --quiet -p mod_wsgi --lib properties
	$(MAKE) --no-print-directory fuzz

.PHONY: fuzz
fuzz: cargo ## Fuzz what crosses a process, URLs and headers, FUZZ_SECONDS (60) for each target; what was found stays in .build/fuzz
	@scripts/packages fuzz
	CARGO=$(CARGO) scripts/fuzz $(FUZZ_SECONDS)

.PHONY: docs
docs: cargo ## Write what README.md and docs/ repeat of the code
	WRITE_DOCS=1 $(CARGO) test --quiet --lib -- documentation
	WRITE_DOCS=1 $(CARGO) test --quiet --test suite -- tidy::docs the_page_is_made_of_the_list

.PHONY: bindings-check
bindings-check: cargo ## Compare the committed bindings with what bindgen makes of the installed headers
	@scripts/packages build bindgen
	touch apache-headers/wrapper.h
	$(CARGO) build --features bindgen
	@# Another patch level of httpd, with a status more, is no difference; another layout is.
	git diff --exit-code -I 'AP_SERVER_|MODULE_MAGIC_NUMBER_MINOR|_VERSION|pub const HTTP_' apache-headers

BENCHED = --ours $(RELEASE) --theirs $(REFERENCE) --packages $(BENCH)/packages --floor $(BENCH)/floor.so

.PHONY: bench
bench: build $(REFERENCE)/ready $(BENCH)/ready $(BENCH)/floor.so $(if $(FULL),$(BENCH)/beside/ready) $(if $(BEFORE),$(BENCH)/$(BEFORE)/mod_wsgi.so) ## Compare with mod_wsgi 6.1.1 on this machine, five minutes (FULL=1: three runs, what else there is, and docs/performance.md; PART=1 to 4: a part of that)
	@scripts/packages run bench $(if $(FULL),profile)
ifeq ($(FULL),)
	@/usr/bin/python3 bench/side_by_side.py $(BENCHED) $(BENCHFLAGS)
else
	@# Each part goes on where it was interrupted, as long as the same build is measured.
	@for part in $(or $(PART),1 2 3 4); do \
		case $$part in 4) parts=mpms,beside,where ;; *) parts=loads,reloads,memory,starts ;; esac; \
		mkdir -p bench/results; \
		/usr/bin/python3 bench/side_by_side.py $(BENCHED) --beside $(BENCH)/beside --parts $$parts --seconds 1.3 $(if $(BEFORE),--before $(BENCH)/$(BEFORE)) --into bench/results/full-$$part.jsonl $(BENCHFLAGS); \
	done
	@$(MAKE) --no-print-directory bench-page
endif

.PHONY: bench-page
bench-page: ## Write docs/performance.md from what make bench FULL=1 has measured so far
	@/usr/bin/python3 bench/page.py bench/results/full-*.jsonl --docs docs

$(BENCH)/ready:
	@scripts/packages run bench
	rm -rf $(BENCH)
	/usr/bin/python3 -m venv $(BENCH)
	$(BENCH)/bin/pip install --quiet --disable-pip-version-check flask==3.1.3 django==5.2.19
	ln -s "$$($(BENCH)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" $(BENCH)/packages
	touch $@

$(BENCH)/floor.so: bench/floor.c $(BENCH)/ready
	@scripts/packages build reference
	cc -O2 -Wall -Wextra -fPIC -shared $$(apxs -q EXTRA_CPPFLAGS) -I$$(apxs -q INCLUDEDIR) -I$$(apxs -q APR_INCLUDEDIR) -o $@ $<

$(BENCH)/$(BEFORE)/mod_wsgi.so: $(BENCH)/ready
	@CARGO=$(CARGO) scripts/earlier $(BEFORE) $(BENCH)/$(BEFORE)

$(BENCH)/beside/ready: $(BENCH)/ready
	@scripts/packages build reference
	/usr/bin/python3 -m venv $(BENCH)/beside
	$(BENCH)/beside/bin/pip install --quiet --disable-pip-version-check uwsgi==2.0.31 gunicorn==27.0.1 granian==2.8.7
	touch $@

.PHONY: built
built:
	@if command -v $(CARGO) >/dev/null || [[ ! -e $(RELEASE)/mod_wsgi_supervisor ]]; then $(MAKE) --no-print-directory build; fi

.PHONY: faults
faults: build $(REFERENCE)/ready ## Inject faults under load, beside mod_wsgi 6.1.1 (FULL=1: the long form; SOAK=10000: so many reloads; MINUTES=8: a part)
	@/usr/bin/python3 bench/faults --ours $(RELEASE) --theirs $(REFERENCE) $(if $(FULL),--full --docs docs/faults.md) \
		$(if $(SOAK),--soak $(patsubst 1,10000,$(SOAK))) $(if $(MINUTES),--minutes $(MINUTES))

.PHONY: slow
slow: build ## Measure what slow clients and bodies of some GiB cost (two minutes, 5 GiB over the loopback)
	@scripts/packages run
	/usr/bin/python3 bench/slow_clients.py $(RELEASE)/mod_wsgi.so

.PHONY: install
install: built ## Install into httpd's module folder (DESTDIR is honoured), and enable it on Debian
	@scripts/packages install
	@folder="$(DESTDIR)$$($(APXS) -q LIBEXECDIR)"; \
	mkdir -p "$$folder"; \
	said=$$($(APXS) -S LIBEXECDIR="$$folder" -i -n wsgi $(RELEASE)/mod_wsgi.so 2>&1) || { echo "$$said" >&2; exit 1; }; \
	for file in $(filter-out mod_wsgi.so,$(FILES)) $(FREE_THREADED_HOSTS); do install -m 755 "$(RELEASE)/$$file" "$$folder/$$file"; done; \
	echo "installed into $$folder: $(FILES) $(FREE_THREADED_HOSTS)"
	@if [[ -d /etc/apache2/mods-available ]]; then \
		install -d "$(AVAILABLE)"; \
		echo "LoadModule wsgi_module $$($(APXS) -q LIBEXECDIR)/mod_wsgi.so" > "$(AVAILABLE)/wsgi.load"; \
		if [[ -z "$(DESTDIR)" ]]; then a2enmod --quiet wsgi; echo "enabled"; fi; \
	else \
		echo "add to httpd.conf: LoadModule wsgi_module $$($(APXS) -q LIBEXECDIR)/mod_wsgi.so"; \
	fi
	@if [[ -z "$(DESTDIR)" ]]; then echo "now stop httpd and start it again; a running httpd keeps the module that it has loaded, over restarts as well"; fi

.PHONY: uninstall
uninstall: ## Take away what install has put there
	@if [[ -z "$(DESTDIR)" && -e /etc/apache2/mods-enabled/wsgi.load ]]; then a2dismod --quiet --force wsgi; fi
	@rm -f "$(AVAILABLE)/wsgi.load"
	@folder="$(DESTDIR)$$($(APXS) -q LIBEXECDIR)"; for file in $(FILES); do rm -f "$$folder/$$file"; done; rm -f "$$folder"/mod_wsgi_python_*t.so; \
	echo "removed from $$folder: $(FILES)"

.PHONY: clean
clean: ## Remove what was built and set up
	rm -rf $(TARGET) .build bench/results

.PHONY: cargo
cargo:
	@command -v $(CARGO) >/dev/null || { echo "Rust is missing: see https://rustup.rs" >&2; exit 1; }
