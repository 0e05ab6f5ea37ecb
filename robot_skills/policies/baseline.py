"""What plain imitation policies share: training settings, the end signal, the loss on the target.

They differ in how a context becomes a chunk, and in nothing else, so that comparing them compares that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from robot_skills.errors import InputError
from robot_skills.policies.policy import Batch, Metrics, Stage, Texts
from robot_skills.policies.settings import UNBOUNDED, check_ranges
from robot_skills.policies.vision import normalise
from robot_skills.policies.visuomotor import VisuomotorConfig, VisuomotorPolicy

#: Setting -> its lowest and highest value.
BOUNDS = {
    **dict.fromkeys(("heads", "steps", "batch_size"), (1, UNBOUNDED)),
    **dict.fromkeys(("target_weight", "end_weight", "end_positive_weight", "learning_rate"), (0, UNBOUNDED)),
    "dropout": (0, 0.9),
}


@dataclass(frozen=True)
class BaselineConfig(VisuomotorConfig):
    """The settings of every such policy; what every visuomotor policy has is described there.

    Attributes:
        heads: of attention, which share the width.
        dropout: in the transformers.
        target_weight, end_weight, end_positive_weight: of the loss on the training label `target`, of the
            loss on the end signal, and of steps at which the skill is over, which are few. STAR's, so that
            all are told the same.
        steps, batch_size, learning_rate: of the phase "policy", if the recipe does not say.
    """

    heads: int = 4
    dropout: float = 0.1
    target_weight: float = 0.5
    end_weight: float = 0.1
    end_positive_weight: float = 2.0
    steps: int = 20_000
    batch_size: int = 64
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, BOUNDS)
        check_heads("width", self.width, self.heads)


def check_heads(what: str, width: int, heads: int) -> None:
    """Check that heads share a width evenly.

    Raises:
        InputError: they do not.
    """
    if width % heads:
        raise InputError(f"{what} is divisible by the number of heads ({heads}); {width} is not.")


class BaselinePolicy(VisuomotorPolicy):
    """A policy with one phase, "policy", unless a subclass says otherwise.

    Args:
        config: as its class describes.
        feature: size of the features that the target is read from.
    """

    config: Any

    def __init__(self, config: BaselineConfig, feature: int) -> None:
        super().__init__(config)
        # A position, in the frame of the base and from the gripper; any other label as it is.
        self.target = nn.Linear(feature, config.target_size * (2 if config.target_size == 3 else 1))

    def stages(self) -> tuple[Stage, ...]:
        """All of it at once."""
        return (self.policy_stage(),)

    def policy_stage(self) -> Stage:
        """The phase "policy", by the config."""
        config = self.config
        return Stage("policy", config.steps, config.batch_size, config.learning_rate)

    def begin_stage(self, name: str, statistics: Mapping[str, Tensor], sample: Batch) -> None:
        """Take in statistics and words."""
        self.check_stage(name)
        self.take_statistics(statistics, sample)

    def check_stage(self, name: str) -> None:
        """Check that a phase is one of `stages`.

        Raises:
            ValueError: it is not.
        """
        names = [stage.name for stage in self.stages()]
        if name not in names:
            raise ValueError(f"{type(self).__name__} is trained in {' and '.join(names)}, not in {name!r}.")

    def report(self) -> dict[str, Any]:
        """Sizes and words."""
        counted = {name: sum(p.numel() for p in part.parameters()) for name, part in self.named_children()}
        return {
            "parameters": sum(p.numel() for p in self.parameters()),
            "parameters_of": {name: count for name, count in counted.items() if count},
            "words": self.language.words(),
        }

    def see(self, images: Mapping[str, Tensor], history: Tensor, text: Texts, skill: Texts) -> Tensor:
        """The context (B, tokens, width) to act on, for tensors as in `Batch`."""
        pixels = {name: normalise(images[name]) for name in self.cameras}
        return self.context(pixels, self.normalise_state(history), text, skill)

    def see_batch(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The context to learn from, augmented in training mode, and the normalised states in it."""
        pixels, state = self.augment(batch)
        return self.context(pixels, state, batch["text"], batch["skill"]), state

    def with_signals(
        self, loss: Tensor, parts: Mapping[str, Tensor], batch: Batch, features: Tensor, end: Tensor
    ) -> tuple[Tensor, Metrics]:
        """A policy's own loss with those of the target and the end added, and what to log.

        Args:
            loss: scalar, of the actions.
            parts: what else is logged of it, 0-d.
            batch: what is learned from.
            features: (B, feature).
            end: logits (B, T).
        """
        config = self.config
        target = self.target_loss(batch, self.target(features))
        weight = end.new_full((), config.end_positive_weight)
        over = F.binary_cross_entropy_with_logits(end, batch["end"], pos_weight=weight)
        total = loss + config.target_weight * target + config.end_weight * over
        logged = {**parts, "target": target, "end": over}
        return total, {name: value.detach() for name, value in logged.items()}
