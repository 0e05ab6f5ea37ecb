"""What a generative policy can be asked for (Decision Diffuser, Ajay et al. 2023, arXiv 2211.15657).

In training each condition is observed on the data (which skill it is, how fast the demonstration got there,
whether the chunk keeps a constraint) and left out at random; at test time it is asked for. Guidance without
a classifier (Ho and Salimans 2022) then moves the denoiser's answer away from the one that is told nothing:

    answer = answer(nothing) + w * sum_i (answer(condition i) - answer(nothing))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robot_skills.errors import InputError, unknown
from robot_skills.policies.settings import check_choice, check_range

SKILL, RETURN, CONSTRAINT = "skill", "return", "constraint:"
#: Largest rotation of a step without rotation (.1 is 3 degrees), and largest change of a gripper that stays.
ROTATION, GRIPPER = 0.1, 0.1
#: Spread of the steps left that a return is measured in is at least this, of their logarithm.
LEAST_SPREAD = 0.02

#: name -> does a chunk (B, T, 7), in the contract's units, keep the constraint (given the speed limit)? (B,)
CONSTRAINTS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "slow": lambda chunk, limit: chunk[..., :3].norm(dim=-1).amax(-1) <= limit,
    "no_rotation": lambda chunk, limit: chunk[..., 3:6].norm(dim=-1).amax(-1) <= ROTATION,
    "gripper_stays": lambda chunk, limit: chunk[..., 6].amax(-1) - chunk[..., 6].amin(-1) <= GRIPPER,
}


@dataclass(frozen=True)
class ConditionsConfig:
    """What can be asked for, and what is.

    Attributes:
        names: any of "skill" (the called one; then it is not in the context), "return" (how soon the skill
            is over, against what is usual from where it stands: 0 late, 0.5 usual, 1 early), and
            "constraint:slow", "constraint:no_rotation", "constraint:gripper_stays" of the chunk. None: the
            context alone.
        ask: what predictions are asked for, as in {return: 1.0, slow: true}; what is not named is left
            open. The skill is always asked for. Nothing is learned from it: in a trained folder's
            config.json, this, `guidance` and `compose` may be changed.
        dropout: share of the samples that each condition is left out of in training; the paper's .25.
        guidance: w; 0: what is asked is not listened to, 1: the conditional answer, above: further away
            from what is usual. The paper's is 1.2 to 1.8.
        compose: "together": the asked conditions are one, as they are in training. "apart": their guidance
            adds up, as above, one pass a condition: for combinations that the data does not hold.
        slow_limit: largest translation of a step that is slow; .5 is 25 mm.
    """

    names: tuple[str, ...] = ()
    ask: Mapping[str, bool | float] = field(default_factory=dict)
    dropout: float = 0.25
    guidance: float = 1.0
    compose: str = "together"
    slow_limit: float = 0.5

    def __post_init__(self) -> None:
        known = [SKILL, RETURN, *(f"{CONSTRAINT}{name}" for name in CONSTRAINTS)]
        for name in self.names:
            if name not in known:
                raise unknown("condition", name, known)
        if len(set(self.names)) != len(self.names):
            raise InputError(f"conditions.names names each condition once, not {list(self.names)}.")
        check_range("conditions.dropout", self.dropout, 0, 0.9)
        check_range("conditions.guidance", self.guidance, 0)
        check_range("conditions.slow_limit", self.slow_limit, 0)
        check_choice("conditions.compose", self.compose, ("together", "apart"))
        offered = [asked_name(name) for name in self.names if name != SKILL]
        for name, value in self.ask.items():
            if name not in offered:
                raise unknown("condition to ask for", name, offered)
            if name == RETURN:
                check_range("conditions.ask.return", float(value), 0, 1)
            elif not isinstance(value, bool):
                raise InputError(f"conditions.ask.{name} is true or false, not {value!r}.")


def asked_name(name: str) -> str:
    """What `ask` calls a condition: "slow" is "constraint:slow"."""
    return name.removeprefix(CONSTRAINT)


class Conditions(nn.Module):
    """Values of conditions (B, n) to tokens (B, n, width): what they ask for, or that nothing is asked.

    Args:
        config: which ones.
        skills: how many skills the policy knows.
        context: numbers of the flattened context, from which the usual pace is learned.
        width: of a token.
    """

    def __init__(self, config: ConditionsConfig, skills: int, context: int, width: int) -> None:
        super().__init__()
        self.config = config
        self.places = [asked_name(name) for name in config.names]
        # Of a number between 0 and 1, what the two ends look like; of a skill, what each looks like.
        self.embed = nn.ModuleDict(
            {name: nn.Embedding(skills if name == SKILL else 2, width) for name in self.places}
        )
        if self.places:
            self.nothing = nn.Parameter(torch.randn(len(self.places), width))
        self.pace = Pace(context, width) if RETURN in self.places else None

    def forward(self, values: Tensor, given: Tensor) -> Tensor:
        """Tokens.

        Args:
            values: (B, n) float: index of the skill, the return, 1 where a constraint holds.
            given: (B, n) bool: whether the condition is asked at all.
        """
        tokens = []
        for place, name in enumerate(self.places):
            embed, value = cast(nn.Embedding, self.embed[name]), values[:, place]
            if name == SKILL:
                token = embed(value.long())
            else:
                token = torch.lerp(embed.weight[0], embed.weight[1], value[:, None])
            tokens.append(torch.where(given[:, place, None], token, self.nothing[place]))
        return torch.stack(tokens, dim=1)

    def observe(
        self, context: Tensor, actions: Tensor, skill: Tensor, to_go: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Values (B, n) that the data has, and the loss of what is learned of the usual pace.

        Args:
            context: (B, flattened).
            actions: chunks (B, T, A), in their own units.
            skill: (B,) indices.
            to_go: (B,) steps left.
        """
        values, loss = [], context.new_zeros(())
        for name in self.places:
            if name == SKILL:
                values.append(skill)
            elif name == RETURN and self.pace is not None:
                early, loss = self.pace(context, to_go)
                values.append(early)
            else:
                values.append(CONSTRAINTS[name](actions, self.config.slow_limit))
        return torch.stack([value.to(context.dtype) for value in values], dim=1), loss

    def drop(self, values: Tensor) -> Tensor:
        """Which conditions to give, (B, n) bool: in training each is left out of some samples, apart."""
        if not self.training:
            return torch.ones_like(values, dtype=torch.bool)
        return torch.rand_like(values) >= self.config.dropout

    def asked(self, skill: Tensor) -> Tensor:
        """Values (B, n) that the configuration asks for, given the called skills (B,)."""
        open_ = torch.zeros_like(skill, dtype=torch.float32)
        asked = [
            skill.float() if name == SKILL else open_ + float(self.config.ask.get(name, 0.0))
            for name in self.places
        ]
        return torch.stack(asked, dim=1)

    def passes(self) -> list[tuple[float, list[bool]]]:
        """The answers that guidance mixes: the weight of each, and which conditions it is given."""
        asked = [name == SKILL or name in self.config.ask for name in self.places]
        none = [False] * len(asked)
        groups = [asked] if any(asked) else []
        if self.config.compose == "apart":
            groups = [[here == place for here in range(len(asked))] for place, on in enumerate(asked) if on]
        weight = self.config.guidance
        mixed = [(1 - weight * len(groups), none), *((weight, group) for group in groups)]
        return [(share, given) for share, given in mixed if share != 0]


