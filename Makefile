# One command each. Needs make, git and Python 3.11 or 3.12; everything else goes into .venv.
#   make reproduce   every table and figure from the shipped miniature, whole suites
#   make quick       the same from 60 questions of each suite; its pictures stay in runs/
#   make scratch     every table and figure from nothing: data, training, notebooks
#   make report      all pictures with their origin on one page, runs/report.html
#   make test        pytest, and every notebook through nbval
#   make test-ui     page and notebook in a browser; installs Debian's chromium where there is none
#   make app         the web page, in an environment of its own beside .venv
#   make check       format, lint, types, notebook rules
#   make mutants     change the code of a room here and there: which tests notice (ROOM=, SAMPLE=)
#   make lab         JupyterLab on copies of the notebooks, which open with 00_start_here
#   make notebooks   re-execute the notebooks in place
#   make ship        put the miniature trained in runs/ into the package
#   make lock        both lock files anew from pyproject.toml and constraints.txt
#   make audit       known vulnerabilities of what the lock files hold
#   make clean       remove caches;  make distclean: also .venv and runs/
# Choose the interpreter:        make test PYTHON=python3.12

PYTHON ?= $(firstword $(shell command -v python3.11) $(shell command -v python3.12) python3)
VENV ?= .venv
VENV_PYTHON := $(VENV)/bin/python
STAMP := $(VENV)/.installed
PIP_INSTALL := $(VENV_PYTHON) -m pip install --quiet --disable-pip-version-check

# Two cores are the smallest machine we promise. Tests run in as many processes as there are cores,
# with one thread each; a file stays in one process, as the cells of a notebook need each other.
CORES ?= 2
CELL_TIMEOUT ?= 300
TEST_ENV := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1 \
	MPLBACKEND=agg

.DEFAULT_GOAL := help
.PHONY: help install reproduce quick scratch report test test-ui app mutants check format lab \
	notebooks ship lock audit clean distclean

help:
	@sed -n 's/^#   make/make/p' Makefile

install: $(STAMP)

