# Everything minigrad's repository can do. Each target sets up what it needs in .venv, and
# again whenever pyproject.toml has changed. Needs Python 3.11+ and make; another interpreter:
#     make test PYTHON=python3.12

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2
SHELL := /bin/sh
MAKEFLAGS += --no-print-directory

.PHONY: help tour test test-long conformance oracle lint format bench fuzz notebooks clean distclean
.DEFAULT_GOAL := help

help:
	@echo "make tour       the main job on real data: train, look inside, measure (under a minute)"
	@echo "make test       all tests (HYPOTHESIS_PROFILE=dev|ci|long, ARGS='-k tape', WORKERS=2)"
	@echo "make test-long  the laws with a thousand examples each: hours (ARGS='-k reduce_sum')"
	@echo "make conformance  the public suite of the array API standard (ARRAY_API_TESTS=/its/path)"
	@echo "make oracle     the same programs in TensorFlow, compared (ARGS='second_order --verbose')"
	@echo "make lint       ruff and mypy --strict"
	@echo "make format     let ruff rewrite what it can"
	@echo "make bench      race the peers (PEERS='jax torch', WORKLOADS='mlp axpy', SAVE=1)"
	@echo "make fuzz       random programs, compiled against NumPy (SECONDS=3600)"
	@echo "make notebooks  write the tutorials' notebooks from their sources"
	@echo "make clean      remove what tools left behind; distclean removes the environments too"

tour: $(VENV)/.tour
	@$(BIN)/python -m minigrad $(ARGS)

test: $(VENV)/.test
	@$(BIN)/python -m pytest -q -n $(WORKERS) $(ARGS)

test-long: $(VENV)/.test
	@HYPOTHESIS_PROFILE=long $(BIN)/python -m pytest -q -n $(WORKERS) tests/laws $(ARGS)

conformance: $(VENV)/.conformance
	@ARRAY_API_TESTS="$(ARRAY_API_TESTS)" $(BIN)/python tests/conformance/suite.py $(ARGS)

oracle: $(VENV)/.benchmarks
	@$(BIN)/python -m oracle $(ARGS)

lint: $(VENV)/.test
	@echo "ruff check";  $(BIN)/ruff check --quiet
	@echo "ruff format"; $(BIN)/ruff format --check --quiet
	@echo "mypy";        $(BIN)/mypy --strict minigrad

format: $(VENV)/.test
	@$(BIN)/ruff check --fix --quiet; $(BIN)/ruff format

fuzz: $(VENV)/.test
	@$(BIN)/python -m tools.fuzz --seconds $(or $(SECONDS),60)

bench: $(VENV)/.benchmarks
	@$(BIN)/python -m benchmarks --peers "$(PEERS)" --workloads "$(WORKLOADS)" $(if $(SAVE),--save)

# pip is the last thing venv makes: where it is missing, the environment is not whole
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit( \
	    "minigrad needs Python 3.11 or newer, and $(PYTHON) is " + sys.version.split()[0] \
	    + "; say which one to use: make PYTHON=python3.12 ...")'
	@echo "making $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV)

# one stamp for each extra
$(VENV)/.%: pyproject.toml | $(BIN)/pip
	@echo "installing minigrad[$*] into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[$*]"
	@touch $@

notebooks: $(VENV)/.tutorials
	@$(BIN)/python -m tutorials.notebooks

clean:
	@rm -rf build dist tour_output *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find minigrad tests benchmarks oracle tutorials -name __pycache__ -prune -exec rm -rf {} + \
	    2>/dev/null || true

distclean: clean
	@rm -rf $(VENV) benchmarks/.venvs
