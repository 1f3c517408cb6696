# make run: install, start Limner, serve the local page.   make test: the tests.
PYTHON ?= python3
.DEFAULT_GOAL := help
.PHONY: help run test setup setup-dev

help:
	@echo "make run    install, start Limner and serve its page (LIMNER_DATA, LIMNER_WEB_PORT)"
	@echo "make test   install the development tools too and run the tests"

setup setup-dev:
	@command -v $(PYTHON) >/dev/null || { \
		echo "Python is missing: install 3.11 or newer with venv, then run the same command again." >&2; exit 1; }
	@$(PYTHON) tools/setup.py $(if $(filter setup-dev,$@),--dev)

run: setup
	@exec .venv/bin/limner run

test: setup-dev
	@exec .venv/bin/python -m pytest -q -n auto --dist worksteal $(PYTEST)
