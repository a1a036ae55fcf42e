# Two commands to know: `make run` and `make test`. Each makes its own virtual environments (.venv*) and needs
# nothing but Python 3.11 or newer; with a C compiler and Python's headers torana is compiled, else it runs as it is.
# Another Python:  make run PYTHON=python3.13        Part of the tests:  make test TESTS="tests/unit tests/house"

PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8000
JOBS ?= 4
TESTS ?= tests
PYTEST_ARGS ?=
# The whole suite leaves tests/apps/grid to `make apps`, and tests/attacks to `make attacks`.
WITHOUT_GRID = $(if $(filter tests,$(TESTS)),--ignore=tests/apps/grid --ignore=tests/attacks)
BENCH_ARGS ?=
SECONDS ?= 60
ATTACK_S ?= 20

# Which Python made a virtual environment is in the name of its stamp files: another PYTHON makes it anew.
TAG := $(shell $(PYTHON) -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null)
# Folders too, so that a file taken away is noticed.
SOURCES := setup.py pyproject.toml \
	$(shell find src/torana -name __pycache__ -prune -o \( -type d -o -name '*.py' -o -name '*.pxd' \) -print)
PIP := -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.NOTPARALLEL:
.SECONDARY:
.PHONY: help run test test-compiled test-pure test-house apps attacks chaos lint format bench bench-supervision docs clean check-python fuzz fuzz-corpus soak test-sanitize lock wheel sbom

help:
	@echo 'make run     serve examples/hello.py on http://$(HOST):$(PORT)'
	@echo 'make test    the whole suite, in the compiled and in the pure build'
	@echo 'make apps    every application of docs/apps.md, checked from outside; writes that page anew'
	@echo 'make attacks thousands of hostile clients at once, a healthy one beside them; writes docs/security/attacks.md'
	@echo 'make chaos   no request may be lost while workers come and go; SECONDS=60'
	@echo 'make lint    ruff and mypy --strict         make format  let ruff lay out the code'
	@echo 'make bench   benchmarks/                    make docs    build the documentation into site/'
	@echo 'make bench-supervision    what several workers give, and what replacing them costs a client'
	@echo 'make wheel   both wheels in dist/, reproducible   make sbom   what they depend on   make lock   newest versions'
	@echo 'make fuzz    every parser under atheris, MINUTES=5; FUZZ="http1 hpack" for some   make fuzz-corpus   keep what it learnt'
	@echo 'make soak    three servers under every kind of load, watched for leaks and errors; MINUTES=30'
	@echo 'make test-sanitize    tests/unit and tests/fuzz, compiled with AddressSanitizer and UndefinedBehaviorSanitizer'
	@echo 'make clean   remove all that these commands made'

run: .venv/.torana-$(TAG)
	@echo 'Serving examples/hello.py on http://$(HOST):$(PORT)/ (stop with Ctrl-C)'
	@exec .venv/bin/torana run examples/hello.py --host $(HOST) --port $(PORT)

# Both builds run even when the first fails; after a success the last lines are pytest's own.
test: .venv-compiled/.tests-$(TAG) .venv-compiled/.torana-$(TAG) .venv-pure/.tests-$(TAG) .venv-pure/.torana-$(TAG)
	@failed=; \
	for build in compiled pure; do \
		$(MAKE) --no-print-directory test-$$build || failed="$$failed $$build"; \
	done; \
	if [ -n "$$failed" ]; then echo "Failed in:$$failed" >&2; exit 1; fi

# Four processes collect the same tests, twice: what they make of the files is kept.
test-compiled test-pure: export PYTHONDONTWRITEBYTECODE =

test-compiled: .venv-compiled/.tests-$(TAG) .venv-compiled/.torana-$(TAG)
	@if .venv-compiled/bin/python -c 'import sys; from torana.base.build import is_compiled; sys.exit(not is_compiled())'; then \
		echo '== The compiled build'; \
		.venv-compiled/bin/python -m pytest --expect-build=compiled -n $(JOBS) --dist worksteal $(WITHOUT_GRID) $(PYTEST_ARGS) $(TESTS); \
	else \
		sed -n 's/^ *torana-build: //p' .venv-compiled/build.log; \
		echo '== The compiled build could not be made here (see above): only the pure build is tested.'; \
	fi

