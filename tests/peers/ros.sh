#!/bin/sh
# An environment of its own for ROS 2 Jazzy (rclpy from wheels) and a rosbridge server, and the checks that the
# bridge talks to them. The wheels re-execute every start of Python where they are installed, so they never go
# into .venv. Everything stays on the loopback interface.
#
#   sh tests/peers/ros.sh [FOLDER]     the environment's place; default: out/peers/ros-jazzy
set -eu
cd "$(dirname "$0")/../.."
place="${1:-out/peers/ros-jazzy}"
python="${PYTHON:-python3.11}"
if [ ! -f "$place/.ready" ]; then
    "$python" -m venv "$place"
    "$place/bin/python" -m pip install --quiet --disable-pip-version-check \
        "ros-jazzy-rclpy==7.1.6" ros-jazzy-rmw-fastrtps-cpp ros-jazzy-sensor-msgs ros-jazzy-std-msgs \
        ros-jazzy-std-srvs ros-jazzy-trajectory-msgs ros-jazzy-geometry-msgs ros-jazzy-test-msgs \
        "rosbridge-server-rs==0.1.6"
    # The server loads rmw_implementation, which these wheels do not build: they have one middleware.
    lib="$(find "$place" -name librmw_fastrtps_cpp.so | head -n 1)"
    ln -sf librmw_fastrtps_cpp.so "$(dirname "$lib")/librmw_implementation.so"
    touch "$place/.ready"
fi
ROS_PYTHON="$place/bin/python" .venv/bin/python -m pytest -q tests/peers/test_ros_peer.py
