"""Commands that point back: both of them, on that, the one underneath, the same again, its big brother."""

from __future__ import annotations

from planners.compact import Answer, Goal, Group, Literal, literal
from planners.forms import HELD, PLACE_OF
from planners.phrasing.author import Author, speaks_back
from planners.phrasing.families.contrasts import short
from planners.phrasing.families.placing import WAYS, where
from planners.phrasing.meaning import composed, feasible, sample_group, sample_literal, step_about
from planners.phrasing.nouns import NUMBERS, colour_of, standard
from planners.phrasing.templates import fill
from robot_skills.scene_graph import Entity


def topic(author: Author) -> tuple[str, Answer] | None:
    """Things are named first, and then told where to go: "the red and the blue ball: both in the bowl"."""
    step = sample_literal(
        author.rng, author.scene, author.rng.choice(("in", "in", "table", "moved", "holding", "on"))
    )
    if step is None or step.groups[0].pick:
        return None
    several = len(step.groups[0].names) > 1
    shown = author.speaker.group(step.groups[0])
    section = "topic_several" if several else "topic_one"
    words = "them" if several else author.rng.choice(("it", "it", "it", "that", "that one"))
    if several and author.rng.random() < 0.5:
        words = author.rng.choice(
            ("both of them", "both", "them both", "these two", "the two of them")
            if len(step.groups[0].names) == 2
            else ("all of them", "them all", "those", "these", "the lot of them")
        )
    said = author.say(step, shown={"X": words})
    if shown is None or said is None or speaks_back(shown):
        return None
    return fill(author.phrase("references", section), {"X": shown, "A": said}), Goal((step,))


def tower_of(author: Author) -> tuple[str, Answer] | None:
    """One on another, and a third on that."""
    solid = [each.name for each in author.scene.tagged("graspable") if "support" in each.tags]
    if len(solid) < 3:
        return None
    low, middle, high = author.rng.sample(solid, 3)
    goal = (literal("on", middle, low), literal("on", high, middle))
    if not feasible(goal, author.scene):
        return None
    words = {"X": author.plainly(middle), "Y": author.plainly(low), "Z": author.plainly(high)}
    return fill(author.phrase("references", "tower_of"), words), Goal(goal)


def then_on_it(author: Author) -> tuple[str, Answer] | None:
    """One thing goes somewhere, and another on top of it."""
    solid = [each for each in author.scene.tagged("graspable") if "support" in each.tags]
    if len(solid) < 2:
        return None
    base, above = author.rng.sample(solid, 2)
    first = literal("on", base.name, "table")
    if author.rng.random() < 0.5:
        first = step_about(author.rng, author.scene, base.name, ("moved",)) or first
    second = literal("on", above.name, base.name)
    if not feasible((first, second), author.scene):
        return None
    said = author.say(first, shown={"X": author.plainly(base.name)})
    gerund = author.gerund(said) if said else None
    if said is None or gerund is None:
        return None
    words = {"A": said, "G": gerund, "Z": short(author, above.name, base.kind)}
    return fill(author.phrase("references", "then_on_it"), words), Goal((first, second))


def stacked_pair(author: Author) -> tuple[str, Answer] | None:
    """Of two that are stacked, the one on top and the one underneath."""
    facts = sorted(f.args for f in author.scene.facts if f.predicate == "on" and f.args[1] != "table")
    if len(facts) != 1:
        return None
    above, below = facts[0]
    steps = (
        step_about(author.rng, author.scene, above, ("in", "on")),
        step_about(author.rng, author.scene, below, ("in", "on")),
    )
    if steps[0] is None or steps[1] is None:
        return None
    goal = composed(step for step in steps if step)
    if (
        goal is None
        or not feasible(goal, author.scene)
        or {above, below} & {item.groups[1].names[0] for item in goal}
    ):
        return None
    kinds = {author.scene.entity(name).kind for name in (above, below)}
    noun = author.speaker.word(f"{kinds.pop()}s") if len(kinds) == 1 else "things"
    places = [where(author, step) for step in steps if step]
    words = {"K": noun, "P": places[0] or "", "P2": places[1] or ""}
    if not all(words.values()) or any(map(speaks_back, words.values())):
        return None
    author.speaker.mean(above, "top thing")
    author.speaker.mean(below, "bottom thing")
    return fill(author.phrase("references", "stacked_pair"), words), Goal(goal)