test-pure: .venv-pure/.tests-$(TAG) .venv-pure/.torana-$(TAG)
	@echo '== The pure build'
	@.venv-pure/bin/python -m pytest --expect-build=pure -n $(JOBS) --dist worksteal $(WITHOUT_GRID) $(PYTEST_ARGS) $(TESTS)

# Applications that take long to install and to start. The page shows what was found, so it is only replaced by a run
# that found all well; build/apps.md tells of the others.
GRID := tests/apps
apps: .venv-apps/.tests-$(TAG) .venv-apps/.torana-$(TAG)
	@.venv-apps/bin/python -m pytest -m grid --grid-report build/apps.json -n $(JOBS) --dist loadscope $(PYTEST_ARGS) $(GRID); \
		code=$$?; .venv-apps/bin/python -m tests.apps.grid.page build/apps.json >build/apps.md && exit $$code
	@if [ '$(GRID) $(PYTEST_ARGS)' = 'tests/apps ' ]; then cp build/apps.md docs/apps.md; fi

# The locks of requirements/, with the newest versions; `make lock LOCK_ARGS=--keep` changes only what no longer fits.
LOCK_ARGS ?=
lock: .venv-supply/.supply-$(TAG)
	@.venv-supply/bin/python requirements/lock.py $(LOCK_ARGS)

# Both wheels, the same bytes for the same commit wherever they are built; SURE=1 builds them twice and compares.
SURE ?=
wheel: .venv-wheel/.made-$(TAG)
	@rm -rf build/wheel dist
	@.ci/wheel .venv-wheel/bin/python build/wheel/first dist
	@if [ -n '$(SURE)' ]; then \
		.ci/wheel .venv-wheel/bin/python build/wheel/another/folder build/wheel/again && diff -r dist build/wheel/again && \
		echo 'Twice the same bytes'; \
	fi
	@cd dist && sha256sum *.whl | tee SHA256SUMS

# What an installed torana consists of, as CycloneDX; what it is built with stands in requirements/build.txt.
sbom: .venv-supply/.supply-$(TAG) .venv-wheel/.made-$(TAG)
	@rm -rf build/sbom && mkdir -p dist
	@PURE=only .ci/wheel .venv-wheel/bin/python build/sbom/wheel build/sbom
	@$(PYTHON) -m venv --without-pip build/sbom/venv
	@.venv-wheel/bin/python $(PIP) --python build/sbom/venv/bin/python $(LOCKED) -r requirements/run.txt
	@.venv-wheel/bin/python $(PIP) --python build/sbom/venv/bin/python install --quiet --no-deps --no-index build/sbom/torana-*.whl
	@.venv-supply/bin/cyclonedx-py environment build/sbom/venv/bin/python --pyproject pyproject.toml --mc-type application \
		--output-reproducible --output-format JSON --output-file dist/torana.cdx.json
	@echo 'dist/torana.cdx.json'

.venv-supply/.supply-$(TAG): .venv-supply/.made-$(TAG) requirements/supply.txt
	@.venv-supply/bin/python $(PIP) $(LOCKED) -r requirements/supply.txt
	@touch $@

# docs/security/fuzzing.md. What is learnt stays in build/fuzz until `make clean`.
FUZZ ?=
fuzz: .venv-fuzz/.atheris-$(TAG) .venv-fuzz/.torana-$(TAG)
	@.venv-fuzz/bin/python -m tests.fuzz.long_run $(or $(MINUTES),5) $(FUZZ)

fuzz-corpus: .venv-fuzz/.atheris-$(TAG) .venv-fuzz/.torana-$(TAG)
	@.venv-fuzz/bin/python -m tests.fuzz.long_run --keep $(FUZZ)

.venv-fuzz/.atheris-$(TAG): .venv-fuzz/.made-$(TAG) requirements/fuzz.txt
	@echo 'Installing atheris and the other readers into .venv-fuzz'
	@{ .venv-fuzz/bin/python $(PIP) $(LOCKED) -r requirements/fuzz.txt && .venv-fuzz/bin/python -c 'import atheris'; } || { \
		echo 'There is no atheris for Python $(TAG) on this system (it has wheels for Linux and Python 3.11 to 3.14).' >&2; \
		echo 'Name another Python: make fuzz PYTHON=python3.13. The short runs of `make test` do without.' >&2; exit 1; }
	@touch $@

