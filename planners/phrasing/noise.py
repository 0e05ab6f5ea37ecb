"""Slips of the finger and of the ear: what people type is not what they mean to type.

Most commands are clean, many have a slip or two; some people type as on a telephone, some hardly look at
the keys, some have their words written down by a machine that hears badly. Words between marks (`MARK`) are
left alone, as the answer quotes them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping

MARK = "\x01"
_NEIGHBOURS = {
    "a": "sqz", "b": "vnh", "c": "xvd", "d": "sfe", "e": "wrd", "f": "dgr", "g": "fht", "h": "gjy",
    "i": "uok", "j": "hku", "k": "jli", "l": "ko", "m": "nj", "n": "bmh", "o": "ipl", "p": "ol", "q": "wa",
    "r": "etf", "s": "adw", "t": "ryg", "u": "yij", "v": "cbf", "w": "qes", "x": "zcs", "y": "tuh", "z": "xa",
}  # fmt: skip
#: How words are often misspelt.
_MISSPELT = {
    "drawer": ("draw", "drawers", "drwaer", "draweer", "dror", "drawr", "drawyer", "draer", "droor"),
    "yellow": ("yelow", "yello", "yelllow", "yeller", "yellwo", "jellow", "yelo"),
    "cylinder": (
        "cilinder", "cylindar", "cylender", "cyllinder", "sylinder", "cilynder", "cylinda", "cyliner",
        "cillinder", "cylnder", "silinder",
    ),
    "purple": ("purpel", "pruple", "purble", "purpul", "puple", "perple"),
    "bowl": ("boul", "bowel", "bowll", "bole", "boll", "bwol", "bolw", "bowle"),
    "ball": ("bal", "balll", "bll", "baal", "bawl", "abll"),
    "block": ("blok", "bloc", "blcok", "blokc", "blck", "bolck", "blook"),
    "blocks": ("bloks", "blocs", "blcoks"), "balls": ("bals", "ballz"),
    "orange": ("orage", "ornage", "oringe", "oragne", "orenge", "orang"),
    "button": ("buton", "butten", "bottun", "buttn", "butn", "buttin", "botton"),
    "please": ("plese", "pleas", "pls", "plz", "pleaes", "plase", "pleeze", "pliz", "pleease"),
    "white": ("wite", "whit", "wihte", "whtie", "wight", "whyte"), "red": ("redd", "erd", "read"),
    "green": ("gren", "grean", "geen", "grene", "greeen", "grn"), "small": ("smal", "smll", "smalll"),
    "blue": ("bleu", "blu", "bule", "blew", "bleue", "bloo"), "cyan": ("cian", "cyian", "syan", "cyna"),
    "large": ("lagre", "larg", "lareg", "larje"), "big": ("bigg", "bog"),
    "and": ("adn", "an", "nd", "annd", "ad"), "with": ("wiht", "wit", "wth", "whit", "wif"),
    "everything": ("everthing", "evrything", "everyting", "evrythin", "everythign", "everyhting"),
    "close": ("clsoe", "colse", "cloze", "closse", "clos", "clse"), "open": ("opne", "oepn", "opan", "opn"),
    "your": ("ur", "youre", "yor", "yuor"), "you": ("u", "yuo", "yu", "yoi"), "the": ("teh", "th", "da"),
    "then": ("than", "thn", "hten", "thne"), "table": ("tabel", "tbale", "tabble", "tabl", "taple"),
    "put": ("putt", "pt", "pu", "puut", "out"), "push": ("puhs", "psuh", "pusch", "puch"),
    "pick": ("pcik", "pik", "pic", "pich"), "press": ("pres", "perss", "prees", "presss"),
    "into": ("in to", "inot", "itno", "inta"), "onto": ("on to", "ontop", "otno"), "in": ("inn", "ni"),
    "don't": ("dont", "don t", "dnt", "do nt", "don;t"), "door": ("dore", "dor", "dooor", "doro"),
    "light": ("lite", "ligth", "lihgt"), "lamp": ("lamb", "lapm", "lampe"), "left": ("lef", "letf", "lefft"),
    "right": ("rigth", "rite", "rihgt", "righ", "write"), "forward": ("foward", "forwrd", "farward"),
    "inside": ("insid", "indside", "in side"), "there": ("their", "ther", "thare"), "to": ("too", "ot", "2"),
    "where": ("were", "wher", "whre"), "would": ("wud", "woud", "wold"), "could": ("cud", "coud", "culd"),
    "should": ("shud", "shoud", "shoul", "shold"), "other": ("othr", "ohter", "oter"), "it": ("ti", "itt"),
    "stack": ("stak", "satck"), "tower": ("towr", "towwer", "toer"), "take": ("tkae", "tak", "taek"),
    "that": ("taht", "tht", "dat", "thta"), "this": ("tihs", "dis", "thsi"), "robot": ("robto", "robt"),
    "holding": ("holdng", "hoding", "holdin"), "something": ("somthing", "sumthing"),
    "otherwise": ("otherwize", "oterwise", "othewise"), "unless": ("unles", "unlss"), "it's": ("its", "it s"),
    "isn't": ("isnt", "isn t"), "nothing": ("nothin", "nothng"), "what": ("wat", "waht", "wot"),
}  # fmt: skip
#: What a telephone makes of words.
_PHONE = {
    "please": "pls", "you": "u", "your": "ur", "you're": "ur", "are": "r", "thanks": "thx", "thank you": "ty",
    "the": "da", "and": "n", "to": "2", "for": "4", "with": "w", "because": "cuz", "want to": "wanna",
    "going to": "gonna", "got to": "gotta", "give me": "gimme", "let me": "lemme", "that": "dat",
    "then": "den", "one": "1", "two": "2", "three": "3", "them": "em", "there": "der",
    "okay": "k", "right now": "rn", "before": "b4", "very": "v", "can't": "cant", "just": "jus",
    "would": "wud", "could": "cud", "should": "shud", "something": "smth", "some": "sum", "big": "bigg",
}  # fmt: skip


def noisy(text: str, rng: random.Random) -> str:
    """A command with a slip or two, with commas and articles left out now and then."""
    if rng.random() < 0.25:
        text = re.sub(r"\s*[,;]\s*", " ", text)
    if rng.random() < 0.08:
        text = re.sub(r"\b(the|a|an) ", "", text)
    if rng.random() < 0.1:
        text = _outside(text, lambda part: part.replace("'", ""))
    if rng.random() < 0.05:
        text = _outside(text, lambda part: _on_the_phone(part, rng))
    if rng.random() < 0.24:
        for _ in range(rng.choices((1, 2, 3, 5), (6, 4, 2, 1))[0]):
            text = _slip(text, rng)
    if rng.random() < 0.35:
        text += rng.choice(
            (".", ".", ".", ".", "!", "!", "?", "...", " .", "!!", "..", " !", "?!", ",", " x")
        )
    return text


def _outside(text: str, change: Callable[[str], str]) -> str:
    """Change what is not between marks."""
    return MARK.join(part if n % 2 else change(part) for n, part in enumerate(text.split(MARK)))


def _on_the_phone(text: str, rng: random.Random) -> str:
    shorts = {long: short for long, short in _PHONE.items() if rng.random() < 0.6}
    return _spelt(re.sub(r"ing\b", "in", text) if rng.random() < 0.2 else text, shorts)


def _spelt(text: str, words: Mapping[str, str]) -> str:
    if not words:
        return text
    return re.sub(rf"\b({'|'.join(words)})\b(?!')", lambda match: words[match[0]], text)


def _slip(text: str, rng: random.Random) -> str:
    words = text.split(" ")
    open_to = [n for n, word in enumerate(words) if word.isascii() and len(word) > 1 and _unmarked(words, n)]
    if not open_to:
        return text
    place = rng.choice(open_to)
    word = words[place]
    bare = word.strip(".,!?;:")
    if bare in _MISSPELT and rng.random() < 0.5:
        words[place] = word.replace(bare, rng.choice(_MISSPELT[bare]))
    elif rng.random() < 0.18 and place + 1 < len(words) and _unmarked(words, place + 1):
        words[place : place + 2] = _run_together(word, words[place + 1], rng)
    elif len(bare) > 3 and bare.isalpha():
        words[place] = word.replace(bare, rng.choice(_SLIPS)(bare, rng))
    return " ".join(words)


def _run_together(word: str, after: str, rng: random.Random) -> list[str]:
    """Two words without their space, or with it a letter too early or too late."""
    draw = rng.random()
    if draw < 0.2:
        return [word[:-1], word[-1] + after]
    return [word + after[0], after[1:]] if draw < 0.3 and len(after) > 1 else [word + after]


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


def _touched(word: str, rng: random.Random) -> str:
    """A neighbouring key pressed as well."""
    at = rng.randrange(len(word))
    return word[: at + 1] + rng.choice(_NEIGHBOURS.get(word[at], word[at])) + word[at + 1 :]


def _torn(word: str, rng: random.Random) -> str:
    at = rng.randrange(1, len(word))
    return f"{word[:at]} {word[at:]}"


_SLIPS: tuple[Callable[[str, random.Random], str], ...] = (
    _swapped, _swapped, _dropped, _dropped, _doubled, _beside, _beside, _touched, _torn,
)  # fmt: skip
