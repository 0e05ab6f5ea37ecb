"""Out of a bowl or drawer again, where nothing comes out of; and notes of a thing and a place."""

from __future__ import annotations

from planners.compact import MOST_WORDS, Answer, Goal, Refuse
from planners.forms import resolve
from planners.phrasing.author import Author, speaks_back
from planners.phrasing.families.placing import where
from planners.phrasing.meaning import feasible, sample_literal
from planners.phrasing.noise import MARK
from planners.phrasing.nouns import colour_of, standard
from planners.phrasing.scenes import LOOSE
from planners.phrasing.templates import fill

#: What asks for something that no skill can do, though its words are plain.
UNREACHABLE = ("out of", "all out of", "replaced")
_IN_THERE = 0.65


def _said_inside(author: Author) -> tuple[str, str, str] | None:
    """A thing that is said to lie in a container, the container, and the thing in the reader's language."""
    places = [each.name for each in author.scene.tagged("container")]
    inside = sorted(f.args for f in author.scene.facts if f.predicate == "in")
    if inside and author.rng.random() < _IN_THERE:
        name, place = author.rng.choice(inside)
    elif places:
        name = author.rng.choice([each.name for each in author.scene.tagged("graspable")])
        place = author.rng.choice(places)
    else:
        return None
    words = author.plainly(name)
    there = author.plainly(place)
    if len(words.split()) > MOST_WORDS or words.startswith("the the"):
        return None
    text = f"{author.speaker.text(name)} in {author.speaker.text(place)}"
    return f"{MARK}{words}{MARK}", there, text


def _answer(author: Author, template: str, words: dict[str, str], form: str) -> tuple[str, Answer]:
    """A command with what its form comes to: a goal that no plan reaches, or that the thing is not there."""
    author.form = form
    answer = resolve(form, author.scene)
    text = fill(template, words)
    if isinstance(answer, Refuse):
        return text, Refuse("missing", MARK)
    return text.replace(MARK, ""), answer


def out_of(author: Author) -> tuple[str, Answer] | None:
    """Out of there: into the hand, or to another place."""
    said = _said_inside(author)
    if said is None:
        return None
    thing, there, text = said
    if author.rng.random() < 0.55:
        return _answer(
            author, author.phrase("retrievals", "out"), {"X": thing, "Y": there}, f"holding({text})"
        )
    step = sample_literal(author.rng, author.scene, author.rng.choice(("in", "table", "table")))
    place = where(author, step) if step and not step.groups[1].pick else None
    if step is None or not place or speaks_back(place) or there in place:
        return None
    to = author.speaker.meant.get(step.groups[1]) or str(step.groups[1])
    words = {"X": thing, "Y": there, "P": place}
    return _answer(author, author.phrase("retrievals", "out_to"), words, f"{step.predicate}({text}, {to})")


def all_out_of(author: Author) -> tuple[str, Answer] | None:
    """All, or all of a kind, out of there and onto the table."""
    inside = sorted(f.args for f in author.scene.facts if f.predicate == "in")
    if not inside:
        return None
    name, place = author.rng.choice(inside)
    kind = author.scene.entity(name).kind
    words = {
        "Y": author.plainly(place),
        "T": author.speaker.word("table"),
        "K": author.speaker.word(f"{kind}s"),
    }
    section, what = author.rng.choice((("out_all", "thing"), ("out_all", "thing"), ("out_kind", kind)))
    form = f"on(all {what} in {author.speaker.text(place)}, table)"
    return _answer(author, author.phrase("retrievals", section), words, form)


def replaced(author: Author) -> tuple[str, Answer] | None:
    """One thing out of there, and another in."""
    said = _said_inside(author)
    if said is None:
        return None
    thing, there, text = said
    movable = [each.name for each in author.scene.tagged("graspable")]
    free = [
        name
        for name in movable
        if not any(f.predicate == "in" and f.args[0] == name for f in author.scene.facts)
    ]
    other = author.rng.choice(free) if free else ""
    if not other or author.plainly(other) in thing:
        return None
    words = {"X": thing, "Y": there, "X2": author.plainly(other), "T": author.speaker.word("table")}
    place = text.rpartition(" in ")[2]
    form = f"on({text}, table) and in({author.speaker.text(other)}, {place})"
    return _answer(author, author.phrase("retrievals", "replaced"), words, form)


def note(author: Author) -> tuple[str, Answer] | None:
    """A thing and a place and no verb, where either may fit several: "ball, bowl, now"."""
    places = sorted({each.kind for each in author.scene.tagged("container")})
    movable = list(author.scene.tagged("graspable"))
    if not places:
        return None
    thing, place = author.rng.choice(movable), author.rng.choice(places)
    colour = colour_of(thing) if author.rng.random() < 0.6 else None
    kind = thing.kind if colour is None or author.rng.random() < 0.8 else None
    bowl = author.scene.entity(author.rng.choice([e.name for e in author.scene.entities if e.kind == place]))
    shade = colour_of(bowl) if place == "bowl" and author.rng.random() < 0.4 else None
    author.form = f"in({standard(kind, colour)}, {standard(place, shade) if place in LOOSE else place})"
    answer = resolve(author.form, author.scene)
    if isinstance(answer, Goal) and not feasible(answer.literals, author.scene):
        return None
    if isinstance(answer, Refuse):
        return None
    words = {"L": author.speaker.described(kind, colour, None)}
    words["Y"] = (
        author.speaker.described(place, shade, None) if place in LOOSE else author.speaker.word(place)
    )
    if author.rng.random() < 0.7:
        words["Y"] = words["Y"].removeprefix("the ")
    return fill(author.phrase("retrievals", "note_in"), words), answer
