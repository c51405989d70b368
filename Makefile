# Two commands do all the set-up: `make demo` and `make test`.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
POSTGRESQL_URL ?= postgres://postgres@127.0.0.1:5432/postgres
MARIADB_URL ?= mysql://root@127.0.0.1:3306/test
# The newest Python that there is; Django's newest release comes with it.
NEWEST_PYTHON ?= $(firstword $(wildcard $(HOME)/.pyenv/versions/3.13.*/bin/python3.13) $(shell python3.13 -c 'import sys; print(sys.executable)' 2>/dev/null))
# What feels another Python or Django first; `tox` runs everything on each of them.
ON_NEWEST := tests/promises tests/services tests/conf tests/pages tests/admin tests/testproject
# The tests that each database's lane runs; what is left out has a lane of its own.
EVERYWHERE := not browser and not broker and not packaging
# With MEASURED=1 `make test` and `make test-slow` note which branches ran.
PYTEST := $(BIN)/$(if $(MEASURED),coverage run,python) -m pytest

.PHONY: help demo shop test test-newest test-slow coverage coverage-report test-browser test-celery test-api openapi chaos chaos-short bench bench-admin bench-short lint typecheck migrations docs package test-postgresql test-mariadb ci clean

help:
	@echo "make demo              play a whole purchase against the built-in sandbox"
	@echo "make shop              serve the example shop on http://127.0.0.1:8000/"
	@echo "make test              the test suite on SQLite, without any server"
	@echo "make test-slow         the tests of that suite that take seconds each"
	@echo "make coverage          both, and which branches of the package they never run"
	@echo "make test-newest       most of that suite on the newest Python and Django"
	@echo "make test-browser      the pages in Chromium"
	@echo "make test-celery       deliveries by Celery workers over Redis and RabbitMQ"
	@echo "make test-api          schemathesis and a generated client against the served shop"
	@echo "make openapi           write docs/reference/openapi.yaml anew from the code"
	@echo "make chaos             faults under load, 1,000 notifications each (make chaos-short: 100)"
	@echo "make bench             all measurements, half an hour (make bench-short: a quick look)"
	@echo "make bench-admin       the admin's screens over a million payments in PostgreSQL"
	@echo "make test-postgresql   the test suite on POSTGRESQL_URL"
	@echo "make test-mariadb      the test suite on MARIADB_URL"
	@echo "make lint typecheck migrations docs package"
	@echo "make ci                everything that .ci/run does"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name it: make PYTHON=python3.12 …"; exit 1; }
	@echo "Creating the environment in $(VENV) …"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip

# A stamp for each set of packages, so that `make demo` installs no more than a shop needs.
$(VENV)/.run: pyproject.toml | $(BIN)/python
	@echo "Installing django-pagoefectivo …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.%: pyproject.toml | $(VENV)/.run
	@echo "Installing the packages of group $* …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group $*
	@touch $@

demo: $(VENV)/.run
	@$(BIN)/python testproject/demo.py

shop: $(VENV)/.run
	@$(BIN)/python testproject/serve.py

test: $(VENV)/.run $(VENV)/.test
	@$(PYTEST) -n auto -m "$(EVERYWHERE) and not slow"

test-newest:
	@$(if $(NEWEST_PYTHON),,echo "There is no Python 3.13; name one: make NEWEST_PYTHON=…"; exit 1)
	@$(MAKE) --no-print-directory VENV=.venv-newest PYTHON=$(NEWEST_PYTHON) .venv-newest/.test
	@.venv-newest/bin/python -m pytest -n auto -m "$(EVERYWHERE) and not slow" $(ON_NEWEST)

test-slow: $(VENV)/.run $(VENV)/.test
	@$(PYTEST) -n auto -m "$(EVERYWHERE) and slow"

coverage:
	@rm -f .coverage .coverage.*
	@$(MAKE) --no-print-directory MEASURED=1 test test-slow
	@$(MAKE) --no-print-directory coverage-report

coverage-report: $(VENV)/.run $(VENV)/.test
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

test-browser: $(VENV)/.run $(VENV)/.test $(VENV)/.browser
	@REQUIRE_BROWSER=1 $(BIN)/python -m pytest -m browser tests/browser

test-celery: $(VENV)/.run $(VENV)/.test $(VENV)/.servers
	@$(BIN)/python -m pytest -m "broker and not browser" tests/celery

test-api: $(VENV)/.run $(VENV)/.test $(VENV)/.api
	@REQUIRE_API=1 $(BIN)/python -m pytest tests/api/test_generators.py

openapi: $(VENV)/.run $(VENV)/.test
	@$(BIN)/python -m tests.api.openapi_file

chaos: $(VENV)/.run $(VENV)/.test $(VENV)/.servers
	@$(BIN)/python -m tests.chaos

chaos-short: $(VENV)/.run $(VENV)/.test $(VENV)/.servers
	@$(BIN)/python -m tests.chaos --short

bench: $(VENV)/.run $(VENV)/.test $(VENV)/.servers
	@POSTGRESQL_URL=$(POSTGRESQL_URL) $(BIN)/python -m benchmarks

bench-short: $(VENV)/.run $(VENV)/.test $(VENV)/.servers
	@POSTGRESQL_URL=$(POSTGRESQL_URL) $(BIN)/python -m benchmarks --short

bench-admin: $(VENV)/.run $(VENV)/.test $(VENV)/.servers
	@POSTGRESQL_URL=$(POSTGRESQL_URL) $(BIN)/python -m benchmarks.screens

test-postgresql: $(VENV)/.run $(VENV)/.test $(VENV)/.servers
	@DATABASE_URL=$(POSTGRESQL_URL) $(BIN)/python -m pytest -n auto -m "$(EVERYWHERE)"

test-mariadb: $(VENV)/.run $(VENV)/.test $(VENV)/.servers $(VENV)/.mariadb
	@DATABASE_URL=$(MARIADB_URL) $(BIN)/python -m pytest -n auto -m "$(EVERYWHERE)"

lint: $(VENV)/.lint
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

typecheck: $(VENV)/.run $(VENV)/.test $(VENV)/.lint
	@$(BIN)/mypy

migrations: $(VENV)/.run
	@DJANGO_SETTINGS_MODULE=tests.settings $(BIN)/python -m django makemigrations --check --dry-run
	@$(BIN)/python testproject/manage.py makemigrations --check --dry-run

docs: $(VENV)/.run $(VENV)/.docs
	@$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

package: $(VENV)/.run $(VENV)/.test $(VENV)/.package
	@rm -rf build dist
	@$(BIN)/python -m build --outdir dist
	@$(BIN)/twine check --strict dist/*
	@$(BIN)/check-manifest
	@DISTRIBUTIONS=dist $(BIN)/python -m pytest -n 2 --dist loadfile -m packaging tests/packaging

ci:
	@CI=true bash .ci/run

clean:
	rm -rf $(VENV) docs/_build build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
