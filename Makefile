# Two commands do all the set-up: `make demo` and `make test`.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
POSTGRESQL_URL ?= postgres://postgres@127.0.0.1:5432/postgres
MARIADB_URL ?= mysql://root@127.0.0.1:3306/test
# The newest Python that there is; Django's newest release comes with it.
NEWEST_PYTHON ?= $(firstword $(wildcard $(HOME)/.pyenv/versions/3.13.*/bin/python3.13) $(shell python3.13 -c 'import sys; print(sys.executable)' 2>/dev/null))
# What feels another Python or Django first; `tox` runs everything on each of them.
ON_NEWEST := tests/django_tasks tests/promises tests/services tests/conf tests/pages tests/admin tests/testproject
# The tests that each database's lane runs; what is left out has a lane of its own.
EVERYWHERE := not browser and not broker and not packaging
# With MEASURED=1 `make test` and `make test-slow` note which branches ran.
PYTEST := $(BIN)/$(if $(MEASURED),coverage run,python) -m pytest

comma := ,
space := $(subst ,, )
# What stands beside the code, for Sphinx.
ROOT_PAGES := -c docs -D root_doc=README -D include_patterns=$(subst $(space),$(comma),$(wildcard *.rst))
# Words are looked up as they stand, whether or not their references lead somewhere.
SPELLING := ENCHANT_CONFIG_DIR=docs/_build/enchant $(BIN)/sphinx-build -W --keep-going -q -b spelling -t spelling \
	-D nitpicky=0 -D suppress_warnings=ref.doc,toc.not_included

.PHONY: help demo shop test test-newest test-slow coverage coverage-report test-browser test-celery test-api openapi chaos chaos-short bench bench-admin bench-short lint typecheck migrations docs spelling linkcheck package test-postgresql test-mariadb ci clean

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
	@echo "make lint typecheck migrations docs spelling package"
	@echo "make linkcheck         ask every address that the docs link (needs a network)"
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

typecheck: $(VENV)/.run $(VENV)/.test $(VENV)/.lint $(VENV)/.servers $(VENV)/.browser
	@$(BIN)/mypy

migrations: $(VENV)/.run
	@DJANGO_SETTINGS_MODULE=tests.settings $(BIN)/python -m django makemigrations --check --dry-run
	@$(BIN)/python testproject/manage.py makemigrations --check --dry-run

docs: $(VENV)/.run $(VENV)/.docs
	@command -v dot >/dev/null || { echo "The diagrams need Graphviz (apt-get install graphviz)."; exit 1; }
	@$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

# English as written in the docs and the docstrings in them, then the Spanish quick start, then
# what stands beside the code. No dictionary of this kind splits Chinese into words. Enchant takes
# its order from a folder, in which it also keeps a reader's own words: one that is made for this.
spelling: $(VENV)/.run $(VENV)/.docs $(VENV)/.spelling
	@rm -rf docs/_build/enchant && mkdir -p docs/_build/enchant
	@cp docs/spelling/enchant.ordering docs/_build/enchant
	@$(SPELLING) docs docs/_build/spelling
	@$(SPELLING) -D spelling_lang=es -D root_doc=quickstart-es -D include_patterns=quickstart-es.rst \
		-D spelling_exclude_patterns= docs docs/_build/spelling-es
	@$(SPELLING) $(ROOT_PAGES) . docs/_build/spelling-root

linkcheck: $(VENV)/.run $(VENV)/.docs
	@$(BIN)/sphinx-build -q -b linkcheck docs docs/_build/linkcheck
	@$(BIN)/sphinx-build -q -b linkcheck $(ROOT_PAGES) . docs/_build/linkcheck-root

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
