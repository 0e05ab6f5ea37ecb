"""What the tuned reader is compared with: the same model untuned, and the nearest command of the phrasing.

Both answer in the language of `planners.forms`, resolved in the scene at hand, behind the same rules for
hazards; no check and no reader of rules mends what they say.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from planners.compact import Ask, Goal
from planners.embedded import bundled_weights, idle_processors, start_server
from planners.forms import resolve
from planners.hazards import hazards
from planners.phrasing.triples import write_triples
from planners.proposer import Proposal
from planners.reader import AnswerModel, TunedModel, Written, question_for, refusal_for
from robot_skills.embedding import sentence_embedding
from robot_skills.errors import InputError
from robot_skills.scene_graph import SceneGraph

#: Scenes of the bank, and commands of each.
SCENES, EACH, SEED = 200, 10, 500
CONTEXT = 2048


class RawModel(TunedModel):
    """SmolLM2-135M-Instruct as it comes, under the same grammar."""

    @cached_property
    def _server(self) -> Any:
        return start_server(bundled_weights(), idle_processors(), CONTEXT)


class NearestCommand:
    """The answer to the nearest of 2,000 commands of the phrasing, by MiniLM; its colours stay its own."""

    name = "nearest command"

    def __init__(self) -> None:
        self._bank = write_triples(SEED, SCENES, EACH)
        self._embed = sentence_embedding()
        said = [triple.command for triple in self._bank]
        self._vectors = np.concatenate([self._embed(said[at : at + 50]) for at in range(0, len(said), 50)])

    def write(self, command: str, scene: SceneGraph, goal: bool = False) -> Written:
        """The answer of the nearest."""
        near = self._vectors @ self._embed([command])[0]
        return Written(self._bank[int(near.argmax())].form, 0, 0)


class Plain:
    """Proposes what a model of answers writes, as it is."""

    def __init__(self, model: AnswerModel) -> None:
        self._model, self._dangers = model, hazards()

    def propose(self, command: str, scene: SceneGraph) -> Proposal:
        """The goal, refusal or question that was written; what cannot be read is a refusal."""
        danger = self._dangers.reason(command, scene)
        if danger is not None:
            return Proposal(None, danger)
        try:
            answer = resolve(self._model.write(command, scene).text, scene)
            if isinstance(answer, Goal):
                return Proposal(answer.formula())
            if isinstance(answer, Ask):
                return Proposal(None, question=question_for(answer.options, scene))
            return Proposal(None, refusal_for(answer, scene))
        except InputError as error:  # of another scene's things
            return Proposal(None, str(error))
