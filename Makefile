# A fresh clone needs only GNU make and Python 3.12 or newer. `make help` lists the targets.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-print-directory

# Relative, so that the path of the checkout may contain spaces. Always `python -m`, so that the
# checkout may be moved.
PY := .venv/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet
RUN_STAMP := .venv/run.stamp
DEV_STAMP := .venv/dev.stamp
STATIC := $(or $(DATA_DIR),var)/static/staticfiles.json

# Remove the stamps if the environment's Python no longer runs, as after an upgrade of Python.
ifneq ($(wildcard $(RUN_STAMP)),)
ifneq ($(shell $(PY) -c 'print(1)' 2>/dev/null),1)
$(shell rm -f $(RUN_STAMP) $(DEV_STAMP))
endif
endif

.PHONY: help run https demo test check proof mutants bench release messages lock clean python

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name does; do \
	    printf 'make %-8s %s\n' "$$name" "$$does"; done

# make exports settings on its command line (`make run PORT=9000`) to the recipe.
run: $(RUN_STAMP) $(STATIC) ## run the site at http://localhost:8000 (PORT=, BIND= change it)
	@export ENVIRONMENT_DEFAULT=development; \
	$(PY) manage.py migrate --verbosity 0 && \
	$(PY) manage.py create_owner --if-none && \
	exec $(PY) -m authsite

https: $(RUN_STAMP) $(STATIC) ## run the site as in production, with TLS, at https://authsite.localhost:8443
	@exec $(PY) -m authsite.serving.https

$(STATIC): requirements.txt $(wildcard static/* static/*/*) | $(RUN_STAMP)
	@ENVIRONMENT_DEFAULT=development $(PY) manage.py collectstatic --noinput --clear --verbosity 0

demo: $(RUN_STAMP) ## run the site with a few accounts to try, an OpenID Provider and an app
	@exec $(PY) -m docs.examples.demo

# The workers share the compiled tests, even where the variable is set, as in many containers.
test: $(DEV_STAMP) ## run the tests, in parallel (QUICK=1: those that are quick)
	@PYTHONDONTWRITEBYTECODE= $(PY) -m pytest $(if $(QUICK),-m 'not (server or long or proof)') --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder \
	    -o faulthandler_timeout=300 -o faulthandler_exit_on_timeout=true

check: $(DEV_STAMP) ## check format, lint, types, imports, deployment, migrations, templates
	@echo '== format';     $(PY) -m ruff format --check --quiet .
	@echo '== lint';       $(PY) -m ruff check --quiet .
	@echo '== types';      $(IN_DEVELOPMENT) $(PY) -m mypy --no-error-summary
	@echo '== imports';    .venv/bin/lint-imports --no-logo
	@echo '== deployment'; $(IN_PRODUCTION) $(PY) manage.py check --deploy --fail-level WARNING
	@echo '== migrations'; $(IN_DEVELOPMENT) $(PY) manage.py makemigrations --check --dry-run
	@echo '== templates and translations'; $(PY) -m pytest --quiet tests/house

proof: $(DEV_STAMP) ## run the long tests: races, scanners, removed defences, branches, 300 mutants (SEED= draws the same)
	@$(PY) -m tests.proof $(SEED)

mutants: $(DEV_STAMP) ## change one thing at a time in the security core: a test must fail (FILES= of these only)
	@$(PY) -m tests.sabotage.mutants $(FILES)

bench: $(DEV_STAMP) ## compare the speed with the yardsticks (WRITE=1: write docs/speed.md; FULL=1: large)
	@$(PY) -m tests.bench $(if $(WRITE),--write) $(if $(FULL),--full)

release: $(DEV_STAMP) ## build the release of this commit in dist/ (BASE_DIGEST=, and AUDIT_DB= or UNAUDITED=1)
	@$(PY) -m tests.release --base-digest "$(BASE_DIGEST)" \
	    $(if $(UNAUDITED),--unaudited) $(if $(AUDIT_DB),--audit-db "$(AUDIT_DB)")

