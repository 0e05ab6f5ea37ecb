#!/bin/sh
# An environment of its own for robomimic, and the check that its SequenceDataset reads our export.
#
# robomimic's dependencies (egl_probe, which wants an old cmake; torchvision; robosuite) are not needed to
# read a data set: it is taken without them, beside the few packages that its data set imports.
#
#   sh tests/peers/robomimic.sh [FOLDER]     the environment's place; default: out/peers/robomimic
set -eu
cd "$(dirname "$0")/../.."
place="${1:-out/peers/robomimic}"
python="${PYTHON:-python3.11}"
if [ ! -f "$place/.ready" ]; then
    "$python" -m venv "$place"
    "$place/bin/python" -m pip install --quiet --disable-pip-version-check \
        "torch==2.13.0" "numpy<2" h5py tqdm termcolor
    "$place/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps robomimic==0.3.0
    touch "$place/.ready"
fi
ROBOMIMIC_PYTHON="$place/bin/python" .venv/bin/python -m pytest -q tests/peers/test_robomimic_peer.py
