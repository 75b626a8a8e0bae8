# Everything from a fresh checkout on a Debian-like machine with Python 3.11 or newer: `make demo`, `make test` and
# `make bench` set up what they need by themselves. `make help` lists all targets.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
LABGRID := .venv-labgrid
NEEDLEPEN := $(BIN)/needlepen
# Further options for the target's command, for example: make test ARGS="-k uf2", make demo ARGS=my_scenario.toml
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup runtime engine labgrid demo test smoke nightly mutation coverage bench clean
.SILENT:

help: ## list the targets
	sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup: $(READY) ## virtual environment in .venv with everything from pyproject.toml

$(READY): pyproject.toml host_tools/make_venv.sh
	sh host_tools/make_venv.sh $(VENV)
	touch $@

runtime: setup ## the pinned MicroPython: from the cache, downloaded, or built from Debian's sources
	$(NEEDLEPEN) runtime

engine: setup ## the compiled emulator engine, where there is a C compiler
	if $(BIN)/python -c 'import sys; from needlepen.emulator import native_build; sys.exit(not native_build.compiler())'; \
	then $(NEEDLEPEN) engine; \
	else echo 'No C compiler with Python headers (Debian: gcc, python3-dev): the emulator runs, but more slowly.'; fi

labgrid: $(LABGRID)/ready ## labgrid in an environment of its own, for places of shared benches; it has its own pyserial

$(LABGRID)/ready: $(READY)
	echo 'Installing labgrid into $(LABGRID) ...'
	$(BIN)/python -m venv --clear --without-pip $(LABGRID) && $(BIN)/python -m pip --python $(LABGRID)/bin/python \
	    install -qq --disable-pip-version-check --retries 1 'labgrid>=25' && touch $@ || \
	{ rm -rf $(LABGRID); echo 'labgrid could not be installed: tests of shared benches will be skipped.' >&2; }

demo: runtime engine ## treat, touch skin, survive faults, and leave a report
	$(NEEDLEPEN) run $(ARGS)

test: runtime engine labgrid ## lint, format, types, then every test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	sh host_tools/check_firmware_types.sh $(VENV)
	NEEDLEPEN_COVERAGE=reports/coverage $(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder \
	    --repeat-infrastructure $(ARGS)

smoke: runtime engine ## of each requirement what tells most, in less than 90 s; on a board: ARGS="--target serial:ID"
	$(BIN)/pytest hil_tests -m smoke $(if $(findstring --target,$(ARGS)),,-n 2 --dist loadfile --no-loadscope-reorder) $(ARGS)

nightly: runtime engine labgrid ## the long runs: 500 random campaigns, the matrix in full
	$(BIN)/pytest hil_tests -m nightly $(ARGS)

mutation: runtime ## would the tests notice if the safety code were wrong? (hil_tests/mutation; for the night)
	PYTHONPATH=hil_tests $(BIN)/python -m mutation run $(ARGS)

.PHONY: seeded
seeded: runtime engine ## does the suite find the mistakes that were put in on purpose? (hil_tests/seeded; for the night)
	PYTHONPATH=hil_tests $(BIN)/python -m seeded run $(ARGS)

coverage: runtime engine ## every line and branch of the pure safety modules; ARGS=--emulated: the others on the emulated pen
	PYTHONPATH=hil_tests $(BIN)/python -m covering $(ARGS)

bench: runtime engine ## how fast the emulator is and what the firmware costs
	$(NEEDLEPEN) benchmark $(ARGS)

clean: ## remove what was made here (the runtime and the engine stay in the user's cache)
	rm -rf $(VENV) $(LABGRID) build dist reports .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find firmware host_tools hil_tests -name __pycache__ -prune -exec rm -rf {} +
