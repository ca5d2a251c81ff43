# Every target is a line or two, so that people and CI run the same thing. `make help` lists them.

.DEFAULT_GOAL := check
.PHONY: help env demo demo-tf demo-onnx demo-accelerator test test-full check lint types unit contract integration \
        conformance docker-test fuzz bench bench-tf fmt lock protocol build run size docs clean dev

VENV    := .venv
BIN     := $(VENV)/bin
PY      := $(BIN)/python
INSTALL := $(PY) -m pip install -qq --disable-pip-version-check --no-input --no-warn-script-location
PYTEST  := $(PY) -m pytest -q
LOCK    := $(BIN)/uv pip compile -q --no-config --upgrade --system-certs --python-version 3.11 --python-platform linux \
           --override requirements/overrides.txt --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'
MODEL   ?=
IMAGE   :=
ONE      = $(if $(IMAGE),--image "$(IMAGE)")

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

# --- the environment: a stamp for each lock, newer than the lock it was installed from
# (--no-deps: tensorflow-serving-api asks for `tensorflow`, which would lie over `tensorflow-cpu`; the locks are complete)

env: $(VENV)/.demo ## create .venv with what serving and the demo need
	@:

dev: $(VENV)/.dev ## add what the tests need
	@:

$(VENV)/.demo: requirements/demo.txt pyproject.toml requirements/system.sh
	@set -e; python=$$(PYTHON="$(PYTHON)" sh requirements/system.sh); test -x $(PY) || "$$python" -m venv $(VENV)
	@echo "installing what serving needs into $(VENV) (about a minute)"
	@$(INSTALL) --require-hashes -r requirements/demo.txt
	@$(INSTALL) --no-build-isolation --no-deps --editable .
	@touch $@

$(VENV)/.tensorflow: $(VENV)/.demo requirements/tensorflow.txt
	@echo "installing TensorFlow into $(VENV) (half a minute)"
	@$(INSTALL) --no-deps --require-hashes -r requirements/tensorflow.txt
	@touch $@

$(VENV)/.onnx: $(VENV)/.demo requirements/onnx.txt
	@echo "installing what converting ONNX models needs into $(VENV) (some seconds)"
	@$(INSTALL) --no-deps --require-hashes -r requirements/onnx.txt
	@touch $@

$(VENV)/.dev: $(VENV)/.demo requirements/dev.txt requirements/oracle.txt
	@sh requirements/system.sh curl git >/dev/null
	@echo "installing what the tests need into $(VENV) (about a minute)"
	@$(INSTALL) --no-deps --require-hashes -r requirements/dev.txt
	@rm -rf $(VENV)/oracle
	@$(INSTALL) --require-hashes --no-build-isolation --no-deps --target $(VENV)/oracle -r requirements/oracle.txt
	@touch $@

# PyTorch, a gigabyte, apart from the rest: tests put this folder on the path of the process that exports, and of no other.
$(VENV)/.torch: $(VENV)/.dev requirements/torch.txt
	@echo "installing PyTorch into $(VENV)/torch (a minute)"
	@rm -rf $(VENV)/torch
	@$(INSTALL) --no-deps --target $(VENV)/torch -r requirements/torch.txt
	@touch $@

# KServe, apart likewise, and NVIDIA's Triton, whose program starts Debian's Python: servers that our client is attached to.
$(VENV)/.peers: $(VENV)/.dev requirements/peers.txt
	@echo "installing KServe into $(VENV)/peers (half a minute)"
	@rm -rf $(VENV)/peers
	@$(INSTALL) --no-deps --require-hashes --target $(VENV)/peers -r requirements/peers.txt
	@touch $@

$(VENV)/.triton: $(VENV)/.dev requirements/triton.txt
	@echo "installing Triton into $(VENV)/triton (half a minute)"
	@/usr/bin/python3.11 -m venv --without-pip --clear $(VENV)/triton
	@$(subst -m pip,-m pip --python $(VENV)/triton/bin/python,$(INSTALL)) --no-deps --require-hashes -r requirements/triton.txt
	@touch $@

