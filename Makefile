# FinToken X. Needs Python 3.11+ and make; everything else is installed below .venv and node_modules.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
FX := $(VENV)/bin/python -m scripts.fx
SLITHER := build/slither
SETUP := $(VENV)/.installed $(VENV)/.node-installed

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: $(SETUP)  ## install everything (idempotent)

$(VENV)/.installed: requirements.lock requirements-nodeps.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "FinToken X needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "this Python cannot make virtual environments: install its venv package"; exit 1; }
	@echo "installing Python packages into $(VENV) …"
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-nodeps.lock
	@touch $@

# `npm ci` wants every platform's Anvil in the lock file; `install --no-save` takes this platform's and keeps the lock.
$(VENV)/.node-installed: $(VENV)/.installed package-lock.json
	@echo "installing the EVM node and the contract compiler into node_modules …"
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(VENV)/bin/npm install --no-save --ignore-scripts --loglevel=error
	@touch $@

demo: setup  ## play the whole story of one invoice, then keep serving (FX_ONESHOT=1: exit)
	@$(FX) demo

serve: setup  ## run the platform on http://127.0.0.1:8000
	@$(FX) serve

test: setup lint  ## lint, types, import contracts, all tests
	@$(VENV)/bin/python -m pytest -q -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

lint: setup  ## ruff, pyright, import contracts
	@$(VENV)/bin/ruff check .
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(VENV)/bin/pyright --warnings
	@$(VENV)/bin/lint-imports --no-logo

bench: setup  ## every bench; figures in build/bench/*.json (one of them: make bench-story)
	@$(FX) bench

bench-%: setup
	@$(FX) bench $*

campaign-eventstore: setup  ## 500 kill -9 and 100 stops of PostgreSQL under load; build/campaign/eventstore.json
	@$(VENV)/bin/python -m scripts.campaigns.eventstore

campaign-chain: setup  ## 200 faults of node, chain and process under every operation; build/campaign/chain.json
	@$(VENV)/bin/python -m scripts.campaigns.chain

campaign-cases: setup  ## small inputs that once broke something, against a served platform; build/campaign/cases.json
	@$(VENV)/bin/python -m scripts.campaigns.cases

campaign-fuzz: setup  ## 20,000 requests nobody would send, against a served platform; build/campaign/fuzz.json
	@$(VENV)/bin/python -m scripts.campaigns.fuzz

campaign-slow: setup  ## 500 slow clients, and what others notice; build/campaign/slow_clients.json
	@$(VENV)/bin/python -m scripts.campaigns.slow_clients

campaign-documents: setup  ## 2,000 malformed PDFs submitted to a served platform; build/campaign/documents.json
	@$(VENV)/bin/python -m scripts.campaigns.documents

campaign-guesses: setup  ## guesses at entries against every hash shown to anybody, and a search for secrets in clear
	@$(VENV)/bin/python -m scripts.campaigns.guesses
	@$(VENV)/bin/python -m scripts.campaigns.secrets

campaign-schemas: setup  ## 10,000 requests made from the API's own description; build/campaign/schemas.json
	@$(VENV)/bin/python -m scripts.campaigns.schemas

campaign-frozen-payee: setup  ## 200 orders of freezes, outages, stale anchors, kill -9 around every payment; build/campaign/frozen_payee.json
	@$(VENV)/bin/python -m scripts.campaigns.frozen_payee

campaign-forged: setup  ## 1,000,000 forged inclusion proofs, 0 accepted; build/campaign/forged.json
	@$(VENV)/bin/python -m scripts.campaigns.forged

contracts: setup  ## compile the contracts into chain/artifacts
	@$(VENV)/bin/node scripts/contracts.cjs

slither: setup $(SLITHER)/.installed  ## look for known mistakes in the contracts (docs/contracts.md)
	@PATH="$(CURDIR)/$(SLITHER)/bin:$(CURDIR)/$(VENV)/bin:$$PATH" $(SLITHER)/bin/slither chain/contracts

# An environment of its own, because slither needs web3 7.
$(SLITHER)/.installed: requirements-slither.lock
	@$(PYTHON) -m venv $(SLITHER)
	@$(SLITHER)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-slither.lock
	@ln -sf "$(CURDIR)/scripts/solc.cjs" $(SLITHER)/bin/solc
	@touch $@

image: ## build the image with docker, podman or buildah
	@scripts/image.sh build

image-check: ## run the built image's doctor and its one-shot demonstration
	@scripts/image.sh check

lock:  ## recompute requirements.lock, its runtime part and slither's (needs uv)
	@uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra dev pyproject.toml -o requirements.lock
	@uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -c requirements.lock pyproject.toml -o requirements-run.lock
	@echo slither-analyzer==0.11.5 | uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate - -o requirements-slither.lock

clean:  ## remove build output (not the data in .fintokenx)
	@rm -rf build .pytest_cache .ruff_cache .hypothesis

.PHONY: help setup demo serve test lint bench campaign-eventstore campaign-cases campaign-chain campaign-frozen-payee campaign-documents campaign-guesses campaign-forged campaign-fuzz campaign-slow contracts slither image image-check lock clean campaign-schemas
