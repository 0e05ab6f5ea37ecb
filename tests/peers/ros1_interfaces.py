"""Makes what ROS 1's rosbridge server and its peer need and Debian does not have: run by `ros1.sh`.

    python tests/peers/ros1_interfaces.py FOLDER

The server's own messages and services; test_msgs/Fibonacci and control_msgs/FollowJointTrajectory, as
actionlib's genaction makes them of the .action files of Noetic; and a package.xml for each package, by which
roslib finds it.
"""

import sys
from pathlib import Path

from genpy.generate_initpy import write_modules
from genpy.generator import MsgGenerator, SrvGenerator

FIBONACCI = """int32 order
---
int32[] sequence
---
int32[] sequence
"""
FOLLOW_JOINT_TRAJECTORY = """trajectory_msgs/JointTrajectory trajectory
JointTolerance[] path_tolerance
JointTolerance[] goal_tolerance
duration goal_time_tolerance
---
int32 error_code
int32 SUCCESSFUL = 0
int32 INVALID_GOAL = -1
int32 INVALID_JOINTS = -2
int32 OLD_HEADER_TIMESTAMP = -3
int32 PATH_TOLERANCE_VIOLATED = -4
int32 GOAL_TOLERANCE_VIOLATED = -5
string error_string
---
Header header
string[] joint_names
trajectory_msgs/JointTrajectoryPoint desired
trajectory_msgs/JointTrajectoryPoint actual
trajectory_msgs/JointTrajectoryPoint error
"""
JOINT_TOLERANCE = """string name
float64 position
float64 velocity
float64 acceleration
"""
PACKAGE = """<package format="2"><name>{}</name><version>0.0.0</version><description>.</description>
<maintainer email="nobody@localhost.local">nobody</maintainer><license>BSD</license></package>
"""
DEBIAN = (
    "std_msgs",
    "std_srvs",
    "actionlib_msgs",
    "geometry_msgs",
    "sensor_msgs",
    "trajectory_msgs",
    "roscpp",
)


def action(folder: Path, name: str, text: str) -> None:
    """The messages of an action."""
    parts = dict(zip(("Goal", "Result", "Feedback"), text.split("---\n"), strict=True))
    for part, fields in parts.items():
        whose = "GoalID goal_id" if part == "Goal" else "GoalStatus status"
        (folder / f"{name}{part}.msg").write_text(fields)
        (folder / f"{name}Action{part}.msg").write_text(
            f"Header header\nactionlib_msgs/{whose}\n{name}{part} {part.lower()}\n"
        )
    whole = "".join(f"{name}Action{part} action_{part.lower()}\n" for part in parts)
    (folder / f"{name}Action.msg").write_text(whole)


def main() -> None:
    """All of it."""
    place = Path(sys.argv[1])
    suite, share, made = place / "rosbridge_suite", place / "debian/usr/share", place / "generated"
    ours = place / "interfaces"
    for package in ("test_msgs", "control_msgs"):
        (ours / package / "msg").mkdir(parents=True)
    action(ours / "test_msgs/msg", "Fibonacci", FIBONACCI)
    action(ours / "control_msgs/msg", "FollowJointTrajectory", FOLLOW_JOINT_TRAJECTORY)
    (ours / "control_msgs/msg/JointTolerance.msg").write_text(JOINT_TOLERANCE)
    sources = {
        "test_msgs": ours / "test_msgs",
        "control_msgs": ours / "control_msgs",
        "rosbridge_msgs": suite / "rosbridge_msgs",
        "rosapi": suite / "rosapi",
    }
    search = {package: [str(share / package / "msg")] for package in DEBIAN}
    search |= {package: [str(source / "msg")] for package, source in sources.items()}
    for package, source in sources.items():
        (made / package).mkdir(parents=True)
        init = suite / package / "src" / package / "__init__.py"
        (made / package / "__init__.py").write_text(init.read_text() if init.exists() else "")
        for kind, generator in (("msg", MsgGenerator()), ("srv", SrvGenerator())):
            files = sorted(map(str, (source / kind).glob(f"*.{kind}")))
            out = made / package / kind
            if files:
                out.mkdir()
                if generator.generate_messages(package, files, str(out), search):
                    sys.exit(f"ros1_interfaces.py: {package}/{kind} was not made")
                write_modules(str(out))
    for path in sorted((suite / "rosapi/src/rosapi").glob("*.py")):
        (made / "rosapi" / path.name).write_text(path.read_text())
    # The server imports it whether it asks for authentication or not.
    (made / "rosauth").mkdir()
    (made / "rosauth/__init__.py").write_text("")
    (made / "rosauth/srv.py").write_text("Authentication = None\n")
    for package in (*DEBIAN, *sources, "rosbridge_library", "rosbridge_server"):
        manifest = place / "share" / package / "package.xml"
        manifest.parent.mkdir(parents=True)
        manifest.write_text(PACKAGE.format(package))


if __name__ == "__main__":
    main()
