"""Mistakes in procedures, put in on purpose and found by watching: precision and recall by kind.

    python benchmarks/procedures.py [--count 300] [--seed 100]

A procedure is drawn: some tasks in a scene of its own, each with the calls that the search finds for it. One
mistake is put in, or none: a task left out, two tasks swapped, a thing taken for another, something done
besides. What is done is simulated on the cards, a look after every call; a mistake that the cards do not
admit, or that makes no difference, is drawn again. The watch must name the kind; a remark of another kind is
a false one.
"""

from __future__ import annotations

import argparse
import itertools
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from report import write_report

from planners.phrasing.scenes import sample_scene
from planners.procedure import MISTAKES, Kind, Line, Procedure, Watch
from robot_skills.library import SkillLibrary
from robot_skills.logic import Atom
from robot_skills.scene_graph import DIRECTIONS, SceneGraph
from robot_skills.skill import Skill, SkillCall
from robot_skills.symbolic.closed_loop import plan_to
from robot_skills.training.statistics import wilson_interval

Skills = Mapping[str, Skill]
Chain = tuple[SkillCall, ...]
#: What is put in -> the kinds that name it rightly. What is done besides may take back a step.
RIGHT: Mapping[str, tuple[Kind, ...]] = {
    "none": (),
    "skipped": (Kind.SKIPPED,),
    "swapped": (Kind.OUT_OF_ORDER,),
    "wrong thing": (Kind.WRONG,),
    "besides": (Kind.EXTRA, Kind.UNDONE),
}


@dataclass(frozen=True)
class Trial:
    """A procedure, and what is done."""

    procedure: Procedure
    done: tuple[SkillCall, ...]


def sample_procedure(rng: random.Random, skills: Skills) -> Procedure:
    """Three to six tasks that follow one another and do not take each other back."""
    while True:
        scene = sample_scene(rng)
        now, lines = scene, list[Line]()
        for goal in rng.sample(list(_goals(scene)), k=12):
            wanted = [*(line.goal for line in lines), goal]
            calls = plan_to(goal, now, skills)
            if not calls or len(lines) == 6:
                continue
            after = played(calls, now, skills)
            if after is not None and all(map(after.holds, wanted)):
                lines.append(Line(str(goal), goal, calls))
                now = after
        if len(lines) >= 3:
            return Procedure(tuple(lines), scene)


def _goals(scene: SceneGraph) -> Iterator[Atom]:
    for entity in scene.entities:
        name = entity.name
        if "graspable" in entity.tags:
            fits = [fact for fact in scene.facts if fact.predicate == "fits" and fact.args[0] == name]
            yield from (Atom(fact.args[1], (name, fact.args[2])) for fact in sorted(fits))
        if "pushable" in entity.tags:
            yield from (Atom("moved", (name, way)) for way in DIRECTIONS)
        if "openable" in entity.tags:
            yield from (Atom(state, (name,)) for state in ("open", "closed"))
        if "pressable" in entity.tags:
            yield Atom("pressed", (name,))


def played(calls: Sequence[SkillCall], scene: SceneGraph, skills: Skills) -> SceneGraph | None:
    """The scene after some calls; None where one of them cannot be, or changes nothing that could be seen."""
    for call in calls:
        if call.skill not in skills or skills[call.skill].unmet(call, scene):
            return None
        after = skills[call.skill].after(call, scene)
        if after.facts == scene.facts:
            return None
        scene = after
    return scene


def skipped(rng: random.Random, procedure: Procedure, skills: Skills) -> Chain:
    """One task is left out."""
    left = rng.randrange(len(procedure.lines))
    return tuple(c for n, line in enumerate(procedure.lines) if n != left for c in line.calls)


def swapped(rng: random.Random, procedure: Procedure, skills: Skills) -> Chain:
    """Two tasks that follow one another change places."""
    lines = list(procedure.lines)
    first = rng.randrange(len(lines) - 1)
    lines[first : first + 2] = lines[first : first + 2][::-1]
    return tuple(call for line in lines for call in line.calls)


