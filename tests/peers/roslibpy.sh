#!/bin/sh
# The checks that roslibpy, a rosbridge client that others wrote, uses what the bridge offers. It and ROS 2 with
# the rosbridge server have environments of their own. Everything stays on the loopback interface.
#
#   sh tests/peers/roslibpy.sh [FOLDER]     roslibpy's place; default: out/peers/roslibpy
set -eu
cd "$(dirname "$0")/../.."
place="${1:-out/peers/roslibpy}"
sh tests/peers/ros_environment.sh jazzy
if [ ! -f "$place/.ready" ]; then
    "${PYTHON:-python3.11}" -m venv "$place"
    "$place/bin/python" -m pip install --quiet --disable-pip-version-check "roslibpy==2.1.0"
    touch "$place/.ready"
fi
ROS_PYTHON=out/peers/ros-jazzy/bin/python ROSLIBPY_PYTHON="$place/bin/python" \
    .venv/bin/python -m pytest -q tests/peers/test_roslibpy_peer.py
