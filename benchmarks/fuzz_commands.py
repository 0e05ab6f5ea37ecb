"""Random, hostile and foreign inputs through the whole planner: no crash, no invalid step, no hang.

    python benchmarks/fuzz_commands.py [--count 2000] [--seed 100] [--planner embedded ...] [--failures FILE]

Each input is planned in a scene of its own, drawn from the same seed; in one scene of four, things have names
that are orders, code or marks. A plan that comes out is replayed twice: on the cards, by the library's own
check, and on a table of this file that knows neither cards nor formulas' code. Exits with 1 when an input
failed. Goals that speak of a fixture which the command does not name in English are counted too: some were
misread, some are Dutch or say "turn it off" of the lamp. The digest at the end tells two runs apart.
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import json
import re
import signal
import statistics
import time
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NoReturn

from fuzz_inputs import FIXTURES, Case, sample_case
from report import write_report

from planners.chat import chat_model
from planners.planner import Planner, PlanResult
from planners.proposer import LanguageModelProposer
from planners.vocabulary import KINDS
from robot_skills.errors import InputError
from robot_skills.library import SkillLibrary
from robot_skills.logic import And, Atom, Formula, Not, Or, atoms
from robot_skills.scene_graph import SceneGraph
from robot_skills.skill import Skill, SkillCall
from robot_skills.symbolic.verification import verify

#: Seconds of processor time after which an input counts as a hang, and of wall time, which others share.
HANG, PATIENCE = 20, 600
#: What is counted of each kind of input.
COUNTED = ("plan", "refusal", "question", "input error", "crash", "failed", "unnamed")


class Table:
    """The tabletop by its own rules, written down apart from the cards: what `play` allows can be done."""

    def __init__(self, scene: SceneGraph) -> None:
        self.kind = {entity.name: entity.kind for entity in scene.entities}
        self.fits = {fact.args for fact in scene.facts if fact.predicate == "fits"}
        self.where = {f.args[0]: (f.predicate, f.args[1]) for f in scene.facts if f.predicate in ("in", "on")}
        self.held = next((f.args[0] for f in scene.facts if f.predicate == "holding"), None)
        self.state = {f.args[0]: f.predicate for f in scene.facts if f.predicate in ("open", "ajar")}
        self.lit = {f.args[0] for f in scene.facts if f.predicate == "pressed"}
        self.pushed = {f.args for f in scene.facts if f.predicate == "moved"}

    def shut(self, name: str) -> bool:
        """Whether nothing can be put in."""
        return self.kind[name] in ("drawer", "door") and self.state.get(name) != "open"

    def covered(self, name: str) -> bool:
        """Whether something stands on it."""
        return ("on", name) in self.where.values()

    def play(self, call: SkillCall) -> str | None:
        """Carry out a call; why it cannot be, if it cannot."""
        args = dict(call.args)
        match call.skill:
            case "pick":
                return self._pick(args["object"])
            case "place":
                return self._place(args["object"], args["relation"], args["target"])
            case "push":
                name = args["object"]
                if self.held or self.where.get(name) != ("on", "table") or self.covered(name):
                    return "it cannot be pushed"
                self.pushed.add((name, args["direction"]))
            case "open" | "close":
                name = args["target"]
                if self.held or self.kind[name] not in ("drawer", "door"):
                    return "no hand is free for it, or it does not move"
                self.state.pop(name, None)
                if call.skill == "open":
                    self.state[name] = "open"
            case "press":
                if self.held or self.kind[args["target"]] != "button":
                    return "no hand is free for it, or it is no button"
                self.lit.add(args["target"])
            case other:
                return f"nobody can {other}"
        return None

    def _pick(self, name: str) -> str | None:
        if self.held or self.kind[name] not in ("block", "cylinder", "ball"):
            return "no hand is free for it, or it cannot be held"
        if self.covered(name) or self.where.get(name, ("on", ""))[0] == "in":
            return "something stands on it, or it lies in something"
        self.held = name
        self.where.pop(name, None)
        return None

    def _place(self, name: str, relation: str, place: str) -> str | None:
        if self.held != name or (name, relation, place) not in self.fits or self.shut(place):
            return "it is not in the hand, does not fit, or the place is shut"
        if self.covered(place) and self.kind[place] != "table":
            return "something stands there"
        self.held, self.where[name] = None, (relation, place)
        return None

    def holds(self, goal: Formula) -> bool:
        """Whether a goal is so on this table."""
        match goal:
            case And(parts):
                return all(map(self.holds, parts))
            case Or(parts):
                return any(map(self.holds, parts))
            case Not(part):
                return not self.holds(part)
            case Atom(("in" | "on") as relation, (name, place)):
                return self.where.get(name) == (relation, place)
            case Atom("holding", (name,)):
                return self.held == name
            case Atom("open", (name,)):
                return self.state.get(name) == "open"
            case Atom("closed", (name,)):
                return self.kind[name] in ("drawer", "door") and name not in self.state
            case Atom("pressed", (name,)):
                return name in self.lit
            case Atom("moved", args):
                return args in self.pushed
        raise ValueError(f"no goal speaks of {goal}")


def faults(case: Case, result: PlanResult, skills: Mapping[str, Skill]) -> Iterator[str]:
    """What is wrong with an answer."""
    answers = (result.verified, result.refused is not None, result.question is not None)
    if sum(answers) != 1:
        yield f"not one answer: verified, refused, question = {answers}"
    if result.plan and not result.verified:
        yield "a plan that is not verified"
    if not result.verified or result.goal is None:
        return
    check = verify(result.plan, result.goal, case.scene, skills)
    if not check.ok:
        yield f"the replay on the cards: {check.problem}"
    table = Table(case.scene)
    for call in result.plan:
        if (why := table.play(call)) is not None:
            yield f"the replay on the table: {call}: {why}"
            return
    if not table.holds(result.goal):
        yield "the replay on the table: the goal does not hold"


def unnamed(case: Case, goal: Formula) -> list[str]:
    """Fixtures that a goal speaks of and the command does not name in English."""
    shown = re.sub("[\u200b-\u200f\u202a-\u202e]", "", unicodedata.normalize("NFKC", case.command.lower()))
    said = re.findall(r"\w+", shown)
    found = []
    for name in sorted({arg for atom in atoms(goal) for arg in atom.args} & set(FIXTURES)):
        kind = case.scene.entity(name).kind
        words = (name, kind, *KINDS[kind], "container")
        if not any(word in said or difflib.get_close_matches(word, said, cutoff=0.7) for word in words):
            found.append(name)
    return found


def _hung(number: int, frame: object) -> NoReturn:
    raise TimeoutError("no answer in time")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=100)
    parser.add_argument("--planner", default="embedded")
    parser.add_argument("--model")
    parser.add_argument("--base-url")
    parser.add_argument("--failures", type=Path, help="write the inputs that failed, as JSON lines")
    args = parser.parse_args()
    skills = SkillLibrary.open().skills
    proposer = LanguageModelProposer(chat_model(args.planner, args.model, args.base_url))
    planner = Planner(skills, proposer)
    planner.plan("open the door", sample_case(args.seed, 0).scene)  # loads the models
    signal.signal(signal.SIGPROF, _hung)
    signal.signal(signal.SIGALRM, _hung)
    tally: dict[str, Counter[str]] = {}
    seconds: dict[str, list[float]] = {}
    failed, digest = [], hashlib.sha256()
    for number in range(args.count):
        case = sample_case(args.seed, number)
        counts = tally.setdefault(case.kind, Counter())
        began = time.process_time()
        answer, problems, strange = _planned(planner, case, skills)
        spent = time.process_time() - began
        if spent > HANG:
            problems.append(f"took {spent:.1f} s")
        seconds.setdefault(case.kind, []).append(spent)
        counts[answer] += 1
        digest.update(f"{number} {answer}\n".encode())
        if strange:
            counts["unnamed"] += 1
            print(f"{number} {case.kind}: {case.command[:120]!r}: does not name the {', '.join(strange)}")
        for problem in problems:
            counts["failed"] += 1
            failed.append(
                {"number": number, "kind": case.kind, "command": case.command[:500], "problem": problem}
            )
            print(f"{number} {case.kind}: {case.command[:120]!r}: {problem}", flush=True)
    if args.failures is not None:
        args.failures.write_text("".join(json.dumps(each) + "\n" for each in failed))
    _report(args, tally, seconds, len(failed), digest.hexdigest()[:16])
    return 1 if failed else 0


def _planned(planner: Planner, case: Case, skills: Mapping[str, Skill]) -> tuple[str, list[str], list[str]]:
    """What came of a case, in a word, what was wrong with that, and which fixtures only the goal names."""
    signal.setitimer(signal.ITIMER_PROF, HANG)
    signal.alarm(PATIENCE)
    try:
        result = planner.plan(case.command, case.scene)
    except InputError:
        return "input error", [], []
    except Exception as error:  # whatever it is, it is what is looked for
        return "crash", [f"{type(error).__name__}: {error}"], []
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
    kind = "plan" if result.verified else "question" if result.question else "refusal"
    strange = unnamed(case, result.goal) if result.verified and result.goal is not None else []
    return kind, list(faults(case, result, skills)), strange


def _report(
    args: argparse.Namespace,
    tally: Mapping[str, Counter[str]],
    seconds: Mapping[str, list[float]],
    failed: int,
    digest: str,
) -> None:
    rows = []
    for kind in sorted(tally):
        counts, spent = tally[kind], sorted(seconds[kind])
        answers = [counts[name] for name in COUNTED]
        times = (statistics.median(spent), spent[int(0.99 * (len(spent) - 1))], spent[-1])
        rows.append((kind, len(spent), *answers, *(f"{value:.2f}" for value in times)))
    total = sorted(value for spent in seconds.values() for value in spent)
    median, late = statistics.median(total), total[int(0.99 * (len(total) - 1))]
    note = (
        f"{args.count} inputs, seed {args.seed}; failed: {failed}. Seconds of processor time: median "
        f"{median:.2f}, 99 % {late:.2f}, most {total[-1]:.2f}. Digest of the answers: {digest}. A crash is "
        f"anything but an `InputError`; failed counts crashes, plans that do not replay, and answers that "
        f"took more than {HANG} s. Unnamed: goals that speak of a fixture which the command does not name in "
        f"English; some are misread, some foreign."
    )
    header = ("inputs", "count", "plans", "refusals", "questions", "input errors", "crashes", "failed",
              "unnamed", "median s", "99 % s", "most s")  # fmt: skip
    write_report(
        "fuzz_commands", "Random, hostile and foreign inputs through the planner", header, rows, note
    )


if __name__ == "__main__":
    raise SystemExit(main())