def wrong_thing(rng: random.Random, procedure: Procedure, skills: Skills) -> Chain:
    """In one task a thing is taken for another of the same kind of use."""
    number = rng.randrange(len(procedure.lines))
    things = {e.name for e in procedure.scene.entities if "graspable" in e.tags}
    meant = [a for call in procedure.lines[number].calls for a in call.args.values() if a in things]
    if not meant:
        return ()
    change = {rng.choice(meant): rng.choice(sorted(things))}
    parts = [
        [_changed(call, change) for call in line.calls] if n == number else line.calls
        for n, line in enumerate(procedure.lines)
    ]
    return tuple(itertools.chain.from_iterable(parts))


def _changed(call: SkillCall, change: Mapping[str, str]) -> SkillCall:
    return SkillCall(call.skill, {key: change.get(value, value) for key, value in call.args.items()})


def besides(rng: random.Random, procedure: Procedure, skills: Skills) -> Chain:
    """A task that nobody asked for comes between two others."""
    place = rng.randrange(len(procedure.lines) + 1)
    before = [call for line in procedure.lines[:place] for call in line.calls]
    rest = [call for line in procedure.lines[place:] for call in line.calls]
    now = played(before, procedure.scene, skills)
    assert now is not None, "a procedure can be carried out"
    goal = rng.choice(list(_goals(procedure.scene)))
    more = plan_to(goal, now, skills) or ()
    if not more or any(call in procedure.steps for call in more):
        return ()
    return (*before, *more, *rest)


MADE: Mapping[str, Callable[[random.Random, Procedure, Skills], Chain]] = {
    "none": lambda rng, procedure, skills: procedure.steps,
    "skipped": skipped,
    "swapped": swapped,
    "wrong thing": wrong_thing,
    "besides": besides,
}


def sample_trial(seed: int, number: int, kind: str, skills: Skills) -> Trial:
    """A procedure and what is done, with a mistake of a kind; the same for the same seed and number."""
    rng = random.Random(f"{seed} {number} {kind}")
    while True:
        procedure = sample_procedure(rng, skills)
        if len(set(procedure.steps)) < len(procedure.steps):
            continue
        for _ in range(20):
            done = MADE[kind](rng, procedure, skills)
            differs = kind == "none" or (done and done != procedure.steps)
            if differs and played(done, procedure.scene, skills) is not None:
                return Trial(procedure, done)


def watched(trial: Trial, skills: Skills) -> tuple[Counter[Kind], int]:
    """The kinds of mistakes that the watch names, and how often it foresaw the next call."""
    watch, scene, foreseen = Watch(trial.procedure, skills), trial.procedure.scene, 0
    for call in trial.done:
        due = watch.due
        foreseen += due is not None and trial.procedure.steps[due] == call
        scene = skills[call.skill].after(call, scene)
        watch.see(scene)
    watch.finish()
    return Counter(remark.kind for remark in watch.mistakes if remark.kind in MISTAKES), foreseen


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=300, help="trials of each kind")
    parser.add_argument("--seed", type=int, default=100)
    args = parser.parse_args()
    skills = SkillLibrary.open().skills
    rows, began = [], time.process_time()
    hits, false_trials, total = 0, 0, 0
    for kind, right in RIGHT.items():
        found = others = calls = foreseen = 0
        for number in range(args.count):
            trial = sample_trial(args.seed, number, kind, skills)
            named, due = watched(trial, skills)
            calls, foreseen = calls + len(trial.done), foreseen + due
            found += any(named[each] for each in right)
            others += any(named[each] for each in MISTAKES if each not in right)
        total += args.count
        hits, false_trials = hits + found, false_trials + others
        low, high = wilson_interval(found, args.count)
        recall = f"{found}/{args.count} ({low:.1%} to {high:.1%})" if right else ""
        precision = f"{found / (found + others):.1%}" if found + others else ""
        rows.append((kind, args.count, recall, others, precision, f"{foreseen}/{calls}"))
    made, seconds = total - args.count, time.process_time() - began
    note = (
        f"Over all kinds: recall {hits}/{made} ({hits / made:.1%}), precision {hits}/{hits + false_trials} "
        f"({hits / (hits + false_trials):.1%}): trials with the right kind named, of those and the trials "
        f"in which some other kind was named. The next call: how often the one that was due was done. "
        f"Symbolic simulation, a look after every call; seed {args.seed}, {seconds:.0f} s of processor time."
    )
    header = (
        "mistake put in",
        "trials",
        "named rightly",
        "another kind named",
        "precision",
        "next call foreseen",
    )
    write_report("procedures", "Mistakes in procedures, found by watching the scene", header, rows, note)


if __name__ == "__main__":
    main()
