# Every target installs what it needs. Required: Python 3.11 or newer, make and git.
#   EXTRA=cpu|gpu|jax   the backend to install; default: that of the last setup of .venv, else cpu
#   PYTHON=python3.12   the interpreter of .venv; default: python3, or what uv finds

ifndef EXTRA
EXTRA := $(or $(patsubst .venv/.setup-%,%,$(firstword $(wildcard .venv/.setup-*))),cpu)
endif
ifdef PYTHON
export UV_PYTHON := $(PYTHON)
endif

# A uv on PATH is used. Otherwise this version is installed into a folder with the version in its name,
# so that a new pin installs a new one.
UV_VERSION := 0.13.8
UV_HOME := .tools/uv-$(UV_VERSION)
UV := $(if $(shell uv --version 2>/dev/null),uv,$(UV_HOME)/bin/uv)
RUN := $(UV) run --no-sync

# The stamp is inside .venv, so that removing .venv removes it. Its name contains the extra, so that
# another extra installs again.
SETUP := .venv/.setup-$(EXTRA)

# The same environment with PyTorch, for comparisons.
BENCH := .venv-bench/.setup-$(EXTRA)
WHEELS := $(or $(UV_FIND_LINKS),$(PIP_FIND_LINKS))
BACKEND := $(if $(filter jax,$(EXTRA)),jax,tensorflow)
TORCH := $(if $(WHEELS),,--torch-backend $(if $(filter gpu,$(EXTRA)),auto,cpu))

# Compiling bytecode once takes half a minute and saves each stage four seconds of importing Keras.
export UV_COMPILE_BYTECODE := 1

# Use .venv, whatever environment is active in the calling shell.
unexport VIRTUAL_ENV
export UV_PROJECT_ENVIRONMENT := .venv

# Telemetry is off unless the caller enables it.
DVC_NO_ANALYTICS ?= 1
DO_NOT_TRACK ?= 1
PREFECT_SERVER_ANALYTICS_ENABLED ?= false
MLFLOW_DISABLE_TELEMETRY ?= true
export DVC_NO_ANALYTICS DO_NOT_TRACK PREFECT_SERVER_ANALYTICS_ENABLED MLFLOW_DISABLE_TELEMETRY

# Lanes of tests run side by side, the longest first: a test is often one core that waits for a process.
# Each lane's output is shown when it has ended (GNU make 4), and a failure stops no other lane.
NETWORKS := $(wildcard $(addprefix tests/,contracts $(addprefix fcn/,inference network prediction pretrained serving training)))
FLOWS := $(wildcard $(addprefix tests/,flows stages $(addprefix fcn/,runtime tracking)))
LANES := test-pipeline test-networks test-flows test-rooms
run_lanes = @echo "$(words $1) lanes, each shown when it has ended: $1"; \
  $(MAKE) --no-print-directory --keep-going --jobs=3 $(if $(filter output-sync,$(.FEATURES)),--output-sync=target) $1

.DEFAULT_GOAL := help
.PHONY: help setup reproduce test test-fast $(LANES) test-services check all serve deploy stop soak bench bench-main

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(SETUP) ## install exactly what uv.lock says into .venv (EXTRA=cpu, gpu or jax)

reproduce: $(SETUP) ## run the last commit in reproduction/, and compare with its tables
	$(RUN) python -m flows.reproduce --verify

serve: $(SETUP) ## start Prefect, MLflow and a worker on this machine, until Ctrl-C or make stop
	$(RUN) python -m flows.serve

deploy: $(SETUP) ## deploy prefect.yaml to the server that make serve started
	$(RUN) python -m flows.serve --deploy

stop: $(SETUP) ## stop what make serve started, and nothing else
	$(RUN) python -m flows.serve --stop

check: $(SETUP) ## check style, types and the order of imports
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) mypy
	$(RUN) lint-imports --no-logo

test: $(SETUP) ## run all tests except those that need a browser or a database server
	$(call run_lanes,$(LANES))

all: $(SETUP) ## run test-services, test and check side by side, as CI does
	$(call run_lanes,test-services $(LANES) check)

test-pipeline: $(SETUP)
	$(RUN) pytest tests/pipeline

test-networks: $(SETUP)
	$(RUN) pytest $(NETWORKS)

test-flows: $(SETUP)
	$(RUN) pytest $(FLOWS)

test-rooms: $(SETUP)
	$(RUN) pytest $(addprefix --ignore=,tests/pipeline $(NETWORKS) $(FLOWS))

# What runs neither Keras nor a server.
FAST := common conversion datasets download labels pictures records report samples scores settings uncertainty
test-fast: $(SETUP) ## run the tests that take under 90 s together, for daily work
	$(RUN) pytest $(addprefix tests/fcn/,$(FAST)) tests/test_architecture.py tests/test_readme.py

