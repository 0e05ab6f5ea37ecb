#!/bin/sh
# The checks that the rosbridge transport talks to the server of rosbridge_suite, which is Python, beside the one in Rust
# that `ros.sh` runs. Everything stays on the loopback interface.
#
#   sh tests/peers/rosbridge_suite.sh [FOLDER]     default: out/peers/rosbridge_suite
#   ROSBRIDGE_SUITE     a copy of RobotWebTools/rosbridge_suite, where GitHub cannot be reached
set -eu
cd "$(dirname "$0")/../.."
place="${1:-out/peers/rosbridge_suite}"
suite="${ROSBRIDGE_SUITE:-https://github.com/RobotWebTools/rosbridge_suite}"
sh tests/peers/ros_environment.sh jazzy
if [ ! -f "$place/.ready" ]; then
    rm -rf "$place"
    git -c advice.detachedHead=false clone --quiet --depth 1 --branch 2.1.0 "$suite" "$place" ||
        { echo "rosbridge_suite.sh: skipped: no $suite; ROSBRIDGE_SUITE can name a copy" >&2; exit 0; }
    "${PYTHON:-python3.11}" -m pip install --quiet --disable-pip-version-check --target "$place/packages" \
        tornado pymongo pillow
    touch "$place/.ready"
fi
ROS_PYTHON=out/peers/ros-jazzy/bin/python ROSBRIDGE_SUITE_PLACE="$place" \
    .venv/bin/python -m pytest -q tests/peers/test_rosbridge_suite_peer.py
