"""What a short line means while the arm moves, or between commands: stop, wait, go on, undo, a correction.

Of all of them "stop" must never be missed: any spelling, any case, with a slip of the finger, in several
languages, with letters of another alphabet that look the same. A line that only may be one counts as one.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import Enum

from planners import vocabulary as words


class Kind(str, Enum):
    """What a line is, by its words alone."""

    STOP = "stop"
    WAIT = "wait"
    GO_ON = "go on"
    PUT_BACK = "put back"
    UNDO = "undo"
    AGAIN = "again"
    CORRECTION = "correction"
    LEAVE = "leave"
    OTHER = "other"


@dataclass(frozen=True)
class Interjection:
    """A line as it was heard.

    Attributes:
        kind: what it is.
        rest: what is left without the words that told: of "no, the green one", "the green one".
    """

    kind: Kind
    rest: str


def folded(line: str) -> str:
    """Lower case without accents, invisible marks and the forms that letters may take."""
    text = unicodedata.normalize("NFKD", " ".join(line.split())).casefold()
    return "".join(mark for mark in text if unicodedata.category(mark) not in ("Cf", "Mn", "Mc", "Me", "Cc"))


#: Words that stop the arm wherever they stand in a line, folded as `folded` folds.
_STOPS = frozenset(
    folded(word)
    for word in words.word_set(
        """
        stop halt freeze whoa woah abort quit cancel emergency estop enough desist
        stopp anhalten aufhoren arrete arretez stoppe alto basta para parar pare pares detente ferma fermati
        stoj stoi zatrzymaj dur stanna
        стоп стой остановись 停 停止 止まれ 止まって ストップ とまれ 멈춰 정지 توقف قف עצור रुको
        """
    )
)
#: Written without spaces between words: these are looked for anywhere in the line.
_UNSPACED = tuple(word for word in _STOPS if word[0] > "\u2dff")
_STOP_PHRASES = re.compile(r"\bhold (?:it|still)\b|\bdon ?'?t move\b|\bdo not move\b|\bcut it out\b")
#: A look-alike letter, or a digit in a letter's place -> the letter.
_LOOKALIKES = str.maketrans("ѕоорртсехаі0157$", "soopptcexaioists")
_COURTESY = words.COURTESY | words.word_set(
    "it now right there at once no oh god hey ok please the arm motion you"
)


def _pattern(*parts: str) -> re.Pattern[str]:
    return re.compile("".join(parts))


_POLITE = "(?:ok |okay |no |please |now |and |then )*"
_WAIT = _pattern(
    _POLITE,
    "(?:wait|pause|hang on|hold on|(?:just )?(?:one|a) (?:moment|second|minute))",
    "(?: (?:a (?:moment|second|minute|bit)|please|there))*",
)
_GO_ON = _pattern(
    _POLITE,
    "(?:go on|go ahead|continue|carry on|resume|proceed|keep going)(?: (?:now|please|with (?:it|that)))*",
)
_PUT_BACK = _pattern(
    _POLITE,
    r"put (?P<what>it|that|them|the [\w ]+?) back",
    "(?: (?:please|again|now|where (?:it|they) (?:was|were)(?: before)?))*",
)
_UNDO = _pattern(
    _POLITE,
    "(?:undo|revert|reverse|take back)",
    "(?: (?:it|that|this|the last (?:one|command|step|thing)|what you (?:just )?did))?(?: please)?",
)
_AGAIN = _pattern(
    _POLITE,
    "(?:(?:do|repeat) (?:that|it|this|the same)(?: thing)?(?: again)?",
    "|once more|one more time|again|repeat|same again)(?P<rest>(?: (?:with|for|to|but) .+)?)",
)
_LEAVE = _pattern("exit|bye|goodbye|good bye|quit|leave|end|that is all|that's all|:q")
_NO = "no+|nope|nah|wrong|not that|sorry|oops|rather|instead|actually|better|make (?:it|that)"
_MEANT = "i (?:meant|mean|said|wanted)"
_CORRECTED = _pattern(rf"(?:oh |wait |hey |hmm |ok |okay )*(?:{_NO}|{_MEANT})(?![\w'])")
_CONTRASTED = _pattern(r"not [\w ]+?(?:,| but|, but) (?:the |in |on |to )")
#: What stands before and after what a correction is about.
_LEADS = _pattern(
    rf"\A(?:oh|wait|hey|not that one|not it|that one|{_NO}|{_MEANT}",
    r"|please|use|take|with|for|to|but|and|,)(?![\w'])\s*",
)
_TRAILS = _pattern(rf"(?:,| )+(?:{_MEANT}|instead|rather|please|sorry|actually|this time)$")


def heard(line: str) -> Interjection:
    """Classify a line that is typed between commands; only words that stop alone, plain, are a stop here."""
    text = plain(line)
    told = _told(text)
    if told is not None:
        return told
    if _LEAVE.fullmatch(text):
        return Interjection(Kind.LEAVE, "")
    alone = [word for word in text.split() if word not in _COURTESY]
    if alone and all(word in _STOPS for word in alone):
        return Interjection(Kind.STOP, "")
    return _corrected(text) or Interjection(Kind.OTHER, line)


def heard_moving(line: str) -> Interjection:
    """Classify a line that is typed while the arm moves; whatever may be a stop is one."""
    if says_stop(line):
        return Interjection(Kind.STOP, "")
    return heard(line)


def _told(text: str) -> Interjection | None:
    for pattern, kind in (
        (_WAIT, Kind.WAIT),
        (_GO_ON, Kind.GO_ON),
        (_PUT_BACK, Kind.PUT_BACK),
        (_UNDO, Kind.UNDO),
        (_AGAIN, Kind.AGAIN),
    ):
        match = pattern.fullmatch(text)
        if match is None:
            continue
        named = match.groupdict()
        rest = named.get("what") or named.get("rest") or ""
        return Interjection(kind, _stripped(rest.strip()))
    return None


def _corrected(text: str) -> Interjection | None:
    if _CORRECTED.match(text) or _TRAILS.search(text) or _CONTRASTED.match(text):
        return Interjection(Kind.CORRECTION, _stripped(text))
    return None


def _stripped(text: str) -> str:
    before = None
    while before != text:
        before = text
        text = _TRAILS.sub("", _LEADS.sub("", text)).strip(" ,")
    return text


def plain(line: str) -> str:
    """Lower case, one space between words, apostrophes and commas kept, no other mark at the ends."""
    text = words.visible(line).replace("’", "'").casefold()
    text = "".join(mark for mark in text if unicodedata.category(mark) != "Mn")
    text = re.sub(r"[^\w',:]+", " ", text)
    return re.sub(r"\s*,\s*", ", ", text).strip(" ,")


def says_stop(line: str) -> bool:
    """Whether a line may ask the arm to stop: rather once too often than missed."""
    return any(_says(text) for text in (folded(line), folded(line).translate(_LOOKALIKES)))


def _says(text: str) -> bool:
    tokens = re.findall(r"[^\W_]+", text.replace("'", ""))
    joined = "".join(tokens)
    if not joined:
        return False
    if any("stop" in _single(token) or token in _STOPS for token in tokens) or _STOP_PHRASES.search(text):
        return True
    if any(word in joined for word in _UNSPACED) or _single(joined) in ("stop", "halt", "stp"):
        return True
    told = [token for token in tokens if token not in _COURTESY] or tokens
    alone = len(told) == 1
    return any(_slip(token) for token in told if alone or token not in words.KNOWN)


def _single(token: str) -> str:
    """Letters that were held down too long, once: "sttoooop" is "stop"."""
    return re.sub(r"(.)\1+", r"\1", token)


def _slip(token: str) -> bool:
    """Whether a token is "stop" but for one slip: a letter more, less, other, or two that changed places."""
    return any(_one_slip(each, "stop") for each in {token, _single(token)})


def _one_slip(typed: str, meant: str) -> bool:
    if len(typed) == len(meant):
        wrong = [place for place in range(len(typed)) if typed[place] != meant[place]]
        return len(wrong) < 2 or (
            len(wrong) == 2 and wrong[1] == wrong[0] + 1 and sorted(typed) == sorted(meant)
        )
    short, long = sorted((typed, meant), key=len)
    return len(long) == len(short) + 1 and any(
        long[:place] + long[place + 1 :] == short for place in range(len(long))
    )
