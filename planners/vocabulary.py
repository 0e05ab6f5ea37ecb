"""The words of commands: what things are called, how they are described, and what verbs ask for."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping


def word_set(text: str) -> frozenset[str]:
    """The words of a text, written out as one."""
    return frozenset(text.split())


def visible(text: str) -> str:
    """A text as it is seen: no marks that are not, one form for each letter, breaks and controls as spaces.

    A word cannot be hidden from the rules by a mark in it that nobody sees.
    """
    text = unicodedata.normalize("NFKC", text)
    shown = (" " if unicodedata.category(mark) == "Cc" else mark for mark in text)
    return "".join(mark for mark in shown if unicodedata.category(mark) != "Cf")


#: kind -> other words for it. Singular; plurals are derived.
KINDS: Mapping[str, tuple[str, ...]] = {
    "block": ("cube", "brick", "cuboid", "cubelet", "slab", "chunk"),
    "cylinder": (
        "can",
        "tube",
        "tin",
        "pillar",
        "roller",
        "column",
        "peg",
        "canister",
        "cyl",
        "drum",
        "barrel",
        "rod",
        "log",
        "dowel",
    ),
    "ball": ("sphere", "orb", "marble", "globe", "spheroid", "pellet", "globule", "bauble"),
    "bowl": ("dish", "basin", "saucer", "vessel", "tureen", "ramekin"),
    "drawer": ("tray", "pullout"),
    "door": ("gate", "hatch", "shutter"),
    "button": ("lamp", "light", "bulb", "buzzer", "switch", "pushbutton", "clicker"),
    "table": (
        "desk",
        "tabletop",
        "worktop",
        "countertop",
        "surface",
        "desktop",
        "workbench",
        "counter",
        "bench",
    ),
}
#: The kinds that "one" and "the others" may stand for.
LOOSE = ("block", "cylinder", "ball", "bowl")
#: Nouns for anything that can be grasped.
GENERIC = ("object", "thing", "item", "toy", "piece", "stuff", "one", "shape")
#: colour or size -> other words for it.
ADJECTIVES: Mapping[str, tuple[str, ...]] = {
    "red": ("crimson", "scarlet", "ruby", "reddish", "carmine", "vermilion", "maroon", "burgundy"),
    "orange": ("tangerine", "amber", "apricot", "saffron", "orangey"),
    "yellow": ("golden", "lemon", "yellowish", "mustard", "canary"),
    "green": ("lime", "emerald", "greenish", "jade", "olive", "verdant"),
    "cyan": ("turquoise", "teal", "aqua", "aquamarine", "cerulean"),
    "blue": ("navy", "azure", "bluish", "cobalt", "sapphire", "ultramarine"),
    "purple": ("violet", "lilac", "magenta", "mauve", "amethyst", "lavender", "purplish"),
    "white": ("ivory", "whitish", "snowy"),
    "pink": ("rose",),
    "black": (),
    "grey": ("gray",),
    "brown": (),
    "small": (
        "little",
        "tiny",
        "smaller",
        "smallest",
        "mini",
        "wee",
        "teeny",
        "littler",
        "littlest",
        "tiniest",
        "miniature",
        "petite",
        "diminutive",
        "minuscule",
        "titchy",
        "diddy",
        "dinky",
    ),
    "large": (
        "big",
        "bigger",
        "biggest",
        "larger",
        "largest",
        "huge",
        "massive",
        "enormous",
        "giant",
        "bulky",
        "gigantic",
        "ginormous",
        "humongous",
        "jumbo",
        "colossal",
        "immense",
        "mammoth",
        "hefty",
    ),
}
SIZES = ("small", "large")

DETERMINERS = frozenset({"the", "this", "that", "these", "those", "my", "your", "our", "its"})
INDEFINITE = frozenset({"a", "an", "any", "some", "either"})
ALL = frozenset({"all", "every", "each", "both"})
EVERYTHING = frozenset({"everything", "anything"})
OTHER = frozenset({"other", "others", "rest", "remaining"})
NUMBERS: Mapping[str, int] = {
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "2": 2, "3": 3, "4": 4, "5": 5, "6": 6,
}  # fmt: skip
EXCEPT = frozenset({"except", "but", "excluding", "besides"})

DIRECTIONS: Mapping[str, tuple[str, ...]] = {
    "left": ("leftward", "leftwards"),
    "right": ("rightward", "rightwards"),
    "forward": ("forwards", "ahead", "forth"),
    "back": ("backward", "backwards"),
}

#: What a word asks for. `into` and `onto` are relations; the other families are verbs.
CUES: Mapping[str, frozenset[str]] = {
    "open": word_set("open pull reopen ajar"),
    "close": word_set("close shut slam reclose"),
    "press": word_set("press push hit tap click activate switch turn light ring punch"),
    "hold": word_set("pick grab take lift hold grasp get fetch raise grip pinch seize"),
    "move": word_set("push pull drag move slide nudge shove shift scoot poke bump budge roll"),
    "put": word_set(
        """
        put place set lay drop insert load fill store stash toss stick bring deposit position rest
        transfer tuck pop leave collect gather pack return stow
        """
    ),
    "down": word_set("down drop release unstack remove off let"),
    "stack": word_set("stack pile tower balance heap"),
    "into": word_set("in into inside within"),
    "onto": word_set("on onto upon atop over top"),
    "off": word_set("off unpress deactivate"),
}
#: What ends a clause.
CLAUSE_BREAKS = frozenset({",", ";", ".", ":", "and", "then", "but"})
PUT_VERBS = CUES["put"] | CUES["stack"]
#: Verbs that name what no skill here does.
BEYOND = word_set(
    """
    paint throw kick swap exchange rotate spin flip pour wipe clean wash break smash cut eat drink draw
    count tell say explain sing give hand shake measure weigh buy sell burn lock unlock hide juggle
    dance cook fold photograph describe sort tidy fly jump walk drive navigate bake hug kiss bend twist
    screw unscrew hammer order play write read show knock assemble charge recharge reboot crush squeeze
    """
)
QUESTION_WORDS = word_set(
    """
    what what's whats who who's where where's when why how which is are was were do does did am has have
    """
)
#: Places that no predicate speaks of.
ELSEWHERE = frozenset(
    {"next to", "close to", "near", "beside", "between", "under", "underneath", "below", "behind", "front of"}
)
PROHIBITIONS = frozenset({"don't", "dont", "never", "without", "avoid", "not", "nothing"})
#: Words that turn what is said around them: the rules read a command right only without them.
TURNS = word_set(
    """
    if unless otherwise else whether provided assuming case not no nor isn't aren't don't dont doesn't didn't
    shouldn't mustn't can't cannot couldn't won't isnt forbid instead rather actually except but excepted
    excluding minus save bar besides other others when while wait sorry oops never without avoid mean meant
    scratch forget cancel correction stop better nothing neither system instructions instruction prompt rules
    """
)
COURTESY = word_set(
    """
    please kindly now hey hi hello robot thanks thank just then first finally next afterwards again ok
    okay
    """
)

_FUNCTION = word_set(
    """
    and or to of it them they there with from out up down for at by so as if i you me we us he she his
    her him be been being is are am was were will would could can can't cannot may might must should
    shall want like need lets let let's go make sure also too after before once while until when where
    back away here it's its that's which who that one ones than more very really carefully slowly gently
    quickly immediately together both same next near beside front behind between under underneath below
    above along across around through toward towards closer further far bit little few cm centimetres
    centimeters inch inches steps step place position put another empty held holding whatever what keep
    do does have having got carry carrying get able himself itself yourself see use using start stop
    help something nothing none no yes not only still over off on in into onto inside
    """
)
#: Nouns that may follow "the" without naming anything in the scene.
INCIDENTAL = word_set(
    """
    left right front back top bottom side end way middle centre center inside outside air hand hands
    gripper finger fingers arm floor ground edge corner handle handles knob room moment direction order
    same first second last tower stack pile heap robot scene world lid user person rest
    """
)


def plural(word: str) -> str:
    """The regular plural."""
    return word + ("es" if word.endswith(("s", "x", "sh", "ch")) else "s")


def inflections(verb: str) -> tuple[str, ...]:
    """The verb's regular forms: press, presses, pressed, pressing; drop, drops, dropped, dropping."""
    stem = verb.removesuffix("e")
    double = verb + verb[-1] if len(verb) > 2 and verb[-1] in "bdgmnpt" and verb[-2] in "aeiou" else verb
    regular = (stem + "ing", stem + "ed", double + "ing", double + "ed")
    return (verb, plural(verb), *regular)


