"""What goes elsewhere, and what is not so: exceptions with a place of their own, neither here nor there."""

from __future__ import annotations

from planners.compact import Answer, Goal, Group, Literal, literal
from planners.forms import resolve
from planners.phrasing.author import Author, speaks_back
from planners.phrasing.families.contrasts import short
from planners.phrasing.families.placing import where
from planners.phrasing.families.refusals import KEEPS
from planners.phrasing.groups import any_of
from planners.phrasing.meaning import feasible, sample_literal, step_about
from planners.phrasing.nouns import NUMBERS, colour_of, standard
from planners.phrasing.scenes import LOOSE
from planners.phrasing.templates import fill, slots
from robot_skills.logic import Atom

_PLACING = ("in", "in", "in", "table")


def _going(author: Author, count: int, kinds: tuple[str, ...] = _PLACING) -> list[Literal] | None:
    """So many steps to different places, each a single one."""
    steps: list[Literal] = []
    for _ in range(12):
        step = sample_literal(author.rng, author.scene, author.rng.choice(kinds))
        if step and not step.groups[1].pick and step.groups[1] not in [each.groups[1] for each in steps]:
            steps.append(step)
        if len(steps) == count:
            return steps
    return None


def _places(author: Author, steps: list[Literal]) -> dict[str, str] | None:
    """Words for the places of steps, as P and Y, P2 and Y2; None where one speaks of what was before."""
    words: dict[str, str] = {}
    for number, step in enumerate(steps, start=1):
        end = str(number) if number > 1 else ""
        shown = where(author, step)
        if not shown or speaks_back(shown):
            return None
        words |= {f"P{end}": shown, f"Y{end}": author.plainly(step.groups[1].names[0])}
    return words


def _one(author: Author, several: bool) -> dict[str, str]:
    """What agrees with X."""
    words = ("go", "are", "belong", "get", "them") if several else ("goes", "is", "belongs", "gets", "it")
    return dict(zip(("G2", "B2", "E2", "R2", "H"), words, strict=True))


def exception(author: Author) -> tuple[str, Answer] | None:
    """All of some things here but for one, or one sort, which goes there."""
    kind = author.rng.choice((None, None, *LOOSE[:3]))
    movable = [e for e in author.scene.tagged("graspable") if kind in (None, e.kind)]
    steps = _going(author, 2)
    if len(movable) < 3 or steps is None:
        return None
    out = [author.rng.choice(movable)]
    several = kind is None and author.rng.random() < 0.3
    if several:
        out = [each for each in movable if each.kind == out[0].kind]
    rest = Group(tuple(e.name for e in movable if e not in out))
    left = Group(tuple(e.name for e in out))
    if not rest.names or (several and len(out) < 2):
        return None
    goal = tuple(
        Literal(step.predicate, (group, step.groups[1]))
        for step, group in zip(steps, (rest, left), strict=True)
    )
    words = _places(author, steps)
    if words is None or not feasible(goal, author.scene):
        return None
    if several:
        shown, text = f"the {author.speaker.word(out[0].kind + 's')}", f"all {out[0].kind}"
    else:
        shown = short(author, out[0].name, kind)
        text = author.speaker.text(out[0].name)
    noun = author.speaker.word(f"{kind}s") if kind else "things"
    one = kind is None and author.rng.random() < 0.75
    every = (
        ("everything", "everything", "all of it")
        if one
        else (f"all the {noun}", f"the {noun}", f"all {noun}")
    )
    words |= {
        "V": author.rng.choice(every),
        "U": "everything else" if one else f"the other {noun}",
        "X": shown,
    }
    words |= {"G": "goes" if one else "go", "B": "is" if one else "are", "E": "belongs" if one else "belong"}
    author.mean(rest, f"all {kind or 'thing'} but {text}")
    author.mean(left, text)
    for item in goal:
        author.mirror.note(item)
    return fill(author.phrase("denials", "exception"), {**words, **_one(author, several)}), Goal(goal)


