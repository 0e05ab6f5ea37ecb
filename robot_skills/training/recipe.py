"""What to collect, and what to train on it: the YAML files under `datasets/`, as frozen dataclasses."""

from __future__ import annotations

import dataclasses
import os
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from robot_skills.data.meta import META
from robot_skills.errors import InputError, unknown
from robot_skills.policies.policy import Policy, Stage
from robot_skills.policies.registry import policy_class
from robot_skills.training.configuration import from_mapping, read_yaml

#: Seeds below are for training, seeds from here on for validation (choosing a checkpoint, a setting).
FIRST_VALIDATION_SEED = 900_000
#: Seeds from here on are for evaluation only.
FIRST_EVALUATION_SEED = 1_000_000

#: Where `collect` puts data sets, and where a recipe's relative names are looked for.
DATA_FOLDER = Path("out/data")


@dataclass(frozen=True)
class CollectRecipe:
    """Demonstrations to collect in simulation.

    Attributes:
        skill: what to demonstrate.
        episodes: successful demonstrations wanted; failed ones are dropped and counted.
        first_seed: episodes are tried with this seed and those after it, all below 900,000.
        noise: standard deviation of the Gaussian noise on each executed action; the label stays clean. It
            puts recoveries into the data.
        misled: share of the episodes in which the expert is at first wrong about where its target is; it
            goes there, and the labels say how to come back.
        policy: trained folder that acts in the expert's place for a while; the labels say what the expert
            would have done where the policy got to (DAgger). It goes without `misled`.
        workers: processes.
        image_size: (height, width) of every camera, pixels.
    """

    skill: str
    episodes: int
    first_seed: int = 0
    noise: float = 0.25
    misled: float = 0.0
    policy: str | None = None
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    cameras: tuple[str, ...] = ("front", "wrist")
    image_size: tuple[int, int] = (64, 64)

    def __post_init__(self) -> None:
        _positive(self, "episodes", "workers")
        _range(self, "noise", 0.0, 1.0)
        _range(self, "misled", 0.0, 1.0)
        if self.policy is not None and self.misled:
            raise InputError(
                "misled is about an expert that is wrong, policy about one that looks on: set misled: 0."
            )
        if not 0 <= self.first_seed < FIRST_VALIDATION_SEED:
            raise InputError(
                f"first_seed is {self.first_seed}; seeds for training lie in 0 to "
                f"{FIRST_VALIDATION_SEED - 1} (then: validation; from {FIRST_EVALUATION_SEED}: evaluation)."
            )
        if min(self.image_size) < 1 or not self.cameras:
            raise InputError("cameras and image_size name at least one camera of at least one pixel.")

    @classmethod
    def read(cls, path: Path | str) -> CollectRecipe:
        """Read a YAML file.

        Raises:
            InputError: naming the file and the key that is wrong.
        """
        return from_mapping(cls, read_yaml(path, "collection recipe"), str(path))


@dataclass(frozen=True)
class PolicyChoice:
    """A registered policy and the fields of its config that differ from the defaults.

    Attributes:
        base: trained folder that the policy is built on, where it is one that adds to another (`star_lora`).
    """

    name: str
    config: Mapping[str, Any] = field(default_factory=dict)
    base: str | None = None

    def build(self, known: Mapping[str, Any] | None = None) -> Policy:
        """Make the policy with fresh weights, or on those of its base.

        Args:
            known: settings that the data decides, if the policy has them and the recipe does not say.

        Raises:
            InputError: no such policy, its config has no such key or value, or it takes no base.
        """
        cls = policy_class(self.name)
        hints = typing.get_type_hints(cls.__init__)
        named = (kind for hint in hints.values() for kind in (hint, *typing.get_args(hint)))
        config = next((kind for kind in named if dataclasses.is_dataclass(kind)), None)
        if config is None:
            raise TypeError(f"The policy {self.name!r} is not built from an annotated frozen dataclass.")
        make = typing.cast("typing.Callable[[Any], Policy]", cls)
        fields = {field.name for field in dataclasses.fields(config)}
        settings = {name: value for name, value in (known or {}).items() if name in fields} | dict(
            self.config
        )
        if self.base is not None:
            grow = getattr(cls, "grow", None)
            if grow is None:
                raise InputError(f"The policy {self.name!r} is not built on another: leave out base.")
            grown: Policy = grow(Path(self.base), settings)
            return grown
        return make(from_mapping(typing.cast(type, config), settings, f"config of the policy {self.name!r}"))


@dataclass(frozen=True)
class StageSettings:
    """What a recipe changes of a phase of training; None keeps the policy's own number.

    Attributes:
        steps: 0 passes over the phase, as one that `start_from` has been through.
    """

    steps: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None

    def __post_init__(self) -> None:
        _positive(self, "batch_size", "learning_rate")
        if self.steps is not None and self.steps < 0:
            raise InputError(f"steps is 0 or more, not {self.steps}.")
        _range(self, "weight_decay", 0.0, 1.0)

    def apply(self, stage: Stage) -> Stage:
        """The phase with these settings."""
        changes = {name: value for name, value in vars(self).items() if value is not None}
        return dataclasses.replace(stage, **changes)


