"""A planner that is told the goal as a formula: everything of the real one but the language model."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from planners.planner import Planner
from planners.proposer import Proposal
from robot_skills.logic import parse
from robot_skills.scene_graph import SceneGraph
from robot_skills.skill import Skill


class Told:
    def propose(self, command: str, scene: SceneGraph) -> Proposal:
        return Proposal(parse(command), proposer="the test")


def make_planner(args: argparse.Namespace, skills: Mapping[str, Skill]) -> Planner:
    return Planner(skills, Told())
