"""How different the tasks of a set are: in words, in meaning, and in structure.

Numbers of text are compared at the same sample size only: Self-BLEU grows with the number of references.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.generative.novelty import ALIKE, Embed

ORDER = 4
#: What stands for a count of nothing (Chen and Cherry, "A systematic comparison of smoothing techniques for
#: sentence-level BLEU", WMT 2014, technique 1).
EPSILON = 0.1


@dataclass(frozen=True)
class Diversity:
    """Of a set of descriptions; all but `vendi` are lower for more different ones.

    Attributes:
        count: descriptions.
        words: in one, on average.
        self_bleu: mean BLEU-4 of each against all others.
        cosine: mean over pairs.
        nearest: mean cosine to the most alike other one.
        alike: share whose most alike other one has a cosine above 0.9.
        vendi: effective number of different descriptions (Friedman and Dieng, TMLR 2023).
    """

    count: int
    words: float
    self_bleu: float
    cosine: float
    nearest: float
    alike: float
    vendi: float


def diversity(texts: Sequence[str], embed: Embed) -> Diversity:
    """Measure a set of two descriptions or more."""
    sentences = [tokens(text) for text in texts]
    vectors = np.asarray(embed(list(texts)), float)
    kernel = vectors @ vectors.T
    pairs = kernel[np.triu_indices(len(texts), 1)]
    nearest = (kernel - 2.0 * np.eye(len(texts))).max(axis=1)
    return Diversity(
        count=len(texts),
        words=float(np.mean([len(sentence) for sentence in sentences])),
        self_bleu=self_bleu(sentences),
        cosine=float(pairs.mean()),
        nearest=float(nearest.mean()),
        alike=float((nearest > ALIKE).mean()),
        vendi=vendi_score(kernel),
    )


def tokens(text: str) -> list[str]:
    """Words in lower case, without punctuation."""
    return re.findall(r"[a-z0-9']+", text.lower())


def self_bleu(sentences: Sequence[Sequence[str]]) -> float:
    """Mean of `bleu` of each sentence against all others."""
    scores = [
        bleu(sentence, [*sentences[:number], *sentences[number + 1 :]])
        for number, sentence in enumerate(sentences)
    ]
    return float(np.mean(scores))


def bleu(sentence: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """BLEU-4 of a sentence (Papineni et al., ACL 2002), smoothed: see `EPSILON`."""
    total = 0.0
    for order in range(1, ORDER + 1):
        grams = _grams(sentence, order)
        most: Counter[tuple[str, ...]] = Counter()
        for reference in references:
            most |= _grams(reference, order)
        matches = (grams & most).total()
        total += math.log((matches or EPSILON) / max(grams.total(), 1)) / ORDER
    length = len(sentence)
    closest = min((abs(len(reference) - length), len(reference)) for reference in references)[1]
    brevity = 0.0 if length >= closest else 1.0 - closest / length
    return math.exp(total + brevity)


def vendi_score(kernel: NDArray[np.float64]) -> float:
    """Exponential of the entropy of the eigenvalues of a similarity matrix, (N, N), ones on its diagonal."""
    values = np.linalg.eigvalsh(kernel / len(kernel))
    values = values[values > 1e-12]
    return float(np.exp(-(values * np.log(values)).sum()))


def matched(
    texts: Sequence[str], embed: Embed, size: int, draws: int = 3, seed: int = 0
) -> tuple[Diversity, ...]:
    """The diversity of random subsets of one size, so that sets of different sizes can be compared."""
    rng = np.random.default_rng(seed)
    subsets = (rng.choice(len(texts), size, replace=False) for _ in range(draws))
    return tuple(diversity([texts[int(index)] for index in subset], embed) for subset in subsets)


def _grams(sentence: Sequence[str], order: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(sentence[start : start + order]) for start in range(len(sentence) - order + 1))
