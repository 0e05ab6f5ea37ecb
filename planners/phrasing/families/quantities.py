"""How many: all but one, a couple, half of them, one of each kind, both of these and one of those."""

from __future__ import annotations

from planners.compact import Answer, Goal, Group, Literal, literal
from planners.phrasing.author import Author
from planners.phrasing.families.placing import where
from planners.phrasing.groups import any_of
from planners.phrasing.meaning import composed, feasible, sample_literal
from planners.phrasing.nouns import NUMBERS, standard
from planners.phrasing.scenes import LOOSE
from planners.phrasing.templates import fill, slots

_ORDINALS = ("", "", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")


def _pick(section: str, count: int) -> int:
    """How many of so many; 0 where it cannot be said of so many."""
    match section:
        case "all_but_one":
            return count - 1 if count > 2 else 0
        case "all_but_two":
            return count - 2 if count > 3 else 0
        case "half":
            return count // 2 if count > 1 and count % 2 == 0 else 0
        case "one":
            return 1 if count > 1 else 0
    return 2 if count > 2 else 0


_SECTIONS = ("all_but_one", "all_but_two", "any_number", "any_number", "couple", "half", "some_of_all", "one")


def amount(author: Author) -> tuple[str, Answer] | None:
    """So many of a kind, whichever."""
    kind = author.rng.choice(LOOSE[:3])
    colour = None
    if author.rng.random() < 0.2:
        movable = [each for each in author.scene.tagged("graspable") if each.kind == kind]
        colour = str(author.rng.choice(movable).attributes["colour"]) if movable else None
    names = author.speaker.fitting(kind, colour)
    section = author.rng.choice(_SECTIONS)
    pick = _pick(section, len(names))
    if pick and section == "any_number":
        pick = author.rng.randint(2, len(names) - 1)
    step = sample_literal(author.rng, author.scene, author.rng.choice(("in", "in", "in", "table", "moved")))
    if step is None or not pick:
        return None
    if pick == 1 and author.rng.random() < 0.3:
        step = literal("holding", names[0])
    item = Literal(step.predicate, (Group(names, pick), *step.groups[1:]))
    words = {
        "S": author.speaker.described(kind, colour, None), "N": NUMBERS[pick], "M": NUMBERS[len(names)],
        "K": author.speaker.described(kind, colour, None, several=True),
    }  # fmt: skip
    left = {"all_but_one": "all but 1", "all_but_two": "all but 2"}
    author.mean(item.groups[0], f"{left.get(section) or any_of(pick)} {standard(kind, colour)}")
    said = author.say(item, shown={"X": fill(author.phrase("quantities", section), words)})
    if said is None or not feasible((item,), author.scene):
        return None
    if author.rng.random() < 0.4:
        said = fill(author.phrase("quantities", "whichever"), {"A": said})
    return said, Goal((item,))


def two_amounts(author: Author) -> tuple[str, Answer] | None:
    """Both of these and one of those, to the same place."""
    step = sample_literal(author.rng, author.scene, author.rng.choice(("in", "in", "table")))
    kinds = [kind for kind in LOOSE[:3] if author.speaker.fitting(kind)]
    if step is None or len(kinds) < 2:
        return None
    first, second = author.rng.sample(kinds, 2)
    groups = [_some(author, first), _some(author, second)]
    goal = tuple(Literal(step.predicate, (group, *step.groups[1:])) for group in groups)
    shown = [author.speaker.group(group) for group in groups]
    place = where(author, step)
    if not all(shown) or place is None or not feasible(goal, author.scene):
        return None
    words = {"X": shown[0] or "", "X2": shown[1] or "", "P": place}
    return fill(author.phrase("quantities", "two_amounts"), words), Goal(goal)


def _some(author: Author, kind: str) -> Group:
    """All of a kind, or some of them."""
    names = author.speaker.fitting(kind)
    if len(names) < 2 or author.rng.random() < 0.5:
        return Group(names)
    return Group(names, author.rng.randint(1, len(names) - 1))


def one_of_each(author: Author) -> tuple[str, Answer] | None:
    """One of each kind, or of each colour."""
    movable = list(author.scene.tagged("graspable"))
    side = author.rng.choice(("kind", "colour"))
    sorts: dict[str, list[str]] = {}
    for each in movable:
        sorts.setdefault(each.kind if side == "kind" else str(each.attributes["colour"]), []).append(
            each.name
        )
    step = sample_literal(author.rng, author.scene, author.rng.choice(("in", "in", "in", "table")))
    if step is None or len(sorts) < 2 or len(sorts) == len(movable):
        return None
    groups = [Group(tuple(names), 1 if len(names) > 1 else 0) for names in sorts.values()]
    for sort, group in zip(sorts, groups, strict=True):
        author.mean(group, f"any of {standard(sort) if side == 'kind' else standard(None, sort)}")
    goal = tuple(Literal(step.predicate, (group, *step.groups[1:])) for group in groups)
    place = where(author, step)
    if place is None or not feasible(goal, author.scene):
        return None
    text = fill(author.phrase("quantities", f"each_{side}"), {"P": place})
    return text, Goal(goal)


def split(author: Author) -> tuple[str, Answer] | None:
    """So many of a kind here, the rest of them there, whichever."""
    kind = author.rng.choice(LOOSE[:3])
    names = author.speaker.fitting(kind)
    if len(names) < 2:
        return None
    here = author.rng.randint(1, len(names) - 1)
    drawn = [sample_literal(author.rng, author.scene, author.rng.choice(("in", "in", "table"))) for _ in "ab"]
    places = [item.groups[1] for item in drawn if item]
    if len(places) < 2 or places[0] == places[1] or any(group.pick for group in places):
        return None
    counts = (here, len(names) - here)
    goal = tuple(
        Literal("on" if place.names == ("table",) else "in", (Group(names, number), place))
        for number, place in zip(counts, places, strict=True)
    )
    said = [where(author, item) for item in goal]
    if not all(said) or not feasible(goal, author.scene):
        return None
    words = {
        "K": author.speaker.word(f"{kind}s"),
        "S": author.speaker.word(kind),
        "P": said[0] or "",
        "P2": said[1] or "",
    }
    words |= {"N": NUMBERS[counts[0]], "N2": NUMBERS[counts[1]], "M": NUMBERS[len(names)]}
    last = author.rng.choice(("split_one", "split_last"))
    words["O"] = _ORDINALS[len(names)]
    template = author.phrase("quantities", last if counts[1] == 1 else "split")
    if here == 1:
        template = template.replace("N K", "N S", 1)
    if here == 2 and author.rng.random() < 0.3:
        template = template.replace("N of the K", "a couple of the K").replace("N K", "a couple of K")
    rest = f"{any_of(counts[1])} {kind}" if "N2" in slots(template) else f"all but {counts[0]} {kind}"
    for item, text in zip(goal, (f"{any_of(counts[0])} {kind}", rest), strict=True):
        author.mean(item.groups[0], text)
        author.mirror.note(item)
    return fill(template, words), Goal(goal)


def one_other(author: Author) -> tuple[str, Answer] | None:
    """One of the others on this one of a kind."""
    kind = author.rng.choice(("block", "cylinder"))
    names = author.speaker.fitting(kind)
    if len(names) < 3:
        return None
    base = author.rng.choice(names)
    item = Literal("on", (Group(tuple(name for name in names if name != base), 1), Group((base,))))
    if not feasible((item,), author.scene):
        return None
    words = {"Y": author.plainly(base), "K": author.speaker.word(f"{kind}s"), "S": author.speaker.word(kind)}
    author.mean(item.groups[0], f"any of {kind} but {author.speaker.text(base)}")
    return fill(author.phrase("quantities", "one_other"), words), Goal((item,))


def counted_up(author: Author) -> tuple[str, Answer] | None:
    """Things of two kinds counted, all of them for one place: "three blocks plus two balls"."""
    kinds = [kind for kind in LOOSE[:3] if len(author.speaker.fitting(kind)) > 1]
    step = sample_literal(author.rng, author.scene, "in")
    if len(kinds) < 2 or step is None or step.groups[1].pick:
        return None
    first, second = author.rng.sample(kinds, 2)
    chosen = {*author.speaker.fitting(first), *author.speaker.fitting(second)}
    names = tuple(each.name for each in author.scene.entities if each.name in chosen)
    goal = composed((Literal("in", (Group(names), step.groups[1])),))
    place = author.speaker.group(step.groups[1])
    if goal is None or place is None or not feasible(goal, author.scene):
        return None
    words = {"Y": place, "K": author.speaker.word(f"{first}s"), "K2": author.speaker.word(f"{second}s")}
    words |= {
        "N": NUMBERS[len(author.speaker.fitting(first))],
        "N2": NUMBERS[len(author.speaker.fitting(second))],
    }
    words["M"] = NUMBERS[len(names)]
    author.mean(Group(names), f"all {first} & all {second}")
    return fill(author.phrase("quantities", "counted_up"), words), Goal(goal)
