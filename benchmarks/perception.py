"""The scene graph from camera pictures: trained, compared with the oracle, and at work in the closed loop.

    python benchmarks/perception.py train     render, train, write robot_skills/pretrained_perception
    python benchmarks/perception.py states    graphs along runs of the scripted experts
    python benchmarks/perception.py commands  commands carried out with either perception
    python benchmarks/perception.py report    the table of both, results/perception.md

Training pictures have seeds below 900,000; states and commands are judged by the simulator's state, with
seeds from 1,000,000 on unless told otherwise.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
import yaml
from commands import scene_for
from numpy.typing import NDArray
from report import hardware, write_report
from rich.console import Console
from safetensors.torch import load_file, save_file

from robot_skills.cli.plan import add_planner_options, make_planner
from robot_skills.cli.run import Run, skill_sources
from robot_skills.cli.tabletop import PERCEPTIONS, look, sight, tabletop
from robot_skills.library import SkillLibrary
from robot_skills.logic import Atom
from robot_skills.perception.close_look import CloseLook, CloseTrainer, labelled_windows
from robot_skills.perception.detector import (
    CLOSE,
    Detector,
    DetectorConfig,
    DetectorNetwork,
    close_look,
    halved,
)
from robot_skills.perception.graph import scene_graph as believed
from robot_skills.perception.perceiver import SHIPPED, Perceiver
from robot_skills.perception.training import DetectorTraining, Looks, Trainer, looks
from robot_skills.policies.visuomotor import WEIGHTS
from robot_skills.scene_graph import SceneGraph
from robot_skills.skill import SkillCall
from robot_skills.training.statistics import wilson_interval
from sim.experts.expert import expert_for
from sim.experts.recording import draw_call
from sim.tabletop.catalogue import TABLETOP
from sim.tabletop.oracle import scene_graph
from sim.tabletop.scene import Scene
from sim.tabletop.state import State
from sim.tabletop.views import FRAMING, sensed
from sim.tabletop.world import TabletopWorld

OUT = Path("out/perception")
#: Skills that the experts do in a run, at most, and steps that one may take.
SKILLS, LIMIT = 4, 90
#: Stream of random numbers of a seed, and scenes to a file of pictures.
STREAM, SCENES_A_FILE = 127, 100
#: Of each file of pictures: camera -> arrays.
Files: TypeAlias = "list[dict[str, dict[str, Any]]]"
PREDICATES = ("on", "in", "holding", "open", "ajar", "pressed", "moved")


@dataclass(frozen=True)
class Look:
    """One look, compared with the oracle.

    Attributes:
        first: whether nothing had been seen before.
        alone: whether it was judged without memory.
        whole: whether all entities and facts are as the oracle's.
        named: whether the entities are.
        found, there: entities with their right name, and entities.
        true, told, right: predicate -> facts of the oracle, of the camera, and of both.
        errors: distances between believed and true positions of the things of the right name, mm.
        seconds: processor time of the look without rendering.
    """

    first: bool
    alone: bool
    whole: bool
    named: bool
    found: int
    there: int
    true: dict[str, int]
    told: dict[str, int]
    right: dict[str, int]
    errors: list[float]
    seconds: float


def train(args: argparse.Namespace) -> None:
    """Render what is not there yet, train both networks, write the folder and its card."""
    seeds, config = range(args.first_seed, args.first_seed + args.scenes), DetectorConfig(TABLETOP, FRAMING)
    files = list(rendered(seeds))
    if args.part in ("whole", "both"):
        save_file(halved(trained_whole(config, files, args)), OUT / WEIGHTS)
    if args.part in ("close", "both"):
        save_file(halved(trained_close(config, files, args.close_steps)), OUT / CLOSE)
    if not all((OUT / file).exists() for file in (WEIGHTS, CLOSE)):
        return
    parts = {WEIGHTS: DetectorNetwork(config), CLOSE: close_look(config)}
    for file, part in parts.items():
        part.load_state_dict(load_file(OUT / file))
    Detector(config, *parts.values()).save(args.folder)
    sizes = [(args.folder / file).stat().st_size / 1e6 for file in parts]
    weights = [sum(value.numel() for value in part.parameters()) for part in parts.values()]
    facts = {
        "scenes": args.scenes, "first": seeds[0], "last": seeds[-1], "steps": args.steps,
        "close_steps": args.close_steps, "whole": weights[0], "close": weights[1],
        "looks": sum(len(arrays["front"]["images"]) for arrays in files), "size": round(sum(sizes), 2),
        "batch": DetectorTraining.batch, "hardware": hardware(),
    }  # fmt: skip
    (args.folder / "README.md").write_text(CARD.format(**facts))


def rendered(seeds: range) -> Iterator[dict[str, dict[str, Any]]]:
    """The pictures of each file of scenes: camera -> arrays."""
    folder = OUT / "pictures"
    for first in range(seeds.start, seeds.stop, SCENES_A_FILE):
        names = {camera: folder / f"{camera}_{first}_{first + SCENES_A_FILE}.npz" for camera in FRAMING}
        if not all(name.exists() for name in names.values()):
            command = [sys.executable, "-m", "sim.experts.sightings", "-o", str(folder)]
            subprocess.run([*command, "--first-seed", str(first), "--scenes", str(SCENES_A_FILE)], check=True)
        yield {camera: dict(np.load(name)) for camera, name in names.items()}


def trained_whole(config: DetectorConfig, files: Files, args: argparse.Namespace) -> DetectorNetwork:
    """The network for whole pictures."""
    parts = [looks(config, arrays) for arrays in files]
    data = Looks(*(np.concatenate(each) for each in zip(*parts, strict=True)))
    network = DetectorNetwork(config)
    if args.start is not None:
        network.load_state_dict(load_file(args.start))
    training = DetectorTraining(steps=args.steps, learning_rate=args.rate)
    trainer = Trainer(config, data, training, network if args.start else None)
    for measured in trainer.run():
        print({name: round(value, 3) for name, value in measured.items()}, flush=True)
        save_file(halved(trainer.network), OUT / "latest.safetensors")
    return trainer.network


def trained_close(config: DetectorConfig, files: Files, steps: int) -> CloseLook:
    """The network for closer looks."""
    rng = np.random.default_rng([0, STREAM])
    parts = [
        labelled_windows(
            arrays["images"], arrays["things"], depths(arrays), arrays["focal"], len(TABLETOP.graspable), rng
        )
        for file in files
        for arrays in file.values()
    ]
    torch.manual_seed(0)
    network = close_look(config)
    trainer = CloseTrainer(network, *(torch.cat(each) for each in zip(*parts, strict=True)))
    for measured in trainer.run(steps):
        print({name: round(value, 3) for name, value in measured.items()}, flush=True)
    return network


def depths(arrays: dict[str, Any]) -> NDArray[np.float64]:
    """How far in front of the camera each thing is, (N, M) m."""
    away = arrays["things"][..., 6:9] - arrays["eye"][:, None]
    return -np.einsum("nmk,nk->nm", away, arrays["rotation"][:, :, 2])


def states(args: argparse.Namespace) -> None:
    """Look along runs of the experts, with and without memory, and keep what came of it."""
    torch.set_num_threads(1)
    detector, world = Detector.load(args.folder), TabletopWorld({})
    found: list[Look] = []
    for seed in range(args.first_seed, args.first_seed + args.runs):
        world.reset(Scene.sample([seed, STREAM]))
        perceiver = Perceiver(lambda: sensed(world), detector)
        for number, _ in enumerate(work(world, perceiver, np.random.default_rng([seed, STREAM]))):
            found.append(compare(world, perceiver, first=number == 0, alone=False))
            found.append(compare(world, Perceiver(lambda: sensed(world), detector), number == 0, alone=True))
            if args.verbose and not found[-2].whole:
                print(
                    seed,
                    number,
                    difference(believed(perceiver.memory), scene_graph(world.state())),
                    flush=True,
                )
    world.close()
    write(args.first_seed, "states", [asdict(each) for each in found])
    whole = [each.whole for each in found if not each.alone]
    print(f"{sum(whole)} of {len(whole)} whole graphs")


def work(world: TabletopWorld, perceiver: Perceiver, rng: np.random.Generator) -> Iterator[None]:
    """Let experts do some skills in a row; yields where `run` would look: before and after each."""
    before: list[SkillCall] = []
    yield
    for _ in range(SKILLS):
        call = draw_call(world.state(), rng, before)
        if call is None:
            return
        before.append(call)
        world.begin_command()
        perceiver.begin_command()
        expert = expert_for(call)
        for _ in range(LIMIT):
            action, over = expert.act(world.state())
            world.act(action)
            if over:
                break
        yield


def compare(world: TabletopWorld, perceiver: Perceiver, first: bool, alone: bool) -> Look:
    """Look, and compare with the oracle; `moved` is no matter of a single look."""
    state = world.state()
    views = sensed(world)
    began = time.process_time()
    graph = perceiver.perceive(views)
    seconds = time.process_time() - began
    oracle = scene_graph(state)
    names, true_names = ({each.name for each in seen.entities} for seen in (graph, oracle))
    skipped = {"fits", "moved"} if alone else {"fits"}
    told, true = ({fact for fact in seen.facts if fact.predicate not in skipped} for seen in (graph, oracle))
    return Look(
        first, alone, names == true_names and told == true, names == true_names,
        len(names & true_names), len(true_names), count(true), count(told), count(told & true),
        position_errors(perceiver, state), seconds,
    )  # fmt: skip


def count(facts: set[Atom]) -> dict[str, int]:
    return dict(Counter(fact.predicate for fact in facts))


def position_errors(perceiver: Perceiver, state: State) -> list[float]:
    return [
        1000 * float(np.linalg.norm(thing.position - state.bodies[thing.name].position))
        for thing in perceiver.memory.things
        if thing.name in state.bodies
    ]


def difference(graph: SceneGraph, oracle: SceneGraph) -> str:
    """What the camera lacks (-) and has too much (+)."""
    marks = []
    for mark, one, other in (("-", oracle, graph), ("+", graph, oracle)):
        names = {each.name for each in one.entities} - {each.name for each in other.entities}
        facts = {str(fact) for fact in one.facts - other.facts if fact.predicate != "fits"}
        marks += [f"{mark}{each}" for each in (*sorted(names), *sorted(facts))]
    return " ".join(marks)


def commands(args: argparse.Namespace) -> None:
    """Carry out the commands of `commands.yaml` with either perception; the simulator's state judges both."""
    entries = yaml.safe_load((Path(__file__).parent / "commands.yaml").read_text())
    args.command = entries[0]["command"]
    library = SkillLibrary.open()
    planner = make_planner(args, library.skills)
    results = []
    every = [SkillCall(name) for name in library.skills]
    with skill_sources(library, every, True, None, Console(quiet=True)) as sources:
        for number, entry in enumerate(entries):
            for seed in range(args.first_seed, args.first_seed + args.seeds):
                truth = None  # the oracle's goal judges both: the camera may call things by other names
                for perception in PERCEPTIONS:
                    with tabletop(scene_for(entry, 100 * seed + number)) as world:
                        eyes = sight(world, perception)
                        plan = planner.plan(entry["command"], eyes.look())
                        truth = plan.goal if perception == "oracle" else truth
                        text, done, thought = str(plan.refused or plan.question), False, False
                        if plan.verified:
                            run = Run(Console(quiet=True), world, library, sources, plan, eyes)
                            result = run.carry_out(None)
                            text, thought = result.reason, result.success
                            done = truth is not None and look(world).holds(truth)
                        results.append(
                            {"command": entry["command"], "seed": seed, "perception": perception,
                             "done": done, "believed": thought, "reason": text}
                        )  # fmt: skip
                        print(results[-1], flush=True)
    write(args.first_seed, "commands", results)