@dataclass(frozen=True)
class DataChoice:
    """A data set to learn from.

    Attributes:
        name: an episode store: a folder, or the name of one in `out/data`.
        weight: how often its samples come, against those of the other data sets.
        quality: how much more often the samples of good demonstrations come: the power that the scores of
            `robot-skills data score` are raised to; 0 passes over them.
    """

    name: str
    weight: float | None = None
    quality: float = 0.0

    def __post_init__(self) -> None:
        _range(self, "quality", 0.0, 10.0)


@dataclass(frozen=True)
class Evaluation:
    """Success while it trains, on validation seeds, with the averaged weights of the last phase.

    Attributes:
        every: steps between two evaluations; the last step is evaluated too.
        episodes: of each evaluation, and of each skill. 50 tell rates apart that differ by about 15 %.
        first_seed: of the first episode; seeds lie in 900,000 to 999,999. Later ones are for reporting.
        workers: processes.
        keep: which weights are exported: of the "best" evaluation, or the "last".
        skills: which skills are called; none: the recipe's `skill`.
    """

    every: int
    episodes: int = 50
    first_seed: int = FIRST_VALIDATION_SEED
    workers: int = 1
    keep: Literal["best", "last"] = "best"
    skills: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _positive(self, "every", "episodes", "workers")
        last = self.first_seed + self.episodes - 1
        if not FIRST_VALIDATION_SEED <= self.first_seed <= last < FIRST_EVALUATION_SEED:
            raise InputError(
                f"An evaluation while training takes seeds {FIRST_VALIDATION_SEED} to "
                f"{FIRST_EVALUATION_SEED - 1}, not {self.first_seed} to {last}: seeds below are learned "
                "from, and those above are kept for the rate that is reported."
            )


@dataclass(frozen=True)
class SkillIt:
    """Which skills are learned from, set anew while the last phase goes: Skill-It (Chen et al. 2023).

    Attributes:
        kind: the method.
        of: what has shares: "skills", by the name in the demonstrations, or "stores", the data sets.
        every: steps between two rounds.
        eta: how far a difference in loss moves the shares; the paper tries 0.2 to 0.8.
        memory: rounds whose losses are summed; the paper's 3.
        graph: how much learning the first helps the second, skill -> skill -> number; empty: each helps
            itself alone; "learned": the relative drop of each loss when, before the phase, each skill is
            learned from alone for `probe_steps` steps (the paper's approximate graph; then forgotten).
        probe_steps: for a learned graph.
    """

    kind: Literal["skill_it"] = "skill_it"
    of: Literal["skills", "stores"] = "skills"
    every: int = 500
    eta: float = 0.5
    memory: int = 3
    graph: Literal["learned"] | Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    probe_steps: int = 100

    def __post_init__(self) -> None:
        _positive(self, "every", "eta", "memory", "probe_steps")


