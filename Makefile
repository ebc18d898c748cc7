# `make run` and `make test` suffice. Steps are skipped if their inputs have not changed.

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
CLIENTS_READY := .venv-clients/.ready
AUDIT_READY := .venv-audit/.ready

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install run test quick soak fuzz bench bench-quick lint schema docs screenshots lock sbom audit

help:
	@echo "make run       start a server with demo runs on http://127.0.0.1:8000/"
	@echo "make test      all checks of CI: style, types, schema, web UI, tests on SQLite and PostgreSQL;"
	@echo "               make test PARTS='types page' runs only these parts (style, types, schema, page, ...)"
	@echo "make quick     the inner loop of Python, under a minute: its style and types, core tests on SQLite"
	@echo "make soak      long fault trials with measurements, and tests that make test leaves out (about an hour)"
	@echo "make fuzz      20,000 random operations in compiled and stock execution, 100 per field, and 1,000 random sessions"
	@echo "make bench     measure speed and memory, into bench/RESULTS.md (under an hour)"
	@echo "make bench-quick   a short form of it, under two minutes"
	@echo "make install   only install dependencies, into .venv and node_modules"
	@echo "make lint      format the code, then check style and types"
	@echo "make schema    update schema.graphql and the generated code of the web UI"
	@echo "make docs      generate the reference pages of docs/ from the code"
	@echo "make screenshots   take the screenshots of docs/"
	@echo "make sbom      list all packages of the server and the web UI, into build/sbom"
	@echo "make audit     check these packages and those of the tests for known vulnerabilities"
	@echo "make lock      update the lock files after a change of pyproject.toml (needs uv)"

install: $(PYTHON_READY) $(GRAPHIQL_READY) $(PAGE_READY)

run: install
	@exec $(BIN)/rungraph demo

test: install $(NPM_TESTS_READY) $(CLIENTS_READY)
	@$(BIN)/python tests/prepare.py
	@$(BIN)/python tests/run.py $(PARTS)

QUICK_TESTS := $(addprefix tests/,project/test_architecture.py project/test_docs.py::test_the_reference_is_current \
	repo/domain repo/actions repo/watch/test_filtered_watches.py repo/sql/test_migrations.py graph/schema graph/limits)

quick: $(PYTHON_READY)
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/lint-imports >/dev/null || $(BIN)/lint-imports
	@$(BIN)/mypy
	@$(BIN)/pytest -q --workers auto -m "not slow" -k "not postgresql" $(QUICK_TESTS)

soak: install
	@$(BIN)/python tests/prepare.py
	@test -n "$(TRIALS)" || $(BIN)/pytest -q --workers auto -m soak tests
	@$(BIN)/python -m tests.faults $(TRIALS)

fuzz: install
	@seed=$${SEED:-$$RANDOM$$$$}; echo "SEED=$$seed"; \
		RUNGRAPH_TEST_OPERATIONS=20000 RUNGRAPH_TEST_FUZZ_EXAMPLES=100 RUNGRAPH_TEST_MACHINE_EXAMPLES=1000 \
		RUNGRAPH_TEST_TENANT_OPERATIONS=3000 RUNGRAPH_TEST_SEED=$$seed $(BIN)/pytest -q -n auto --dist worksteal --timeout 7200 \
		tests/graph/execution/test_compiled_execution.py tests/graph/schema/test_fuzz_api.py \
		tests/graph/transport/test_websocket_machine.py tests/repo/actions/test_repository_machine.py \
		tests/graph/auth/test_tenants.py

bench bench-quick: install
	@$(BIN)/python tests/prepare.py
	@$(BIN)/python -m bench $(if $(filter bench-quick,$@),--quick) $(TRIALS)

# Does not build the web UI, which fails while there is an error to fix.
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
	@$(UV_COMPILE) --output-file requirements-obstore.lock --extra obstore --constraint requirements.lock
	@$(UV_COMPILE) --output-file requirements-dev.lock --extra otel --extra obstore --group dev \
		--constraint requirements-otel.lock --constraint requirements-obstore.lock
	@for group in audit clients; do \
		$(filter-out pyproject.toml,$(UV_COMPILE)) --output-file requirements-$$group.lock --group $$group; done