# Three servers under every kind of load for MINUTES; a run of 30 or more in which every bound was held renews
# docs/reliability.md. The whole record stays in build/soak.
SOAK_ARGS ?=
soak: .venv-soak/.drawing-$(TAG) .venv-soak/.torana-$(TAG)
	@minutes=$(or $(MINUTES),30); publish=; \
	if [ "$${minutes%.*}" -ge 30 ]; then publish='--publish docs'; fi; \
	exec .venv-soak/bin/python -m tests.soak --minutes $$minutes --out build/soak $$publish $(SOAK_ARGS)

.venv-soak/.drawing-$(TAG): .venv-soak/.made-$(TAG) requirements/soak.txt
	@echo 'Installing the clients of the soak, and what draws its plot, into .venv-soak'
	@.venv-soak/bin/python $(PIP) $(LOCKED) -r requirements/soak.txt
	@touch $@

# First it is shown that the sanitizers find what they should.
SANITIZED ?= tests/unit tests/fuzz
test-sanitize: export TORANA_SANITIZE = address,undefined
test-sanitize: .venv-sanitize/.tests-$(TAG) .venv-sanitize/.torana-$(TAG)
	@.venv-sanitize/bin/python -m tests.fuzz.sanitizers --check \
		-m pytest --expect-build=compiled --capture=sys -n $(JOBS) --dist worksteal $(PYTEST_ARGS) $(SANITIZED)

test-house: .venv-pure/.tests-$(TAG) .venv-pure/.torana-$(TAG)
	@.venv-pure/bin/python -m pytest -q tests/house

# Thousands of clients attack one worker at a time; nothing else should run on the machine. The page shows what was
# measured, so it is only replaced by a whole run in which every bound held; build/attacks.md tells of the others.
ATTACKS := tests/attacks
attacks: .venv-compiled/.tests-$(TAG) .venv-compiled/.torana-$(TAG)
	@ATTACK_S=$(ATTACK_S) ATTACKS_FILE=build/attacks.json .venv-compiled/bin/python -m pytest --expect-build=compiled -q $(PYTEST_ARGS) $(ATTACKS); \
		code=$$?; .venv-compiled/bin/python -m tests.attacks.page build/attacks.json >build/attacks.md && exit $$code
	@if [ '$(ATTACKS) $(ATTACK_S) $(PYTEST_ARGS)' = 'tests/attacks 20 ' ]; then \
		mkdir -p docs/security && cp build/attacks.md docs/security/attacks.md; fi

# Clients that never stop asking, while workers are recycled, reloaded, scaled and killed.
chaos: .venv-pure/.tests-$(TAG) .venv-pure/.torana-$(TAG)
	@CHAOS_SECONDS=$(SECONDS) CHAOS_BOOT_S=2 .venv-pure/bin/python -m pytest -q -s tests/live/test_chaos.py

lint: .venv-pure/.tests-$(TAG) .venv-pure/.torana-$(TAG)
	@.venv-pure/bin/ruff check .
	@.venv-pure/bin/ruff format --check .
	@.venv-pure/bin/mypy

format: .venv-pure/.tests-$(TAG)
	@.venv-pure/bin/ruff check --fix .
	@.venv-pure/bin/ruff format .

bench: .venv-bench/.peers-$(TAG) .venv-bench/.torana-$(TAG)
	@.venv-bench/bin/python benchmarks/run.py $(BENCH_ARGS)

bench-supervision: .venv-bench/.peers-$(TAG) .venv-bench/.torana-$(TAG)
	@.venv-bench/bin/python benchmarks/supervision.py $(BENCH_ARGS)

docs: .venv-pure/.tests-$(TAG) .venv-pure/.torana-$(TAG)
	@mkdir -p build docs/reference
	@.venv-pure/bin/python -m torana.config.reference > build/settings.md
	@mv build/settings.md docs/reference/settings.md
	@.venv-pure/bin/mkdocs build --quiet --strict --site-dir site
	@echo 'The documentation is in site/index.html'