def write(first: int, name: str, data: object) -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / f"{name}_{first}.json").write_text(json.dumps(data))


def share(successes: int, trials: int) -> str:
    low, high = wilson_interval(successes, trials)
    return f"{successes}/{trials}, {successes / max(trials, 1):.1%} ({low:.1%} to {high:.1%})"


def report(args: argparse.Namespace) -> None:
    """The table."""
    every = [Look(**each) for each in json.loads((OUT / f"states_{args.first_seed}.json").read_text())]
    found, alone = ([each for each in every if each.alone is wanted] for wanted in (False, True))
    rows = [
        ("whole graph right", share(sum(each.whole for each in found), len(found))),
        ("... at the first look", share(*tally([each.whole for each in found if each.first]))),
        ("... of single looks, without memory", share(*tally([each.whole for each in alone]))),
        ("entities all there, and no others", share(*tally([each.named for each in found]))),
        ("entities found", share(sum(each.found for each in found), sum(each.there for each in found))),
    ]
    for name in PREDICATES:
        true, told, right = (
            sum(getattr(each, part).get(name, 0) for each in found) for part in ("true", "told", "right")
        )
        rows.append((f"`{name}`: precision", share(right, told)))
        rows.append((f"`{name}`: recall", share(right, true)))
    errors = np.concatenate([each.errors for each in found])
    rows.append(
        ("position error", "median {:.1f} mm, 95 % within {:.1f} mm".format(*np.percentile(errors, (50, 95))))
    )
    spent = 1000 * np.median([each.seconds for each in found])
    rows.append(("a look, without rendering", f"{spent:.0f} ms of one core (median)"))
    ran = json.loads((OUT / f"commands_{args.first_seed}.json").read_text())
    for perception in PERCEPTIONS:
        mine = [each for each in ran if each["perception"] == perception]
        rows.append((f"commands done, {perception}", share(*tally([each["done"] for each in mine]))))
    mine = [each for each in ran if each["perception"] == "camera"]
    agreed = share(*tally([each["done"] == each["believed"] for each in mine]))
    rows.append(("the camera's verdict on a command is the simulator's", agreed))
    write_report(
        "perception",
        "The scene graph from two cameras, compared with the simulator's state",
        ("what", "result"),
        rows,
        f"{len(found)} states of runs of the scripted experts, seeds {args.first_seed} and on: the start, "
        f"and after each of up to {SKILLS} skills. Commands: `commands.yaml`, the same scenes with either "
        "perception, judged by the simulator's state. 95 % Wilson intervals.",
    )


