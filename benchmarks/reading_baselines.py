"""What language_suite.py compares the tuned reader with: the nearest command, and answers taken as they are.

The nearest command, and the model untuned, answer in the language of `planners.forms`, resolved in the scene
at hand, behind the same rules for hazards; no check and no reader of rules mends what they say.
"""

from __future__ import annotations

import numpy as np

from planners.forms import resolve
from planners.hazards import hazards
from planners.phrasing.triples import write_triples
from planners.proposer import Proposal, answered
from planners.reader import AnswerModel, Written
from robot_skills.embedding import sentence_embedding
from robot_skills.errors import InputError
from robot_skills.scene_graph import SceneGraph

#: Scenes of the bank, and commands of each.
SCENES, EACH, SEED = 200, 10, 500


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
        near = (self._vectors @ self._embed([command])[0]).round(4)  # the first of those that tie
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
        written = self._model.write(command, scene)
        try:
            return answered(resolve(written.text, scene), written, scene, self._model.name)
        except InputError as error:  # of another scene's things
            return Proposal(None, str(error))
