# Output goes to out/; .venv and node_modules stand beside it.
MAKEFLAGS += --no-print-directory
SHELL := bash
.DEFAULT_GOAL := help

.PHONY: help
help: ## these words
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 20 | sed 's/^/  make /'

.PHONY: setup
setup: ## install what Sungaze needs and build its pages
	@build/setup.sh

.PHONY: run
run: setup ## set up, then open the demo fleet
	@exec build/run.sh

.PHONY: setup-test
setup-test:
	@build/setup.sh --test

.PHONY: check
check: setup-test ## the quick half of the tests
	@build/check.sh quick

.PHONY: test
test: setup-test ## every check and test
	@build/check.sh all

.PHONY: soak
soak: setup-test ## the long kill, fuzz and load runs
	@SUNGAZE_SOAK=1 .venv/bin/pytest -m soak --timeout 3600

.PHONY: dist
dist: setup ## the program as one file, the wheel and the Debian package, into out/dist
	@build/dist.sh

.PHONY: test-dist
test-dist: setup-test dist ## the tests that drive what `make dist` built
	@build/setup.sh --test --dist
	@build/check.sh dist

.PHONY: bench
bench: setup-test ## the benchmarks' table
	@.venv/bin/python -m bench

.PHONY: pictures
pictures: setup-test ## every page in both themes and both widths, into out/screenshots
	@.venv/bin/python build/pictures.py

.PHONY: api-client
api-client: setup-test ## write the web client anew from the API's contract
	@build/check.sh api-client

.PHONY: api-client-check
api-client-check: setup-test ## whether the web client is the one that the API's contract gives
	@build/check.sh api-client-check

.PHONY: lock
lock: setup-test ## newest versions into requirements/*.txt and package-lock.json
	@build/lock.sh

.PHONY: clean
clean: ## remove out/, .venv and node_modules
	rm -rf out .venv node_modules