def tally(marks: list[bool]) -> tuple[int, int]:
    return sum(marks), len(marks)


CARD = """\
# The detector of the tabletop

Two convolutional networks ({size} MB in half precision): one of {whole:,} weights finds blocks, cylinders,
balls, bowls, drawer, door and button in the pictures of both cameras, one of {close:,} looks
closer at each graspable thing to tell its kind. `config.json` holds their sizes and the catalogue: what there
is, how large, what may be done with it. See `docs/perception.md`.

```python
from robot_skills.perception.detector import Detector
from robot_skills.perception.graph import scene_graph as believed
from robot_skills.perception.perceiver import SHIPPED

detector = Detector.load(SHIPPED)
```

## Training

`python benchmarks/perception.py train --scenes {scenes} --steps {steps} --close-steps {close_steps}`
(`make perception`) on {hardware}.

- {looks:,} looks of both cameras at {scenes:,} scenes (seeds {first} to {last}), labelled by the simulator's
  state: six in ten arranged (things stacked, in bowls, in the drawer, in the hand, pushed away), four in ten
  with scripted experts at work. Light, brightness, table and the front camera's place vary in seven of ten.
- {steps:,} steps of {batch} looks; {close_steps:,} steps of 128 windows.

## How good it is

[`benchmarks/results/perception.md`](../../benchmarks/results/perception.md), on seeds from 1,000,000 on.

It knows this tabletop, from synthetic pictures. It does not know the furniture of generated tasks.
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    jobs = parser.add_subparsers(required=True)
    job = jobs.add_parser("train")
    job.add_argument("--first-seed", type=int, default=0)
    job.add_argument("--scenes", type=int, default=1600)
    job.add_argument("--steps", type=int, default=DetectorTraining.steps)
    job.add_argument("--rate", type=float, default=DetectorTraining.learning_rate, help="learning rate")
    job.add_argument("--start", metavar="FILE", type=Path, help="weights to go on with")
    job.add_argument("--close-steps", type=int, default=8000)
    parts = ("whole", "close", "both", "neither")
    job.add_argument("--part", choices=parts, default="both", help="which network is trained")
    job.set_defaults(job=train)
    job = jobs.add_parser("states")
    job.add_argument("--first-seed", type=int, default=1_000_000)
    job.add_argument("--runs", type=int, default=80)
    job.add_argument("--verbose", action="store_true", help="tell what is wrong")
    job.set_defaults(job=states)
    job = jobs.add_parser("commands")
    job.add_argument("--first-seed", type=int, default=1_000_000)
    job.add_argument("--seeds", type=int, default=1)
    add_planner_options(job)
    job.set_defaults(job=commands)
    job = jobs.add_parser("report")
    job.add_argument("--first-seed", type=int, default=1_000_000)
    job.set_defaults(job=report)
    for each in jobs.choices.values():
        each.add_argument("--folder", type=Path, default=SHIPPED, help="of the detector")
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.job(args)


if __name__ == "__main__":
    main()
