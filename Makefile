# make demo   install into .venv and run the main job on embedded digits
# make test   install the test tools, then format, lint, types and tests (make check is the same)
# make test-timm  the timm adapter, in .venv/timm
# make clean  remove .venv and everything generated

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   ?= .venv
BIN    := $(VENV)/bin
# Constraints everywhere: an open torch range would pull several GB of CUDA packages.
PIP    := $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt
JOBS   ?= 2

.PHONY: demo test check test-timm clean docs

$(VENV)/.base: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	@touch $@

$(VENV)/.test: $(VENV)/.base
	$(PIP) -e '.[test]'
	@touch $@

demo: $(VENV)/.base
	$(BIN)/catch11 demo --out demo

test check: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n $(JOBS)

# An environment of its own: timm brings torchvision, which does not load beside every torch.
test-timm:
	sh tests/timm/run.sh

docs: $(VENV)/.test
	$(BIN)/python -m catch11.cli.manual docs/cli.md

clean:
	rm -rf $(VENV) build dist demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