class Pace(nn.Module):
    """How many steps are left from here, as demonstrations go, and how far off that usually is.

    A return of the steps left alone would say where in the skill one is, and asking for the best of it would
    ask for the end. Against the usual from the same context it says who was quick.
    """

    def __init__(self, context: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(context, hidden), nn.GELU(), nn.Linear(hidden, 2))

    @torch.no_grad()
    def start(self, to_go: Tensor) -> None:
        """Begin with what is usual over all of the data."""
        left = to_go.log1p()
        last = cast(nn.Linear, self.layers[-1])
        last.weight.zero_()
        last.bias.copy_(torch.stack([left.mean(), (left - left.mean()).abs().mean()]))

    def forward(self, context: Tensor, to_go: Tensor) -> tuple[Tensor, Tensor]:
        """Returns (B,) in [0, 1], two usual deviations on either side of 0.5, and the loss.

        Neither the encoders learn from this loss nor this net from the policy's.
        """
        usual, spread = self.layers(context.detach()).unbind(-1)
        left = to_go.log1p()
        error = (left - usual).abs().detach()
        loss = F.mse_loss(usual, left) + F.mse_loss(spread, error)
        early = (usual - left).detach() / (4 * spread.detach().clamp_min(LEAST_SPREAD))
        return (0.5 + early).clamp(0, 1), loss
