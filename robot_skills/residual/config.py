"""What a residual policy is, how it is learned, and how a skill practises: three frozen dataclasses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from robot_skills.errors import InputError
from robot_skills.policies.settings import UNBOUNDED, check_range, check_ranges
from robot_skills.robot import ACTION_SIZE
from robot_skills.training.recipe import FIRST_EVALUATION_SEED, FIRST_VALIDATION_SEED

#: Numbers of an action that turn the hand.
TURNS = ("drx", "dry", "drz")
#: Setting -> its lowest and highest value.
POLICY_BOUNDS = {
    **dict.fromkeys(("coming", "states", "width", "heads", "state_size", "action_size"), (1, UNBOUNDED)),
    "features": (0, UNBOUNDED),
    "bound": (0, 2),
    "gripper_bound": (0, 2),
    "turn_bound": (0, 2),
    "whitening": (1e-3, 1),
}
GATE_BOUNDS = {
    "doubt": (0, UNBOUNDED),
    "wary": (0, UNBOUNDED),
    "margin": (0, 1),
    "candidates": (1, 256),
    "spread": (0, 1),
}
LEARNER_BOUNDS = {
    **dict.fromkeys(("n_step", "batch_size", "subset", "actor_every"), (1, UNBOUNDED)),
    **dict.fromkeys(("updates", "warm_up"), (0, UNBOUNDED)),
    **dict.fromkeys(("learning_rate", "actor_learning_rate", "trust", "gradient_clip"), (0, UNBOUNDED)),
    "doubt": (0, UNBOUNDED),
    **dict.fromkeys(("gamma", "tau", "demonstrations", "noise", "gripper_noise", "memory"), (0, 1)),
    "smoothing": (0, 1),
    "shift": (0, UNBOUNDED),
}


@dataclass(frozen=True)
class Limits:
    """Where the hand may go and how fast, whatever is asked: of base and of corrected actions alike.

    Attributes:
        low, high: corners of a box for the first three numbers of the state (the hand's position, m, in the
            frame of the base): outside it no action leads further out. None: no such box.
        speed: largest absolute value of the first three numbers of an action; 1 is the robot's own limit.
    """

    low: tuple[float, float, float] | None = None
    high: tuple[float, float, float] | None = None
    speed: float = 1.0

    def __post_init__(self) -> None:
        check_range("speed", self.speed, 0, 1)
        if (self.low is None) != (self.high is None):
            raise InputError("The workspace has two corners, low and high, or none.")
        if self.low is not None and self.high is not None:
            for low, high in zip(self.low, self.high, strict=True):
                if low >= high:
                    raise InputError(
                        f"The workspace's low corner lies below its high one, not {low} and {high}."
                    )


@dataclass(frozen=True)
class Gate:
    """When a correction is trusted.

    Attributes:
        kind: "none" always plays the correction. "advantage" plays it where the critics agree that it is
            better than the base's action, and the base's action elsewhere. "best" picks among several.
        doubt: standard deviations over the critics' heads that are taken off an advantage before it counts.
        wary: further ones, times the share of the base's success that practice of late fell short of: what
            critics think of a correction is seldom right while its practice, noise and all, does worse than
            the base, and as good as any while it does better.
        margin: advantage, as a probability of success, that is asked for beyond that.
        candidates: actions that "best" picks among, the base's and the correction included; further ones
            scatter around the correction (best of N, DICE-RL and EXPO).
        spread: their standard deviation, as a share of the bound.
        practice: whether the gate also holds while it practises. In simulation what a correction does is
            found out by playing it; with people beside the arm it is not.
    """

    kind: Literal["none", "advantage", "best"] = "none"
    doubt: float = 1.0
    wary: float = 0.0
    margin: float = 0.0
    candidates: int = 8
    spread: float = 0.2
    practice: bool = False

    def __post_init__(self) -> None:
        check_ranges(self, GATE_BOUNDS, "gate.")


@dataclass(frozen=True)
class ResidualConfig:
    """A frozen base and what is added to it; also the `config.json` of such a folder.

    Attributes:
        base: the base's own `config.json`; empty: behaviour cloning as it comes.
        bound: largest correction of each number of an action, as a share of half its range: .1 is 5 mm a
            control step on the tabletop, 1 mm in MetaWorld (which takes .3, at 80 steps a second). ResFiT has
            .1 and .2, Policy Decorator .03 to .8.
        bounds: name of an action's number -> its own bound.
        gripper_bound: of the number called "gripper". A command to open or close is nearly +-1, and a
            correction that is to turn it around has to reach across: 2 is the whole range.
        turn_bound: of the numbers called "drx", "dry" and "drz", by which the hand turns. Turns add up, and a
            base whose demonstrations hardly tilt does not take a tilt back: one that wins 30 of 40 episodes
            of "pick" wins 4 with noise of exploration on all of an action, and 31 without its turns.
        coming: the base's actions that the correction sees, from the present one on.
        base_told: whether the critics are told what the base is about to do (its coming actions, the place in
            its chunk) and how far an action is from its own. If not they judge actions by features and states
            alone: what the base will do tells scenes apart, even moved ones (`LearnerConfig.shift`).
        states: how many of the base's last states it sees.
        features: size of what it sees of the base's encoding of images and words: a fixed random projection
            of the base's context; 0: none. A base without cameras has none.
        whitening: smallest standard deviation, of normalised states and features in any direction, that is
            made as large as the others; 1 leaves them as they are.
        width: of the two hidden layers of actor and critics.
        heads: critics.
        gate: when the correction is trusted.
        limits: workspace and speed.
        seed: of the projection and of the first weights.
        image_size, state_size, action_size, skills: the base's.
    """

    base: Mapping[str, Any] = field(default_factory=dict)
    bound: float = 0.1
    bounds: Mapping[str, float] = field(default_factory=dict)
    gripper_bound: float = 1.0
    turn_bound: float = 0.0
    coming: int = 4
    base_told: bool = True
    states: int = 1
    features: int = 128
    whitening: float = 0.05
    width: int = 128
    heads: int = 6
    gate: Gate = field(default_factory=lambda: Gate("advantage"))
    limits: Limits = field(default_factory=Limits)
    seed: int = 0
    image_size: int = 64
    state_size: int = 10
    action_size: int = ACTION_SIZE
    skills: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_ranges(self, POLICY_BOUNDS)
        for name, bound in self.bounds.items():
            check_range(f"bounds.{name}", bound, 0, 2)
        if self.base and not isinstance(self.base.get("policy"), str):
            raise InputError('base is the content of a config.json, which names its "policy".')

    def bound_of(self, name: str) -> float:
        """The bound of one of an action's numbers, as a share of half its range."""
        usual = {**dict.fromkeys(TURNS, self.turn_bound), "gripper": self.gripper_bound}
        return self.bounds.get(name, usual.get(name, self.bound))