sbom: $(AUDIT_READY)
	@$(CHECK_NODE)
	@mkdir -p build/sbom
	@for lock in requirements requirements-otel requirements-obstore; do \
		.venv-audit/bin/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible \
			--output-file build/sbom/$$lock.cdx.json $$lock.lock 2>/dev/null || exit 1; done
	@# The peer dependencies of GraphiQL's explorer on React are outdated.
	@for page in $(PAGE) $(GRAPHIQL); do (cd $$page && npm sbom --package-lock-only --omit=dev --legacy-peer-deps \
		--sbom-format=cyclonedx) > build/sbom/$$(basename $$page).cdx.json || exit 1; done
	@echo "Wrote build/sbom"

# Checks everything, even after a finding. A source that cannot be reached is a failure.
audit: $(AUDIT_READY)
	@$(CHECK_NODE)
	@failed=; \
	for lock in requirements-otel requirements-obstore requirements-dev requirements-audit requirements-clients; do \
		echo "Checking $$lock.lock"; \
		.venv-audit/bin/pip-audit --strict --require-hashes --disable-pip --progress-spinner=off \
			--requirement $$lock.lock || failed="$$failed $$lock.lock"; done; \
	for page in $(PAGE) $(GRAPHIQL) tests/npm; do \
		for what in --omit=dev --include=dev; do \
			echo "Checking $$page $$what"; \
			(cd $$page && npm audit $$what) || failed="$$failed $$page($$what)"; done; done; \
	test -z "$$failed" || { echo "Vulnerabilities found, or source not reachable:$$failed"; exit 1; }

# The packages first, by hash; then this checkout, editable, without downloads.
$(PYTHON_READY): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Rungraph needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1)."; \
		echo "Use another one by: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "This Python cannot create virtual environments. On Debian and Ubuntu:"; \
		echo "    apt-get install python3-venv"; exit 1; }
	@echo "Installing the Python packages into .venv"
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(AUDIT_READY) $(CLIENTS_READY): .venv-%/.ready: requirements-%.lock
	@echo "Installing the packages of $< into .venv-$*"
	@test -x .venv-$*/bin/pip || $(PYTHON) -m venv .venv-$*
	@.venv-$*/bin/python -m pip install -qq --disable-pip-version-check --require-hashes -r $<
	@touch $@

CHECK_NODE = node -e 'const [major, minor] = "$(NODE_MIN)".split("."), [a, b] = process.versions.node.split("."); \
		process.exit((a - major || b - minor) < 0 ? 1 : 0)' 2>/dev/null \
	&& command -v npm >/dev/null || { \
		echo "Rungraph needs Node $(NODE_MIN) or newer with npm; 'node' is $$(node --version 2>/dev/null || echo not installed)."; \
		exit 1; }
NPM_CI := npm ci --no-audit --no-fund --loglevel=error

$(PAGE_PACKAGES): $(PAGE)/package-lock.json
	@$(CHECK_NODE)
	@echo "Installing the npm packages of the web UI"
	@cd $(PAGE) && $(NPM_CI) >/dev/null
	@touch $@

# The generated code in src/gql is committed and changes with the schema.
PAGE_SOURCES := schema.graphql $(wildcard $(PAGE)/*.json $(PAGE)/*.ts $(PAGE)/index.html) \
	$(shell find $(PAGE)/src $(PAGE)/public -path $(PAGE)/src/gql -prune -o -type f -print 2>/dev/null)

$(PAGE_READY): $(PAGE_PACKAGES) $(PAGE_SOURCES)
	@$(CHECK_NODE)
	@echo "Building the web UI"
	@cd $(PAGE) && npm run --silent build -- --logLevel error
	@touch $@

$(GRAPHIQL_READY): $(shell find $(GRAPHIQL) -path '*/node_modules' -prune -o -type f -print 2>/dev/null)
	@$(CHECK_NODE)
	@echo "Building GraphiQL"
	@cd $(GRAPHIQL) && $(NPM_CI) >/dev/null && npm run --silent build
	@touch $@

$(NPM_TESTS_READY): tests/npm/package-lock.json
	@$(CHECK_NODE)
	@echo "Installing the npm packages of the tests"
	@cd tests/npm && $(NPM_CI) >/dev/null
	@touch $@
