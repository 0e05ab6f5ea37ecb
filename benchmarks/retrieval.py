"""Success with ten demonstrations alone, with data retrieved from a large prior set, and with all of it.

python benchmarks/retrieval.py [--seeds 0 1] [--only ten latent nearest raw_nearest all oracle]

The target skill is `press`, ten demonstrations of it. The prior set is 200 demonstrations of each of the six
tabletop skills, other episodes of `press` among them, without text, skill call, argument position or scene.
What is missing in out/data is collected first. Every result is kept under out/retrieval: the same command
goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from report import write_report

from robot_skills.cli.collect import TabletopDemonstrator
from robot_skills.cli.console import make_console
from robot_skills.cli.eval import TabletopRunner
from robot_skills.data.collection import collect
from robot_skills.data.files import write_text
from robot_skills.data.meta import META
from robot_skills.data.reuse.retrieval import (
    RetrievalConfig,
    closest,
    embeddings,
    nearest_neighbours,
    retrieve,
)
from robot_skills.data.reuse.subtrajectories import SubTrajectories
from robot_skills.data.store import EpisodeStore
from robot_skills.library import SkillLibrary
from robot_skills.training.evaluation import evaluate
from robot_skills.training.recipe import CollectRecipe, DataChoice, PolicyChoice, StageSettings, TrainRecipe
from robot_skills.training.run import train
from robot_skills.training.statistics import wilson_interval

TARGET, DEMONSTRATIONS = "press", 10
SKILLS, PRIOR_EACH = ("pick", "place", "push", "open", "close", "press"), 200
#: Of the prior's sub-trajectories; the share of `press` in it is an eighth, which a user would not know.
FRACTION = 0.10
#: Of the retrieved segments, by their distance. A second setting, made after the first had been tried and the
#: labels that were taken away had been looked at.
NEAREST = 0.3
#: In every mixture, half of what is learned from is the ten demonstrations.
TARGET_SHARE = 0.5
#: A quarter of the shipped skills' convnet and a third of their steps: a minute of one core a training.
POLICY = {"execute": 1, "vision": {"channels": [8, 16, 16], "strides": [4, 1, 1], "kernels": [7, 3, 3]}}
STEPS = {"codes": StageSettings(steps=400, batch_size=512), "policy": StageSettings(steps=800, batch_size=64)}
WORK, DATA = Path("out/retrieval"), Path("out/data")
FIRST_SEED, EPISODES = 1_000_000, 100
VARIANTS = {
    "ten": "10 demonstrations alone",
    "latent": "with 10 % of the prior, retrieved in the skill space",
    "nearest": "with the nearest 30 % of these segments",
    "raw_nearest": "the same two steps by raw states and actions, no skill space",
    "all": "with all of the prior, unlabelled",
    "oracle": "with the prior's 200 `press` episodes, labelled (upper bound)",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="of the trainings")
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--finished", action="store_true", help="the table of what is done; train nothing")
    args = parser.parse_args()
    torch.set_num_threads(1)
    prepare()
    results = {}
    for seed in args.seeds:
        for variant in args.only:
            if not args.finished or result_of(variant, seed).exists():
                results[variant, seed] = measured(variant, seed)
    report(results)


# Data ------------------------------------------------------------------------------------------------


def prepare() -> None:
    """Make the target's store and the prior's, collecting what is missing."""
    sources = {skill: source(skill) for skill in SKILLS}
    if not (WORK / "target" / META).exists():
        copy(sources[TARGET], range(DEMONSTRATIONS), WORK / "target", labels=True)
    if not (WORK / "labels.json").exists():
        rng = np.random.default_rng(0)
        names = [(skill, 100 + number) for skill in SKILLS for number in range(PRIOR_EACH)]
        order = [names[place] for place in rng.permutation(len(names))]
        with EpisodeStore.create_from(WORK / "prior", sources[TARGET].meta) as prior:
            for skill, episode in order:
                prior.append(unlabelled(sources[skill], episode))
        labels = [{"skill": skill, "episode": episode} for skill, episode in order]
        write_text(WORK / "labels.json", json.dumps(labels))
    if not (WORK / "oracle" / META).exists():
        copy(sources[TARGET], range(100, 100 + PRIOR_EACH), WORK / "oracle", labels=True)


def source(skill: str) -> EpisodeStore:
    """Demonstrations of a skill, collected if there are too few."""
    folder, wanted = DATA / skill, 100 + PRIOR_EACH
    if not (folder / META).exists() or len(EpisodeStore.open(folder).episodes) < wanted:
        from sim.tabletop.world import CONTROL_RATE

        recipe = replace(CollectRecipe.read(f"datasets/tabletop_{skill}.yaml"), episodes=wanted)
        command = f"robot-skills collect datasets/tabletop_{skill}.yaml -o {folder}"
        collect(recipe, folder, TabletopDemonstrator(recipe), CONTROL_RATE, command, make_console())
    return EpisodeStore.open(folder)


def copy(store: EpisodeStore, episodes: range, folder: Path, labels: bool) -> None:
    with EpisodeStore.create_from(folder, store.meta) as made:
        for episode in episodes:
            made.append(store.view(episode) if labels else unlabelled(store, episode))


def unlabelled(store: EpisodeStore, number: int) -> Any:
    """An episode as a play recording holds it: what was sensed and done, and where it ended."""
    episode = store.view(number)
    nowhere = np.full_like(episode.target, np.nan)
    return replace(episode, text="", call=None, target=nowhere, scene={}, seed=None, expert="unknown")


# Training --------------------------------------------------------------------------------------------


def train_policy(variant: str, seed: int, folder: Path) -> None:
    """Train one policy: the same network, steps and batches whatever the data."""
    data: tuple[str | DataChoice, ...] = (str(WORK / "target"),)
    if variant != "ten":
        data = (
            DataChoice(str(WORK / "target"), TARGET_SHARE),
            DataChoice(str(others(variant)), 1 - TARGET_SHARE),
        )
    recipe = TrainRecipe(
        name=f"{TARGET}, {VARIANTS[variant]}",
        data=data,
        policy=PolicyChoice("star", POLICY),
        skill=TARGET,
        seed=seed,
        stages=STEPS,
        validation_fraction=0.0,
        checkpoint_every=1000,
        threads=1,
    )
    train(recipe, folder, True, "python benchmarks/retrieval.py", make_console())


def others(variant: str) -> Path:
    """The store that a variant learns from besides the target's."""
    if variant in ("all", "oracle"):
        return WORK / {"all": "prior", "oracle": "oracle"}[variant]
    folder = WORK / f"retrieved_{variant}"
    if variant.endswith("nearest"):
        space = "raw" if variant.startswith("raw") else "latent"
        return nearest_segments(EpisodeStore.open(others(space)), folder)
    if not (folder / META).exists():
        target, prior = EpisodeStore.open(WORK / "target"), EpisodeStore.open(WORK / "prior")
        retrieve(target, prior, folder, RetrievalConfig(space=variant, fraction=FRACTION), make_console())
    return folder