@dataclass(frozen=True)
class LearnerConfig:
    """How the correction is learned: TD3 (Fujimoto et al. 2018) with critics in numbers (REDQ, MSG).

    Attributes:
        n_step: rewards that are summed before the critics' own estimate counts; more carry a sparse reward
            back faster.
        gamma: discount a control step.
        batch_size: transitions an update of the critics; of each head, where they learn apart.
        updates: of the critics, for each control step.
        actor_every: updates of the critics for one of the actor.
        warm_up: updates of the critics before the correction moves: they have to know the base's value first
            (DAWN).
        learning_rate, actor_learning_rate: Adam's.
        tau: of the target critics.
        apart: whether each head has batches and targets of its own, of `batch_size` transitions (MSG). Heads
            that learn from the same differ only in what they began with, and say little of what they know.
        subset: heads whose smallest estimate is a target, drawn anew for each update (REDQ); of heads that
            learn apart each one's own is among them.
        doubt: deviations between the heads that are taken off each number of a slope before the actor
            follows it: while little was tried most of a slope is chance, and following it ruins the base.
        demonstrations: share of a batch that comes from demonstrations (RLPD's symmetric sampling has .5).
        trust: weight of the squared correction, in bounds, beside a Q divided by its mean size (TD3+BC and
            DICE-RL): how much better an action has to be to be worth leaving the base.
        fading: whether `doubt` and `trust` count only times the share of the base's success that practice of
            late falls short of: they keep a correction that knows little near the base, and hold back one
            that knows better.
        clip_targets: whether targets lie within [0, 1], where the discounted chance of a success lies.
        gradient_clip: largest norm of a gradient.
        noise: of exploration, as a share of the bound.
        gripper_noise: the same for the gripper, where noise drops things.
        memory: how much of a step's noise stays for the next one. At 20 to 80 control steps a second noise
            that is drawn anew each step moves the hand by nothing: .8 keeps it for five steps, .9 for ten.
        smoothing: noise on the next action in targets, as a share of the bound.
        shift: standard deviation of a move of the whole scene, m, drawn anew each time that a transition is
            learned from: what is worth doing hangs on where hand, objects and goals are to each other, and
            practice shows that from few places. 0: none. For skills that see positions (`moves`).
        moves: for each axis that scenes are moved along the numbers of the state that grow with it, from 0:
            positions of hand, objects and goals in one frame. Those that never change, as padding, stay.
        normalise: whether critics have layer norm; without it is an ablation.
        bootstrap: whether the value of what would have come after a time limit counts; false takes the limit
            as the end of the task.
    """

    n_step: int = 5
    gamma: float = 0.985
    batch_size: int = 128
    updates: float = 2.0
    actor_every: int = 2
    warm_up: int = 4000
    learning_rate: float = 3e-4
    actor_learning_rate: float = 3e-4
    tau: float = 0.01
    apart: bool = True
    subset: int = 2
    doubt: float = 0.5
    demonstrations: float = 0.25
    trust: float = 0.05
    fading: bool = False
    clip_targets: bool = True
    gradient_clip: float = 10.0
    noise: float = 0.5
    gripper_noise: float = 0.1
    memory: float = 0.8
    smoothing: float = 0.1
    shift: float = 0.0
    moves: tuple[tuple[int, ...], ...] = ()
    normalise: bool = True
    bootstrap: bool = True

    def __post_init__(self) -> None:
        check_ranges(self, LEARNER_BOUNDS)
        if self.batch_size < 2:
            raise InputError(f"batch_size is 2 or more, not {self.batch_size}.")
        if self.shift and not any(self.moves):
            raise InputError(
                "shift moves whole scenes: moves has to say which numbers of the state are positions, for "
                "each axis, as [[0, 4], [1, 5]] for x and y of a hand and an object."
            )


