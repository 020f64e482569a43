# Everything runs in .venv, which is made from this folder's own files.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

.PHONY: reproduce test quick record bench clean

# The main job: all checks, all figures and the report, into out/.
reproduce: $(STAMP)
	$(BIN)/promptfolio reproduce --out out

# A small version of it.
quick: $(STAMP)
	$(BIN)/promptfolio reproduce --quick --out out/quick

test: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2

# Regenerate what the repository shows of itself: paper_checks.md and its figures.
record: $(STAMP)
	$(BIN)/promptfolio reproduce --out out --report paper_checks.md --pictures docs/figures

bench: $(STAMP)
	$(BIN)/python benchmarks/simulator.py

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $(STAMP)

clean:
	rm -rf $(VENV) out build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