def nearest_segments(found: EpisodeStore, folder: Path) -> Path:
    """Some of the segments that were retrieved: those of the least distance."""
    if not (folder / META).exists():
        order = sorted(found.episodes, key=lambda record: record.attributes["distance"])
        with EpisodeStore.create_from(folder, found.meta) as store:
            for record in order[: round(NEAREST * len(order))]:
                store.append(found.view(record.episode))
    return folder


def result_of(variant: str, seed: int) -> Path:
    return WORK / f"{variant}_{seed}.json"


def measured(variant: str, seed: int) -> dict[str, Any]:
    """Train and evaluate, or read what an earlier run came to."""
    path = result_of(variant, seed)
    if not path.exists():
        folder = WORK / "policies" / f"{variant}_{seed}"
        if not (folder / "config.json").exists():
            train_policy(variant, seed, folder)
        runner = TabletopRunner(str(folder), SkillLibrary.open().skill(TARGET), None)
        seeds = range(FIRST_SEED, FIRST_SEED + EPISODES)
        workers = 1 if os.environ.get("RETRIEVAL_ONE_WORKER") else os.cpu_count() or 1
        done = evaluate(VARIANTS[variant], runner, seeds, workers, workers == 1, make_console())
        write_text(path, json.dumps(done.to_json()))
    data: dict[str, Any] = json.loads(path.read_text())
    return data


# The table -------------------------------------------------------------------------------------------


