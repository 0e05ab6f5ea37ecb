#!/bin/sh
# Two environments of LeRobot's (0.4.4 reads v3.0, 0.3.3 reads v2.1), and the check that its LeRobotDataset
# reads our exports. Of LeRobot's requirements only what the data set and training import is taken: simulators
# and wandb are left out, and torch is the CPU build.
#
#   sh tests/peers/lerobot.sh [FOLDER]     the environments' place; default: out/peers
set -eu
cd "$(dirname "$0")/../.."
place="${1:-out/peers}"
python="${PYTHON:-python3.11}"
make_environment() { # folder, release, datasets
    if [ ! -f "$1/.ready-to-train" ]; then
        "$python" -m venv "$1"
        "$1/bin/python" -m pip install --quiet --disable-pip-version-check \
            "torch==2.13.0" torchvision "$3" "pyarrow<25" "numpy<2.3" "av>=15,<16" "huggingface_hub<0.36" \
            "draccus==0.10.0" jsonlines packaging einops deepdiff imageio termcolor pillow safetensors pandas \
            accelerate "diffusers>=0.27.2,<0.36" "gymnasium>=1.1.1,<2" pyserial
        "$1/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps "lerobot==$2"
        touch "$1/.ready-to-train"
    fi
}
make_environment "$place/lerobot-0.4.4" 0.4.4 "datasets>=4,<4.2"
make_environment "$place/lerobot-0.3.3" 0.3.3 "datasets==3.6.0"
LEROBOT_PYTHON="$place/lerobot-0.4.4/bin/python" LEROBOT_V21_PYTHON="$place/lerobot-0.3.3/bin/python" \
    .venv/bin/python -m pytest -q tests/peers/test_lerobot_peer.py
