# Every target sets itself up from nothing but python3 (>= 3.11) and make, in .venv.
#   make test ARGS="-k c03 -x"    passes ARGS on to pytest
#   make PYTHON=/path/to/python   builds the environments with that Python
SHELL := /bin/sh
PYTHON ?=
ARGS ?=
VENV ?= .venv

BIN := $(VENV)/bin
READY := $(VENV)/.ready
BENCH_READY := $(VENV)/.ready-bench
PIP_FLAGS := --quiet --quiet --disable-pip-version-check --constraint constraints.txt
PYTEST := $(BIN)/python -m pytest -n 2 --dist worksteal -q
export PYTHONUTF8 := 1
# The tests start hundreds of short processes. Where this is set, as in many images of containers, each would compile all
# modules again, up to a third of what a start costs.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-full test-all lint bench wheel fuzz clean
.SUFFIXES:

help:
	@echo "make demo       a real transfer and real homework, each command as you would type it"
	@echo "make test       all tests, expensive ones with sampled counts (under ten minutes on two cores)"
	@echo "make test-full  all tests with the counts that the project promises"
	@echo "make test-all   make test on each of Python 3.11, 3.12, 3.13 that this machine has"
	@echo "make lint       ruff, mypy --strict, import-linter"
	@echo "make fuzz       fuzzes the message parser for FUZZ_SECONDS (60)"
	@echo "make bench      measures ftpsvc beside raw sockets and pyftpdlib"
	@echo "make wheel      builds wheel and sdist into dist/"
	@echo "make clean      removes what make and the tools made"

# The stamp holds the path that the environment was made for. An environment that was copied or moved along would run
# the other tree's code, and one whose Python was upgraded away does not start: both are made anew.
STALE := $(shell { [ "$$(cat $(READY) 2>/dev/null)" = "$(CURDIR)" ] && \
    $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; } || \
    { rm -f $(READY) $(BENCH_READY); echo yes; })

$(READY): pyproject.toml constraints.txt
	@if [ "$(STALE)" = yes ]; then \
	    python="$(PYTHON)"; [ -n "$$python" ] || python=$$(.ci/find-python) || exit 1; \
	    echo "setting up $(VENV) with $$python"; \
	    "$$python" -m venv --clear $(VENV) || exit 1; \
	fi
	@echo "installing ftpsvc with what its tests need into $(VENV)"
	@$(BIN)/python -m pip install $(PIP_FLAGS) --editable '.[server,test]'
	@echo "$(CURDIR)" > $@

$(BENCH_READY): $(READY)
	@echo "installing what the benchmarks need into $(VENV)"
	@$(BIN)/python -m pip install $(PIP_FLAGS) --editable '.[bench]'
	@touch $@

demo: $(READY)
	@$(BIN)/python docs/demo.py $(ARGS)

test: $(READY)
	@$(PYTEST) $(ARGS)

test-full: $(READY)
	@FTPSVC_FULL=1 $(PYTEST) --timeout 900 $(ARGS)

test-all:
	@ran=; missing=; \
	for version in 3.11 3.12 3.13; do \
	    if python=$$(.ci/find-python $$version); then \
	        echo "== Python $$version"; \
	        $(MAKE) --no-print-directory test VENV=.venv-$$version PYTHON="$$python" || exit 1; \
	        ran="$$ran $$version"; \
	    else missing="$$missing $$version"; fi; \
	done; \
	echo "passed on Python:$${ran:- none}; not on this machine:$${missing:- none}"; \
	[ -n "$$ran" ]

lint: $(READY)
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet --diff .
	@$(BIN)/python -m mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo
	@echo "lint: clean"

FUZZ_SECONDS ?= 60
fuzz: $(READY)
	@$(BIN)/python -m tests.fuzz.fuzz_messages --seconds $(FUZZ_SECONDS) $(ARGS)

bench: $(BENCH_READY)
	@$(BIN)/python -m benchmarks $(ARGS)

wheel: $(READY)
	@rm -rf dist
	@$(BIN)/python -m build --no-isolation --outdir dist . > $(VENV)/build.log 2>&1 || { cat $(VENV)/build.log; exit 1; }
	@ls dist/*

clean:
	rm -rf .venv .venv-3.* dist build .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find ftpsvc client tests benchmarks docs -name __pycache__ -type d -prune -exec rm -rf {} +
