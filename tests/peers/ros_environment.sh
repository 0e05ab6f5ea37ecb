#!/bin/sh
# An environment of its own for a distribution of ROS 2 (rclpy from wheels) with a rosbridge server, and what is
# in no wheel: control_msgs and our own interfaces, for which this machine needs a C++ compiler. The wheels
# re-execute every start of Python where they are installed, so they never go into .venv.
#
#   sh tests/peers/ros_environment.sh DISTRIBUTION [FOLDER]     jazzy or kilted; default: out/peers/ros-DISTRIBUTION
set -eu
cd "$(dirname "$0")/../.."
distribution="$1"
place="${2:-out/peers/ros-$distribution}"
python="${PYTHON:-python3.11}"
case "$distribution" in
    jazzy) rclpy="ros-jazzy-rclpy==7.1.6" ;;
    kilted) rclpy="ros-kilted-rclpy==9.1.2" ;;
    *) echo "ros_environment.sh: there are wheels of jazzy and kilted, not of $distribution" >&2; exit 2 ;;
esac
if [ ! -f "$place/.ready" ]; then
    "$python" -m venv "$place"
    ros="ros-$distribution"
    "$place/bin/python" -m pip install --quiet --disable-pip-version-check \
        "$rclpy" "$ros-rmw-fastrtps-cpp" "$ros-sensor-msgs" "$ros-std-msgs" "$ros-std-srvs" \
        "$ros-trajectory-msgs" "$ros-geometry-msgs" "$ros-test-msgs" \
        "rosbridge-server-rs==0.1.6" catkin_pkg "empy<4"
    # The server loads rmw_implementation, which these wheels do not build: they have one middleware.
    lib="$(find "$place" -name librmw_fastrtps_cpp.so | head -n 1)"
    ln -sf librmw_fastrtps_cpp.so "$(dirname "$lib")/librmw_implementation.so"
    touch "$place/.ready"
fi
