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
    place="$(cd "$place" && pwd)"
    ros="ros-$distribution"
    "$place/bin/python" -m pip install --quiet --disable-pip-version-check \
        "$rclpy" "$ros-rmw-fastrtps-cpp" "$ros-sensor-msgs" "$ros-std-msgs" "$ros-std-srvs" \
        "$ros-trajectory-msgs" "$ros-geometry-msgs" "$ros-test-msgs" \
        "rosbridge-server-rs==0.1.6" catkin_pkg "empy<4"
    # The server loads rmw_implementation, which these wheels do not build: they have one middleware.
    lib="$place/lib"
    ln -sf librmw_fastrtps_cpp.so "$lib/librmw_implementation.so"
    if command -v g++ >/dev/null; then
        libraries="$lib$(find "$lib" -name 'ros_*.libs' -printf ':%p')"
        LD_LIBRARY_PATH="$libraries" _ROS_WHEELS_BOOTSTRAP_COMPLETE=1 AMENT_PREFIX_PATH="$place" \
            PYTHONPATH="$(pwd)" "$place/bin/python" tests/peers/ros_interfaces.py >"$place/interfaces.log" 2>&1 ||
            { tail -n 5 "$place/interfaces.log" >&2; exit 1; }
    else
        echo "ros_environment.sh: no g++ here: control_msgs is not built, and what needs it is skipped" >&2
    fi
    touch "$place/.ready"
fi