def where_that_is(author: Author) -> tuple[str, Answer] | None:
    """Something goes to where another thing is."""
    inside = sorted(f.args for f in author.scene.facts if f.predicate == "in")
    if not inside:
        return None
    there, place = author.rng.choice(inside)
    names = [each.name for each in author.scene.tagged("graspable") if each.name != there]
    group = sample_group(author.rng, author.scene, names)
    if group is None or there in group.names:
        return None
    item = Literal("in", (group, Group((place,))))
    shown = author.speaker.group(group)
    if shown is None or not feasible((item,), author.scene):
        return None
    several = len(group.names) > 1 and group.pick != 1
    words = {
        "X": shown,
        "Y": author.plainly(there),
        "P": author.plainly(place),
        "G": "go" if several else "goes",
    }
    words["S"] = author.speaker.word(author.scene.entity(there).kind)
    alone = [args for args in inside if args[1] == place] == [(there, place)]
    section = "with_the_one" if alone and author.rng.random() < 0.4 else "where_that_is"
    if section == "where_that_is":
        author.speaker.mean(place, f"{PLACE_OF}{author.speaker.text(there)}")
    return fill(author.phrase("references", section), words), Goal((item,))


def same_again(author: Author) -> tuple[str, Answer] | None:
    """A command, and the same with something else."""
    first = sample_literal(author.rng, author.scene, author.rng.choice(("in", "in", "in", "moved", "table")))
    if first is None or any(group.pick for group in first.groups):
        return None
    names = [e.name for e in author.scene.tagged("graspable") if e.name not in first.groups[0].names]
    group = sample_group(author.rng, author.scene, names)
    if group is None or group.pick:
        return None
    second = Literal(first.predicate, (group, *first.groups[1:]))
    said = author.say(first, named=True)
    again = author.speaker.group(group)
    if said is None or again is None or not feasible((first, second), author.scene):
        return None
    if group.names[0] in first.groups[0].names or set(group.names) & set(first.groups[0].names):
        return None
    fact = {"A": said, "X": again, "B": "are" if len(group.names) > 1 else "is"}
    return fill(author.phrase("references", "same_again"), fact), Goal((first, second))


def sibling(author: Author) -> tuple[str, Answer] | None:
    """A thing and its twin of another size, or its like of another colour."""
    movable = author.scene.tagged("graspable")
    pairs = [(one, two) for one in movable for two in movable if one is not two and _twin(author, one, two)]
    if not pairs:
        return None
    one, two = author.rng.choice(pairs)
    sized = one.attributes["colour"] == two.attributes["colour"]
    words = {"X": author.plainly(one.name), "K": author.speaker.word(one.kind)}
    if sized:
        extreme = "largest" if two.attributes["size"] == "large" else "smallest"
        section = "twin_large" if extreme == "largest" else "twin_small"
        text = f"{extreme} {standard(one.kind, colour_of(one))}"
    else:
        section, words["C"] = "like", author.speaker.word(colour_of(two))
        text = standard(two.kind, colour_of(two))
    author.speaker.mean(two.name, text)
    shown = fill(author.phrase("references", section), words)
    onto = one.kind != "ball" and author.rng.random() < 0.4
    first = (
        literal("on", one.name, two.name)
        if onto
        else step_about(author.rng, author.scene, one.name, ("in", "on"))
    )
    if first is None or not feasible((first,), author.scene):
        return None
    if onto:
        return author.framed(f"put {words['X']} {author.rng.choice(WAYS['on'])} {shown}"), Goal((first,))
    return _with_sibling(author, first, two, words["X"], shown)


