# Everything runs in .venv, which is made from this folder's own files; what needs other packages, or other
# versions, has an environment of its own.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
TORCH := .venv-torch
LOWEST := .venv-lowest

.PHONY: reproduce test lint wheel stress test-torch lowest quick mutants fresh record bench clean

# The main job: all checks, all figures and the report, into out/.
reproduce: $(STAMP)
	$(BIN)/promptfolio reproduce --out out

# A small version of it.
quick: $(STAMP)
	$(BIN)/promptfolio reproduce --quick --out out/quick

# Plant faults in the code one at a time: each must make its claims or tests fail.
mutants: $(STAMP)
	$(BIN)/promptfolio check --mutants

# The main job again: claims, verdicts and derivations must be those of the committed documents.
fresh: $(STAMP)
	$(BIN)/promptfolio derive --check
	$(BIN)/promptfolio reproduce --out out --against paper_checks.md

test: lint
	$(BIN)/python -m pytest -n 2

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The sdist and the wheel, the wheel used from an empty folder in an environment of its own.
wheel:
	PYTHON=$(PYTHON) .ci/wheel

# Bad inputs for every command, and faults while they run: counts go into docs/reliability.md. Under twenty minutes.
stress: $(STAMP)
	$(BIN)/python -m tests.stress.run --document docs/reliability.md

# The tests that need PyTorch: the plain loop of promptfolio bench, held to the simulator.
test-torch: $(TORCH)/installed
	$(TORCH)/bin/python -m pytest -m torch tests/bench

# A small version of the main job with the oldest versions that pyproject.toml allows.
lowest: $(LOWEST)/installed
	$(LOWEST)/bin/promptfolio reproduce --quick --out out/lowest

# Regenerate what the repository shows of itself: derivations, the record of planted faults, paper_checks.md (which
# quotes that record) and its figures. BANKS='--bank FILE …' adds real feature banks to the audit.
record: $(STAMP)
	$(BIN)/promptfolio check --mutants --record promptfolio/checks/mutants/record.json
	$(BIN)/promptfolio derive
	$(BIN)/promptfolio reproduce --out out --report paper_checks.md --pictures docs/figures $(BANKS)

bench: $(STAMP)
	$(BIN)/promptfolio bench --scaling --record benchmarks

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $(STAMP)

$(TORCH)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(TORCH)
	$(TORCH)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[test,reference]'
	touch $@

$(LOWEST)/installed: pyproject.toml constraints-lowest.txt
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --constraint constraints-lowest.txt --editable .
	touch $@

clean:
	rm -rf $(VENV) $(TORCH) $(LOWEST) out build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
