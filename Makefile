# SPDX-License-Identifier: GPL-3.0-or-later
# Every target works on a fresh clone: what it needs is made first, in a cache outside the clone.

PYTHON ?= sh .ci/python
ARGS ?=

.PHONY: help demo test build bench lint format clean

help: ## Show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: ## Send scenes through the whole trip on this computer; prints the paths of three pictures
	@$(PYTHON) .ci/build.py
	@$(PYTHON) .ci/env.py --exec newest -m bridge demo --out out/demo \
		--extension "$$(ls -t dist/scene_courier-*.zip | head -n 1)" $(ARGS)

test: ## All tests, in every Blender whose Python is present (ARGS="--only b50 -k capture")
	@$(PYTHON) .ci/test.py $(ARGS)

build: ## The installable extension, in dist/
	@$(PYTHON) .ci/build.py $(ARGS)

bench: ## Times beside those of other tools, as ratios; nothing is judged
	@$(PYTHON) .ci/env.py --exec newest -m tests.benchmarks $(ARGS)

lint: ## Style, types, formatting
	@$(PYTHON) .ci/lint.py $(ARGS)

format: ## Put the formatting right
	@$(PYTHON) .ci/lint.py --fix

clean: ## Remove what was built here (the cache outside the clone stays)
	rm -rf build dist out wheels .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
