"""Training of a small CLIP: cells of pictures and crops against captions, other words against what they mean.

First pictures are compared with captions, in the words of the simulator only; each caption has a vector of
its own, learned beside the image tower from one that is made of its words' parts. (With the text tower in
their place colours are learned at once and kinds not at all: its vectors of "red block" and "red bowl" start
as one and stay one.) Then the text tower learns these vectors, and other words ("crimson", "cube"), which
never occur beside a picture: their phrases are pulled to the mean of the captions' vectors, weighted by what
a lexicon says that they mean. A pair of colour and kind that no caption says is taught to the text tower by
analogy with those that are said.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from robot_skills.policies.clip.dense import image_features, patch_features, patch_grid
from robot_skills.policies.clip.words import Captions, Lexicon, Spec, phrase
from robot_skills.policies.vision.pixels import normalise, random_shift

#: Of kind, colour and size in the first vectors of captions.
WORD_WEIGHTS = (1.0, 1.0, 0.5)


@dataclass(frozen=True)
class ClipTraining:
    """How long, and with what.

    Attributes:
        steps: of the optimizer, with pictures.
        falling: share of the steps, at the end, over which the learning rate falls to zero.
        pictures: of a step, each with `cells` cells.
        cells: of a picture, drawn so that each thing in it gets as many.
        crops: of a step, each of one thing, enlarged.
        shift: of a picture, px.
        jitter: of brightness and contrast.
        learning_rate: at its top.
        word_steps: of the optimizer afterwards, of the text tower alone.
        word_learning_rate: at its top.
        phrases: of such a step, in other words; half as many in the captions' own.
        text_learning_rate_factor: on the token embedding: each word occurs seldom.
        seed: of everything drawn.
    """

    steps: int = 4000
    falling: float = 0.4
    pictures: int = 32
    cells: int = 48
    crops: int = 8
    shift: int = 3
    jitter: float = 0.15
    learning_rate: float = 2e-3
    word_steps: int = 1500
    word_learning_rate: float = 1.5e-3
    phrases: int = 128
    text_learning_rate_factor: float = 3.0
    seed: int = 0


class Labelled(NamedTuple):
    """Pictures and what is seen in them, as `sim.captions.Album` has them, with the names of its places."""

    images: Tensor  # (N, 3, h, w) uint8
    seen: Tensor  # (N, h, w) int64; -1: the table
    things: Tensor  # (N, K, 3) int64
    kinds: tuple[str, ...]
    colours: tuple[str, ...]
    sizes: tuple[str, ...]


class Trainer:
    """One model, its pictures and its words.

    Args:
        model: an open_clip `CLIP` with a vision transformer and a logit bias.
        tokenize: texts to tokens.
        data: pictures.
        captions: what is said of them.
        lexicon: other words.
        config: how long, and with what.
    """

    def __init__(
        self,
        model: Any,
        tokenize: Any,
        data: Labelled,
        captions: Captions,
        lexicon: Lexicon,
        config: ClipTraining,
    ) -> None:
        self.model, self.tokenize, self.data, self.config = model, tokenize, data, config
        self.captions, self.lexicon = captions, lexicon
        self.specs = captions.specs
        self.phrased = [*self.specs, *captions.held_out]
        self.place = {spec: number for number, spec in enumerate(self.phrased)}
        self.side = data.images.shape[-1]
        self.patch = self.side // patch_grid(model.visual)[0]
        self.fitting, self.usable = _truth(data, captions)
        self.vectors = torch.nn.Parameter(_first_vectors(self.specs, model.text_projection.shape[1]))
        self.rng = np.random.default_rng([config.seed, 3])

    def run(self) -> Iterator[Mapping[str, float]]:
        """Train; yields what is measured, every hundred steps."""
        config = self.config
        torch.manual_seed(config.seed)
        self.model.train()
        yield from self._phase(self._learn_pictures, config.steps, config.learning_rate, "pictures")
        said = self.said()
        self.model.visual.requires_grad_(False)
        words = functools.partial(self._learn_words, said)
        yield from self._phase(words, config.word_steps, config.word_learning_rate, "words")
        self.model.visual.requires_grad_(True)
        self.model.eval()

    def _phase(
        self, losses: Callable[[], dict[str, Tensor]], steps: int, rate: float, name: str
    ) -> Iterator[Mapping[str, float]]:
        config, embedding = self.config, self.model.token_embedding.weight
        others = [self.vectors, *(p for p in self.model.parameters() if p is not embedding)]
        groups = [
            {"params": others, "factor": 1.0},
            {"params": [embedding], "factor": config.text_learning_rate_factor},
        ]
        optimizer = torch.optim.AdamW(groups, lr=rate, weight_decay=1e-4)
        began, sums = time.monotonic(), dict[str, float]()
        for step in range(steps):
            rise = min(1.0, (step + 1) / 50)
            fall = min(1.0, (steps - step) / (config.falling * steps))
            for group in optimizer.param_groups:
                group["lr"] = rate * min(rise, fall) * group["factor"]
            lost = losses()
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(torch.stack(list(lost.values())).sum())
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            optimizer.step()
            for part, value in lost.items():
                sums[part] = sums.get(part, 0.0) + float(value.detach()) / 100
            if (step + 1) % 100 == 0:
                yield {name: step + 1, "seconds": time.monotonic() - began, **sums}
                sums.clear()

    @torch.no_grad()
    def said(self) -> Tensor:
        """Unit vectors of the captions, and by analogy of what none says.

        "red ball" is "red object" and what sets other balls apart from objects of their colour.
        """
        own = F.normalize(self.vectors, dim=-1)
        made = [self._by_analogy(own, spec) for spec in self.captions.held_out]
        return torch.cat([own, F.normalize(torch.stack(made), dim=-1)]) if made else own

    def _by_analogy(self, own: Tensor, spec: Spec) -> Tensor:
        kind, colour, size = spec
        unsaid = self.captions.unsaid
        others = [other for other in self.captions.colours if (kind, other) not in unsaid]
        apart = [own[self.place[kind, c, size]] - own[self.place["", c, size]] for c in others]
        return own[self.place["", colour, size]] + torch.stack(apart).mean(0)

    def _learn_pictures(self) -> dict[str, Tensor]:
        """Losses of a step with pictures: of cells, and of crops."""
        config = self.config
        said = F.normalize(self.vectors, dim=-1)
        batch = torch.randint(len(self.data.images), (config.pictures,))
        images, seen = self._shifted(batch)
        patches = patch_features(self.model.visual, normalise(images, config.jitter))
        rows, cells, things = self._cells(batch, seen)
        lost = {"cells": self._matching(patches[rows, cells], things, said)}
        crops, things = self._crops()
        pooled, _ = image_features(self.model.visual, normalise(crops, config.jitter))
        return {**lost, "crops": self._matching(pooled, things, said)}

    def _learn_words(self, said: Tensor) -> dict[str, Tensor]:
        """Losses of a step with words alone: of other words, and of the captions' own, which must stay."""
        texts, shares = self._other_words()
        meant = F.normalize(shares @ said, dim=-1)
        own = self.rng.integers(len(self.phrased), size=self.config.phrases // 2)
        plain = [phrase(self.phrased[place], self.rng) for place in own]
        vectors = self.encode([*texts, *plain])
        apart = 1 - (vectors * torch.cat([meant, said[torch.from_numpy(own)]])).sum(-1)
        return {"other": apart[: len(texts)].mean(), "own": apart[len(texts) :].mean()}

    def encode(self, texts: list[str]) -> Tensor:
        """Unit vectors of texts."""
        vectors: Tensor = self.model.encode_text(self.tokenize(texts), normalize=True)
        return vectors

    def _matching(self, features: Tensor, things: Tensor, said: Tensor) -> Tensor:
        """Sigmoid loss (Zhai et al. 2023) of features against every caption, true ones and others alike."""
        logits = self.model.logit_scale.exp() * features @ said.T + self.model.logit_bias
        true = self.fitting[things[:, 0], things[:, 1], things[:, 2]]
        weights = self.usable[things[:, 0], things[:, 1]][:, None]
        each = F.binary_cross_entropy_with_logits(logits, true, weights.expand_as(logits), reduction="none")
        return each.sum() / weights.sum().clamp_min(1)

    def _shifted(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures and labels, moved alike."""
        images, seen = self.data.images[batch], self.data.seen[batch]
        both = torch.cat([images, (seen[:, None] + 1).to(torch.uint8)], dim=1)
        moved = random_shift(both, self.config.shift)
        return moved[:, :3], moved[:, 3].long() - 1

    def _cells(self, batch: Tensor, seen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Drawn cells: their rows and places, and (kind, colour, size) of what each shows."""
        count = self.data.things.shape[1]
        shown = F.one_hot(seen + 1, count + 1).movedim(-1, 1).float()
        shares = F.avg_pool2d(shown, self.patch).flatten(2)  # (B, 1 + K, cells)
        # A thing is as narrow as a cell and straddles two: five of sixteen pixels are enough to be seen.
        most, owner = shares[:, 1:].max(dim=1)
        owner = torch.where(most >= 0.3, owner + 1, torch.zeros_like(owner))
        clear = (most >= 0.3) | (shares[:, 0] >= 0.8)
        sizes = F.one_hot(owner, count + 1).mul(clear[..., None]).sum(1)
        weights = clear / sizes.gather(1, owner).clamp_min(1)
        cells = torch.multinomial(weights, self.config.cells, replacement=True)
        owner = owner.gather(1, cells)
        rows = torch.arange(len(batch))[:, None].expand_as(cells)
        table = torch.tensor([self.data.kinds.index("table"), 0, 0])
        things = self.data.things[batch[:, None], (owner - 1).clamp_min(0)]
        things = torch.where((owner > 0)[..., None], things, table)
        return rows.flatten(), cells.flatten(), things.flatten(0, 1)

    def _crops(self) -> tuple[Tensor, Tensor]:
        """Windows around one thing each, enlarged to a picture."""
        crops: list[Tensor] = []
        things: list[Tensor] = []
        while len(crops) < self.config.crops:
            number = int(self.rng.integers(len(self.data.images)))
            seen, side = self.data.seen[number], self.data.images.shape[-1]
            present: Tensor = torch.unique(seen[seen >= 0])
            if not len(present):
                continue
            thing = present[int(self.rng.integers(len(present)))]
            ys, xs = (seen == thing).nonzero().T
            if len(ys) < 8:
                continue
            extent = int(max(ys.max() - ys.min(), xs.max() - xs.min())) + 1
            window = min(side, int(extent * self.rng.uniform(1.1, 1.8)) + 2)
            top, left = (
                int(
                    np.clip(int(at.float().mean()) - window // 2 + self.rng.integers(-1, 2), 0, side - window)
                )
                for at in (ys, xs)
            )
            piece = self.data.images[number, :, top : top + window, left : left + window]
            crops.append(F.interpolate(piece[None].float(), self.side, mode="bilinear").to(torch.uint8))
            things.append(self.data.things[number, thing])
        return torch.cat(crops), torch.stack(things)

    def _other_words(self) -> tuple[list[str], Tensor]:
        """Phrases in other words, and how much each means each caption, (phrases, captions)."""
        names = (self.captions.kinds, self.captions.colours, self.captions.sizes)
        texts, shares = [], torch.zeros(self.config.phrases, len(self.phrased))
        for row in shares:
            said: list[list[tuple[str, float]]] = []
            words = []
            for slot in range(3):
                word, meaning = self._word(slot, names[slot])
                words.append(word)
                said.append(meaning)
            for kind, kind_share in said[0]:
                for colour, colour_share in said[1]:
                    for size, size_share in said[2]:
                        place = self.place.get((kind, colour, size))
                        if place is not None:
                            row[place] += kind_share * colour_share * size_share
            texts.append(phrase((words[0], words[1], words[2]), self.rng))
        return texts, shares

    def _word(self, slot: int, names: tuple[str, ...]) -> tuple[str, list[tuple[str, float]]]:
        """A word for a slot (or none, or the caption's own), and what it means."""
        draw = self.rng.random()
        if not names or draw < (0.2, 0.2, 0.6)[slot]:
            return "", [("", 1.0)]
        if draw < (0.45, 0.35, 0.75)[slot]:
            name = str(self.rng.choice(names))
            return name, [(name, 1.0)]
        words, shares = self.lexicon.words[slot], self.lexicon.shares[slot]
        number = int(self.rng.choice(len(words), p=self.lexicon.weight(slot)))
        meaning = [(name, float(p)) for name, p in zip(names, shares[number], strict=True) if p > 0.02]
        return words[number], meaning


def _first_vectors(specs: Sequence[Spec], size: int) -> Tensor:
    """Sums of a vector for each word, all at right angles; what is said more surely weighs more."""
    words = sorted({(slot, word) for spec in specs for slot, word in enumerate(spec) if word})
    basis = torch.linalg.qr(torch.randn(size, size))[0][: len(words)]
    place = {word: number for number, word in enumerate(words)}
    rows = [
        torch.stack([WORD_WEIGHTS[slot] * basis[place[slot, word]] for slot, word in enumerate(spec) if word])
        for spec in specs
    ]
    return torch.stack([row.sum(0) for row in rows])


def _truth(data: Labelled, captions: Captions) -> tuple[Tensor, Tensor]:
    """Which captions are true of (kind, colour, size), and which (kind, colour) may be learned from."""
    specs = captions.specs
    fitting = torch.zeros(len(data.kinds), len(data.colours), len(data.sizes), len(specs))
    usable = torch.zeros(len(data.kinds), len(data.colours))
    for k, kind in enumerate(data.kinds):
        for c, colour in enumerate(data.colours):
            usable[k, c] = float(kind != "" and (kind, colour) not in captions.unsaid)
            for s, size in enumerate(data.sizes):
                thing: Spec = (kind, colour, size)
                # A fixture is no "thing": nobody asks for "the object" and means the table.
                loose = kind in captions.kinds
                rows = [captions.fits(spec, thing) and (loose or spec[0] != "") for spec in specs]
                fitting[k, c, s] = torch.tensor(rows, dtype=torch.float32)
    return fitting, usable
