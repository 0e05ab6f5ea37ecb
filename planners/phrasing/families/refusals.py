"""Commands that are refused: talk, orders to the machine, harm, and what no skill, thing or rule allows."""

from __future__ import annotations

import re
from collections.abc import Mapping

from planners.compact import CANNOT, MOST_WORDS, Answer, Literal, Refuse, literal
from planners.phrasing.author import TRIES, Author
from planners.phrasing.noise import MARK
from planners.phrasing.nouns import standard
from planners.phrasing.scenes import COLOURS, LOOSE, SIZES
from planners.phrasing.templates import fill, phrases, slots
from robot_skills.logic import Atom

#: Imperatives that are the opposite of another one when they are forbidden.
KEEPS = re.compile(r"(leave|keep|let|have|make|ensure|see|check|stop|double-check|get|hang|hold on) ?\b")


def question(author: Author) -> tuple[str, Answer] | None:
    """A question or talk, an answer to nobody."""
    section = author.rng.choice(("question", "talk"))
    return fill(author.phrase("chat", section), author.any_words()), Refuse("chat")


def injection(author: Author) -> tuple[str, Answer] | None:
    """Words meant for the machine behind the robot."""
    return fill(author.phrase("chat", "injection"), author.any_words()), Refuse("injection")


def hazard(author: Author) -> tuple[str, Answer] | None:
    """Something that would hurt."""
    text = fill(author.phrase("refusals", "hazard"), author.any_words())
    return author.wrapped(text), Refuse("hazard")


def forbidden(author: Author) -> tuple[str, Answer] | None:
    """Only what not to do: nothing that asks for its opposite, as "don't leave it open" does."""
    words = author.any_words()
    if KEEPS.match(words["A"]):
        return None
    return fill(author.phrase("refusals", "forbidden"), words), Refuse("forbidden")


def no_skill(author: Author) -> tuple[str, Answer] | None:
    """A verb that no skill is for."""
    template = author.phrase("refusals", "skill").replace("W", MARK)
    return author.wrapped(fill(template, author.any_words())), Refuse("skill", MARK)


def no_place(author: Author) -> tuple[str, Answer] | None:
    """A place that no relation reaches."""
    words = author.any_words()
    lines = phrases("words")["elsewhere"]
    place = author.rng.choice(lines.training + lines.held_out)
    others = [e.name for e in author.scene.entities if e.kind in LOOSE]
    near = {"X": author.plainly(author.rng.choice(others)), "Y": author.plainly(author.rng.choice(others))}
    lead, slot, rest = place.partition(" X")
    shown = f"{MARK}{lead}{MARK}{fill(slot + rest, near)}" if slot else f"{MARK}{place}{MARK}"
    if not slot and len(place.split()) > MOST_WORDS:
        most, over = place.split()[:MOST_WORDS], place.split()[MOST_WORDS:]
        shown = f"{MARK}{' '.join(most)}{MARK} {' '.join(over)}"
    template = author.phrase("refusals", "place").replace("WPW", "P")
    return fill(template, {**words, "P": shown}), Refuse("place", MARK)


def missing(author: Author) -> tuple[str, Answer] | None:
    """A thing that is not here: of another kind, of another colour, or more of them than there are."""
    words = author.any_words()
    if author.rng.random() < 0.45:
        noun = author.speaker.word("unknown")
        colour = author.rng.choice((*COLOURS, "small", "big", "my", "old"))
        name = f"{colour} {noun}" if author.rng.random() < 0.3 else noun
        section = "missing"
        text = ""
    else:
        (name, text), section = _absent(author), "missing_loose"
    if not name or len(name.split()) > MOST_WORDS:
        return None
    template = author.phrase("refusals", section)
    if text:
        words, author.form = _asked_of(author, text, template, words)
    filled = fill(template.replace("WMW", f"{MARK}M{MARK}"), {**words, "M": name})
    return author.wrapped(filled), Refuse("missing", MARK)


def missing_fixture(author: Author) -> tuple[str, Answer] | None:
    """To switch, open or shut what is not here, though it sounds like what is: the oven."""
    name = author.phrase("refusals", "unknown_fixture")
    template = author.phrase("refusals", "missing_fixture")
    if len(name.split()) > MOST_WORDS:
        return None
    filled = fill(template.replace("WMW", f"{MARK}M{MARK}"), {**author.any_words(), "M": name})
    return author.wrapped(filled), Refuse("missing", MARK)


_WAY = re.compile(r"\b(left|right|forward|back)$")


