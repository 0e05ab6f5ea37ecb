#!/bin/sh
# The checks that the bridge talks to ROS 1: Noetic's rospy from Debian's packages, unpacked and not installed, and
# the rosbridge server of ROS 1. Everything stays on the loopback interface. It needs Debian 12, whose Python is 3.11.
#
#   sh tests/peers/ros1.sh [FOLDER]     default: out/peers/ros1
#   ROSBRIDGE_SUITE     a copy of RobotWebTools/rosbridge_suite, where GitHub cannot be reached
set -eu
cd "$(dirname "$0")/../.."
place="${1:-out/peers/ros1}"
python="${PYTHON:-python3.11}"
suite="${ROSBRIDGE_SUITE:-https://github.com/RobotWebTools/rosbridge_suite}"
skip() { echo "ros1.sh: skipped: $1" >&2; exit 0; }
if [ ! -f "$place/.ready" ]; then
    apt-cache show python3-rospy >/dev/null 2>&1 || skip "apt knows no python3-rospy (Debian 12 does)"
    rm -rf "$place"
    "$python" -m venv "$place"
    place="$(cd "$place" && pwd)"
    git -c advice.detachedHead=false clone --quiet --depth 1 --branch 0.11.17 "$suite" "$place/rosbridge_suite" ||
        skip "no $suite; ROSBRIDGE_SUITE can name a copy"
    "$place/bin/python" -m pip install --quiet --disable-pip-version-check \
        "autobahn==23.6.2" "twisted==23.10.0" "setuptools<70" pyopenssl service_identity tornado pymongo pillow \
        pyyaml defusedxml distro rospkg catkin_pkg "empy<4" pycryptodomex python-gnupg
    mkdir "$place/packages"
    (
        cd "$place/packages"
        apt-get download -qq \
            python3-rospy python3-rosmaster python3-roslib python3-rosgraph python3-rostopic python3-rosservice \
            python3-rosnode python3-rosbag python3-rosmsg python3-catkin python3-genmsg python3-genpy \
            python3-actionlib python3-actionlib-msgs python3-roscpp-msg python3-rosgraph-msgs \
            python3-std-msgs python3-std-srvs python3-geometry-msgs python3-sensor-msgs python3-trajectory-msgs \
            ros-std-msgs ros-actionlib-msgs ros-geometry-msgs ros-sensor-msgs ros-trajectory-msgs
        for package in *.deb; do dpkg -x "$package" "$place/debian"; done
    )
    PYTHONPATH="$place/debian/usr/lib/python3/dist-packages" \
        "$place/bin/python" tests/peers/ros1_interfaces.py "$place"
    touch "$place/.ready"
fi
ROS1_PYTHON="$place/bin/python" .venv/bin/python -m pytest -q tests/peers/test_ros1_peer.py