@dataclass(frozen=True)
class TrainRecipe:
    """A policy to train, and how.

    Attributes:
        name: of the result; on its card.
        data: episode stores: folders, or names of folders in `out/data`; with weights, or every sample
            alike.
        policy: which, and its config.
        skill: the skill it is for; its card is put beside the weights.
        state: features of the data's state, and extra features, that the policy sees as its state;
            patterns such as "ee.*" name several. None: the data's whole state.
        target: the array that the policy's auxiliary loss learns to predict: "target", or an extra feature.
        without: words; demonstrations whose text holds one of them are left out, so that an evaluation can
            ask for what was never shown.
        start_from: trained folder of the same policy and sizes whose weights the training begins with.
        seed: of the initial weights, the order of the data and the augmentation.
        stages: name of a phase -> what to change of it.
        warmup: share of a phase over which the learning rate rises.
        ema_decay: of the averaged weights, which are what is evaluated and exported.
        gradient_clip: largest norm of a gradient.
        check: whether the data sets are looked through for faults first (`robot-skills data validate` says
            more); false learns from them whatever is wrong.
        validation_fraction: share of the episodes held out, to see over-fitting.
        validate_every: steps between two held-out losses.
        checkpoint_every: steps between two checkpoints.
        threads: of PyTorch; None leaves its default.
        workers: threads that prepare batches; the batches are the same whatever their number.
        data_on_gpu: whether images and states lie in the GPU's memory, and batches are gathered there;
            "auto": if they take at most half of what is free.
        step: how a step is done. "eager": as written. "graph": captured once as a CUDA graph and replayed,
            which takes the data on the GPU (on a CPU: eager). "compile": its loss through `torch.compile`,
            which took longer on a CPU (`benchmarks/results/training_speed.md`).
        precision: of the loss's arithmetic. "float32": what runs where the policy acts. "bfloat16":
            PyTorch's autocast. "auto": bfloat16 on a device that has it. Weights, averages and codebooks are
            float32 always. The default, because bfloat16 places a keypoint to 1/256 of an image only, and
            small networks gain little by it.
        accumulate: parts that a batch is cut in and learned from one after the other, where memory is short.
        evaluate: whether and how success is measured while it trains; None: not at all.
        mixture: how often each skill is learned from, by its held-out loss; None: as the data sets' weights
            say, or every sample alike.
        logger: where curves go besides the run's own `metrics.jsonl`: "tensorboard", "wandb".
    """

    name: str
    data: tuple[str | DataChoice, ...]
    policy: PolicyChoice
    skill: str | None = None
    state: tuple[str, ...] | None = None
    target: str = "target"
    without: tuple[str, ...] = ()
    start_from: str | None = None
    seed: int = 0
    stages: Mapping[str, StageSettings] = field(default_factory=dict)
    warmup: float = 0.1
    ema_decay: float = 0.999
    gradient_clip: float = 1.0
    check: bool = True
    validation_fraction: float = 0.05
    validate_every: int = 500
    checkpoint_every: int = 500
    threads: int | None = None
    workers: int = 1
    data_on_gpu: Literal["auto"] | bool = "auto"
    step: Literal["eager", "graph", "compile"] = "eager"
    precision: Literal["float32", "bfloat16", "auto"] = "float32"
    accumulate: int = 1
    evaluate: Evaluation | None = None
    mixture: SkillIt | None = None
    logger: tuple[Literal["tensorboard", "wandb"], ...] = ("tensorboard",)

    def __post_init__(self) -> None:
        _positive(self, "gradient_clip", "validate_every", "checkpoint_every", "threads", "workers")
        _positive(self, "accumulate")
        _range(self, "warmup", 0.0, 1.0)
        _range(self, "ema_decay", 0.0, 1.0)
        _range(self, "validation_fraction", 0.0, 0.5)
        if self.seed < 0:
            raise InputError(f"seed is 0 or more, not {self.seed}.")
        if not self.data:
            raise InputError("data names at least one data set.")
        if self.mixture and any(choice.weight or choice.quality for choice in self.choices()):
            raise InputError("mixture weighs the data itself: name no weight and no quality in data.")

    @classmethod
    def read(cls, path: Path | str) -> TrainRecipe:
        """Read a YAML file.

        Raises:
            InputError: naming the file and the key that is wrong.
        """
        return from_mapping(cls, read_yaml(path, "training recipe"), str(path))

    def folders(self) -> list[Path]:
        """Where the data lies: a folder as named, or one of that name in `out/data`.

        Raises:
            InputError: a data set is in neither place, or is in another format.
        """
        found: list[Path] = []
        for name in (choice.name for choice in self.choices()):
            places = [Path(name), DATA_FOLDER / name]
            foreign = next(
                (place for place in places if place.exists() and not (place / META).exists()), None
            )
            place = next((place for place in places if (place / META).exists()), None)
            if place is None and foreign is not None:
                raise InputError(
                    f"{foreign} is not an episode store: convert it first (robot-skills data convert "
                    f"{foreign} {DATA_FOLDER / foreign.stem} --format native) and learn from that."
                )
            if place is None:
                raise InputError(
                    f"The recipe {self.name!r} learns from {name!r}, and neither {places[0]} nor {places[1]} "
                    "exists: collect it first (robot-skills collect RECIPE -o FOLDER)."
                )
            found.append(place)
        return found

    def weights(self) -> list[float] | None:
        """A weight for each data set; None where the recipe names none.

        Raises:
            InputError: it names some and not all of them.
        """
        weights = [choice.weight for choice in self.choices() if choice.weight is not None]
        if weights and len(weights) != len(self.data):
            raise InputError("data names a weight for every data set, or for none.")
        return weights or None

    def choices(self) -> list[DataChoice]:
        """The data sets, those given by name alone too."""
        return [DataChoice(item) if isinstance(item, str) else item for item in self.data]

    def plan(self, policy: Policy) -> tuple[Stage, ...]:
        """The policy's phases of training with this recipe's settings.

        Raises:
            InputError: the recipe names a phase that the policy does not have.
        """
        stages = policy.stages()
        for name in self.stages:
            if name not in {stage.name for stage in stages}:
                raise unknown("stage", name, (stage.name for stage in stages))
        return tuple(self.stages.get(stage.name, StageSettings()).apply(stage) for stage in stages)


def _positive(recipe: Any, *names: str) -> None:
    for name in names:
        value = getattr(recipe, name)
        if value is not None and not value > 0:
            raise InputError(f"{name} is above 0, not {value}.")


def _range(recipe: Any, name: str, low: float, high: float) -> None:
    value = getattr(recipe, name)
    if value is not None and not low <= value <= high:
        raise InputError(f"{name} lies in {low:g} to {high:g}, not {value}.")
