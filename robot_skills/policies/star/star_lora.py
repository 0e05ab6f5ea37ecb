"""A trained STAR that learns further skills and forgets none: adapters on a frozen base, mixed by a gate.

After PSEC (Liu et al. 2025, arXiv 2502.05932): each new skill has a set of low-rank adapters, and a small
network that sees the context says with which weights its own and the earlier new skills' are added to the
base's parameters. The skills of the base get it alone, unchanged to the bit.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robot_skills.errors import InputError, unknown
from robot_skills.policies.language import FIRST_WORD, SmallLanguageEncoder
from robot_skills.policies.lora import GrownEmbedding, Mixture, RelearnedEmbedding, adapt
from robot_skills.policies.policy import Batch, Metrics, Stage, Texts
from robot_skills.policies.registry import load_policy
from robot_skills.policies.settings import UNBOUNDED, check_ranges
from robot_skills.policies.star.config import StarConfig
from robot_skills.policies.star.policy import StarPolicy
from robot_skills.training.configuration import from_mapping, to_mapping

log = logging.getLogger(__name__)

#: Parts of STAR whose linear layers get adapters. The codes are the base's: a new skill is composed of them.
ADAPTED = ("read_text", "read_state", "vision", "argument_map", "trunk", "fuse", "offset", "target")
#: Settings of the base's configuration that a recipe may change: they say how to learn, not what acts.
LEARNING = frozenset(
    {
        "shift", "state_noise", "teacher_forcing", "own_codes", "code_smoothing", "action_weight",
        "code_weight", "target_weight", "end_weight", "end_positive_weight", "batch_size", "learning_rate",
        "codes_steps", "policy_steps", "adapter_steps",
    }
)  # fmt: skip
#: Setting -> lowest and highest value.
BOUNDS = {"rank": (1, UNBOUNDED), "gate_width": (1, UNBOUNDED), "adapter_steps": (1, UNBOUNDED)}


@dataclass(frozen=True)
class StarLoraConfig(StarConfig):
    """The base's settings, and those of what is added to it.

    Attributes:
        adds: names of the skills that were added, in the order of their learning.
        settled: how many of them came with the base, and are no longer learned.
        rank: of an adapter; 8 is 6 % of the default network for each new skill, gates and words apart.
        gate_width: of the hidden layer of a gate.
        adapter_steps: of the stage, if the recipe does not say.
    """

    adds: tuple[str, ...] = ("new",)
    settled: int = 0
    rank: int = 8
    gate_width: int = 32
    adapter_steps: int = 5000

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, BOUNDS)
        twice = [name for name in self.adds if self.adds.count(name) > 1 or name in self.skills]
        if twice:
            raise InputError(f"The skill {twice[0]!r} is there already; adds names new skills, each once.")
        if not 0 <= self.settled < len(self.adds):
            raise InputError("adds names at least one skill that the base does not have.")


class StarLoraPolicy(StarPolicy):
    """One stage, "adapter": adapters, gates, tokens and words of the newest skills learn, nothing else."""

    config_class: ClassVar[type[Any]] = StarLoraConfig
    name: ClassVar[str] = "star_lora"
    config: StarLoraConfig

    def __init__(self, config: StarLoraConfig | None = None) -> None:
        config = config or StarLoraConfig()
        super().__init__(config)
        count = len(config.adds)
        self.mixture = Mixture()
        for part in ADAPTED:
            if getattr(self, part) is not None:
                setattr(self, part, adapt(getattr(self, part), self.mixture, count, config.rank))
        if self.read_skill is not None:
            self.read_skill = GrownEmbedding(self.read_skill, count)
        for encoder in self.language.modules():
            if isinstance(encoder, SmallLanguageEncoder):
                tower: Any = encoder.tower
                tower.token_embedding = RelearnedEmbedding(tower.token_embedding)
        # The readers' adapters are mixed by what is known without them; the others' by the whole context.
        told, context = 2 * config.width, self.tokens * config.width
        self.gates = nn.ModuleList(
            nn.ModuleDict(
                {
                    "readers": Gate(told, config.gate_width, place),
                    "body": Gate(context, config.gate_width, place),
                }
            )
            for place in range(count)
        )

    @classmethod
    def grow(cls, folder: Path, settings: Mapping[str, Any]) -> StarLoraPolicy:
        """A policy that adds skills to the one in a trained folder, and says what that one says so far.

        Args:
            folder: of a `star` policy, or of a `star_lora` one, whose added skills are then settled.
            settings: `adds`, and what else of the configuration differs.

        Raises:
            InputError: the folder holds another policy, or a setting changes what the base is.
        """
        base = load_policy(Path(folder))
        if not isinstance(base, StarPolicy):
            raise InputError(f"{folder} holds no policy of the kind star, which alone can be added to.")
        inherited = to_mapping(base.config)
        own = {name: value for name, value in settings.items() if name not in inherited or name in LEARNING}
        for name, value in settings.items():
            if name in inherited and name not in (*LEARNING, "adds") and to_mapping(value) != inherited[name]:
                raise InputError(
                    f"{name} is {inherited[name]!r} in {folder}; adding a skill does not make it {value!r}."
                )
        if isinstance(base, StarLoraPolicy):
            settled = list(base.config.adds)
            own |= {"settled": len(settled), "adds": [*settled, *settings.get("adds", ())]}
        config = from_mapping(cls.config_class, inherited | own, f"config of the policy {cls.name!r}")
        policy = cls(config)
        policy.load_state_dict(policy.state_dict() | base.state_dict())
        policy._begin_from(base)
        return policy

    @torch.no_grad()
    def _begin_from(self, base: StarPolicy) -> None:
        """Put what is learned for new skills, and is not nothing at first, where the base's is."""
        if isinstance(self.read_skill, GrownEmbedding):
            for row in self.read_skill.added[self.config.settled :]:
                row.copy_(self.read_skill.weight.mean(0))
        words = self._words
        if words is not None:
            if isinstance(base, StarLoraPolicy) and base._words is not None:
                words.weight.copy_(base._words.rows())
            words.fresh.copy_(words.weight)
            words.first.fill_(FIRST_WORD + len(base.language.words()))

    # What the executor and the trainer ask ------------------------------------------------------------

    def answer(
        self, images: Mapping[str, Tensor], history: Tensor, text: Texts, skill: Texts
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As in `StarPolicy`."""
        with self._mixed():
            return super().answer(images, history, text, skill)

    def stages(self) -> tuple[Stage, ...]:
        """What is added, all at once."""
        config = self.config
        return (Stage("adapter", config.adapter_steps, config.batch_size, config.learning_rate),)

    def begin_stage(self, name: str, statistics: Mapping[str, Tensor], sample: Batch) -> None:
        """Take in new words and free what learns. Statistics stay the base's: what acts is not rescaled."""
        if name != "adapter":
            raise ValueError(f"The stage of StarLoraPolicy is adapter, not {name!r}.")
        if not isinstance(sample["text"], Tensor):
            self.language.learn_vocabulary(sample["text"])
        learned, skills = set(self.config.adds[self.config.settled :]), sample["skill"]
        if not isinstance(skills, Tensor) and not learned & set(skills):
            log.warning(
                "The data show %s and none of the added skills (%s): nothing will be learned.",
                ", ".join(sorted(set(skills))),
                ", ".join(sorted(learned)),
            )
        self.requires_grad_(False)
        for parameter in self.learning():
            parameter.requires_grad_(True)

    def loss(self, name: str, batch: Batch) -> tuple[Tensor, Metrics]:
        """STAR's loss, of the data of new skills."""
        if name != "adapter":
            raise ValueError(f"The stage of StarLoraPolicy is adapter, not {name!r}.")
        with self._mixed():
            return super().loss("policy", batch)

    def report(self) -> dict[str, Any]:
        """As in `StarPolicy`, and what was added."""
        added = {"adds": list(self.config.adds), "learned": sum(p.numel() for p in self.learning())}
        return super().report() | added

    # Parts --------------------------------------------------------------------------------------------

    def learning(self) -> list[nn.Parameter]:
        """What the stage learns: everything of the new skills, and nothing that others use."""
        found = [] if self._words is None else [self._words.fresh]
        settled = self.config.settled
        for module in self.modules():
            for name in ("down", "up", "added"):
                stack = getattr(module, name, None)
                if isinstance(stack, nn.ParameterList):
                    found += list(stack)[settled:]
        for gate in list(self.gates)[settled:]:
            found += list(gate.parameters())
        return found

    def skill_indices(self, skills: Texts) -> Tensor:
        """Places of skills, the added ones after the base's; the base of one skill has any other name.

        Raises:
            InputError: a skill is not among them.
        """
        if isinstance(skills, Tensor):
            return skills
        known = {name: place for place, name in enumerate(self.config.skills)}
        known |= {name: self._first + place for place, name in enumerate(self.config.adds)}
        for name in skills:
            if name not in known and self.config.skills:
                raise unknown("skill of this policy", name, known)
        places = [known.get(name, 0) for name in skills]
        return torch.tensor(places, device=self._buffer("action_mean").device)

    def context(self, pixels: Mapping[str, Tensor], state: Tensor, text: Texts, skill: Texts) -> Tensor:
        """As in `VisuomotorPolicy`; the mixture is set for what reads it, and then for what reads on."""
        index = self.skill_indices(skill)
        places = torch.arange(len(self.config.adds), device=index.device)
        chosen = (index[:, None] - self._first == places).to(state.dtype)
        self.mixture.weights = None
        told = torch.cat([self.read_text(self.language(text)), self._read_history(state)], dim=1)
        self.mixture.weights = self._shares(chosen, "readers", told)
        context = super().context(pixels, state, text, index)
        self.mixture.weights = self._shares(chosen, "body", context.flatten(1))
        return context

    def _shares(self, chosen: Tensor, part: str, seen: Tensor) -> Tensor:
        """Weights (B, n) of the adapters for skills (B, n), one-hot; all 0 for a skill of the base."""
        count = chosen.shape[1]
        rows = []
        for place, gate in enumerate(self.gates):
            weights: Tensor = gate[part](seen)  # type: ignore[index]
            rows.append(F.pad(weights, (0, count - 1 - place)))
        return (chosen[..., None] * torch.stack(rows, dim=1)).sum(1)

    @property
    def _first(self) -> int:
        """Place of the first added skill."""
        return max(len(self.config.skills), 1)

    @property
    def _words(self) -> RelearnedEmbedding | None:
        """The embedding of words, if the base learned one."""
        found = [part for part in self.language.modules() if isinstance(part, RelearnedEmbedding)]
        return found[0] if found else None

    @contextlib.contextmanager
    def _mixed(self) -> Iterator[None]:
        """Forget the mixture after use, so that no graph lives on in it."""
        try:
            yield
        finally:
            self.mixture.weights = None


class Gate(nn.Module):
    """What a skill sees (B, size) to the weights of the adapters up to its own, (B, place + 1).

    At first its own counts once and the others not at all.
    """

    own: Tensor

    def __init__(self, size: int, width: int, place: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(size, width), nn.GELU(), nn.Linear(width, place + 1))
        nn.init.zeros_(self.layers[2].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.layers[2].bias)  # type: ignore[arg-type]
        self.register_buffer("own", torch.eye(place + 1)[place], persistent=False)

    def forward(self, seen: Tensor) -> Tensor:
        """Weights, unbounded: an adapter may also be taken away."""
        weights: Tensor = self.own + self.layers(seen)
        return weights
