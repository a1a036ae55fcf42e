# Two commands to know: `make run` and `make test`. Each makes its own virtual environments (.venv*) and needs
# nothing but Python 3.11 or newer; with a C compiler and Python's headers torana is compiled, else it runs as it is.
# Another Python:  make run PYTHON=python3.13        Part of the tests:  make test TESTS="tests/unit tests/house"

PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8000
JOBS ?= 4
TESTS ?= tests
PYTEST_ARGS ?=
# The whole suite leaves tests/apps/grid to `make apps`.
WITHOUT_GRID = $(if $(filter tests,$(TESTS)),--ignore=tests/apps/grid)
BENCH_ARGS ?=
SECONDS ?= 60

# Which Python made a virtual environment is in the name of its stamp files: another PYTHON makes it anew.
TAG := $(shell $(PYTHON) -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null)
# Folders too, so that a file taken away is noticed.
SOURCES := setup.py pyproject.toml \
	$(shell find src/torana -name __pycache__ -prune -o \( -type d -o -name '*.py' -o -name '*.pxd' \) -print)
PIP := -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.NOTPARALLEL:
.SECONDARY:
.PHONY: help run test test-compiled test-pure test-house apps chaos lint format bench bench-supervision docs clean check-python

help:
	@echo 'make run     serve examples/hello.py on http://$(HOST):$(PORT)'
	@echo 'make test    the whole suite, in the compiled and in the pure build'
	@echo 'make apps    every application of docs/apps.md, checked from outside; writes that page anew'
	@echo 'make chaos   no request may be lost while workers come and go; SECONDS=60'
	@echo 'make lint    ruff and mypy --strict         make format  let ruff lay out the code'
	@echo 'make bench   benchmarks/                    make docs    build the documentation into site/'
	@echo 'make bench-supervision    what several workers give, and what replacing them costs a client'
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

test-house: .venv-pure/.tests-$(TAG) .venv-pure/.torana-$(TAG)
	@.venv-pure/bin/python -m pytest -q tests/house

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
	rm -rf .venv .venv-apps .venv-compiled .venv-pure .venv-bench build dist site src/*.egg-info
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find src tests examples -name __pycache__ -prune -exec rm -rf {} +

check-python:
	@command -v $(PYTHON) >/dev/null || { echo 'There is no $(PYTHON) here. Torana needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo '$(PYTHON) is Python $(TAG); Torana needs 3.11 or newer. Name another one with: make PYTHON=python3.13' >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
		echo '$(PYTHON) cannot make virtual environments. Debian and Ubuntu: apt install python3-venv' >&2; exit 1; }

# A virtual environment: a pip that knows dependency groups, and what builds torana. The pure build is tested where
# there is no Cython: it may not need it.
BUILD_TOOLS = 'setuptools>=77' wheel 'Cython>=3.1'
.venv-pure/.made-$(TAG): BUILD_TOOLS = 'setuptools>=77' wheel
%/.made-$(TAG): | check-python
	@echo 'Making $* with Python $(TAG)'
	@$(PYTHON) -m venv --clear $*
	@$*/bin/python $(PIP) install --quiet --upgrade 'pip>=25.1' $(BUILD_TOOLS)
	@touch $@

GROUPS = --group dev --group apps
.venv-apps/.tests-$(TAG): GROUPS += --group products
.venv-apps/.tests-$(TAG) .venv-compiled/.tests-$(TAG) .venv-pure/.tests-$(TAG): %/.tests-$(TAG): %/.made-$(TAG) pyproject.toml
	@echo 'Installing what the tests need into $*'
	@$*/bin/python $(PIP) install --quiet $(GROUPS)
	@touch $@

# bjoern needs a compiler and libev; without it the other peers still run.
.venv-bench/.peers-$(TAG): .venv-bench/.made-$(TAG) benchmarks/requirements.txt
	@echo 'Installing the peers into .venv-bench'
	@sed '/^bjoern/d' benchmarks/requirements.txt >.venv-bench/peers.txt
	@.venv-bench/bin/python $(PIP) install --quiet -r .venv-bench/peers.txt
	@.venv-bench/bin/python $(PIP) install --quiet bjoern >.venv-bench/bjoern.log 2>&1 || \
		echo 'bjoern could not be built (it needs the headers of libev: apt install libev-dev); going on without it' >&2
	@touch $@

.venv-compiled/.torana-$(TAG): export TORANA_BUILD_STRICT = 1
.venv-compiled/.torana-$(TAG): export TORANA_PURE = 0
.venv-apps/.torana-$(TAG): export TORANA_BUILD_STRICT = 1
.venv-apps/.torana-$(TAG): export TORANA_PURE = 0
.venv-bench/.torana-$(TAG): export TORANA_BUILD_STRICT = 1
.venv-bench/.torana-$(TAG): export TORANA_PURE = 0
.venv-pure/.torana-$(TAG): export TORANA_PURE = 1

# Torana itself, built again only when a source changed. What was compiled before stays in build/ for the next time;
# other flags compile all anew, and the folder that becomes the package is filled afresh lest a removed file live on.
%/.torana-$(TAG): %/.made-$(TAG) $(SOURCES)
	@echo 'Building torana into $*'
	@if [ -e $@ ] && [ setup.py -nt $@ ]; then rm -rf build; fi
	@rm -rf build/lib build/lib.* build/bdist.*
	@$*/bin/python $(PIP) install --verbose --no-build-isolation . >$*/build.log 2>&1 || { cat $*/build.log; exit 1; }
	@sed -n 's/^ *torana-build: //p' $*/build.log
	@touch $@
