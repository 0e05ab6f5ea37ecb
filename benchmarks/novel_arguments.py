"""Success of skills whose argument is a colour they were never shown, or said in words they never heard.

python benchmarks/novel_arguments.py out/train/pick_map [more folders ...] [--episodes 200] [--workers 2]

The other words are those by which the planner knows things (`planners/vocabulary.py`): they occur in no
training, neither of the skills nor beside a picture of the small CLIP. Each is drawn by the episode's seed.
A novel colour is one that the recipe's `without` left out; the table says which.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from report import write_report
from rich.console import Console

from planners.vocabulary import ADJECTIVES, KINDS
from robot_skills.execution import ChunkSource, LocalChunks, Pending, execute
from robot_skills.library import CARD, SkillLibrary, read_card
from robot_skills.policies.policy import PolicyInput
from robot_skills.policies.registry import load_policy
from robot_skills.skill import Skill
from robot_skills.training.evaluation import EpisodeResult, EvalReport, evaluate
from sim.tabletop.oracle import scene_graph
from sim.tabletop.scene import COLOURS
from sim.tabletop.tasks import sample_task
from sim.tabletop.world import TabletopWorld

#: Words of arguments that have others; what is not listed stays as it is.
WORDS: Mapping[str, Sequence[str]] = {**ADJECTIVES, **{k: v for k, v in KINDS.items() if v}}
#: Name of a trial -> which of the argument's words are replaced.
TRIALS: Mapping[str, frozenset[str]] = {
    "as taught": frozenset(),
    "colours in other words": frozenset(COLOURS),
    "kinds in other words": frozenset(("block", "cylinder", "ball", "bowl")),
    "both in other words": frozenset((*COLOURS, "block", "cylinder", "ball", "bowl")),
}


def reworded(text: str, replaced: frozenset[str], seed: int) -> str:
    """An argument with some of its words replaced by others for the same."""
    rng = np.random.default_rng([seed, 17])
    chosen = {word: str(rng.choice(WORDS[word])) for word in sorted(replaced) if WORDS.get(word)}
    return " ".join(chosen.get(word, word) for word in text.split())


class Reworded:
    """Chunks of a policy that is told the argument in other words.

    Args:
        inner: what answers.
        say: the text it is given -> the text it is told.
    """

    def __init__(self, inner: ChunkSource, say: Callable[[str], str]) -> None:
        self._inner, self.say = inner, say
        self.cameras, self.history, self.execute = inner.cameras, inner.history, inner.execute

    def request(self, given: PolicyInput) -> Pending:
        """Ask for a chunk."""
        return self._inner.request(dataclasses.replace(given, text=self.say(given.text)))


@dataclasses.dataclass(frozen=True)
class Trial:
    """Makes, in its process, the function that runs a seed's episode with other words."""

    folder: Path
    skill: Skill
    replaced: frozenset[str]

    def __call__(self) -> Callable[[int], EpisodeResult]:
        """Load the policy and build the world."""
        torch.set_num_threads(1)
        policy = load_policy(self.folder)
        side = json.loads((self.folder / "config.json").read_text()).get("image_size", 64)
        world = TabletopWorld(cameras=dict.fromkeys(policy.cameras, (side, side)))
        chunks = LocalChunks(policy)

        def run(seed: int) -> EpisodeResult:
            task = sample_task(self.skill.name, seed)
            task.start(world)
            goal = self.skill.goal(task.call)
            told = Reworded(chunks, lambda text: reworded(text, self.replaced, seed))
            outcome = execute(
                world,
                self.skill,
                task.call,
                told,
                goal_reached=lambda: scene_graph(world.state()).holds(goal),
            )
            text = reworded(self.skill.language(task.call), self.replaced, seed)
            return EpisodeResult(
                seed=seed,
                success=scene_graph(world.state()).holds(goal),
                status=outcome.status.value,
                reason=f"told {text!r}: {outcome.reason}",
                steps=outcome.steps,
                seconds=outcome.steps / world.spec.control_rate,
                call=str(task.call),
            )

        return run


def shares(report: EvalReport, skill: Skill, novel: Sequence[str]) -> dict[str, EvalReport]:
    """The report's episodes with known colours, and those with each novel colour."""
    groups: dict[str, list[EpisodeResult]] = {}
    for result in report.results:
        text = skill.language(sample_task(skill.name, result.seed).call).split()
        named = next((colour for colour in novel if colour in text), "known colours")
        groups.setdefault(named, []).append(result)
    return {
        name: dataclasses.replace(report, results=tuple(results)) for name, results in sorted(groups.items())
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("skills", nargs="+", help="skills of the library, or trained folders")
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--first-seed", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--novel", nargs="*", default=("purple", "cyan"), help="colours that were left out")
    parser.add_argument("--name", default="novel_arguments", help="of the table")
    args = parser.parse_args()
    library, rows = SkillLibrary.open(), []
    for name in args.skills:
        folder = Path(name)
        if (folder / CARD).is_file():
            skill = read_card(folder / CARD)
        else:
            folder, skill = library.weights(name), library.skill(name)
        for trial, replaced in TRIALS.items():
            seeds = range(args.first_seed, args.first_seed + args.episodes)
            factory = Trial(folder, skill, replaced)
            report = evaluate(f"{name}, {trial}", factory, seeds, args.workers, args.workers == 1, Console())
            for group, part in shares(report, skill, args.novel).items():
                low, high = part.interval
                counted = f"{part.successes}/{len(part.results)}"
                rows.append((folder.name, trial, group, counted, f"{low:.0%} to {high:.0%}"))
    write_report(
        args.name,
        f"Arguments never shown or heard, seeds {args.first_seed} and on",
        ("skill", "argument", "colour", "successes", "95 % Wilson interval"),
        rows,
        "Other words are the planner's (`planners/vocabulary.py`), drawn by the seed; no training of a skill "
        "held them, nor any caption of the small CLIP.",
    )


if __name__ == "__main__":
    main()