test-services: $(SETUP) ## run the tests that need a browser or a database server; as root on Debian it installs both
	@missing=; \
	command -v chromium >/dev/null || missing=chromium; \
	PATH="$$PATH:$$(echo /usr/lib/postgresql/*/bin | tr ' ' :)" command -v initdb >/dev/null || missing="$${missing:+$$missing }postgresql"; \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing || exit 1; \
	elif [ -n "$$missing" ]; then \
	  echo "make test-services: these tests need programs that are missing." >&2; \
	  echo "  got        no $$missing" >&2; \
	  echo "  allowed    chromium on PATH; initdb on PATH or under /usr/lib/postgresql" >&2; \
	  echo "  next step  as root: apt-get install $$missing (on Debian root gets them from this target)" >&2; \
	  exit 1; \
	fi; \
	$(RUN) pytest -m "services and not soak" $$(grep -rl --include='test_*.py' 'mark\.services' tests)

soak: $(SETUP) ## run the tests that take many minutes: many kills, long runs
	$(RUN) pytest -m soak

bench: $(BENCH) ## compare speed with PyTorch and tf.data, both sides in one run
	.venv-bench/bin/python -m bench.train_step --backend $(BACKEND)
	.venv-bench/bin/python -m bench.train_step --backend $(BACKEND) --precision mixed_bfloat16
	.venv-bench/bin/python -m bench.train_step --backend $(BACKEND) --precision mixed_bfloat16 --device gpu --batch 16 --height 360 --width 480
	.venv-bench/bin/python -m bench.input digits-fcn8s
	.venv-bench/bin/python -m bench.predict --batches 1
	.venv-bench/bin/python -m bench.around

bench-main: $(SETUP) ## compare the main job's time and memory with commit 918b8e0, on an idle machine
	$(RUN) python -m bench.main_job 918b8e0 HEAD --pairs 3

# PyTorch is not locked: its own index has the build without CUDA, the package index the build with it.
# A folder of wheels (UV_FIND_LINKS, PIP_FIND_LINKS) replaces PyTorch's index.
$(BENCH): $(SETUP) bench/requirements.txt
	rm -f .venv-bench/.setup-*
	UV_PROJECT_ENVIRONMENT=.venv-bench $(UV) sync --locked --extra $(EXTRA) --extra pipeline
	UV_FIND_LINKS="$(WHEELS)" $(UV) pip install --python .venv-bench/bin/python $(TORCH) -r bench/requirements.txt
	@touch $@

# The old stamps are removed first: an interrupted setup leaves none.
$(SETUP): pyproject.toml uv.lock | $(filter $(UV_HOME)/%,$(UV))
	rm -f .venv/.setup-*
	$(UV) sync --locked --extra $(EXTRA) --extra pipeline
	@touch $@

# Installed under another name and renamed, so that a partial installation is never used.
# Some systems have venv without pip, others pip without venv; either is sufficient.
$(UV_HOME)/bin/uv:
	@python=$(or $(PYTHON),python3); got=$$($$python --version 2>&1) || got="no $$python that runs ($$got)"; \
	minor=$${got#Python 3.}; minor=$${minor%%.*}; \
	if ! [ "$$minor" -ge 11 ] 2>/dev/null; then \
	  echo "make: this project needs Python 3.11 or newer." >&2; \
	  echo "  looked at  $$python ($$(command -v $$python || echo 'not on PATH'))" >&2; \
	  echo "  got        $$got" >&2; \
	  echo "  allowed    3.11, 3.12 or 3.13; with a newer one, uv fetches one of these" >&2; \
	  echo "  next step  install Python 3.12, or name another: make setup PYTHON=/path/to/python3.12" >&2; \
	  exit 1; \
	fi; \
	echo "uv is not on PATH: installing uv $(UV_VERSION) into $(UV_HOME)"; \
	rm -rf $(UV_HOME) $(UV_HOME).partial; \
	if $$python -c 'import ensurepip' 2>/dev/null; then \
	  $$python -m venv $(UV_HOME).partial && $(UV_HOME).partial/bin/pip install --quiet uv==$(UV_VERSION); \
	elif $$python -m pip --version >/dev/null 2>&1; then \
	  $$python -m pip install --quiet --target $(UV_HOME).partial uv==$(UV_VERSION); \
	else \
	  echo "make: $$python cannot install packages." >&2; \
	  echo "  got        neither the module ensurepip nor pip" >&2; \
	  echo "  next step  install one of them (Debian: apt-get install python3-venv), or uv itself" >&2; \
	  exit 1; \
	fi && mv $(UV_HOME).partial $(UV_HOME)
