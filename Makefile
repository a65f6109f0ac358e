# make demo: set up and run the demo on the simulated rig.  make test: set up and pass the tests.
PYTHON ?= python3
WORKERS ?= 3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Nothing of the machine's own Python may leak in.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV PYTHONDONTWRITEBYTECODE
export PYTHONNOUSERSITE := 1

.PHONY: demo test lint types layers units crowd alone soak bench install uninstall clean

demo: $(READY)
	$(BIN)/zstackd run config/examples/run.demo.yaml --rig config/examples/rig.simulated.yaml

# The types are checked beside the first tests, which leave a processor idle now and then.
test: lint layers
	$(MAKE) --jobs=2 types crowd
	$(MAKE) alone

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

layers: $(READY)
	$(BIN)/lint-imports

units: crowd
	$(MAKE) alone

# All tests but those that measure time, processor or memory. There are more workers than processors,
# as tests wait for a good part of their time. In the order of their folders, rather than of their number, the
# last files are short ones: all workers end together.
crowd: $(READY)
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not alone and not soak"

# What measures runs with nothing beside it.
alone: $(READY)
	$(BIN)/pytest -m "alone and not soak"

soak: $(READY)
	$(BIN)/pytest -m soak

bench: $(READY)
	$(BIN)/python -m bench

# pip unpacks beside what it installs: /tmp is memory on some systems.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is no Python 3.11 or newer; name one: make PYTHON=python3.12 …" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	TMPDIR="$(CURDIR)/$(VENV)" $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

# The service on this machine (see docs/install.md); DESTDIR=folder only stages its files.
install uninstall:
	systemd/install.sh $@

clean:
	rm -rf $(VENV) demo bench/out
