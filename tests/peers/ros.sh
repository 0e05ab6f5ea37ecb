#!/bin/sh
# The checks that the bridge talks to ROS 2, in an environment of its own. Everything stays on the loopback
# interface.
#
#   sh tests/peers/ros.sh [DISTRIBUTION [FOLDER]]     jazzy (the default) or kilted; default: out/peers/ros-DISTRIBUTION
set -eu
cd "$(dirname "$0")/../.."
distribution="${1:-jazzy}"
place="${2:-out/peers/ros-$distribution}"
sh tests/peers/ros_environment.sh "$distribution" "$place"
ROS_PYTHON="$place/bin/python" .venv/bin/python -m pytest -q \
    tests/peers/test_ros_peer.py tests/peers/test_control_msgs_peer.py