def _asked_of(
    author: Author, text: str, template: str, words: Mapping[str, str]
) -> tuple[dict[str, str], str]:
    """Words for a command about what is not here, and the command in the reader's language.

    Args:
        author: whose scene it is.
        text: what is not here.
        template: of the section "missing_loose".
        words: for its slots, if need be.
    """
    movable = [each.name for each in author.scene.tagged("graspable")]
    places = [each.name for each in author.scene.tagged("container")]
    if not places:
        return dict(words), ""
    thing, place = author.rng.choice(movable), author.rng.choice(places)
    filled = {**words, "X": author.plainly(thing), "Y": author.plainly(place)}
    if way := _WAY.search(template):
        return filled, f"moved({text}, {way[1]})"
    if "the table" in template:
        return filled, f"on({text}, table)"
    if "the drawer" in template:
        if "drawer" not in places:
            return dict(words), ""
        return filled, f"open(drawer) and in({text}, drawer)"
    if "Y" not in slots(template):
        return filled, f"holding({text})"
    both = f"{author.speaker.text(thing)} & {text}" if "X" in slots(template) else text
    return filled, f"in({both}, {author.speaker.text(place)})"


def _absent(author: Author) -> tuple[str, str]:
    """A kind and a colour that nothing here has, each of which may well be here.

    Returns:
        In words, and in the reader's language: empty for colours that it does not know.
    """
    for _ in range(TRIES):
        kind = author.rng.choice(LOOSE[:3])
        colour = author.rng.choice(COLOURS) if author.rng.random() < 0.7 else author.speaker.word("absent")
        if colour in COLOURS and author.speaker.fitting(kind, colour):
            alike = map(author.scene.entity, author.speaker.fitting(kind, colour))
            sizes = {entity.attributes.get("size") for entity in alike}
            lacking = [size for size in SIZES if size not in sizes]
            if None in sizes or not lacking:
                continue
            text = standard(kind, colour, author.rng.choice(lacking))
            return text, text
        if not author.speaker.fitting(kind) and author.rng.random() < 0.5:
            return author.speaker.word(kind), kind
        shown = author.speaker.word(colour) if colour in COLOURS and author.rng.random() < 0.3 else colour
        words = f"{shown} {author.speaker.word(kind) if author.rng.random() < 0.3 else kind}"
        return words, standard(kind, colour) if colour in COLOURS else ""
    return "", ""


def too_many(author: Author) -> tuple[str, Answer] | None:
    """More of a kind than there are."""
    kind = author.rng.choice(LOOSE[:3])
    number = len(author.speaker.fitting(kind)) + author.rng.randint(1, 2)
    if number < 2 or number > 6 or not author.speaker.fitting(kind):
        return None
    shown = f"{('two', 'three', 'four', 'five', 'six')[number - 2]} {author.speaker.word(kind + 's')}"
    if len(shown.split()) > MOST_WORDS:
        return None
    lines = (
        "put the WMW in Y", "put WMW in Y", "stack the WMW", "push the WMW to the left",
        "put all WMW in Y", "i want the WMW in Y", "put my WMW on the table", "get the WMW into Y",
        "build a tower of WMW", "place the WMW in Y", "WMW in Y", "move the WMW to Y",
    )  # fmt: skip
    template = author.rng.choice(lines).replace("WMW", f"{MARK}M{MARK}")
    return fill(template, {**author.any_words(), "M": shown}), Refuse("missing", MARK)


def cannot(author: Author) -> tuple[str, Answer] | None:
    """What the rules of the world forbid: on a ball, a bowl in a drawer, to open a block."""
    item = _impossible(author)
    words = author.say(item, named=True) if item else None
    if item is None or words is None:
        return None
    return author.framed(words), Refuse(CANNOT, str(item).replace(", left)", ")"))


def _impossible(author: Author) -> Literal | None:
    names = {kind: [e.name for e in author.scene.entities if e.kind == kind] for kind in (*LOOSE, "drawer")}
    loose = [e.name for e in author.scene.entities if e.kind in LOOSE]
    rng = author.rng
    draw = rng.choice(("in", "on", "on", "on", "holding", "open", "closed", "pressed", "moved"))
    if draw in ("in", "on"):
        places = [e.name for e in author.scene.entities if e.name != "table"]
        item, place = rng.choice(loose), rng.choice(places)
        kinds = author.scene.entity(item).kind, author.scene.entity(place).kind
        same = item == place or Atom("fits", (item, draw, place)) in author.scene.facts
        odd = draw == "on" and kinds[1] in ("drawer", "button", "door") and rng.random() < 0.6
        return None if same or odd or place == "button" else literal(draw, item, place)
    if draw == "holding":
        return literal("holding", rng.choice([*names["bowl"], *names["bowl"], "table"]))
    if draw == "moved":
        return literal("moved", rng.choice(names["bowl"]), "left") if names["bowl"] else None
    return literal(draw, rng.choice(loose))
