"""What a small CLIP has learned: naming what is seen, and finding what is named."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from robot_skills.policies.clip.dense import image_features
from robot_skills.policies.clip.training import Labelled
from robot_skills.policies.clip.words import Captions, Spec, phrase
from robot_skills.policies.vision.pixels import normalise

#: A thing seen in fewer pixels is hidden: nobody could name it.
FEWEST_PIXELS = 6


@dataclass(frozen=True)
class Sight:
    """A loose thing in a picture.

    Attributes:
        picture: its number.
        place: of the thing among the picture's.
        spec: kind, colour and size.
    """

    picture: int
    place: int
    spec: Spec


def sights(data: Labelled, captions: Captions) -> list[Sight]:
    """Every loose thing that can be seen."""
    found = []
    for picture, seen in enumerate(data.seen):
        counts = torch.bincount(seen.flatten() + 1, minlength=data.things.shape[1] + 1)[1:]
        for place in (counts >= FEWEST_PIXELS).nonzero().flatten().tolist():
            kind, colour, size = data.things[picture, place].tolist()
            spec = (data.kinds[kind], data.colours[colour], data.sizes[size])
            if spec[0] in captions.kinds:
                found.append(Sight(picture, place, spec))
    return found


class Examiner:
    """The maps of a model over some pictures, computed once.

    Args:
        model: an open_clip `CLIP` with a vision transformer.
        tokenize: texts to tokens.
        data: pictures.
    """

    def __init__(self, model: Any, tokenize: Any, data: Labelled) -> None:
        self.model, self.tokenize, self.data = model.eval(), tokenize, data
        with torch.inference_mode():
            parts = data.images.tensor_split(range(64, len(data.images), 64))
            chunks = [image_features(model.visual, normalise(part))[1] for part in parts]
        self.patches = torch.cat(chunks)
        self.side = data.images.shape[-1] // model.visual.patch_size[0]

    @torch.inference_mode()
    def vectors(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors of texts."""
        vectors: Tensor = self.model.encode_text(self.tokenize(list(texts)), normalize=True)
        return vectors

    def found(self, sight: Sight, text: str) -> bool:
        """Whether the peak of a text's map lies on a thing: its cell holds a pixel of it."""
        scores = self.patches[sight.picture] @ self.vectors([text])[0]
        return bool(self._cells(sight)[int(scores.argmax())] > 0)

    def best(self, sight: Sight, texts: Sequence[str]) -> int:
        """Which text names a thing best, by the cell that shows the most of it."""
        cell = int(self._cells(sight).argmax())
        return int((self.vectors(texts) @ self.patches[sight.picture, cell]).argmax())

    def _cells(self, sight: Sight) -> Tensor:
        mask = (self.data.seen[sight.picture] == sight.place).float()
        return F.adaptive_avg_pool2d(mask[None, None], self.side).flatten()


#: A spec in the words of a trial.
Wording = Callable[[Spec, np.random.Generator], str]


def worded(words: Mapping[str, Sequence[str]]) -> Wording:
    """Phrases in which every name is replaced by one of some other words for it; it stays if it has none."""

    def say(spec: Spec, rng: np.random.Generator) -> str:
        kind, colour, size = (str(rng.choice(words[name])) if words.get(name) else name for name in spec)
        return phrase((kind, colour, size))

    return say


def examine(
    examiner: Examiner, seen: Sequence[Sight], captions: Captions, say: Wording, seed: int = 0
) -> dict[str, tuple[int, int]]:
    """Successes and trials of naming a thing among all pairs of colour and kind, and of finding it."""
    rng = np.random.default_rng([seed, 7])
    pairs = [(kind, colour) for colour in captions.colours for kind in captions.kinds]
    named = found = 0
    for sight in seen:
        kind, colour, _ = sight.spec
        options = [say((*pair, ""), rng) for pair in pairs]
        named += pairs[examiner.best(sight, options)] == (kind, colour)
        found += examiner.found(sight, options[pairs.index((kind, colour))])
    return {"named": (named, len(seen)), "found": (found, len(seen))}