def not_a(author: Author) -> tuple[str, Answer] | None:
    """What is not of a kind, a colour, or of either of two colours: "if it isn't a ball, it goes there"."""
    movable = list(author.scene.tagged("graspable"))
    step = _going(author, 1)
    sort = author.rng.choice(movable)
    section = author.rng.choice(("not_kind", "not_kind", "not_coloured", "neither_colour"))
    words = _places(author, step) if step else None
    if step is None or words is None:
        return None
    colours = {colour_of(sort)}
    if section == "neither_colour":
        colours |= {colour_of(author.rng.choice(movable))}
        if len(colours) < 2:
            return None
    if section == "not_kind":
        kept = [e.name for e in movable if e.kind != sort.kind]
        text = f"all {sort.kind}"
        words |= {"S": author.speaker.word(sort.kind), "K": author.speaker.word(f"{sort.kind}s")}
    else:
        kept = [e.name for e in movable if colour_of(e) not in colours]
        chosen = author.rng.sample(sorted(colours), len(colours))
        text = " & ".join(f"all {standard(None, colour)}" for colour in chosen)
        words |= {"C": author.speaker.word(chosen[0]), "C2": author.speaker.word(chosen[-1])}
    item = Literal(step[0].predicate, (Group(tuple(kept)), step[0].groups[1]))
    if not kept or not feasible((item,), author.scene):
        return None
    author.mean(item.groups[0], f"all thing but {text}")
    return fill(author.phrase("denials", section), words), Goal((item,))


def neither_place(author: Author) -> tuple[str, Answer] | None:
    """Neither there nor there, but here; or not there: this will take it."""
    movable = [each.name for each in author.scene.tagged("graspable")]
    held = author.speaker.scene.facts and [f.args[0] for f in author.scene.facts if f.predicate == "holding"]
    thing = held[0] if held and author.rng.random() < 0.6 else author.rng.choice(movable)
    count = author.rng.choice((2, 2, 3))
    steps: list[Literal] = []
    for _ in range(10):
        step = step_about(author.rng, author.scene, thing, ("in", "in", "on"))
        if step and step.groups[1] not in [each.groups[1] for each in steps]:
            steps.append(step)
    if len(steps) < count:
        return None
    steps = steps[:count]
    words = _places(author, steps)
    shown = author.speaker.one(thing)
    if held and thing == held[0] and author.rng.random() < 0.5:
        shown = author.rng.choice(("that one", "that", "this", "this one", "it", "what you're holding"))
        author.speaker.mean(thing, "held")
    if words is None:
        return None
    section = "neither_place" if count == 3 else "barred"
    return fill(author.phrase("denials", section), {**words, "X": shown}), Goal((steps[-1],))


def other_of_two(author: Author) -> tuple[str, Answer] | None:
    """Not in this of two bowls, in the other."""
    bowls = author.speaker.fitting("bowl")
    movable = [each.name for each in author.scene.tagged("graspable")]
    if len(bowls) != 2:
        return None
    barred, used = author.rng.sample(bowls, 2)
    item = literal("in", author.rng.choice(movable), used)
    if not feasible((item,), author.scene):
        return None
    words = {"X": author.speaker.one(item.groups[0].names[0]), "S": author.speaker.word("bowl")}
    words["Y"] = short(author, barred, None)
    author.mean(item.groups[1], f"any of bowl but {author.speaker.text(barred)}")
    return fill(author.phrase("denials", "other_of_two"), words), Goal((item,))


def nor_stays(author: Author) -> tuple[str, Answer] | None:
    """Neither of two, or none of a kind, stays where it is; they go somewhere."""
    steps = _going(author, 1, ("in",))
    words = _places(author, steps) if steps else None
    movable = [e.name for e in author.scene.tagged("graspable")]
    loose = [name for name in movable if Atom("on", (name, "table")) in author.scene.facts]
    if steps is None or words is None or len(loose) < 2:
        return None
    if author.rng.random() < 0.5:
        names = tuple(author.rng.sample(loose, 2))
        words |= {"X": author.plainly(names[0]), "X2": author.plainly(names[1])}
        section, text = "nor_stays", " & ".join(map(author.speaker.text, names))
        words["T"] = author.speaker.word("table")
    else:
        kind = author.rng.choice(LOOSE[:3])
        names = author.speaker.fitting(kind)
        section, text = "both_kinds_go" if len(names) == 2 else "none_stay", f"all {kind}"
        words |= {"S": author.speaker.word(kind), "K": author.speaker.word(f"{kind}s")}
    item = Literal("in", (Group(names), steps[0].groups[1]))
    if len(names) < 2 or not feasible((item,), author.scene):
        return None
    author.mean(item.groups[0], text)
    return fill(author.phrase("denials", section), words), Goal((item,))


