"""Builds for rclpy what is in no wheel: the part of control_msgs that the bridge speaks, and our interfaces.

    FOLDER/bin/python tests/peers/ros_interfaces.py       (in the environment that `ros_environment.sh` makes)

The generators of rosidl, which the environment has, make the code, and this machine's compiler the libraries;
they land in FOLDER. The fields of control_msgs are those of our messages; that these are ROS's is held by the
type hashes in `test_messages.py`.
"""

import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import numpy as np
from ament_index_python import get_package_share_directory, get_resources
from rosidl_cli.command.hash.api import generate_type_hashes
from rosidl_cli.command.helpers import legacy_generator_arguments_file
from rosidl_cli.command.translate.api import translate
from rosidl_generator_c.cli import GenerateC
from rosidl_generator_py.cli import GeneratePython
from rosidl_typesupport_c import generate_c
from rosidl_typesupport_fastrtps_c.cli import GenerateFastRTPSCTypesupport
from rosidl_typesupport_introspection_c.cli import GenerateIntrospectionCTypesupport

from robot_skills.bridge import messages
from robot_skills.bridge.schema import ActionType, definition, ros_name

PLACE = Path(sys.prefix)
ROOT = Path(__file__).parents[2]
OURS = ROOT / "launch" / "robot_skills_interfaces" / "action" / "RunSkill.action"
KINDS: tuple[type | ActionType, ...] = (
    messages.FollowJointTrajectory,
    messages.GripperCommandAction,
    messages.ParallelGripperCommand,
    messages.GripperCommand,
    messages.JointComponentTolerance,
    messages.JointJog,
    messages.JointTolerance,
)

#: Kinds of type support, by their generators.
GENERATORS = {
    "fastrtps_c": GenerateFastRTPSCTypesupport,
    "introspection_c": GenerateIntrospectionCTypesupport,
}


def lines(kind: type) -> str:
    """A message's own fields, as a definition lists them."""
    return definition(kind).partition("=" * 80)[0]


def control_msgs() -> dict[str, str]:
    """File -> its text."""
    files = {}
    for kind in KINDS:
        if isinstance(kind, ActionType):
            text = "---\n".join(lines(part) for part in (kind.goal, kind.result, kind.feedback))
            files[f"action/{kind.name.rpartition('/')[2]}.action"] = text
        else:
            files[f"msg/{ros_name(kind).rpartition('/')[2]}.msg"] = lines(kind)
    return files


def write_code(package: str, files: dict[str, str], work: Path) -> dict[str, Path]:
    """Generator -> the folder with what it made."""
    for name, text in files.items():
        (work / package / name).parent.mkdir(parents=True, exist_ok=True)
        (work / package / name).write_text(text)
    share = str(PLACE / "share")
    given = [f"{work / package}:{name}" for name in files]
    idl = translate(
        package_name=package,
        interface_files=given,
        include_paths=[share],
        output_format="idl",
        output_path=work / "idl" / package,
    )
    hashes = generate_type_hashes(
        package_name=package, interface_files=idl, include_paths=[share], output_path=work / "hash" / package
    )
    folders = {name: work / name / package for name in ("c", "py", *GENERATORS, "typesupport_c")}
    for folder in folders.values():
        folder.mkdir(parents=True)
    for kind in {name.partition("/")[0] for name in files}:
        # Apart: the generator takes the hash of an action for that of a message of the same name.
        described = [file for file in hashes if Path(str(file)).parent.name == kind]
        chosen = [file for file in idl if f":{kind}/" in file]
        GenerateC("c").generate(package, chosen, [share], folders["c"], described)
    GeneratePython("py").generate(package, idl, [share], folders["py"])
    for name, generator in GENERATORS.items():
        generator(name).generate(package, idl, [share], folders[name])
    with legacy_generator_arguments_file(
        package_name=package,
        interface_files=idl,
        include_paths=[share],
        templates_path=Path(get_package_share_directory("rosidl_typesupport_c")) / "resource",
        output_path=folders["typesupport_c"],
    ) as arguments:
        generate_c(arguments, list(get_resources("rosidl_typesupport_c")))
    return folders


def build(package: str, code: dict[str, Path], work: Path) -> None:
    """Compile what was written, and put it where the environment's other packages are."""
    site, lib = Path(sysconfig.get_paths()["purelib"]), PLACE / "lib"
    headers = [
        *(folder.parent for folder in code.values()),
        *(folder for folder in sorted((PLACE / "include").iterdir()) if folder.is_dir()),
        PLACE / "include",
        sysconfig.get_paths()["include"],
        np.get_include(),
    ]
    options = ["-shared", "-fPIC", "-O0", "-w", f"-DROS_PACKAGE_NAME={package}"]
    options += [f"-I{folder}" for folder in headers]

    def compiled(name: Path, sources: list[Path]) -> None:
        found = [file for pattern in ("lib*_c.so", "lib*_py.so") for file in sorted(lib.glob(pattern))]
        known = [str(file) for file in found if file != name]
        core = [str(lib / f"lib{name}.so") for name in ("fastcdr", "rcutils", "rmw")]
        compiler = "g++" if sources[0].suffix == ".cpp" else "gcc"
        linked = ["-Wl,--as-needed", *known, *core]
        subprocess.run([compiler, *options, *map(str, sources), "-o", str(name), *linked], check=True)

    prefix = f"lib{package}__rosidl"
    compiled(lib / f"{prefix}_generator_c.so", sorted(code["c"].rglob("*.c")))
    compiled(lib / f"{prefix}_typesupport_fastrtps_c.so", sorted(code["fastrtps_c"].rglob("*.cpp")))
    compiled(lib / f"{prefix}_typesupport_introspection_c.so", sorted(code["introspection_c"].rglob("*.c")))
    compiled(lib / f"{prefix}_typesupport_c.so", sorted(code["typesupport_c"].rglob("*.cpp")))
    compiled(lib / f"{prefix}_generator_py.so", sorted(code["py"].glob("*/*_s.c")))
    shutil.copytree(code["py"], site / package, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.c"))
    (site / package / "__init__.py").touch()
    for source in sorted(code["py"].glob("*.c")):
        kind = source.name.split(".")[2]
        compiled(site / package / f"{package}_s__{kind}.so", [source])
    index = PLACE / "share" / "ament_index" / "resource_index"
    for resource in ("packages", "rosidl_interfaces"):
        (index / resource / package).touch()


def main() -> None:
    """Build both packages."""
    ours = OURS.read_text()
    with tempfile.TemporaryDirectory() as folder:
        for package, files in (
            ("control_msgs", control_msgs()),
            ("robot_skills_interfaces", {f"action/{OURS.name}": ours}),
        ):
            work = Path(folder) / package
            build(package, write_code(package, files, work), work)


if __name__ == "__main__":
    main()
