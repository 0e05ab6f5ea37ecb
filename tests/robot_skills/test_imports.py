"""What an import brings along: in a fresh interpreter, since this one has everything."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "ray", "pybullet", "transformers", "xllamacpp", "av", "gymnasium", "sim", "planners")


def loaded(code: str) -> set[str]:
    """Top-level modules that are loaded after running the code."""
    report = f"{code}\nimport sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    return set(subprocess.check_output([sys.executable, "-c", report], text=True).splitlines()[-1].split())


@pytest.mark.parametrize(
    "code",
    [
        "import robot_skills",
        "import robot_skills.skill, robot_skills.scene_graph, robot_skills.robot, robot_skills.errors",
        "import robot_skills.library; robot_skills.library.SkillLibrary.open()",
        "from robot_skills.cli.main import make_parser; make_parser('run').format_help()",
        "import robot_skills.bridge.settings, robot_skills.bridge.cdr, robot_skills.bridge.transports.memory",
    ],
)
def test_the_light_parts_stay_light(code: str) -> None:
    assert not loaded(code) & set(HEAVY)


def test_policies_and_execution_bring_no_adapter() -> None:
    brought = loaded("import robot_skills.execution, robot_skills.serving, robot_skills.policies.star.policy")
    assert not brought & {"ray", "pybullet", "sim", "planners", "rclpy"}


def test_two_names_stay_free_for_other_packages() -> None:
    code = "import sys; sys.path.pop(0)\nimport robot_skills, planners, sim, importlib.util as u\n"
    code += "found = [getattr(u.find_spec(n), 'origin', None) for n in ('datasets', 'launch')]\n"
    code += "print([o for o in found if o and 'site-packages' not in o])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
