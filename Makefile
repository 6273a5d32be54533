# `make` alone lists what it can do.
PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13 python3,$(shell command -v $(p) 2>/dev/null)))
BIN := .venv/bin
INSTALLED := .venv/.podium-installed

help:  ## what there is to make
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(INSTALLED): pyproject.toml
	@test -x $(BIN)/python || { echo "making .venv with $(PYTHON)"; $(PYTHON) -m venv --without-pip .venv; }
	@test -e $(BIN)/pip || $(PYTHON) -m pip --python $(BIN)/python install -q pip
	@echo "installing podium and all its parts into .venv (torch is large: a minute or two)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[all,dev,bench]'
	@touch $@

install: $(INSTALLED)  ## make .venv and install podium with all its parts

demo: $(INSTALLED)  ## the whole loop on data that podium makes: under three minutes
	@$(BIN)/podium demo

test: $(INSTALLED)  ## the whole test suite: the fast part, then the slow one
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not slow"  # else two trainings spin
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile -m slow  # for the two cores

check: $(INSTALLED)  ## ruff, mypy, import-linter
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(INSTALLED)  ## every benchmark beside its peer, or one: make bench NAME=rle_encode
	$(BIN)/python -m benchmarks $(NAME)

bench-peers: $(INSTALLED)  ## podium beside the usual scripts, on the same data in the same time: make bench-peers DATA=FOLDER
	$(BIN)/python -m benchmarks.peers --data $(DATA) --time 8m

docs: $(INSTALLED)  ## regenerate docs/reference from commands, fields and registries
	$(BIN)/python -m podium.cli.reference docs/reference

clean:  ## remove .venv and caches
	rm -rf .venv build src/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

.PHONY: help install demo test check bench bench-peers docs clean
.DEFAULT_GOAL := help
