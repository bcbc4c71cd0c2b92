# make book   sets everything up, executes every notebook and binds the pages: runs/$(PROFILE)/index.html
# make test   sets everything up and runs the tests (which execute the notebooks too)
# make nightly  the same, with every notebook of the book executed twice and compared
# make lab    sets everything up and opens JupyterLab on notebooks/
# make doctor says what is installed, what is missing and how to mend it
# make lock   works out requirements.lock anew (after a change of the dependencies)
# make clean  removes .venv, runs/ and caches; the sources stay
#
# Needs Python 3.11 or newer (with venv), git and make. PYTHON=/path/to/python chooses one.
PROFILE ?= smoke
SEED ?= 0
PYTHON ?=
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# the version that the weights in data/weights were trained with and the tests run on
TORCH := 2.13.0

# One thread: on graphs of this size two are slower, and one gives the same sums on every machine.
export OMP_NUM_THREADS ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
# a kernel in .venv comes before one of the same name in the user's home
export JUPYTER_PREFER_ENV_PATH := 1

.DEFAULT_GOAL := book
.PHONY: book test nightly lab doctor lock setup clean

book: $(STAMP)
	@$(BIN)/hggbook book --profile $(PROFILE) --seed $(SEED) $(ARGS)

test: $(STAMP)
	@$(BIN)/python -m pytest $(ARGS)

nightly: $(STAMP)
	@HGGBOOK_NIGHTLY=1 $(BIN)/python -m pytest $(ARGS)

lab: $(STAMP)
	@$(BIN)/jupyter lab --notebook-dir=notebooks $(ARGS)

doctor: $(STAMP)
	@$(BIN)/hggbook doctor

setup: $(STAMP)

# Tries each candidate instead of asking where it lies: a version manager's shim exists and fails.
FIND_PYTHON = \
	for candidate in $(if $(PYTHON),"$(PYTHON)",python3.12 python3.11 python3 python3.13 python); do \
	  if "$$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    python="$$candidate"; break; fi; done; \
	if [ -z "$$python" ]; then \
	  echo "hggbook needs Python 3.11 or newer with the module venv; none was found$(if $(PYTHON), at $(PYTHON))." >&2; \
	  echo "Install one (on Debian and Ubuntu: apt install python3 python3-venv), or name it: make PYTHON=..." >&2; \
	  exit 1; fi

$(STAMP): requirements.lock pyproject.toml
	@python=""; \
	if ! $(BIN)/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then $(FIND_PYTHON); \
	  echo "making $(VENV) with $$($$python --version)"; "$$python" -m venv --clear $(VENV); fi
	@echo "installing what requirements.lock lists (minutes the first time: torch alone may be over 1 GB)"
	@$(BIN)/python -m pip install -qq --requirement requirements.lock
	@$(BIN)/python -m pip install -qq --no-deps --editable .
	@touch $(STAMP)

# Platform parts of torch (CUDA libraries, triton) are left out: torch itself asks for what its platform needs.
lock:
	@set -e; python=""; $(FIND_PYTHON); folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	"$$python" -m venv "$$folder/venv"; \
	"$$folder/venv/bin/python" -m pip install -qq "torch==$(TORCH)" ".[test]"; \
	{ sed -n '/^#/p' requirements.lock; \
	  "$$folder/venv/bin/python" -m pip freeze --exclude hggbook | grep -E '^[A-Za-z0-9._-]+==' \
	  | grep -viE '^(nvidia-|cuda-|triton==)' | sed 's/+[A-Za-z0-9.]*$$//'; } > "$$folder/lock"; \
	mv "$$folder/lock" requirements.lock; echo "requirements.lock: $$(grep -c == requirements.lock) packages"

clean:
	rm -rf $(VENV) runs build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