lock: dev ## resolve the requirements anew, pinned and hashed
	$(LOCK) requirements/dev.in -o requirements/dev.txt
	$(LOCK) -c requirements/dev.txt requirements/demo.in -o requirements/demo.txt
	$(LOCK) -c requirements/dev.txt requirements/mxnet.in -o requirements/mxnet.txt
	$(LOCK) -c requirements/dev.txt requirements/tensorflow.in -o requirements/tensorflow.txt
	$(LOCK) -c requirements/dev.txt requirements/onnx.in -o requirements/onnx.txt
	$(LOCK) -c requirements/dev.txt --no-deps requirements/oracle.in -o requirements/oracle.txt
	$(LOCK) requirements/peers.in -o requirements/peers.txt
	$(subst platform linux,platform x86_64-manylinux_2_35,$(LOCK)) requirements/triton.in -o requirements/triton.txt

# --- what a newcomer runs

demo: env ## train on handwritten digits, serve the model, send it the held-out ones
	@$(PY) examples/digits/demo.py

demo-tf: $(VENV)/.tensorflow ## the same with TensorFlow: a Keras model and one of TF1's, from one server
	@$(PY) examples/digits_tf/demo.py

demo-onnx: $(VENV)/.onnx ## a scikit-learn model by way of ONNX: export, convert, verify, serve
	@$(PY) examples/digits_onnx/demo.py

demo-accelerator: $(VENV)/.tensorflow ## Elastic Inference's scripts, unmodified, on an accelerator that is killed and comes back
	@$(PY) examples/accelerator/demo.py

test: dev $(VENV)/.peers ## check and every suite, Docker's beside the others; fails on any failure
	@$(PY) tests/lanes.py

test-full: test $(VENV)/.torch $(VENV)/.triton ## the same and what needs PyTorch or Triton
	@$(PYTEST) tests/outside/torch_models.py tests/outside/triton_peer.py

# --- what a change runs

check: lint types unit ## lint, types and unit tests: two minutes

lint: dev ## ruff and codespell
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/codespell

types: dev ## mypy --strict
	@$(BIN)/mypy

unit: dev ## fast tests of one module each, and the docs' tests
	@$(PYTEST) tests/unit tests/docs

contract: dev ## promises to the platform, through a socket
	@$(PYTEST) tests/contract

integration: dev $(VENV)/.peers ## real processes, user scripts, faults
	@$(PYTEST) tests/integration

conformance: dev ## the same request to AWS's own toolkit and to us
	@$(PYTEST) tests/conformance

fuzz: dev ## mutated bytes against codecs and the parser
	@$(PYTEST) tests/fuzz

docker-test: dev ## the image, under a real Docker engine
	@$(PYTEST) tests/docker

bench: dev ## throughput and latency beside other servers; BENCH="--json FILE" for a program
	@$(PY) benchmarks/serving.py $(BENCH)

bench-tf: dev ## the same for TensorFlow models
	@$(PY) benchmarks/serving_tf.py $(BENCH)

fmt: dev ## format and fix what can be fixed
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: dev ## write the generated pages anew
	@$(PY) docs/generate.py

protocol: dev ## compile serving/accelerators/protocol/inference.proto
	@rm -rf build/protoc
	@$(INSTALL) --no-deps --require-hashes --target build/protoc -r requirements/protocol.txt
	@PYTHONPATH=build/protoc $(PY) -m grpc_tools.protoc -I serving/accelerators/protocol \
	    --descriptor_set_out=serving/accelerators/protocol/inference.binpb inference.proto

# --- the images; IMAGE=mxnet or IMAGE=tf means one of them

build: env ## build the images ei-mxnet:latest and ei-tf:latest
	@$(PY) -m container.images build $(ONE)

run: env ## serve a model directory in its image: make run MODEL=dir
	@test -n "$(MODEL)" || { echo "which model? make run MODEL=directory" >&2; exit 2; }
	@$(PY) -m container.images run MODEL="$(MODEL)" $(ONE)

size: env ## megabytes of the images, package by package
	@$(PY) -m container.images size $(ONE)

clean: ## remove the environment and everything built
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .hypothesis
