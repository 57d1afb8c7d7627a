# The commands of a checkout: `make` lists them, CONTRIBUTING.md says more.
# PYTHON=python3.12 chooses the interpreter, ARGS="..." goes to the command, JOBS=4 to pytest, V=1 shows pip's output.

PYTHON ?= python3
JOBS ?= 2
IN_VENV := .venv/bin/python -m

.DEFAULT_GOAL := help
.PHONY: help train test slow-test crash-test lint format notebooks clean set-up-train set-up-test

help:
	@echo "make train    set up .venv and train on scikit-learn's digits; ARGS='model=cnn seed=1' overrides"
	@echo "make test     set up .venv with the test tools; lint, types, all tests; ARGS='-k name' chooses tests"
	@echo "make slow-test   the tests that make test leaves out for their length"
	@echo "make crash-test  kill trainings over and over at random instants and compare what comes out"
	@echo "make lint     ruff and mypy alone"
	@echo "make format   let ruff rewrite the code"
	@echo "make notebooks   build notebooks/*.ipynb from the scripts beside them, and run them"
	@echo "make clean    remove .venv and what tools leave behind; outputs/ stays"

train: set-up-train
	$(IN_VENV) keepbest train $(ARGS)

# mypy keeps one core busy for a minute: it runs beside the first tests, and its status counts.
test: set-up-test
	$(IN_VENV) ruff check
	$(IN_VENV) ruff format --check
	$(IN_VENV) mypy & types=$$!; \
		OMP_NUM_THREADS=1 $(IN_VENV) pytest -n $(JOBS) --dist worksteal $(ARGS); tests=$$?; wait $$types && exit $$tests

slow-test: set-up-test
	OMP_NUM_THREADS=1 $(IN_VENV) pytest -n $(JOBS) -m slow $(ARGS)

crash-test: set-up-test
	.venv/bin/python -W ignore tests/crash/kill_over_and_over.py --kills 100 --directory build/crash-$$(date +%s) $(ARGS)
	.venv/bin/python -W ignore tests/crash/kill_over_and_over.py --kills 100 --signal TERM --signal INT \
		--directory build/signals-$$(date +%s) $(ARGS)
	.venv/bin/python -W ignore tests/crash/kill_ranks.py --kills 10 --directory build/ranks-$$(date +%s)
	.venv/bin/python -W ignore tests/crash/kill_sweeps.py --kills 20 --directory build/sweeps-$$(date +%s)

lint: set-up-test
	$(IN_VENV) ruff check
	$(IN_VENV) ruff format --check
	$(IN_VENV) mypy

format: set-up-test
	$(IN_VENV) ruff format
	$(IN_VENV) ruff check --fix

notebooks: set-up-test
	OMP_NUM_THREADS=1 .venv/bin/python docs/build_notebooks.py

clean:
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

set-up-train:
	@sh -c "$$SET_UP" make '$(PYTHON)' train .

set-up-test:
	@sh -c "$$SET_UP" make '$(PYTHON)' test '.[test]'

# --- How .venv is set up ----------------------------------------------------------------------------------------------
# .venv/.set-up/complete exists only while no installation is under way. It names the interpreter and the checkout that
# .venv was made for, and the number of files in it; where any of this no longer holds (a kill, a half-deleted or moved
# directory), .venv is built anew. .venv/.set-up/train and test hold the checksum of what was installed last: where it
# is today's, pip is not called; where it differs, pip updates.
set-up-train set-up-test: export SET_UP = $(SET_UP_SCRIPT)
set-up-train set-up-test: export PROBE = $(PROBE_SCRIPT)

define SET_UP_SCRIPT
set -eu
python=$$1 level=$$2 requirement=$$3 state=.venv/.set-up

fail() { printf '\nmake: %s\n' "$$1" >&2; exit 1; }

quietly() {
    if [ -n "$${V:-}" ]; then "$$@"; else "$$@" > $$state/log 2>&1 || { cat $$state/log >&2; return 1; }; fi
}

files() { find .venv/* -type f ! -name '*.pyc' | wc -l; }

sound() {
    [ -x .venv/bin/python ] && [ -f $$state/complete ] &&
    { read -r made_for && read -r count; } < $$state/complete &&
    [ "$$made_for" = "$$makes" ] && [ $$(files) -ge "$$count" ]
}

# pip up to 25.2 reads PIP_CONSTRAINT when it builds a package, later ones PIP_BUILD_CONSTRAINT.
install() {
    PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt .venv/bin/python -m pip install \
        --disable-pip-version-check --no-input --no-compile "$$@"
}

command -v "$$python" > /dev/null ||
    fail "$$python is not a command. Name a Python 3.10 or newer: make PYTHON=python3.12"
exec 9>> constraints.txt  # locked, not written, until this shell and everything it started has ended
probed=$$("$$python" -c "$$PROBE") || exit 1
base=$${probed%%|*} makes="$${probed#*|} for $$(pwd)" wanted=$$(cat pyproject.toml constraints.txt | cksum)

if ! sound; then
    [ ! -e .venv ] || echo ".venv is incomplete, or was made for another Python or directory: building it anew"
    rm -rf .venv
    mkdir -p $$state
    echo "creating .venv with $${probed#*|} ..."
    quietly "$$base" -m venv .venv ||
        fail "$$base cannot create a virtual environment. On Debian and Ubuntu: apt install python3-venv"
elif grep -qsxF "$$wanted" $$state/$$level; then
    exit 0
fi

rm -f $$state/complete
echo "installing the $${level}ing environment into .venv (minutes at first; V=1 shows pip's output) ..."
quietly install pip && quietly install --editable "$$requirement" ||
    fail "the installation failed, see above. The next make starts it anew."
.venv/bin/python -m compileall -q -j 0 -x '/tests?/' .venv/lib > /dev/null || true  # pip would take one core for it
echo "$$wanted" | tee $$state/train > $$state/$$level  # what testing needs includes what training needs
printf '%s\n' "$$makes" $$(files) > $$state/complete
endef

# Prints "EXECUTABLE|VERSION" once no other make sets up this checkout. Any Python can parse it, to refuse old ones.
define PROBE_SCRIPT
import sys
version = "Python %d.%d" % sys.version_info[:2]
if sys.version_info < (3, 10):
    sys.exit("make: keepbest needs Python 3.10 or newer, got %s from %s. Name another one: make PYTHON=python3.12"
             % (version, sys.executable))
import fcntl
try:
    fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    sys.stderr.write("waiting for another make to finish the set-up ...\n")
    fcntl.flock(9, fcntl.LOCK_EX)
except OSError:
    pass  # a file system without locks
# In an activated .venv this is the interpreter underneath, which outlives it.
sys.stdout.write("%s|%s of %s" % (sys._base_executable, version, sys.base_prefix))
endef
