"""The launch files: XML that a launch system reads, with commands that are ours."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from xml.etree import ElementTree

import pytest

from robot_skills.cli.main import make_parser

FILES = sorted(Path("launch").glob("*.launch.xml"))


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_a_launch_file_starts_what_there_is(file: Path) -> None:
    root = ElementTree.parse(file).getroot()
    assert root.tag == "launch"
    values = {arg.attrib["name"]: arg.attrib.get("default", "tabletop") for arg in root.findall("arg")}
    (executable,) = root.findall("executable")
    command = re.sub(r"\$\(var (\w+)\)", lambda found: values[found.group(1)], executable.attrib["cmd"])
    program, *arguments = shlex.split(command)
    assert program == "robot-skills"
    assert str(make_parser("bridge").parse_args(arguments).config) == "tabletop"