# Installs again over the same folder when the lock changed: pip touches only the difference. Every file
# is checked against its hash, and nothing is resolved: `pip check` says whether the lock is complete.
# Torch's CPU build is taken where pip is told of a place that has it; PyPI's brings CUDA.
$(STAMP): pyproject.toml requirements.lock requirements-cpu.lock requirements-cuda.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 12) else \
	"Python %d.%d found, but 3.11 or 3.12 is needed: make PYTHON=python3.12" % v)'
	@test -x $(VENV_PYTHON) || $(PYTHON) -m venv $(VENV) || \
	{ echo "could not make $(VENV): install the venv module of $(PYTHON)" >&2; exit 2; }
	@$(PIP_INSTALL) --no-deps --require-hashes -r requirements-cpu.lock 2>/dev/null || true
	$(PIP_INSTALL) --no-deps --require-hashes -r requirements.lock
	@case $$($(VENV_PYTHON) -m pip show torch | grep ^Version) in *+cpu) ;; *) \
	$(PIP_INSTALL) --no-deps --require-hashes -r requirements-cuda.lock ;; esac
	$(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@$(VENV_PYTHON) -m pip check --disable-pip-version-check
	@touch $@

# One thread per process, as every core has a process of its own; Workflow.threads names the
# trainings that have two cores to themselves.
reproduce: $(STAMP)
	OMP_NUM_THREADS=1 $(VENV)/bin/tempo reproduce

quick: $(STAMP)
	OMP_NUM_THREADS=1 $(VENV)/bin/tempo reproduce --num-questions 60

scratch: $(STAMP)
	OMP_NUM_THREADS=1 $(VENV)/bin/tempo reproduce --from-scratch

# Makes first what is not up to date.
report: $(STAMP)
	@mkdir -p runs
	OMP_NUM_THREADS=1 $(VENV)/bin/tempo reproduce --report runs/report.html

test: $(STAMP)
	$(TEST_ENV) $(VENV_PYTHON) -m pytest tests $(wildcard notebooks) --nbval-lax --nbval-current-env \
	--nbval-cell-timeout=$(CELL_TIMEOUT) -n $(CORES) --dist loadfile --no-loadscope-reorder

# The page's environment sees all of $(VENV); requirements-app.txt says why it is another one.
APP_VENV ?= $(VENV)-app
APP_PYTHON := $(APP_VENV)/bin/python
APP_STAMP := $(APP_VENV)/.installed

$(APP_STAMP): $(STAMP) requirements-app.txt
	@test -x $(APP_PYTHON) || $(VENV_PYTHON) -m venv $(APP_VENV)
	@site=$$($(VENV_PYTHON) -c 'import sysconfig; print(sysconfig.get_path("purelib"))'); \
	echo "import site; site.addsitedir('$$site')" > \
	"$$($(APP_PYTHON) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/tempo.pth"
	$(APP_PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-app.txt
	@touch $@

app: $(APP_STAMP)
	$(APP_PYTHON) -m tempo_lib.cli app

test-ui: $(APP_STAMP)
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || \
	{ apt-get update -q && apt-get install -y -q --no-install-recommends chromium; }
	$(TEST_ENV) $(APP_PYTHON) -m pytest -m ui $(wildcard tests/test_app_ui*.py)

# Hours for a whole room; tests/MUTANTS.md has the scores, and every survivor with its reason.
ROOM ?= statistics
SAMPLE ?= 0
mutants: $(STAMP)
	$(VENV_PYTHON) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[mutants]'
	$(TEST_ENV) $(VENV_PYTHON) tests/mutants.py $(ROOM) --sample $(SAMPLE)

check: $(STAMP)
	$(VENV_PYTHON) -m ruff format --check .
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m mypy
	$(TEST_ENV) $(VENV_PYTHON) -m pytest -q tests/test_notebook_rules.py

format: $(STAMP)
	$(VENV_PYTHON) -m ruff format .
	$(VENV_PYTHON) -m ruff check --fix .

# On copies, so that running them leaves the checkout clean; one that is there already is kept.
lab: $(STAMP)
	@mkdir -p runs/lab && cp -n notebooks/*.ipynb runs/lab/ || true
	@echo "Copies lie in runs/lab; delete one to get it anew."
	$(VENV_PYTHON) -m jupyterlab --notebook-dir=runs/lab --LabApp.default_url=/lab/tree/00_start_here.ipynb

notebooks: $(STAMP)
	OMP_NUM_THREADS=$(CORES) $(VENV_PYTHON) -m tempo_lib.reproduce.notebooks

ship: $(STAMP)
	$(VENV_PYTHON) -m tempo_lib.miniature.pretrain.ship

# uv and pip-audit are no part of the environment: they are fetched when these two targets are run.
UV := $(VENV)/lock/bin/uv
$(UV):
	$(PYTHON) -m venv $(VENV)/lock
	$(VENV)/lock/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9

# One resolution for Python 3.11 and 3.12 on all platforms; torch's CUDA libraries go into a file of
# their own. requirements-cpu.lock is written by hand, as PyPI does not have that build.
lock: $(UV)
	$(UV) pip compile pyproject.toml --extra all -c constraints.txt --universal --quiet \
	--python-version 3.11.5 --generate-hashes --no-header --no-annotate -o all.lock
	awk -v note='# Made by `make lock`; the Makefile says how.' -v main=requirements.lock \
	-v cuda=requirements-cuda.lock 'BEGIN { print note > main; print note > cuda } \
	/^[^ ]/ { out = /^(nvidia|cuda|triton)/ ? cuda : main } { print > out }' all.lock
	@rm all.lock

# Fails too where a package could not be looked up: not audited is not clean.
audit: $(UV)
	$(UV) tool run pip-audit==2.10.1 --strict --require-hashes --disable-pip --progress-spinner off \
	-r requirements.lock -r requirements-cuda.lock || { echo "error: not audited, or not clean: \
	pip-audit's last lines name a vulnerability, or the service that could not be reached" >&2; exit 2; }

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find tempo_lib tests notebooks -name __pycache__ -o -name .ipynb_checkpoints 2>/dev/null \
	| xargs rm -rf

distclean: clean
	rm -rf $(VENV) $(VENV)-app runs
