# make run, make test: these two are enough. Every step is skipped when its inputs did not change.

PYTHON ?= python3
NODE_MIN := 20.19
BIN := .venv/bin
PAGE := frontend
GRAPHIQL := frontend/graphiql

PYTHON_READY := .venv/.ready
PAGE_PACKAGES := $(PAGE)/node_modules/.ready
PAGE_READY := graph/web/static/page/.ready
GRAPHIQL_READY := graph/web/static/graphiql/.ready
NPM_TESTS_READY := tests/npm/node_modules/.ready
AUDIT_READY := .venv-audit/.ready

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install run test quick soak fuzz bench bench-quick lint schema docs screenshots lock sbom audit

help:
	@echo "make run       start Rungraph with demo runs on http://127.0.0.1:8000/"
	@echo "make test      check everything: style, types, schema, the page, tests on SQLite and PostgreSQL;"
	@echo "               make test PARTS='types page' runs only these parts (style, types, schema, page, ...)"
	@echo "make quick     the inner loop, in under a minute: style, types, and the tests of the core on SQLite"
	@echo "make soak      what make test leaves out, and faults at length with figures (about an hour)"
	@echo "make fuzz      20,000 random operations, compiled and not, 100 of each field, and 1,000 random sessions"
	@echo "make bench     measure speed and memory beside a floor, into bench/RESULTS.md (5 minutes)"
	@echo "make bench-quick   a little of the same, in under two minutes"
	@echo "make install   only install what the others need, into .venv and node_modules"
	@echo "make lint      put the code into shape, then check style and types"
	@echo "make schema    write schema.graphql, and what the page has of it, anew after a change of the API"
	@echo "make docs      write the reference pages of docs/ anew from the code"
	@echo "make screenshots   take the pictures in docs/ anew"
	@echo "make sbom      list every package that the server and the page consist of, into build/sbom"
	@echo "make audit     ask whether anything is known against these packages, and those of the tests"
	@echo "make lock      write the lock files anew after a change of pyproject.toml (needs uv)"

install: $(PYTHON_READY) $(GRAPHIQL_READY) $(PAGE_READY)

run: install
	@exec $(BIN)/rungraph demo

test: install $(NPM_TESTS_READY)
	@$(BIN)/python tests/prepare.py
	@$(BIN)/python tests/run.py $(PARTS)

QUICK_TESTS := $(addprefix tests/,project/test_architecture.py repo/domain repo/actions graph/schema graph/limits)

quick: install
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/lint-imports >/dev/null || $(BIN)/lint-imports
	@$(BIN)/mypy
	@$(BIN)/pytest -q -n auto --dist loadfile -m "not slow and not soak" -k "not postgresql" $(QUICK_TESTS)

soak: install
	@$(BIN)/python tests/prepare.py
	@test -n "$(TRIALS)" || $(BIN)/pytest -q -n auto --dist loadfile -m soak tests
	@$(BIN)/python -m tests.faults $(TRIALS)

fuzz: install
	@seed=$${SEED:-$$RANDOM$$$$}; echo "SEED=$$seed"; \
		RUNGRAPH_TEST_OPERATIONS=20000 RUNGRAPH_TEST_FUZZ_EXAMPLES=100 RUNGRAPH_TEST_MACHINE_EXAMPLES=1000 \
		RUNGRAPH_TEST_SEED=$$seed $(BIN)/pytest -q -n auto --dist worksteal --timeout 7200 \
		tests/graph/execution/test_compiled_execution.py tests/graph/schema/test_fuzz_api.py \
		tests/graph/transport/test_websocket_machine.py tests/repo/actions/test_repository_machine.py

bench bench-quick: install
	@$(BIN)/python tests/prepare.py
	@$(BIN)/python -m bench $(if $(filter bench-quick,$@),--quick) $(TRIALS)

# Without the page itself, which cannot be built while there is something to put right.
lint: $(PYTHON_READY) $(PAGE_PACKAGES)
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format
	@$(BIN)/lint-imports >/dev/null || $(BIN)/lint-imports
	@$(BIN)/mypy
	@cd $(PAGE) && npm run --silent lint:fix

schema: $(PYTHON_READY) $(PAGE_PACKAGES)
	@$(BIN)/rungraph schema print > schema.graphql.new
	@mv schema.graphql.new schema.graphql
	@cd $(PAGE) && npm run --silent codegen
	@echo "Wrote schema.graphql and $(PAGE)/src/gql"

docs: $(PYTHON_READY)
	@$(BIN)/python docs/generate.py

screenshots: install
	@$(BIN)/python tests/prepare.py
	@cd $(PAGE) && npm run --silent screenshots

