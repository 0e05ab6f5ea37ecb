"""Tries of the shipped skills in their contexts: what the planner's chances come from.

    python benchmarks/tries.py collect [--first-seed 900000] [--seeds 400] [--hours 0.5]
    python benchmarks/tries.py record        # robot_skills/pretrained/SKILL/tries.json
    python benchmarks/tries.py report        # benchmarks/results/tries.md

Each seed is a sampled scene in which one possible call after another is drawn and carried out by policies, so
that things stand where skills have put them; after a failure the arm is drawn back, as the closed loop has
it. A try worked when the skill's success formula holds on the simulator's state after it. Collecting goes on
where it was stopped: a line a seed in out/tries/tries.jsonl.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from report import write_report

from robot_skills.affordance import TRIES, Tries, brier, context
from robot_skills.execution import ChunkSource, LocalChunks, Pending, execute
from robot_skills.library import SkillLibrary, fingerprint
from robot_skills.policies.policy import Policy, PolicyInput
from robot_skills.scene_graph import SceneGraph
from robot_skills.skill import SkillCall
from sim.tabletop.oracle import scene_graph
from sim.tabletop.retreat import retreat
from sim.tabletop.scene import Scene
from sim.tabletop.tasks import room_to_push
from sim.tabletop.world import TabletopWorld

KEPT = Path("out/tries/tries.jsonl")
#: Calls of a walk, and failures that end it.
LONGEST, MOST_FAILURES = 10, 3
#: How often a skill is drawn among those that are possible: what can go wrong more often.
WEIGHTS = {"pick": 3.0, "place": 3.0, "push": 1.5}


class FirstInput:
    """A policy that remembers what it was first asked with.

    Attributes:
        given: the first input; None before.
    """

    def __init__(self, policy: Policy) -> None:
        self._chunks: ChunkSource = LocalChunks(policy)
        self.cameras, self.history, self.execute = policy.cameras, policy.history, policy.execute
        self.given: PolicyInput | None = None

    def request(self, given: PolicyInput) -> Pending:
        """Ask the policy."""
        self.given = self.given or given
        return self._chunks.request(given)


class Walk:
    """One possible call after another in a scene.

    Args:
        library: the skills.
        world: is reset.
        seed: of the scene and of the calls.
    """

    def __init__(self, library: SkillLibrary, world: TabletopWorld, seed: int) -> None:
        self._library, self._world = library, world
        self._rng = np.random.default_rng([seed, 7])
        self._scene = Scene.sample(seed)
        world.reset(self._scene)

    def tries(self) -> list[dict[str, Any]]:
        """Every try in order."""
        found: list[dict[str, Any]] = []
        failures = 0
        while len(found) < LONGEST and failures < MOST_FAILURES:
            graph = scene_graph(self._world.state())
            call = self._draw(graph)
            if call is None:
                break
            found.append(self._attempt(call, graph))
            if not found[-1]["success"]:
                failures += 1
                held = any(fact.predicate == "holding" for fact in scene_graph(self._world.state()).facts)
                retreat(self._world, held, settle=0)
        return found

    def _draw(self, graph: SceneGraph) -> SkillCall | None:
        possible = {
            name: calls
            for name, skill in self._library.skills.items()
            if (calls := [c for c in skill.groundings(graph) if self._possible(c, graph)])
        }
        if not possible:
            return None
        weights = np.array([WEIGHTS.get(name, 1.0) for name in possible])
        calls = possible[str(self._rng.choice(list(possible), p=weights / weights.sum()))]
        return calls[int(self._rng.integers(len(calls)))]

    def _possible(self, call: SkillCall, graph: SceneGraph) -> bool:
        skill = self._library.skills[call.skill]
        if skill.unmet(call, graph) or (call.skill == "press" and graph.holds(skill.goal(call))):
            return False
        if call.skill != "push":
            return True
        # The cards do not say how much room there is, nor do people ask for a push into other things.
        state = self._world.state()
        objects = tuple(
            dataclasses.replace(item, position=tuple(map(float, state.bodies[name].position)))
            for name, item in zip(self._scene.names(), self._scene.objects, strict=True)
        )
        scene = self._scene.with_(objects=objects)
        item = objects[self._scene.names().index(call.args["object"])]
        return room_to_push(scene, item, call.args["direction"])

    def _attempt(self, call: SkillCall, graph: SceneGraph) -> dict[str, Any]:
        skill, policy = self._library.skills[call.skill], self._library.policy(call.skill)
        goal, chunks, world = skill.goal(call), FirstInput(policy), self._world
        world.begin_command()
        outcome = execute(
            world, skill, call, chunks, goal_reached=lambda: scene_graph(world.state()).holds(goal)
        )
        assert chunks.given is not None
        certainty = getattr(policy, "certainty", None)
        return {
            "call": str(call),
            "scene": graph.to_json(),
            "success": scene_graph(world.state()).holds(goal),
            "status": outcome.status.value,
            "steps": outcome.steps,
            "certainty": certainty([chunks.given])[0] if certainty else None,
        }


def collect(args: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    library, world = SkillLibrary.open(args.library), TabletopWorld()
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    done = {line["seed"] for line in read(library)}
    for seed in range(args.first_seed, args.first_seed + args.seeds):
        if time.process_time() > 3600 * args.hours:
            break
        if seed in done:
            continue
        began = time.process_time()
        tries = Walk(library, world, seed).tries()
        line = {"seed": seed, "cpu_seconds": round(time.process_time() - began, 2), "tries": tries}
        with KEPT.open("a") as file:
            file.write(json.dumps(line) + "\n")
    world.close()


def read(library: SkillLibrary) -> list[dict[str, Any]]:
    """A line a seed, in the order of seeds; each try with its context."""
    texts = KEPT.read_text().splitlines() if KEPT.is_file() else []
    lines = sorted(map(json.loads, texts), key=lambda line: int(line["seed"]))
    for each in (each for line in lines for each in line["tries"]):
        call = SkillCall.parse(each["call"])
        each["context"] = context(library.skills[call.skill], call, SceneGraph.from_json(each["scene"]))
    return lines


def of_skill(lines: Sequence[dict[str, Any]], name: str) -> list[tuple[tuple[str, ...], bool, float]]:
    """Context, whether it worked, robot time in s, of each try of a skill."""
    return [
        (tuple(each["context"]), bool(each["success"]), each["steps"] / 10)
        for line in lines
        for each in line["tries"]
        if SkillCall.parse(each["call"]).skill == name
    ]


def record(args: argparse.Namespace) -> None:
    library = SkillLibrary.open(args.library)
    lines = read(library)
    seeds = [line["seed"] for line in lines]
    made_by = f"python benchmarks/tries.py, {len(seeds)} scenes of seeds {min(seeds)} to {max(seeds)}"
    for name in library.skills:
        tries = Tries.of(fingerprint(library.home(name)), made_by, of_skill(lines, name))
        tries.save(library.folder / name / TRIES)
        total = tries.totals[()]
        print(f"{name}: {total.successes} of {total.tries}, {len(tries.counts)} contexts")


def fit(features: np.ndarray[Any, Any], happened: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Weights of a logistic regression by Newton's method, with a ridge of 1e-2 for what cannot be told."""
    weights = np.zeros(features.shape[1])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-features @ weights))
        slope = features.T @ (happened - chance) - 0.01 * weights
        curve = (features * (chance * (1 - chance))[:, None]).T @ features + 0.01 * np.eye(len(weights))
        step = np.linalg.solve(curve, slope)
        weights += step
        if np.abs(step).max() < 1e-8:
            break
    return weights


