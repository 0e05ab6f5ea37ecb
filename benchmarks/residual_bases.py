"""What benchmarks/residual.py practises on: its tasks, and the frozen bases, trained here or elsewhere."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from robot_skills.cli.arenas import TABLETOP
from robot_skills.cli.arenas import arena as make_arena
from robot_skills.cli.main import main as robot_skills
from robot_skills.errors import InputError
from robot_skills.library import CARD, read_card
from robot_skills.residual.arena import ArenaFactory
from robot_skills.training.configuration import from_mapping
from robot_skills.training.recipe import TrainRecipe
from sim.experts.metaworld import MetaWorldRecipe, collect_metaworld
from sim.experts.robosuite import RobosuiteRecipe, collect_robosuite

FOLDER = Path("out/residual")
#: Where settings of practice are.
DATASETS = Path(__file__).parents[1] / "datasets"
#: Control steps of an episode of MetaWorld; the experts take 90 to 120 on these tasks.
HORIZON = 200


@dataclasses.dataclass(frozen=True)
class Task:
    """What is practised, and on which base.

    Attributes:
        env: as `robot-skills refine --env` has it.
        demonstrations: the expert's episodes that the base learns from.
        horizon: control steps of an episode; None: as many as the skill's card says.
        settings: of the practice of "ours", a file; None: the defaults.
        skill: of the tabletop; empty: the task is of a suite.
        updates: of the base's training.
        sees: what the base sees, in the table.
    """

    env: str
    demonstrations: int
    horizon: int | None = None
    settings: Path | None = None
    skill: str = ""
    updates: int = 2000
    sees: str = "state"


def metaworld(task: str, demonstrations: int) -> Task:
    """One of MetaWorld's, from its own observation."""
    return Task(f"metaworld:{task}", demonstrations, HORIZON, DATASETS / "refine_metaworld.yaml")


def tabletop(skill: str, demonstrations: int) -> Task:
    """A skill of the tabletop from two images: ACT, asked anew at every step."""
    return Task(TABLETOP, demonstrations, None, DATASETS / "refine_tabletop.yaml", skill=skill, sees="images")


METAWORLD: Mapping[str, Task] = {
    "assembly-v3": metaworld("assembly-v3", 5),
    "peg-insert-side-v3": metaworld("peg-insert-side-v3", 10),
    "box-close-v3": metaworld("box-close-v3", 10),
    "stick-pull-v3": metaworld("stick-pull-v3", 10),
}
TASKS: Mapping[str, Task] = {
    **METAWORLD,
    "NutAssemblySquare": Task(
        "robosuite:NutAssemblySquare", 60, 300, DATASETS / "refine_square.yaml", updates=3000
    ),
    "tabletop weak": tabletop("open", 12),
    "tabletop strong": tabletop("open", 100),
}


def home(task: str) -> Path:
    """Folder of a task's base, demonstrations and runs."""
    return FOLDER / task.replace(" ", "_")


def base_folder(task: str) -> Path:
    """The trained base of a task.

    Raises:
        InputError: it is not there.
    """
    folder = home(task) / "base"
    if not (folder / "config.json").exists():
        missing = f"{task} practises on the base in {folder}, which is not there."
        raise InputError(f"{missing} Make it: {made_by(task)}")
    return folder


def made_by(task: str) -> str:
    """The command that makes a task's base."""
    return f"python benchmarks/residual.py base --tasks {shlex.quote(task)}"


def base_recipe(task: str, steps: int) -> TrainRecipe:
    """How the base is trained: chunked cloning of the simulator's state, or on the tabletop ACT of images."""
    one = TASKS[task]
    policy = {
        "name": "bc",
        "config": {
            "cameras": [],
            "shift": [],
            "chunk": 16,
            "execute": 8,
            "hidden": 256,
            "state_noise": 0.02,
            "target_weight": 0.0,
        },
    }
    trainer: dict[str, Any] = {"policy": policy, "ema_decay": 0.99, "check": False, "logger": []}
    if one.skill:
        trainer = {"policy": {"name": "act", "config": {"chunk": 8, "execute": 1}}, "skill": one.skill}
    return from_mapping(
        TrainRecipe,
        {
            "name": f"base_{task.replace(' ', '_')}",
            "data": [str(home(task) / "demonstrations")],
            "stages": {"policy": {"steps": steps, "batch_size": 64 if one.skill else 128}},
            "validation_fraction": 0.0,
            "checkpoint_every": steps,
            "threads": 1,
            **trainer,
        },
        "benchmark residual",
    )


def collect(task: str, folder: Path) -> None:
    """The demonstrations of a task's base, where they have not been collected."""
    one = TASKS[task]
    if one.skill:
        recipe, count = str(DATASETS / f"tabletop_{one.skill}.yaml"), str(one.demonstrations)
        asked = ["collect", recipe, "--episodes", count, "--first-seed", "0", "--workers", "1"]
        if robot_skills([*asked, "-o", str(folder)]):
            raise InputError(f"{folder} could not be collected.")
        return
    suite, _, name = one.env.partition(":")
    given = {"tasks": (name,), "episodes": one.demonstrations, "cameras": (), "state": "oracle"}
    given |= {"executed": True, "steps": one.horizon}
    if suite == "metaworld":
        collect_metaworld(from_mapping(MetaWorldRecipe, given, task), folder, Console()).close()
    else:
        collect_robosuite(from_mapping(RobosuiteRecipe, given, task), folder, Console()).close()


def make_base(task: str, steps: int | None) -> None:
    """Collect and train, where that has not been done."""
    from robot_skills.training.run import train

    collect(task, home(task) / "demonstrations")
    folder = home(task) / "base"
    if not (folder / "config.json").exists():
        made = base_recipe(task, steps or TASKS[task].updates)
        train(made, folder, True, made_by(task), Console())


def arena(task: str) -> ArenaFactory:
    """The task as its base sees it.

    Raises:
        InputError: there is no base.
    """
    one, base = TASKS[task], base_folder(task)
    return make_arena(one.env, base, read_card(base / CARD) if one.env == TABLETOP else None, one.horizon)