messages: $(DEV_STAMP) ## update locale/ from code and templates
	@$(PY) -m tests.support.translations

lock: $(DEV_STAMP) ## compile the requirements*.in files, with hashes
	@$(COMPILE) --output-file requirements.txt requirements.in
	@$(COMPILE) --output-file requirements-dev.txt requirements-dev.in
	@$(COMPILE) --output-file tests/scanners/requirements.txt tests/scanners/requirements.in
	@$(COMPILE) --output-file tests/scanners/openapi/requirements.txt \
	    tests/scanners/openapi/requirements.in
	@$(COMPILE) --output-file tests/scanners/scim/requirements.txt \
	    tests/scanners/scim/requirements.in
	@$(COMPILE) --output-file tests/bench/yardsticks/requirements.txt \
	    tests/bench/yardsticks/requirements.in
	@$(COMPILE) --output-file tests/clients/requirements.txt tests/clients/requirements.in
	@$(COMPILE) --output-file tests/clients/flask/requirements.txt \
	    tests/clients/flask/requirements.in
	@$(COMPILE) --output-file tests/support/telemetry/requirements.txt \
	    tests/support/telemetry/requirements.in

clean: ## remove what make created, except var/, the site's data
	@rm -rf .venv .cache .mypy_cache .pytest_cache .ruff_cache .import_linter_cache staticfiles
	@find accounts authsite tests -name __pycache__ -prune -exec rm -rf {} +

# One more than cores: tests often wait for a browser, an email or a starting server.
WORKERS = $$($(PY) -c 'import os; print((os.cpu_count() or 1) + 1)')

COMPILE = $(PY) -m uv pip compile --quiet --upgrade --universal --python-version 3.12 \
	--generate-hashes --no-emit-index-url --custom-compile-command 'make lock'

# A temporary folder that is removed when the recipe's shell exits.
IN_TEMPORARY = dir="$$(mktemp -d)" && trap 'rm -rf "$$dir"' EXIT && DATA_DIR="$$dir"
IN_DEVELOPMENT = $(IN_TEMPORARY) ENVIRONMENT=development
IN_PRODUCTION = $(IN_TEMPORARY) ENVIRONMENT=production ORIGIN=https://authsite.example \
	DATABASE_URL="sqlite:///$$dir/db.sqlite3" \
	EMAIL_URL=smtp://127.0.0.1:25 MAIL_FROM=authsite@authsite.example \
	SECRET_KEY="$$($(PY) -c 'import secrets; print(secrets.token_urlsafe(50))')" \
	ENCRYPTION_KEYS="$$($(PY) -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())')"

# Rebuild the environment when requirements.txt changes, so that a removed package is missed at once.
$(RUN_STAMP): requirements.txt
	@if [ -L .venv ]; then echo '.venv is a symbolic link: creating it again would empty its target.' >&2; exit 1; fi
	@$(FIND_PYTHON); \
	echo "Setting up .venv with $$("$$python" --version)"; \
	"$$python" -m venv --clear .venv
	@$(PIP) install --require-hashes -r requirements.txt
	@deploy/argon2/build >/dev/null 2>&1 || true
	@touch $@

$(DEV_STAMP): requirements-dev.txt $(RUN_STAMP)
	@$(PIP) install --require-hashes -r requirements-dev.txt
	@touch $@

python:
	@$(FIND_PYTHON); echo "$$python"

# The newest Python that really starts (a version manager's shim may not) and has venv (on Debian a
# separate package).
define FIND_PYTHON
for python in python3.14 python3.13 python3.12 python3 ''; do \
    [ -z "$$python" ] && break; \
    "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 12))' \
        >/dev/null 2>&1 && break; \
done; \
[ -n "$$python" ] || { \
    echo 'Python 3.12 or newer with venv is needed: install python3 and python3-venv.' >&2; exit 1; }
endef
