# Everything a developer or operator does by hand. Python 3.11 and make are all it needs.
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
READY := .venv/.ready
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: run demo test test-pg15 check check-deep bench bench-feed bench-registry bench-screening format \
	lock contract clean help

run: $(READY) ## database, demo data, API on port 8000 and the sweeps
	@SLRT_DEMO=$${SLRT_DEMO:-1} $(BIN)/slrt run

demo: $(READY) ## one complaint's whole life over HTTP, against a running or just-started server
	@SLRT_DEMO=$${SLRT_DEMO:-1} $(BIN)/slrt demo

$(READY): requirements-dev.lock pyproject.toml
	@echo "Setting up .venv …"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		(echo "slrt needs Python 3.11 or later; this is $$($(PYTHON) --version)." && exit 1)
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --require-hashes -r requirements-dev.lock
	@PYTHONWARNINGS=ignore $(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

test: $(READY) ## all tests, with coverage of what must be covered
	@rm -rf .coverage && mkdir .coverage
	COVERAGE_DIR=.coverage $(BIN)/python -m slipcover --dont-wrap-pytest --json --out .coverage/tests.json \
		-m pytest -n 3 --dist loadfile --no-loadscope-reorder -m "not deep"
	$(BIN)/python -m tests.covered .coverage

test-pg15: $(READY) ## the API and concurrency tests once more, against Debian's PostgreSQL 15
	SLRT_TEST_POSTGRESQL=/usr/lib/postgresql/15/bin $(BIN)/python -m pytest -n 3 \
		--dist loadfile --no-loadscope-reorder -m "not deep and not embedded"

check: $(READY) ## format, lint, types, import contracts, contract drift
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests/test_drift.py -p no:cacheprovider

check-deep: $(READY) ## the sizes named in the promises
	$(BIN)/python -m pytest tests -m deep --timeout 3000

bench-registry: $(READY) ## importing a registry against a plain COPY; PEOPLE=1000000 for the full size
	$(BIN)/python -m bench.registry --people $${PEOPLE:-50000}

bench-feed: $(READY) ## exports and the feed against a plain COPY; REFERRALS=1000000 for the full size
	$(BIN)/python -m bench.feed --referrals $${REFERRALS:-100000}

bench-screening: $(READY) ## all programmes over a whole registry; PEOPLE=1000000 for the full size
	$(BIN)/python -m bench.screening --people $${PEOPLE:-100000}

bench: $(READY) ## our throughput against a hand-written route
	$(BIN)/python -m bench.run

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

contract: $(READY) ## write openapi/, and the diagrams in docs/
	$(BIN)/slrt openapi openapi/slrt.v1.json
	$(BIN)/slrt diagrams docs

lock: $(READY) ## pin what pyproject.toml asks for
	$(BIN)/pip-compile -q --generate-hashes --strip-extras --no-emit-index-url \
		--no-emit-trusted-host --no-emit-find-links -o requirements.lock pyproject.toml
	$(BIN)/pip-compile -q --generate-hashes --allow-unsafe --strip-extras --extra dev \
		-c requirements.lock --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
		-o requirements-dev.lock pyproject.toml

help: ## this list
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:[^#]*##/:/' | column -t -s:

clean: ## remove what was set up; the data stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache *.egg-info
