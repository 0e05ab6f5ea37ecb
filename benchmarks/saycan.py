"""SayCan's 99 instructions answered by retrieval, each with itself left out.

    python benchmarks/saycan.py saycan_plan_v0_l.tsv

The file is data/saycan_plan_v0_l.tsv of github.com/say-can/say-can.github.io, which carries no licence: it
does not come along. Its steps become calls of the cards in `datasets/saycan_skills`; the things of the world
are those that any plan names. An answer is exact when it is one of the instruction's reference plans, and has
the right skeleton when its skills are those of one, in order. "Itself" is the instruction; in the strict rows
also the same words as a question or a command ("How would you ...", "Can you ...").
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from report import write_report

from planners.recall import Plan, Recall, Worked
from robot_skills.embedding import sentence_embedding
from robot_skills.errors import InputError
from robot_skills.library import SkillLibrary
from robot_skills.logic import And, Atom
from robot_skills.scene_graph import Entity, SceneGraph
from robot_skills.skill import SkillCall
from robot_skills.symbolic.verification import verify
from robot_skills.training.statistics import wilson_interval

CARDS = Path(__file__).parent.parent / "datasets" / "saycan_skills"
PLACES = ("table", "close counter", "counter", "far counter", "trash", "drawer")
_ARTICLE = re.compile(r"^(?:the|an|a)\s+")
#: Verb of a step -> skill and the parameter that its noun is.
VERBS = {
    "find": ("find", "object"), "pick up": ("pick_up", "object"), "put down": ("put_down", "object"),
    "go to": ("go_to", "target"), "open": ("open", "target"), "close": ("close", "target"),
}  # fmt: skip
_POLITE = re.compile(r"^(?:how would you|can you|could you|please)\s+|[^\w\s]|\s+please\s*$")
#: kNN with other sentence vectors, measured before on the same rows: exact, skeleton.
FLOOR = (52, 87)


@dataclass(frozen=True)
class Way:
    """A way to answer."""

    title: str
    answer: Callable[[str, frozenset[int]], Plan | None]


def steps(text: str) -> Plan:
    """Calls of a plan as the file writes it: "1. find a coke, 2. pick up the coke, 3. done."."""
    calls = []
    for step in re.split(r",?\s*\d+\.\s*", text)[1:]:
        said = step.strip().rstrip(".,").lower()
        if said.startswith("done"):
            break
        if said.startswith("bring it"):
            calls.append(SkillCall("bring"))
            continue
        verb = next((verb for verb in VERBS if said.startswith(f"{verb} ")), None)
        if verb is None:
            raise InputError(f"Not a step of SayCan's: {said!r}.")
        skill, parameter = VERBS[verb]
        calls.append(SkillCall(skill, {parameter: _ARTICLE.sub("", said.removeprefix(verb).strip())}))
    return tuple(calls)


def world(examples: Sequence[Worked]) -> SceneGraph:
    """What the plans name: things to carry, places, the drawer."""
    named = {value for each in examples for call in each.plan for value in call.args.values()}
    entities = [Entity("person", "person", frozenset({"place"}))]
    for name in sorted(named | set(PLACES)):
        place = name in PLACES
        tags = {"place"} | ({"openable"} if name == "drawer" else set()) if place else {"graspable"}
        entities.append(Entity(name, "place" if place else "object", frozenset(tags)))
    return SceneGraph(tuple(entities), frozenset({Atom("at", ("person",))}), "told")


def load(path: Path) -> tuple[Worked, ...]:
    if not path.is_file():
        raise SystemExit(f"{path} is not there: get data/saycan_plan_v0_l.tsv of say-can/say-can.github.io.")
    lines = path.read_text().replace("’", "'").splitlines()[1:]
    return tuple(
        Worked(command.strip(), steps(plan)) for command, plan in (line.split("\t") for line in lines)
    )


def bare(command: str) -> str:
    return " ".join(_POLITE.sub(" ", command.lower()).split())


def score(
    ways: Sequence[Way], examples: Sequence[Worked], strict: bool, recall: Recall
) -> list[list[object]]:
    rows = []
    for way in ways:
        exact = skeleton = replays = 0
        for each in examples:
            same = [n for n, other in enumerate(examples) if (
                bare(other.command) == bare(each.command) if strict else other.command == each.command
            )]  # fmt: skip
            references = [other.plan for other in examples if other.command == each.command]
            answer = way.answer(each.command, frozenset(same)) or ()
            exact += answer in references
            skeleton += [call.skill for call in answer] in [
                [call.skill for call in plan] for plan in references
            ]
            replays += verify(answer, And(()), recall.scene, recall.skills).ok
        protocol = "the instruction, in any mood" if strict else "the instruction"
        rows.append([way.title, protocol, rate(exact, examples), rate(skeleton, examples), replays])
    return rows


def rate(count: int, among: Sequence[object]) -> str:
    low, high = wilson_interval(count, len(among))
    return f"{count} of {len(among)} ({100 * low:.0f} to {100 * high:.0f} %)"


def main() -> None:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("file", type=Path, help="saycan_plan_v0_l.tsv")
    parser.add_argument("--misses", action="store_true", help="list what was not answered exactly")
    args = parser.parse_args()
    examples = load(args.file)
    recall = Recall(examples, world(examples), SkillLibrary.open(CARDS).skills, sentence_embedding())
    ways = (Way("the nearest example's plan, copied", recall.copy), Way("recall", recall.plan))
    rows = [row for strict in (False, True) for row in score(ways, examples, strict, recall)]
    floor = [
        "copied, E5 vectors (measured before)",
        "the instruction",
        *(rate(n, examples) for n in FLOOR),
        "",
    ]
    if args.misses:
        for each in examples:
            same = frozenset(n for n, other in enumerate(examples) if other.command == each.command)
            answer = recall.plan(each.command, same)
            if answer not in [other.plan for other in examples if other.command == each.command]:
                print(each.command, "|", *(answer or ()), "|", *each.plan)
    write_report(
        "saycan",
        "SayCan's 99 instructions, offline",
        ["way", "left out", "exact", "skeleton", "plans that replay"],
        [floor, *rows],
        f"{len({each.command for each in examples})} different instructions, some with several reference "
        "plans; any of them counts. No language model; MiniLM sentence vectors. Many instructions occur as a "
        "question and as a command: the rows that leave out both say what retrieval does without its twin. "
        "Intervals: 95 %, Wilson.",
    )


if __name__ == "__main__":
    main()
