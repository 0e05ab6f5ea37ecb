"""What there is already: whether a task adds anything, and which families are rare or unsolved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sim.generative.goal import FAMILIES, Clause, Goal
from sim.generative.task import Task
from sim.tabletop.scene import COLOURS

#: Sentences to unit vectors, (N, D).
Embed = Callable[[Sequence[str]], NDArray[np.float32]]
#: Descriptions whose embeddings have a cosine above this say the same.
ALIKE = 0.9


class Archive:
    """Tasks that are known, in order.

    Args:
        embed: sentences to unit vectors.

    Attributes:
        tried: family -> proposals that were well-typed.
        goals: of what was admitted, in order.
        accepted: family -> accepted tasks.
    """

    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        self._signatures: dict[str, str] = {}
        self._vectors: list[NDArray[np.float32]] = []
        self._texts: list[str] = []
        self.goals: list[Goal] = []
        self.tried: Counter[str] = Counter()
        self.accepted: Counter[str] = Counter()

    def admit(self, task: Task) -> str | None:
        """Note a task; why it adds nothing, or None when it does."""
        self.tried[task.goal.family] += 1
        signature = signature_of(task)
        if signature in self._signatures:
            return f"The same kind of task as {self._signatures[signature]!r}."
        (vector,) = self._embed([task.description])
        if self._vectors:
            cosines = np.stack(self._vectors) @ vector
            nearest = int(cosines.argmax())
            if cosines[nearest] >= ALIKE:
                return f"Cosine {cosines[nearest]:.2f} to {self._texts[nearest]!r}."
        self._signatures[signature] = task.description
        self._vectors.append(vector)
        self._texts.append(task.description)
        self.goals.append(task.goal)
        return None

    def weights(self) -> Mapping[str, float]:
        """How often to propose each family: more often what is rare, less often what mostly falls.

        The square of the estimated share that is accepted (Laplace's rule), over the number there is: the
        first factor is the rule of BOSS (Zhang et al. 2023), to propose at the edge of what can be done.
        """
        return {
            family: ((self.accepted[family] + 1) / (self.tried[family] + 2)) ** 2
            / (self.accepted[family] + 1)
            for family in FAMILIES
        }


def signature_of(task: Task) -> str:
    """What a task is about without the colours: kinds, relations, numbers, how things stand at first."""
    names: dict[str, str] = {}

    def blind(text: str) -> str:
        return names.setdefault(text, f"{text.split()[-1]}{len(names)}") if _coloured(text) else text

    def shown(clause: Clause) -> str:
        words = [clause.kind, *map(blind, clause.things), *map(blind, clause.places), clause.relation]
        group = "colour" if clause.group in COLOURS else clause.group
        return " ".join([*words, str(clause.number), group])

    goal = task.goal
    parts = [
        goal.family,
        *map(shown, goal.clauses),
        goal.condition.split("(")[0],
        *map(shown, goal.otherwise),
    ]
    parts += [f"{blind(name)}={standing}" for name, standing in sorted(task.recipe.standings.items())]
    for relation in task.recipe.relations:
        if relation.name in ("in", "on") and set(relation.things) & set(goal.names()):
            parts.append(" ".join([relation.name, *map(blind, relation.things)]))
    return "; ".join(parts)


def _coloured(name: str) -> bool:
    return name.split()[0] in COLOURS