def held_out(
    lines: Sequence[dict[str, Any]], name: str, strength: float, depth: int, certainty: bool, folds: int = 5
) -> list[tuple[float, bool]]:
    """(chance, whether it worked) of every try of a skill, from the tries of other seeds alone.

    Args:
        lines: one a seed.
        name: of the skill.
        strength: m.
        depth: how many properties of the context are looked at.
        certainty: shift the chance by the policy's own certainty, with a logistic regression on both logits.
        folds: seeds are dealt to these in turn.
    """
    pairs: list[tuple[float, bool]] = []
    for fold in range(folds):
        rest = [line for line in lines if line["seed"] % folds != fold]
        tries = Tries.of("", "", of_skill(rest, name))

        def rows(chosen: Sequence[dict[str, Any]], tries: Tries = tries) -> tuple[Any, Any]:
            each = [t for line in chosen for t in line["tries"] if SkillCall.parse(t["call"]).skill == name]
            chance = [tries.chance(tuple(t["context"])[:depth], strength) for t in each]
            sure = [t["certainty"] for t in each]
            x = np.array([[1.0, logit(p), math.log(c)] for p, c in zip(chance, sure, strict=True)])
            return x.reshape(-1, 3), np.array([t["success"] for t in each], float)

        held, happened = rows([line for line in lines if line["seed"] % folds == fold])
        chance = 1 / (1 + np.exp(-held[:, 1]))
        if certainty:
            # What the counts say of the tries that they hold would be too good: fit on two halves crosswise.
            halves = [[line for line in rest if line["seed"] // folds % 2 == side] for side in (0, 1)]
            crossed = [
                rows(halves[side], Tries.of("", "", of_skill(halves[1 - side], name))) for side in (0, 1)
            ]
            x, y = (np.concatenate(part) for part in zip(*crossed, strict=True))
            chance = 1 / (1 + np.exp(-held @ fit(x, y)))
        pairs += [(float(p), bool(y)) for p, y in zip(chance, happened, strict=True)]
    return pairs


def logit(chance: float) -> float:
    """Log odds."""
    return math.log(chance / (1 - chance))


def log_loss(pairs: Sequence[tuple[float, bool]]) -> float:
    """Mean -log of what was said of what happened, in nats."""
    return -sum(math.log(p if y else 1 - p) for p, y in pairs) / len(pairs)


#: Kinds of estimate in the report: (name, m, properties of the context, certainty).
ESTIMATES = (
    ("skill alone", 10.0, 0, False),
    ("kinds", 10.0, 1, False),
    ("kinds, sizes", 10.0, 2, False),
    ("kinds, sizes, places", 10.0, 3, False),
    ("all, m = 3", 3.0, 4, False),
    ("all, m = 10", 10.0, 4, False),
    ("all, m = 30", 30.0, 4, False),
    ("all, m = 10, certainty", 10.0, 4, True),
    ("skill alone, certainty", 10.0, 0, True),
)


def report(args: argparse.Namespace) -> None:
    library = SkillLibrary.open(args.library)
    lines, names = read(library), list(library.skills)
    rows = []
    for title, strength, depth, certainty in ESTIMATES:
        by_skill = {name: held_out(lines, name, strength, depth, certainty) for name in names}
        every = [pair for pairs in by_skill.values() for pair in pairs]
        rows.append(
            (title, f"{brier(every):.4f}", f"{log_loss(every):.4f}",
             *(f"{brier(by_skill[name]):.4f}" for name in names))
        )  # fmt: skip
    counts = {name: of_skill(lines, name) for name in names}
    told = ", ".join(f"{n} {sum(w for _, w, _ in c)}/{len(c)}" for n, c in counts.items())
    cpu = sum(line["cpu_seconds"] for line in lines)
    seeds = [line["seed"] for line in lines]
    write_report(
        "tries",
        "What is known of a try before it is made: Brier score of estimates of its chance",
        ("estimate from", "Brier, all", "log loss, all", *names),
        rows,
        f"Five-fold over scenes: a try's chance comes from other scenes alone. Lower is better. Worked: "
        f"{told}, "
        f"in {len(lines)} scenes of seeds {min(seeds)} to {max(seeds)}; {cpu / 60:.0f} CPU minutes. "
        "Certainty: the probability that the policy gives to the codes of its first chunk, by logistic "
        "regression.",
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--library", type=Path, help="default: the shipped one")
    verbs = parser.add_subparsers(required=True)
    one = verbs.add_parser("collect")
    one.add_argument("--first-seed", type=int, default=900_000)
    one.add_argument("--seeds", type=int, default=400)
    one.add_argument("--hours", type=float, default=0.5, help="of processor time, at the most")
    one.set_defaults(do=collect)
    verbs.add_parser("record").set_defaults(do=record)
    verbs.add_parser("report").set_defaults(do=report)
    args = parser.parse_args()
    args.do(args)


if __name__ == "__main__":
    main()