def _twin(author: Author, one: Entity, two: Entity) -> bool:
    """Of the same kind; and of the same colour and other sizes, or the only two of their kind."""
    if one.kind != two.kind:
        return False
    if one.attributes["colour"] == two.attributes["colour"]:
        sizes = {one.attributes.get("size"), two.attributes.get("size")}
        alike = author.speaker.fitting(one.kind, str(one.attributes["colour"]))
        return sizes == {"small", "large"} and len(alike) == 2
    return author.speaker.fitting(two.kind, str(two.attributes["colour"])) == (two.name,)


def _with_sibling(
    author: Author, first: Literal, two: Entity, said: str, shown: str
) -> tuple[str, Answer] | None:
    place = where(author, first)
    second = step_about(author.rng, author.scene, two.name, ("in", "holding"))
    if place is None or second is None or two.name in first.groups[1].names or speaks_back(place):
        return None
    goal = composed((first, second))
    if goal is None or len(goal) < 2 or not feasible(goal, author.scene):
        return None
    other = author.say(second, shown={"X": shown})
    if other is None:
        return None
    words = {"A": f"put {said} {place}", "B": other}
    return fill(author.phrase("references", "and_sibling"), words), Goal(goal)


def swapped_hand(author: Author) -> tuple[str, Answer] | None:
    """What the hand holds is put away, and something else taken instead."""
    held = [fact.args[0] for fact in author.scene.facts if fact.predicate == "holding"]
    others = [e.name for e in author.scene.tagged("graspable") if e.name not in held]
    if not held or not others:
        return None
    away = step_about(author.rng, author.scene, held[0], ("in", "on"))
    if author.rng.random() < 0.5:
        away = literal("on", held[0], "table")
    taken = literal("holding", author.rng.choice(others))
    if away is None or not feasible((away, taken), author.scene):
        return None
    down = away.groups[1].names == ("table",)
    words = {"X": author.plainly(taken.groups[0].names[0]), "P": where(author, away) or ""}
    if speaks_back(words["P"]) or not words["P"]:
        return None
    author.speaker.mean(held[0], HELD)
    section = "down_and_take" if down and author.rng.random() < 0.7 else "away_and_take"
    return fill(author.phrase("references", section), words), Goal((away, taken))


def others_too(author: Author) -> tuple[str, Answer] | None:
    """One of a kind somewhere, and the other or the others somewhere else."""
    kind = author.rng.choice([each.kind for each in author.scene.tagged("graspable")])
    names = author.speaker.fitting(kind)
    if len(names) < 2:
        return None
    one = author.rng.choice(names)
    rest = tuple(name for name in names if name != one)
    first = step_about(
        author.rng, author.scene, one, ("in", "in", "on", "holding")[author.rng.randint(0, 1) :]
    )
    second = sample_literal(author.rng, author.scene, "in")
    if first is None or second is None or second.groups[1].pick:
        return None
    second = Literal("in", (Group(rest), second.groups[1]))
    if set(rest) & {name for group in first.groups for name in group.names}:
        return None
    goal = composed((first, second))
    if goal is None or len(goal) < 2 or not feasible(goal, author.scene):
        return None
    said = author.say(first, shown={"X": author.plainly(one)})
    if first.predicate in ("in", "on") and author.rng.random() < 0.35:
        said = f"{author.plainly(one)} {where(author, first)}"
    place = where(author, second)
    if said is None or place is None or speaks_back(f"{said} {place}"):
        return None
    words = {"A": said, "P": place, "S": author.speaker.word(kind), "K": author.speaker.word(f"{kind}s")}
    words["N"] = NUMBERS[len(rest)]
    author.mean(second.groups[0], f"other {kind}" if len(rest) == 1 else f"all other {kind}")
    return fill(author.phrase("references", "other" if len(rest) == 1 else "others"), words), Goal(goal)
