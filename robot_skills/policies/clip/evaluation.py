"""What a small CLIP has learned: naming what is seen, and finding what is named."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from robot_skills.policies.clip.dense import patch_features, patch_grid
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
        self._known: dict[str, Tensor] = {}
        with torch.inference_mode():
            parts = [data.images[first : first + 64] for first in range(0, len(data.images), 64)]
            chunks = [patch_features(model.visual, normalise(part)) for part in parts]
        self.patches = torch.cat(chunks)
        self.side = patch_grid(model.visual)[0]

    @torch.inference_mode()
    def vectors(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors of texts; each is encoded once."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            made = self.model.encode_text(self.tokenize(new), normalize=True)
            self._known.update(zip(new, made, strict=True))
        return torch.stack([self._known[text] for text in texts])

    def found(self, sight: Sight, text: str) -> bool:
        """Whether the peak of a text's map lies on a thing: its cell holds a pixel of it."""
        scores = self.patches[sight.picture] @ self.vectors([text])[0]
        return bool(self._cells(sight)[int(scores.argmax())] > 0)

    def best(self, sight: Sight, texts: Sequence[str]) -> int:
        """Which text names a thing best, by the mean of its cells, weighted by how much of it each shows."""
        mean = self._cells(sight) @ self.patches[sight.picture]
        return int((self.vectors(texts) @ mean).argmax())

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
    """Successes and trials of naming a thing among all pairs of colour and kind, and of finding it.

    Returns:
        "colour" and "kind" of the best pair, "both", and "found".
    """
    rng = np.random.default_rng([seed, 7])
    pairs = [(kind, colour) for colour in captions.colours for kind in captions.kinds]
    counts = dict.fromkeys(("colour", "kind", "both", "found"), 0)
    for sight in seen:
        kind, colour, _ = sight.spec
        options = [say((*pair, ""), rng) for pair in pairs]
        best = pairs[examiner.best(sight, options)]
        counts["colour"] += best[1] == colour
        counts["kind"] += best[0] == kind
        counts["both"] += best == (kind, colour)
        counts["found"] += examiner.found(sight, options[pairs.index((kind, colour))])
    return {name: (count, len(seen)) for name, count in counts.items()}


def name_sizes(examiner: Examiner, seen: Sequence[Sight]) -> tuple[int, int]:
    """Successes and trials of telling small things from large ones of their kind and colour."""
    options = [[phrase((*sight.spec[:2], size)) for size in ("small", "large")] for sight in seen]
    right = sum(
        ("small", "large")[examiner.best(sight, texts)] == sight.spec[2]
        for sight, texts in zip(seen, options, strict=True)
    )
    return right, len(seen)
