"""Training of a small CLIP: cells of pictures and crops against captions, other words against what they mean.

Pictures are compared with captions in the words of the simulator only. Other words ("crimson", "cube") never
occur beside a picture: their phrases are pulled to the mean of the captions' vectors, weighted by what a
lexicon says that they mean.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from robot_skills.policies.clip.dense import image_features
from robot_skills.policies.clip.words import Captions, Lexicon, Spec, phrase
from robot_skills.policies.vision.pixels import normalise, random_shift

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClipTraining:
    """How long, and with what.

    Attributes:
        steps: of the optimizer.
        pictures: of a step, each with `cells` cells.
        cells: of a picture, drawn so that each thing in it gets as many.
        crops: of a step, each of one thing, enlarged.
        phrases: of a step, in other words.
        shift: of a picture, px.
        jitter: of brightness and contrast.
        learning_rate: at the top of a one-cycle schedule.
        language_weight: of the phrases' loss.
        text_learning_rate_factor: on the token embedding: each word occurs seldom.
        seed: of everything drawn.
    """

    steps: int = 2000
    pictures: int = 16
    cells: int = 48
    crops: int = 8
    phrases: int = 128
    shift: int = 3
    jitter: float = 0.15
    learning_rate: float = 1e-3
    language_weight: float = 2.0
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
        self.place = {spec: number for number, spec in enumerate(self.specs)}
        self.patch = model.visual.patch_size[0]
        self.side = model.visual.image_size[0]
        self.fitting, self.usable = _truth(data, captions)
        self.rng = np.random.default_rng([config.seed, 3])

    def run(self) -> Iterator[Mapping[str, float]]:
        """Train; yields what is measured, every hundred steps."""
        config, model = self.config, self.model
        torch.manual_seed(config.seed)
        embedding = [model.token_embedding.weight]
        others = [p for p in model.parameters() if p is not embedding[0]]
        factor = config.text_learning_rate_factor
        groups = [{"params": others, "factor": 1.0}, {"params": embedding, "factor": factor}]
        optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, weight_decay=1e-4)
        began, sums = time.monotonic(), dict.fromkeys(("cells", "crops", "language"), 0.0)
        model.train()
        for step in range(config.steps):
            rise = min(1.0, (step + 1) / (0.05 * config.steps))
            rate = config.learning_rate * rise * 0.5 * (1 + np.cos(np.pi * step / config.steps))
            for group in optimizer.param_groups:
                group["lr"] = rate * group["factor"]
            losses = self.losses()
            total = losses["cells"] + losses["crops"] + config.language_weight * losses["language"]
            optimizer.zero_grad(set_to_none=True)
            total.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            for name, value in losses.items():
                sums[name] += float(value.detach()) / 100
            if (step + 1) % 100 == 0:
                yield {"step": step + 1, "seconds": time.monotonic() - began, **sums}
                sums = dict.fromkeys(sums, 0.0)
        model.eval()

    def losses(self) -> dict[str, Tensor]:
        """Of one step."""
        config = self.config
        said = self.encode([phrase(spec, self.rng) for spec in self.specs])
        batch = torch.randint(len(self.data.images), (config.pictures,))
        images, seen = self._shifted(batch)
        _, patches = image_features(self.model.visual, normalise(images, config.jitter))
        rows, cells, things = self._cells(batch, seen)
        lost = {"cells": self._matching(patches[rows, cells], things, said)}
        crops, things = self._crops()
        pooled, _ = image_features(self.model.visual, normalise(crops, config.jitter))
        lost["crops"] = self._matching(pooled, things, said)
        texts, shares = self._other_words()
        meant = F.normalize(shares @ said.detach(), dim=-1)
        lost["language"] = (1 - (self.encode(texts) * meant).sum(-1)).mean()
        return lost

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
        texts, shares = [], torch.zeros(self.config.phrases, len(self.specs))
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
        if draw < (0.2, 0.2, 0.6)[slot]:
            return "", [("", 1.0)]
        if draw < (0.45, 0.35, 0.75)[slot]:
            name = str(self.rng.choice(names))
            return name, [(name, 1.0)]
        words, shares = self.lexicon.words[slot], self.lexicon.shares[slot]
        number = int(self.rng.integers(len(words)))
        meaning = [(name, float(p)) for name, p in zip(names, shares[number], strict=True) if p > 0.02]
        return words[number], meaning


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