clean:
	rm -rf .venv .venv-apps .venv-compiled .venv-fuzz .venv-pure .venv-sanitize .venv-soak .venv-bench .venv-supply .venv-wheel build dist site src/*.egg-info
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find src tests examples -name __pycache__ -prune -exec rm -rf {} +

check-python:
	@command -v $(PYTHON) >/dev/null || { echo 'There is no $(PYTHON) here. Torana needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo '$(PYTHON) is Python $(TAG); Torana needs 3.11 or newer. Name another one with: make PYTHON=python3.13' >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
		echo '$(PYTHON) cannot make virtual environments. Debian and Ubuntu: apt install python3-venv' >&2; exit 1; }

# Every package comes from a lock, with its hash (docs/security/supply-chain.md); `make lock` renews them.
LOCKED := install --quiet --no-deps --require-hashes

# A virtual environment: what builds torana and what it depends on. The pure build is tested where there is no Cython: it
# may not need it.
BUILD_LOCK = requirements/build.txt
.venv-pure/.made-$(TAG): BUILD_LOCK = requirements/build-pure.txt
%/.made-$(TAG): requirements/build.txt requirements/build-pure.txt requirements/run.txt | check-python
	@echo 'Making $* with Python $(TAG)'
	@$(PYTHON) -m venv --clear $*
	@$*/bin/python $(PIP) $(LOCKED) -r $(BUILD_LOCK) -r requirements/run.txt
	@touch $@

LOCK = requirements/tests.txt
.venv-apps/.tests-$(TAG): LOCK = requirements/products.txt
.venv-apps/.tests-$(TAG) .venv-compiled/.tests-$(TAG) .venv-pure/.tests-$(TAG) .venv-sanitize/.tests-$(TAG): %/.tests-$(TAG): %/.made-$(TAG) requirements/tests.txt requirements/products.txt
	@echo 'Installing what the tests need into $*'
	@$*/bin/python $(PIP) $(LOCKED) -r $(LOCK)
	@touch $@

# bjoern needs a compiler and libev; without it the other peers still run.
.venv-bench/.peers-$(TAG): .venv-bench/.made-$(TAG) requirements/peers.txt
	@echo 'Installing the peers into .venv-bench'
	@.venv-bench/bin/python $(PIP) $(LOCKED) -r requirements/peers.txt
	@.venv-bench/bin/python $(PIP) install --quiet bjoern >.venv-bench/bjoern.log 2>&1 || \
		echo 'bjoern could not be built (it needs the headers of libev: apt install libev-dev); going on without it' >&2
	@touch $@

.venv-compiled/.torana-$(TAG): export TORANA_BUILD_STRICT = 1
.venv-compiled/.torana-$(TAG): export TORANA_PURE = 0
.venv-apps/.torana-$(TAG): export TORANA_BUILD_STRICT = 1
.venv-apps/.torana-$(TAG): export TORANA_PURE = 0
.venv-bench/.torana-$(TAG): export TORANA_BUILD_STRICT = 1
.venv-bench/.torana-$(TAG): export TORANA_PURE = 0
.venv-fuzz/.torana-$(TAG): export TORANA_BUILD_STRICT = 1
.venv-fuzz/.torana-$(TAG): export TORANA_PURE = 0
.venv-soak/.torana-$(TAG): export TORANA_BUILD_STRICT = 1
.venv-soak/.torana-$(TAG): export TORANA_PURE = 0
.venv-sanitize/.torana-$(TAG): export TORANA_BUILD_STRICT = 1
.venv-sanitize/.torana-$(TAG): export TORANA_PURE = 0
.venv-sanitize/.torana-$(TAG): export TORANA_SANITIZE = address,undefined
.venv-pure/.torana-$(TAG): export TORANA_PURE = 1

# Torana itself, built again only when a source changed. What was compiled before stays in build/ for the next time;
# other flags compile all anew, and the folder that becomes the package is filled afresh lest a removed file live on.
%/.torana-$(TAG): %/.made-$(TAG) $(SOURCES)
	@echo 'Building torana into $*'
	@if [ -e $@ ] && [ setup.py -nt $@ ]; then rm -rf build/cython build/temp.*; fi
	@rm -rf build/lib build/lib.* build/bdist.*
	@$*/bin/python $(PIP) install --verbose --no-deps --no-build-isolation . >$*/build.log 2>&1 || { cat $*/build.log; exit 1; }
	@sed -n 's/^ *torana-build: //p' $*/build.log
	@touch $@
