# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

# transformers' own tests come with its source distribution only, and need this package besides pytest.
TRANSFORMERS := $(shell sed -n 's/^transformers==\([0-9.]*\).*/\1/p' constraints.txt)
PEER_TESTS := .peer/transformers-$(TRANSFORMERS)/tests
PEER_NEEDS := parameterized==0.9.0
PEER := tests/peer

.PHONY: help quickstart test test-peer lint format clean

help:  ## What can be made
	@awk -F ':.*  ## ' '/^[a-z-]+:.*  ## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile

quickstart: $(INSTALLED)  ## Motions from sentences and back, with the models that ship: look into quickstart/
	HF_HUB_OFFLINE=1 $(BIN)/tm2t-hf quickstart

# A process that has run out of tests takes half of what another has left: neighbors, which share fixtures.
PARALLEL := --numprocesses logical --maxprocesses 4 --dist worksteal
# Without PYTHONDONTWRITEBYTECODE, if the shell has it: the tests start processes that import the same again and again.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest

test: lint  ## Lint, then all tests
	$(PYTEST) $(PARALLEL) tests

test-peer: $(PEER_TESTS)  ## The common tests of transformers on our classes: see tests/peer/README.md
	$(PYTEST) -q $(PEER)

lint: $(INSTALLED)  ## Look for mistakes and for lines that are not formatted
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(INSTALLED)  ## Mend what lint finds, as far as ruff can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## Remove .venv and what tools left; models, data and motions stay
	rm -rf .venv .peer build dist tm2t_hf.egg-info .pytest_cache .ruff_cache .hypothesis
	find tm2t_hf examples tests -name __pycache__ -type d -prune -exec rm -rf {} +

# torch goes first and by its exact version: a range would bring the newest build with gigabytes of CUDA libraries.
$(INSTALLED): setup.py constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install "$$(grep '^torch==' constraints.txt)"
	$(BIN)/pip install --constraint constraints.txt --editable ".[dev,app,onnx]"
	touch $@

$(PEER_TESTS): | $(INSTALLED)
	$(BIN)/pip download --no-deps --no-binary transformers --dest .peer transformers==$(TRANSFORMERS)
	$(BIN)/pip install --target .peer/lib --upgrade $(PEER_NEEDS)
	tar -xzf .peer/transformers-$(TRANSFORMERS).tar.gz -C .peer transformers-$(TRANSFORMERS)/tests