def none_there(author: Author) -> tuple[str, Answer] | None:
    """None of a kind goes there, but here; or no such but only these, all of them."""
    kinds = sorted({e.kind for e in author.scene.tagged("graspable")}, key=LOOSE.index)
    kind = author.rng.choice(kinds)
    names = author.speaker.fitting(kind)
    only = len(kinds) > 1 and author.rng.random() < 0.45
    steps = _going(author, 1 if only else 2)
    words = _places(author, steps) if steps else None
    if steps is None or words is None or len(names) < 2:
        return None
    item = Literal(steps[-1].predicate, (Group(names), steps[-1].groups[1]))
    words |= {"S": author.speaker.word(kind), "K": author.speaker.word(f"{kind}s")}
    if only:
        other = author.rng.choice([each for each in kinds if each != kind])
        words |= {"S2": author.speaker.word(other), "K2": author.speaker.word(f"{other}s")}
    if not feasible((item,), author.scene):
        return None
    author.mean(item.groups[0], f"all {kind}")
    return fill(author.phrase("denials", "only_kind" if only else "none_there"), words), Goal((item,))


def turned(author: Author) -> tuple[str, Answer] | None:
    """Not this on that, but the other way round."""
    solid = [e.name for e in author.scene.tagged("graspable") if "support" in e.tags]
    if len(solid) < 2:
        return None
    first, second = author.rng.sample(solid, 2)
    stand = sorted(f.args for f in author.scene.facts if f.predicate == "on" and {*f.args} <= {*solid})
    if stand and author.rng.random() < 0.5:
        first, second = author.rng.choice(stand)
    item = literal("on", second, first)
    if not feasible((item,), author.scene):
        return None
    words = {"X": author.plainly(first), "X2": author.plainly(second)}
    return fill(author.phrase("denials", "turned"), words), Goal((item,))


def up_there(author: Author) -> tuple[str, Answer] | None:
    """Something should not be where it is, but here."""
    pairs = sorted(f.args for f in author.scene.facts if f.predicate == "on" and f.args[1] != "table")
    if not pairs:
        return None
    above, below = author.rng.choice(pairs)
    step = step_about(author.rng, author.scene, above, ("in", "in", "on"))
    words = _places(author, [step]) if step else None
    if step is None or words is None or step.groups[1].names == (below,):
        return None
    shown = author.speaker.one(above)
    return fill(author.phrase("denials", "up_there"), {**words, "X": shown}), Goal((step,))


def only_there(author: Author) -> tuple[str, Answer] | None:
    """Nothing goes there except this."""
    steps = _going(author, 1)
    words = _places(author, steps) if steps else None
    if steps is None or words is None:
        return None
    item = steps[0]
    if author.rng.random() < 0.7:
        item = Literal(item.predicate, (Group((item.groups[0].names[0],)), item.groups[1]))
    if item.groups[0].pick or not feasible((item,), author.scene):
        return None
    shown = author.speaker.group(item.groups[0])
    one = len(item.groups[0].names) == 1
    if shown is None or (not one and " but " in author.speaker.meant.get(item.groups[0], "")):
        return None
    section = "no_more_than" if one and author.rng.random() < 0.12 else "only_there"
    template = author.phrase("denials", section)
    if not one:
        for single, several in (
            ("X goes", "X go"),
            ("X is", "X are"),
            ("X belongs", "X belong"),
            ("X gets", "X get"),
        ):
            template = template.replace(single, several)
    return fill(template, {**words, "X": shown}), Goal((item,))


def meant_not(author: Author) -> tuple[str, Answer] | None:
    """The one of two of a kind that is not this one."""
    kind = author.rng.choice(LOOSE[:3])
    names = author.speaker.fitting(kind)
    if len(names) != 2:
        return None
    out, meant = author.rng.sample(names, 2)
    step = step_about(author.rng, author.scene, meant, ("in", "in", "on", "holding"))
    if step is None or out in {name for group in step.groups for name in group.names}:
        return None
    words = {"S": author.speaker.word(kind), "X": short(author, out, kind)}
    text = f"all {kind} but {author.speaker.text(out)}"
    if step.predicate == "holding":
        author.mean(step.groups[0], text)
        return fill(author.phrase("denials", "meant_not_take"), words), Goal((step,))
    place = where(author, step)
    author.mean(step.groups[0], text)
    author.mirror.note(step)
    if not place or speaks_back(place):
        return None
    return fill(author.phrase("denials", "meant_not"), {**words, "P": place}), Goal((step,))


