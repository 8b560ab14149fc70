# latcomp: everything runs inside .venv, made on first use from pyproject.toml.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
RUNS := $(VENV)/.runs
EXAMPLE := examples/example.mp4
DEMO := demo-out
JOBS ?= auto

.DEFAULT_GOAL := help
.PHONY: help install test lint fuzz lowest demo docs clean distclean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(INSTALLED) ## make .venv and install latcomp with its development tools

# torch comes from the dev extra's exact version in every install, never from a looser first one
TORCH = $(shell sed -n 's/^ *"\(torch==[^"]*\)".*/\1/p' pyproject.toml)
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "latcomp needs Python 3.11 or newer; set it with: make PYTHON=python3.12" >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(INSTALLED): pyproject.toml | $(VENV)/.made
	@echo "installing latcomp and its development tools into $(VENV) (torch is a large download)"
	$(PIP_INSTALL) -e '.[dev]'
	@touch $@ $(RUNS)

# what runs latcomp, without the development tools
$(RUNS): pyproject.toml | $(VENV)/.made
	@echo "installing latcomp into $(VENV) (torch is a large download)"
	$(PIP_INSTALL) -e . '$(TORCH)'
	@touch $@

lint: $(INSTALLED) ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy

test: lint ## lint, then every test, in JOBS processes (one for each core, at most 8)
	$(BIN)/python -m pytest -q -n $(JOBS) --maxprocesses 8 --dist loadfile

fuzz: $(INSTALLED) ## fuzz the reader of .lat files, for LATCOMP_FUZZ_SECONDS (600) over all targets
	$(BIN)/python -m tests.fuzz.run

lowest: ## try the lowest versions of the dependencies, in .venv-lowest
	@PYTHON=$(PYTHON) tools/lowest-versions.sh .venv-lowest

demo: $(RUNS) ## encode, inspect, decode and compare the example clip, and follow a camera, into demo-out/
	@rm -rf $(DEMO) && mkdir -p $(DEMO)
	@PATH="$(abspath $(BIN)):$$PATH"; set -e; \
	step() { printf '\n$$ %s\n' "$$*"; "$$@"; }; \
	exec 2>&1; \
	step latcomp encode $(EXAMPLE) $(DEMO)/example.lat; \
	step latcomp stats $(DEMO)/example.lat; \
	step latcomp decode $(DEMO)/example.lat $(DEMO)/example.mp4; \
	step latcomp compare $(EXAMPLE) $(DEMO)/example.lat; \
	step python examples/render_pan.py $(DEMO)/pan.mp4; \
	step latcomp encode $(DEMO)/pan.mp4 $(DEMO)/followed.lat --min-psnr 37; \
	step latcomp encode $(DEMO)/pan.mp4 $(DEMO)/still.lat --min-psnr 37 --camera off; \
	step python examples/camera_saving.py $(DEMO)/followed.lat $(DEMO)/still.lat

$(VENV)/.docs: $(INSTALLED)
	$(PIP_INSTALL) -e '.[dev,docs]'
	@touch $@

docs: $(VENV)/.docs ## write docs/commands.md and build the site of the documentation into build/site
	$(BIN)/python -m tools.command_reference
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict
	@echo "build/site/index.html is written; python3 -m http.server -d build/site serves it with its search"

clean: ## remove what tests, builds and the demo left
	rm -rf $(DEMO) build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis *.egg-info
	find latcomp tests -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## also remove .venv
	rm -rf $(VENV) .venv-lowest