def forms(words: Iterable[str]) -> frozenset[str]:
    """Every regular form of some verbs."""
    return frozenset(form for word in words for form in inflections(word))


CUE_FORMS: Mapping[str, frozenset[str]] = {
    family: words if family in ("into", "onto") else forms(words) for family, words in CUES.items()
}
#: word -> kind, singular and plural
KIND_OF: Mapping[str, str] = {
    form: kind for kind, others in KINDS.items() for word in (kind, *others) for form in (word, plural(word))
}
PLURALS = frozenset(plural(word) for kind, others in KINDS.items() for word in (kind, *others)) | frozenset(
    map(plural, GENERIC)
)
GENERIC_FORMS = frozenset(GENERIC) | frozenset(map(plural, GENERIC))
ADJECTIVE_OF: Mapping[str, str] = {
    word: name for name, others in ADJECTIVES.items() for word in (name, *others)
}
DIRECTION_OF: Mapping[str, str] = {
    word: name for name, others in DIRECTIONS.items() for word in (name, *others)
}
_TARGETS = frozenset(
    [
        "the",
        "and",
        "then",
        *KIND_OF,
        *GENERIC_FORMS,
        *ADJECTIVE_OF,
        *DIRECTION_OF,
        *EVERYTHING,
        *(w for ws in CUES.values() for w in ws),
    ]
)
KNOWN = frozenset().union(
    _TARGETS, _FUNCTION, INCIDENTAL, DETERMINERS, INDEFINITE, ALL, OTHER, NUMBERS, EXCEPT, QUESTION_WORDS,
    PROHIBITIONS, COURTESY, *CUE_FORMS.values(), forms(BEYOND),
)  # fmt: skip


