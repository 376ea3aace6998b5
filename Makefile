# make demo   install into .venv with the extra demo and run the main job on photographs
# make test   install the test tools, then format, lint, types and tests (make check is the same)
# make test-timm  the timm adapter, in .venv/timm
# make test-s3  releases from and into buckets of S3, by s3fs, of a server of this machine
# make test-gateway  the long looks at the gateway: kill -9, PostgreSQL, schemathesis, the page
# make bench  what things cost, as ratios, in some minutes: ONLY="recode deep", FULL=--full; then the page and plots of it;
#                RUN=--help lists what else is measured, RUN="search -h" says what a part takes
# make pages  renew what is generated in docs/ and README.md: commands, results, numbers in prose
# make docs   the same, then build the pages into site/; a broken link or anchor is an error
# make docs-serve  show them on http://127.0.0.1:8000
# make clean  remove .venv and everything generated

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   ?= .venv
BIN    := $(VENV)/bin
# Constraints everywhere: an open torch range would pull several GB of CUDA packages.
PIP    := $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt
JOBS   ?= 2

.PHONY: demo test check test-timm test-s3 test-gateway bench clean pages docs docs-serve

$(VENV)/.base: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	@touch $@

$(VENV)/.test: $(VENV)/.base
	$(PIP) -e '.[test]'
	@touch $@

$(VENV)/.demo: $(VENV)/.base
	$(PIP) -e '.[demo]'
	@touch $@

$(VENV)/.docs: $(VENV)/.base
	$(PIP) -e '.[docs]'
	@touch $@

demo: $(VENV)/.demo
	$(BIN)/catch11 demo --out demo

test check: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

# An environment of its own: timm brings torchvision, which does not load beside every torch.
test-timm:
	sh tests/timm/run.sh

# An environment on top of the main one: what s3fs pins does not go with constraints.txt.
S3 := $(VENV)/s3/bin/python
SITE := -c "import sysconfig; print(sysconfig.get_path('purelib'))"
test-s3: $(VENV)/.test
	$(PYTHON) -m venv $(VENV)/s3
	$(BIN)/python $(SITE) > "$$($(S3) $(SITE))/main.pth"
	$(S3) -m pip install -qq --disable-pip-version-check s3fs 'moto[server]'
	$(S3) -m pytest tests/releases/test_s3.py

# Minutes; PostgreSQL and chromium where they are installed.
test-gateway: $(VENV)/.test
	cd tests/serve/page && npm install --no-audit --no-fund || true
	CATCH11_LONG=1 $(BIN)/python -m pytest tests/serve tests/client

bench: $(VENV)/.test
ifdef RUN
	$(BIN)/python benchmarks $(RUN)
else
	$(BIN)/python benchmarks speed $(foreach part,$(ONLY),--only $(part)) $(FULL)
	$(BIN)/python benchmarks speed --page
endif

pages: $(VENV)/.base
	$(BIN)/python -m catch11.cli.manual docs/reference/commands.md
	$(BIN)/python -m catch11.report.results .

docs: pages $(VENV)/.docs
	$(BIN)/mkdocs build --strict
	! grep -rlE '<(script|link|img)[^>]+(src|href)="?https?:' site --include='*.html'

docs-serve: pages $(VENV)/.docs
	$(BIN)/mkdocs serve

clean:
	rm -rf $(VENV) build dist demo site bench-work .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
