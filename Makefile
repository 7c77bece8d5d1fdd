# make demo: sets up and runs the main job on the sample in the package.
# make test: sets up and passes lint, types and all tests.
# make quick: the same without the slow tests.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test quick check clean

demo: $(VENV)/.run
	$(BIN)/toolkit finetune --data sample:digits --backbone efficientnet-lite0

test: $(VENV)/.test
	$(MAKE) check

quick: $(VENV)/.test
	$(MAKE) check TESTS='not slow'

check:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest --numprocesses=2 --dist=loadfile -m '$(TESTS)'

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/.test: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@ $(VENV)/.run

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache *.egg-info