def corrected(word: str, more: frozenset[str] = frozenset()) -> str:
    """The word, or the one known word that is a single slip of the finger away from it.

    A letter left out, doubled or swapped with its neighbour is mended in words of three letters or more, a
    wrong letter only in words of six or more: "wall" must not become "ball".

    Args:
        word: in lower case.
        more: further words that are right as they are, such as those of the scene's names.
    """
    if word in KNOWN or word in more or len(word) < 3 or not word.isalpha():
        return word
    near = {target for target in _TARGETS | more if len(target) > 2 and _one_slip(word, target)}
    return near.pop() if len(near) == 1 else word


def _one_slip(typed: str, meant: str) -> bool:
    if len(typed) == len(meant):
        wrong = [place for place in range(len(typed)) if typed[place] != meant[place]]
        if len(wrong) == 1:
            return len(typed) >= 6
        return len(wrong) == 2 and wrong[1] == wrong[0] + 1 and sorted(typed) == sorted(meant)
    short, long = sorted((typed, meant), key=len)
    if len(long) != len(short) + 1 or len(meant) < 4:
        return False
    return any(long[:place] + long[place + 1 :] == short for place in range(len(long)))


#: Words that are nouns only after a determiner or an adjective: "can you", "switch on", "light the lamp".
SHY_NOUNS = frozenset({"can", "light", "switch", "one"})