def coloured_but(author: Author) -> tuple[str, Answer] | None:
    """All of a colour but for a kind: "red things, but not the ball"."""
    movable = list(author.scene.tagged("graspable"))
    sort = author.rng.choice(movable)
    steps = _going(author, 1)
    words = _places(author, steps) if steps else None
    alike = [e for e in movable if colour_of(e) == colour_of(sort)]
    kept = tuple(e.name for e in alike if e.kind != sort.kind)
    if steps is None or words is None or not kept:
        return None
    item = Literal(steps[0].predicate, (Group(kept), steps[0].groups[1]))
    if not feasible((item,), author.scene):
        return None
    several = len(alike) - len(kept) > 1
    words |= {"C": author.speaker.word(colour_of(sort)), "S": author.speaker.word(sort.kind)}
    words["K"] = author.speaker.word(f"{sort.kind}s")
    template = author.phrase("denials", "coloured_but")
    if several:
        template = template.replace("the S stays", "the K stay").replace("the S", "the K")
    author.mean(item.groups[0], f"all {standard(None, colour_of(sort))} but all {sort.kind}")
    return fill(template, words), Goal((item,))


def not_all(author: Author) -> tuple[str, Answer] | None:
    """Not all of a kind, only so many of them."""
    kind = author.rng.choice(LOOSE[:3])
    names = author.speaker.fitting(kind)
    steps = _going(author, 1)
    words = _places(author, steps) if steps else None
    if steps is None or words is None or len(names) < 2:
        return None
    pick = author.rng.randint(1, len(names) - 1)
    item = Literal(steps[0].predicate, (Group(names, pick), steps[0].groups[1]))
    if not feasible((item,), author.scene):
        return None
    words |= {"S": author.speaker.word(kind), "K": author.speaker.word(f"{kind}s")}
    words |= {"N": NUMBERS[pick], "N2": NUMBERS[len(names)]}
    author.mean(item.groups[0], f"{any_of(pick)} {kind}")
    template = author.phrase("denials", "not_all_one" if pick == 1 else "not_all")
    pair = "not both" in template or "either" in template
    return (fill(template, words), Goal((item,))) if not pair or len(names) == 2 else None


def nothing(author: Author) -> tuple[str, Answer] | None:
    """That nothing is to be done."""
    return author.phrase("denials", "nothing"), Goal(())


def not_this(author: Author) -> tuple[str, Answer] | None:
    """Not that but this: two imperatives, of which the first is not to be done."""
    first, second = author.plain_command(), author.plain_command()
    template = author.phrase("denials", "not_this")
    if first is None or second is None or KEEPS.match(first[0]) or speaks_back(f"{first[0]} {second[0]}"):
        return None
    if not all(words[:1].isalpha() and author.gerund(words) for words in (first[0], second[0])):
        return None
    if (
        first[1] == second[1]
        or slots(first[0])
        or {i.predicate for i in first[1]} & {"open", "closed", "pressed"}
    ):
        return None
    return fill(template, {"A": first[0], "A2": second[0]}), Goal(second[1])


def anywhere_but(author: Author) -> tuple[str, Answer] | None:
    """Anywhere but there."""
    movable = [each.name for each in author.scene.tagged("graspable")]
    held = [fact.args[0] for fact in author.scene.facts if fact.predicate == "holding"]
    thing = held[0] if held and author.rng.random() < 0.6 else author.rng.choice(movable)
    step = step_about(author.rng, author.scene, thing, ("in", "in", "on"))
    words = _places(author, [step]) if step else None
    if step is None or words is None or author.scene.holds(step.formula()):  # nothing comes out again
        return None
    text = author.speaker.meant.get(step.groups[1], step.groups[1].names[0])
    if thing in held and author.rng.random() < 0.6:
        words["X"], said = (
            author.rng.choice(("it", "it", "that", "this", "that one", "what you've got")),
            "held",
        )
    else:
        words["X"], said = author.speaker.one(thing), author.speaker.text(thing)
    author.form = f"elsewhere({said}, {text})"
    return fill(author.phrase("denials", "anywhere_but"), words), resolve(author.form, author.scene)
