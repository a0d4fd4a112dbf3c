# Two commands are all a newcomer needs: `make demo` and `make test`.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEMO ?= .demo
# Share of the 20,933 pictures that the demo draws, and how long it trains on them.
DEMO_SCALE ?= 0.1
DEMO_EPOCHS ?= 8
# Pictures to measure on: class folders, or synthetic ones without it; and how many of them.
BENCH_INPUT ?=
SCALE ?= 5000

# A process a core, each with whole files of tests, so that what a file makes is made once.
TESTS := $(BIN)/python -m pytest -n auto --dist=loadfile

# What is searched for misspelt words.
SPELLED := $(wildcard *.md) docs beam_pipelines benchmarks evenshard examples experiments tests tfrecords trainer

# How long to torture, which cases, and which kinds of them (all without a name).
MINUTES ?= 20
SEED ?= 0
ONLY ?=

# --demo also runs the demo in each environment, --only=3.12 tries one Python.
RELEASE_FLAGS ?=

# Prism and Flink, fetched with go and mvn; Flink runs on Java 17.
ENGINES := .engines
PRISM_VERSION ?= v2.77.0

.DEFAULT_GOAL := help
.PHONY: help install demo check test bench docs lint types imports torture test-slow test-gpu engines flink-test \
  release-check clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED)  ## make the virtual environment and install everything into it

$(INSTALLED): pyproject.toml setup.py constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "Python 3.10 or newer is needed; $(PYTHON) is $$($(PYTHON) --version). Try make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
	  --editable '.[beam,trainer,dev]'
	@touch $@

demo: $(INSTALLED)  ## draw pictures, bake, train and open the way to the report (under 10 minutes)
	$(BIN)/evenshard demo --dir=$(DEMO) --scale=$(DEMO_SCALE) --epochs=$(DEMO_EPOCHS)

check: lint types imports  ## a first answer: lint, types, imports, fast tests (90 seconds)
	$(TESTS) --fast

test: lint types imports  ## everything that must pass before a change lands (about 15 minutes)
	$(TESTS)

bench: $(INSTALLED)  ## ours, the floor and the peers, side by side; SCALE=500 takes ten minutes
	$(BIN)/python -m benchmarks.run_all --scale=$(SCALE) $(if $(BENCH_INPUT),--input=$(BENCH_INPUT))

docs: $(INSTALLED)  ## build the documentation site into .site, with every link checked
	@$(BIN)/python -c 'import mkdocs' 2>/dev/null || $(BIN)/python -m pip install --quiet \
	  --disable-pip-version-check --constraint constraints.txt --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "Open .site/index.html, or with search: $(BIN)/python -m http.server -d .site"

lint: $(INSTALLED)  ## ruff: style, imports, likely bugs, formatting; codespell: misspelt words
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell $(SPELLED)

types: $(INSTALLED)  ## mypy over the packages
	$(BIN)/mypy

imports: $(INSTALLED)  ## who may import whom
	$(BIN)/lint-imports

torture: $(INSTALLED)  ## kills, damages, full disks, hostile files, by seed; MINUTES=20 SEED=0 ONLY=
	$(BIN)/python -m tests.torture --minutes=$(MINUTES) --seed=$(SEED) --only=$(ONLY)

test-slow: $(INSTALLED)  ## the tests that take minutes
	$(BIN)/python -m pytest -m slow

test-gpu: $(INSTALLED)  ## the tests that need a GPU
	$(BIN)/python -m pytest -m gpu

engines: $(INSTALLED) $(ENGINES)/prism $(ENGINES)/flink  ## one bake on every engine here; the digests side by side
	$(BIN)/python -m benchmarks.engines --tools=$(ENGINES)

flink-test: $(INSTALLED) $(ENGINES)/flink  ## the same on Flink alone: embedded, a cluster, a killed TaskManager
	$(BIN)/python -m benchmarks.engines --tools=$(ENGINES) \
	  --engines=local1,flink,flink-pool,flink-cluster,flink-kill

$(ENGINES)/prism:
	GOBIN=$(abspath $(ENGINES)) go install github.com/apache/beam/sdks/v2/go/cmd/prism@$(PRISM_VERSION)

$(ENGINES)/flink: benchmarks/engines/flink/pom.xml
	rm -rf $@
	mvn --quiet --batch-mode --file benchmarks/engines/flink/pom.xml dependency:copy-dependencies \
	  -DincludeScope=runtime -DoutputDirectory=$(abspath $@)
	@touch $@

release-check:  ## build wheel and sdist, install and use them in clean environments (minutes)
	$(PYTHON) .ci/release_check.py $(RELEASE_FLAGS)

clean:  ## remove what the commands above made
	rm -rf $(VENV) $(DEMO) $(ENGINES) .bench .site build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
