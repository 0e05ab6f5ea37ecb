"""Slips of the finger: what people type is not what they mean to type.

Words between marks (`MARK`) are left alone, as the answer quotes them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

MARK = "\x01"
_NEIGHBOURS = {
    "a": "sq", "b": "vn", "c": "xv", "d": "sf", "e": "wr", "f": "dg", "g": "fh", "h": "gj", "i": "uo",
    "j": "hk", "k": "jl", "l": "k", "m": "n", "n": "bm", "o": "ip", "p": "o", "q": "wa", "r": "et",
    "s": "ad", "t": "ry", "u": "yi", "v": "cb", "w": "qe", "x": "zc", "y": "tu", "z": "x",
}  # fmt: skip
#: What a phone makes of a word, and how it is often misspelt.
_MISSPELT = {
    "drawer": ("draw", "drawers", "drwaer", "draweer", "dror"), "yellow": ("yelow", "yello", "yelllow"),
    "cylinder": ("cilinder", "cylindar", "cylender", "cyllinder", "sylinder"), "the": ("teh", "th", "da"),
    "purple": ("purpel", "pruple", "purble"), "bowl": ("boul", "bowel", "bowll"), "ball": ("bal", "balll"),
    "block": ("blok", "bloc", "blcok", "blokc"), "orange": ("orage", "ornage", "oringe"),
    "button": ("buton", "butten", "bottun"), "please": ("plese", "pleas", "pls", "plz"),
    "white": ("wite", "whit", "wihte"), "green": ("gren", "grean", "geen"), "blue": ("bleu", "blu", "bule"),
    "and": ("adn", "an", "nd"), "with": ("wiht", "wit"), "everything": ("everthing", "evrything"),
    "close": ("clsoe", "colse", "cloze"), "open": ("opne", "oepn", "opan"), "your": ("ur", "youre"),
    "you": ("u", "yuo"), "then": ("than", "thn", "hten"), "table": ("tabel", "tbale"), "put": ("putt", "pt"),
    "into": ("in to", "inot"), "onto": ("on to", "ontop"), "don't": ("dont", "don t", "dnt"),
}  # fmt: skip


def noisy(text: str, rng: random.Random) -> str:
    """A command with a slip or two, with commas and articles left out now and then."""
    if rng.random() < 0.25:
        text = re.sub(r"\s*[,;]\s*", " ", text)
    if rng.random() < 0.06:
        text = re.sub(r"\b(the|a|an) ", "", text)
    if rng.random() < 0.22:
        for _ in range(rng.choice((1, 1, 1, 2, 2, 3))):
            text = _slip(text, rng)
    if rng.random() < 0.35:
        text += rng.choice((".", ".", ".", "!", "!", "?", "...", " .", "!!"))
    return text


def _slip(text: str, rng: random.Random) -> str:
    words = text.split(" ")
    open_to = [n for n, word in enumerate(words) if word.isascii() and len(word) > 2 and _unmarked(words, n)]
    if not open_to:
        return text
    place = rng.choice(open_to)
    word = words[place]
    bare = word.strip(".,!?;:")
    if bare in _MISSPELT and rng.random() < 0.5:
        words[place] = word.replace(bare, rng.choice(_MISSPELT[bare]))
    elif rng.random() < 0.08 and place + 1 < len(words) and _unmarked(words, place + 1):
        words[place : place + 2] = [word + words[place + 1]]
    elif len(bare) > 3 and bare.isalpha():
        words[place] = word.replace(bare, rng.choice(_SLIPS)(bare, rng))
    return " ".join(words)


def _unmarked(words: list[str], place: int) -> bool:
    return MARK not in words[place] and " ".join(words[:place]).count(MARK) % 2 == 0


def _swapped(word: str, rng: random.Random) -> str:
    at = rng.randrange(len(word) - 1)
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def _dropped(word: str, rng: random.Random) -> str:
    at = rng.randrange(1, len(word))
    return word[:at] + word[at + 1 :]


def _doubled(word: str, rng: random.Random) -> str:
    at = rng.randrange(len(word))
    return word[:at] + word[at] + word[at:]


def _beside(word: str, rng: random.Random) -> str:
    at = rng.randrange(1, len(word))
    return word[:at] + rng.choice(_NEIGHBOURS.get(word[at], word[at])) + word[at + 1 :]


_SLIPS: tuple[Callable[[str, random.Random], str], ...] = (_swapped, _dropped, _doubled, _beside)