def share_of_target(variant: str) -> str:
    """How much of a store's rows truly are the target skill's, by the labels that were taken away."""
    if variant in ("ten", "oracle"):
        return "1.00"
    labels = json.loads((WORK / "labels.json").read_text())
    store = EpisodeStore.open(others(variant))
    right = total = 0
    for number, record in enumerate(store.episodes):
        episode = number if variant == "all" else record.attributes["source"]["episode"]
        right += record.length * (labels[episode]["skill"] == TARGET)
        total += record.length
    return f"{right / total:.2f}"


def precision() -> dict[str, dict[str, float]]:
    """Share of the target skill's among the nearest sub-trajectories of the prior, by space and fraction."""
    path = WORK / "precision.json"
    if not path.exists():
        labels = json.loads((WORK / "labels.json").read_text())
        length = RetrievalConfig().skill_space.length
        sets = [SubTrajectories.of(EpisodeStore.open(WORK / name), length) for name in ("target", "prior")]
        right = np.array([label["skill"] == TARGET for label in labels])[sets[1].episode]
        found = {"all": {"1": float(right.mean())}}
        for space in ("latent", "raw"):
            points = embeddings(sets[0], sets[1], RetrievalConfig(space), make_console())
            distances, _ = nearest_neighbours(points[1], points[0])
            shares = {}
            for fraction in (0.01, 0.03, 0.05, 0.1):
                hits = closest(distances, round(fraction * len(distances)))
                shares[str(fraction)] = float(right[hits].mean())
            found[space] = shares
        write_text(path, json.dumps(found))
    data: dict[str, dict[str, float]] = json.loads(path.read_text())
    return data


def precision_in_words() -> str:
    known = precision()
    parts = []
    for space in ("latent", "raw"):
        figures = [f"{share:.0%} of the nearest {float(name):.0%}" for name, share in known[space].items()]
        parts.append(f"{', '.join(figures)} ({'skill space' if space == 'latent' else 'raw'})")
    return (
        f"Sub-trajectories that are truly of `{TARGET}`: {known['all']['1']:.0%} of the prior's, "
        f"{'; '.join(parts)}."
    )


def report(results: dict[tuple[str, int], dict[str, Any]]) -> None:
    rows = []
    for variant, title in VARIANTS.items():
        runs = [result for (name, _), result in results.items() if name == variant]
        if not runs:
            continue
        count, total = sum(run["successes"] for run in runs), sum(run["episodes"] for run in runs)
        low, high = wilson_interval(count, total)
        extra = 0 if variant == "ten" else EpisodeStore.open(others(variant)).frames
        each = ", ".join(str(run["successes"]) for run in runs)
        rows.append(
            (title, extra, share_of_target(variant), f"{count}/{total}", each, f"{low:.0%} to {high:.0%}")
        )
    target = EpisodeStore.open(WORK / "target")
    header = (
        "learned from",
        "steps added",
        "of them the skill's",
        "successes",
        "by seed",
        "95 % Wilson interval",
    )
    title = f"Ten demonstrations of `{TARGET}`, and what a prior set adds"
    write_report("retrieval", title, header, rows, note(target))


def note(target: EpisodeStore) -> str:
    return (
        f"The prior set: {PRIOR_EACH} demonstrations of each of {', '.join(SKILLS)}, shuffled, other "
        f"episodes than the target's {DEMONSTRATIONS} ({target.frames} steps), with text, skill call, target "
        "position and scene taken away. So it does hold unlabelled episodes of the target skill, as SAILOR's "
        "prior sets hold parts of the target task. Retrieved segments get the text of the nearest "
        "demonstration; the whole prior keeps an empty text. "
        f"Same policy (star), {STEPS['codes'].steps} + {STEPS['policy'].steps} training steps, half of every "
        "mixture from the ten demonstrations. "
        f"Success over seeds {FIRST_SEED} to {FIRST_SEED + EPISODES - 1} for each training: the skill's "
        "success formula holds on the simulator's state at the end. The interval pools the episodes of all "
        "trainings, and so leaves out most of the variation between trainings. The nearest 30 % of the "
        "segments is a second setting, made after the first had been tried and the labels that were taken "
        f"away had been looked at. {precision_in_words()}"
    )


if __name__ == "__main__":
    main()