UV_COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" pyproject.toml

lock:
	@$(UV_COMPILE) --output-file requirements.lock
	@$(UV_COMPILE) --output-file requirements-otel.lock --extra otel --constraint requirements.lock
	@$(UV_COMPILE) --output-file requirements-dev.lock --extra otel --group dev --constraint requirements-otel.lock
	@$(filter-out pyproject.toml,$(UV_COMPILE)) --output-file requirements-audit.lock --group audit

sbom: $(AUDIT_READY)
	@$(CHECK_NODE)
	@mkdir -p build/sbom
	@for lock in requirements requirements-otel; do \
		.venv-audit/bin/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible \
			--output-file build/sbom/$$lock.cdx.json $$lock.lock 2>/dev/null || exit 1; done
	@# What the explorer of GraphiQL says about React is long out of date.
	@for page in $(PAGE) $(GRAPHIQL); do (cd $$page && npm sbom --package-lock-only --omit=dev --legacy-peer-deps \
		--sbom-format=cyclonedx) > build/sbom/$$(basename $$page).cdx.json || exit 1; done
	@echo "Wrote build/sbom"

# All of it is asked, also where the first has an answer already. Who cannot ask does not pass.
audit: $(AUDIT_READY)
	@$(CHECK_NODE)
	@failed=; \
	for lock in requirements-otel requirements-dev requirements-audit; do \
		echo "Asking about $$lock.lock"; \
		.venv-audit/bin/pip-audit --strict --require-hashes --disable-pip --progress-spinner=off \
			--requirement $$lock.lock || failed="$$failed $$lock.lock"; done; \
	for page in $(PAGE) $(GRAPHIQL) tests/npm; do \
		for what in --omit=dev --include=dev; do \
			echo "Asking about $$page $$what"; \
			(cd $$page && npm audit $$what) || failed="$$failed $$page($$what)"; done; done; \
	test -z "$$failed" || { echo "Something is known, or could not be asked, about:$$failed"; exit 1; }

# The packages first, by hash; then this checkout itself, editable, with nothing left to download.
$(PYTHON_READY): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Rungraph needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1)."; \
		echo "Name another one so: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "This Python cannot make virtual environments. On Debian and Ubuntu:"; \
		echo "    apt-get install python3-venv"; exit 1; }
	@echo "Installing the Python packages into .venv"
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(AUDIT_READY): requirements-audit.lock
	@echo "Installing what looks through packages into .venv-audit"
	@test -x .venv-audit/bin/pip || $(PYTHON) -m venv .venv-audit
	@.venv-audit/bin/python -m pip install -qq --disable-pip-version-check --require-hashes -r $<
	@touch $@

CHECK_NODE = node -e 'const [major, minor] = "$(NODE_MIN)".split("."), [a, b] = process.versions.node.split("."); \
		process.exit((a - major || b - minor) < 0 ? 1 : 0)' 2>/dev/null \
	&& command -v npm >/dev/null || { \
		echo "Rungraph needs Node $(NODE_MIN) or newer with npm; 'node' is $$(node --version 2>/dev/null || echo not installed)."; \
		exit 1; }
NPM_CI := npm ci --no-audit --no-fund --loglevel=error

$(PAGE_PACKAGES): $(PAGE)/package-lock.json
	@$(CHECK_NODE)
	@echo "Installing the page's npm packages"
	@cd $(PAGE) && $(NPM_CI) >/dev/null
	@touch $@

# What the page has generated from the schema is committed, and changes when the schema does.
PAGE_SOURCES := schema.graphql $(wildcard $(PAGE)/*.json $(PAGE)/*.ts $(PAGE)/index.html) \
	$(shell find $(PAGE)/src $(PAGE)/public -path $(PAGE)/src/gql -prune -o -type f -print 2>/dev/null)

$(PAGE_READY): $(PAGE_PACKAGES) $(PAGE_SOURCES)
	@$(CHECK_NODE)
	@echo "Building the page"
	@cd $(PAGE) && npm run --silent build -- --logLevel error
	@touch $@

$(GRAPHIQL_READY): $(shell find $(GRAPHIQL) -path '*/node_modules' -prune -o -type f -print 2>/dev/null)
	@$(CHECK_NODE)
	@echo "Building the GraphiQL page"
	@cd $(GRAPHIQL) && $(NPM_CI) >/dev/null && npm run --silent build
	@touch $@

$(NPM_TESTS_READY): tests/npm/package-lock.json
	@$(CHECK_NODE)
	@echo "Installing the npm packages that the tests use"
	@cd tests/npm && $(NPM_CI) >/dev/null
	@touch $@