@dataclass(frozen=True)
class RefineConfig:
    """How a skill practises.

    Attributes:
        steps: control steps of practice, those that fill the replay included.
        fill: episodes of the base alone before anything is learned.
        fill_noise: share of these that explore; the others show what the base does.
        again: share of the episodes after these that begin from a start at which the base failed in them,
            without noise; one is drawn among all such. The others begin anew. A skill that fails at 2 starts
            of 100 has little to learn from in the others.
        first_seed: of the practice; it goes on from there, below 900,000.
        evaluate_every: control steps between two evaluations of base and corrected skill on the same seeds.
        evaluate_episodes: of each; 0 evaluates at no time but the end.
        evaluate_first_seed: of their seeds, 900,000 to 999,999.
        rollback: drop in paired success, below the best so far, at which the last good correction comes back;
            1 never goes back.
        keep: which correction is left: of the "best" evaluation, the base's own 0 among them, or the "last".
        checkpoint_every: control steps between two checkpoints.
        seed: of noise and batches; `policy.seed` is that of the first weights.
        policy: what is added to the base.
        learner: how it learns.
    """

    steps: int = 30_000
    fill: int = 20
    fill_noise: float = 0.5
    again: float = 0.0
    first_seed: int = 0
    evaluate_every: int = 5_000
    evaluate_episodes: int = 50
    evaluate_first_seed: int = FIRST_VALIDATION_SEED
    rollback: float = 0.1
    keep: Literal["best", "last"] = "best"
    checkpoint_every: int = 2_000
    seed: int = 0
    policy: ResidualConfig = field(default_factory=ResidualConfig)
    learner: LearnerConfig = field(default_factory=LearnerConfig)

    def __post_init__(self) -> None:
        bounds = dict.fromkeys(("steps", "evaluate_every", "checkpoint_every"), (1, UNBOUNDED))
        bounds |= dict.fromkeys(("fill_noise", "again", "rollback"), (0, 1))
        check_ranges(self, {**bounds, **dict.fromkeys(("fill", "evaluate_episodes", "seed"), (0, UNBOUNDED))})
        if not 0 <= self.first_seed < FIRST_VALIDATION_SEED:
            raise InputError(f"first_seed lies in 0 to {FIRST_VALIDATION_SEED - 1}, not {self.first_seed}.")
        last = self.evaluate_first_seed + self.evaluate_episodes
        if not FIRST_VALIDATION_SEED <= self.evaluate_first_seed <= last <= FIRST_EVALUATION_SEED:
            raise InputError(
                f"Evaluations while it practises take seeds {FIRST_VALIDATION_SEED} to "
                f"{FIRST_EVALUATION_SEED - 1}, not {self.evaluate_first_seed} to {last - 1}."
            )
