"""Captions of things by kind, colour and size, and what other words mean in those terms."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float32]
#: Kind, colour and size; "" where a caption says nothing of it.
Spec: TypeAlias = tuple[str, str, str]
#: Texts to unit vectors (N, features).
Embed: TypeAlias = Callable[[Sequence[str]], Array]

ANY_KIND = ("object", "thing")
ARTICLES = ("", "the ", "a ")


@dataclass(frozen=True)
class Captions:
    """Every caption: the loose kinds with any of their colours and sizes said or not, and the fixtures.

    Attributes:
        kinds: of loose things.
        colours, sizes: of loose things.
        fixtures: what has a name only.
        unsaid: pairs of kind and colour that no caption names, nor any picture is used for: held out.
    """

    kinds: tuple[str, ...]
    colours: tuple[str, ...]
    sizes: tuple[str, ...]
    fixtures: tuple[str, ...]
    unsaid: tuple[tuple[str, str], ...] = ()

    @property
    def specs(self) -> list[Spec]:
        """What the captions say, one a caption."""
        said = [spec for spec in self._loose() if spec[:2] not in self.unsaid]
        return [*said, *((name, "", "") for name in self.fixtures)]

    @property
    def held_out(self) -> list[Spec]:
        """What no caption says."""
        return [spec for spec in self._loose() if spec[:2] in self.unsaid]

    def _loose(self) -> list[Spec]:
        names = (("", *self.kinds), ("", *self.colours), ("", *self.sizes))
        return [spec for spec in itertools.product(*names) if any(spec)]

    def fits(self, spec: Spec, thing: Spec) -> bool:
        """Whether a caption is true of a thing."""
        return all(said in ("", true) for said, true in zip(spec, thing, strict=True))


def phrase(spec: Spec, rng: np.random.Generator | None = None) -> str:
    """A spec in words; with an article now and then, and any noun for "thing", if a generator is given."""
    kind, colour, size = spec
    noun = kind or (ANY_KIND[0] if rng is None else str(rng.choice(ANY_KIND)))
    article = "" if rng is None else str(rng.choice(ARTICLES))
    return article + " ".join(word for word in (size, colour, noun) if word)


@dataclass(frozen=True)
class Lexicon:
    """Other words, and how much each means each kind, colour or size: rows that sum to one.

    Attributes:
        words: slot (0 kind, 1 colour, 2 size) -> words.
        shares: slot -> (words, names of that slot) float32.
        likeness: slot -> (words,) float32, how much a word is like anything there; words that are like
            nothing are learned from seldom. A slot that is missing: all alike.
    """

    words: Mapping[int, tuple[str, ...]]
    shares: Mapping[int, Array]
    likeness: Mapping[int, Array] = field(default_factory=dict)

    def weight(self, slot: int) -> Array:
        """How often each word of a slot is drawn, summing to one."""
        likeness = self.likeness.get(slot)
        scores = np.zeros(len(self.words[slot])) if likeness is None else likeness / LIKENESS_TEMPERATURE
        powers = np.exp(scores - scores.max())
        weights: Array = powers / powers.sum()
        return weights


#: What the kinds are, described without naming them by another word, for the comparison of meanings.
DESCRIPTIONS: Mapping[str, tuple[str, ...]] = {
    "block": ("a block", "a solid with flat square sides", "a thing with six square faces"),
    "cylinder": ("a cylinder", "a round solid with straight sides and flat ends", "a round upright column"),
    "ball": ("a ball", "a perfectly round solid that rolls"),
    "bowl": ("a bowl", "a round hollow vessel to eat from", "an open vessel for food or water"),
    "small": ("a small thing", "of little size"),
    "large": ("a large thing", "of great size"),
}
#: Of the softmax over similarities of meaning (MiniLM's cosines of related words differ by about .05).
MEANING_TEMPERATURE = 0.03
#: Of the weights of words: one that is .1 less like the descriptions is drawn a fourth as often.
LIKENESS_TEMPERATURE = 0.07
#: Of the softmax over distances of colour, as `colour_place` measures them.
COLOUR_TEMPERATURE = 0.15


def meanings(words: Sequence[str], names: Sequence[str], embed: Embed) -> tuple[Array, Array]:
    """How much each word means each of some described names, by a sentence embedding.

    Returns:
        (words, names), rows that sum to one; and (words,), the cosine with the likest description.
    """
    vectors = embed([f"a {word}" for word in words])
    near = np.stack([(vectors @ embed(DESCRIPTIONS[name]).T).max(axis=1) for name in names], axis=1)
    return _shares(near / MEANING_TEMPERATURE), near.max(axis=1)


def colour_meanings(swatches: Array, colours: Array) -> Array:
    """How much each swatch is each colour, both (N, 3) in [0, 1]; (swatches, colours)."""
    gaps = np.linalg.norm(colour_place(swatches)[:, None] - colour_place(colours)[None], axis=-1)
    return _shares(-gaps / COLOUR_TEMPERATURE)


def colour_place(rgb: Array) -> Array:
    """Where colours lie, (N, 4): hue on a circle as wide as they are saturated, saturation, and lightness.

    Names go by hue where there is one, and by lightness where there is none, so that navy is a blue: from CIE
    L*a*b* (D65), with lightness counting half as much for full colours.
    """
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear @ to_xyz.T / np.array([0.9505, 1.0, 1.089])
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116).T
    light, red, yellow = 1.16 * y - 0.16, 500 * (x - y), 200 * (y - z)
    chroma = np.hypot(red, yellow)
    full = np.tanh((chroma / 40) ** 2)  # squared: a tint is called white
    turn = full / np.maximum(chroma, 1e-6)
    place: Array = np.stack(
        [red * turn, yellow * turn, 0.3 * full, 0.5 * light * (1 - 0.5 * full)], axis=1
    ).astype(np.float32)
    return place


def _shares(scores: Array) -> Array:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Array = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares
