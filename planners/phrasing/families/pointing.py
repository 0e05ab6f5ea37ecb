"""What points to what was said, or to what is held: the other one, the former, on it, its friends, if so."""

from __future__ import annotations

from planners.compact import Answer, Goal, Group, Literal, literal
from planners.forms import HELD, PLACE_OF
from planners.phrasing.author import Author, speaks_back
from planners.phrasing.families.contrasts import short
from planners.phrasing.families.described import described, means, size_of, told
from planners.phrasing.families.placing import where
from planners.phrasing.meaning import composed, feasible, sample_literal, step_about
from planners.phrasing.mirror import Branch
from planners.phrasing.nouns import NUMBERS, colour_of, standard
from planners.phrasing.scenes import LOOSE
from planners.phrasing.templates import fill
from robot_skills.logic import Atom

_THAT = ("it", "it", "it", "that", "that one")


def not_that_other(author: Author) -> tuple[str, Answer] | None:
    """Not this one, nor that one: the only other of the kind."""
    kind = author.rng.choice(LOOSE[:3])
    names = author.speaker.fitting(kind)
    if len(names) not in (2, 3):
        return None
    meant = author.rng.choice(names)
    out = [name for name in names if name != meant]
    author.rng.shuffle(out)
    step = step_about(author.rng, author.scene, meant, ("in", "in", "on", "holding", "moved"))
    if step is None or {*out} & {name for group in step.groups[1:] for name in group.names}:
        return None
    shown = [described(author, out[0], ways="sizes") or author.plainly(out[0])]
    shown += [short(author, name, kind) for name in out[1:]]
    text = f"all {kind} but {' & '.join(map(author.speaker.text, out))}"
    words = {"X": shown[0], "X2": shown[-1], "S": author.speaker.word(kind)}
    words["K"] = author.speaker.word(f"{kind}s")
    author.speaker.mean(meant, text)
    if len(out) == 1 and author.rng.random() < 0.35:
        other = fill(author.phrase("pointing", "other_direct"), words)
        said = author.say(step, author.rng.choice(("imp", "imp", "told")), shown={"X": other})
        return (author.wrapped(said), Goal((step,))) if said else None
    author.speaker.said.clear()
    said = author.say(step, shown={"X": author.rng.choice(_THAT)})
    if said is None:
        return None
    section = "not_that" if len(out) == 1 else "not_those"
    return fill(author.phrase("pointing", section), words | {"A": said}), Goal((step,))


def former_latter(author: Author) -> tuple[str, Answer] | None:
    """The former here, the latter there: of two places, or of two things."""
    movable = [each.name for each in author.scene.tagged("graspable")]
    containers = [each.name for each in author.scene.tagged("container")]
    if len(movable) < 2 or len(containers) < 2:
        return None
    one, two = author.rng.sample(movable, 2)
    places = author.rng.sample(containers, 2)
    goal: tuple[Literal, ...] | None = (literal("in", one, places[0]), literal("in", two, places[1]))
    things = author.rng.random() < 0.4
    if things:
        steps = [step_about(author.rng, author.scene, name, ("in", "on")) for name in (one, two)]
        goal = composed(step for step in steps if step)
    if goal is None or len(goal) < 2 or not feasible(goal, author.scene):
        return None
    words = {"X": told(author, one), "X2": told(author, two)}
    if things:
        words |= {"P": where(author, goal[0]) or "", "P2": where(author, goal[1]) or ""}
        section = "former_things"
    else:
        words |= {"Y": author.plainly(places[0]), "Y2": author.plainly(places[1])}
        section = author.rng.choice(("former", "former", "latter"))
    if any(map(speaks_back, words.values())):
        return None
    for item in goal:
        author.mirror.note(item)
    return fill(author.phrase("pointing", section), words), Goal(goal)


def _held(author: Author) -> str | None:
    held = [fact.args[0] for fact in author.scene.facts if fact.predicate == "holding"]
    return held[0] if held else None


def down_then_on(author: Author) -> tuple[str, Answer] | None:
    """What is held goes on the table, and something else on it."""
    held = _held(author)
    others = [e.name for e in author.scene.tagged("graspable") if e.name != held and "support" in e.tags]
    if held is None or not others or "support" not in author.scene.entity(held).tags:
        return None
    above = author.rng.choice(others)
    goal = (literal("on", held, "table"), literal("on", above, held))
    if not feasible(goal, author.scene):
        return None
    words = {"X": told(author, above), "S": author.speaker.word(author.scene.entity(held).kind)}
    author.speaker.mean(held, HELD)
    for item in goal:
        author.mirror.note(item)
    return fill(author.phrase("pointing", "down_then"), words), Goal(goal)


def join_it(author: Author) -> tuple[str, Answer] | None:
    """One of a kind is in a container already, and the others join it."""
    inside = {f.args[0]: f.args[1] for f in author.scene.facts if f.predicate == "in"}
    if not inside:
        return None
    there = author.rng.choice(sorted(inside))
    kind, place = author.scene.entity(there).kind, inside[there]
    names = tuple(name for name in author.speaker.fitting(kind) if name != there)
    if not names or {*names} & {*inside}:
        return None
    item = Literal("in", (Group(names), Group((place,))))
    if not feasible((item,), author.scene):
        return None
    words = {"Y": author.plainly(there), "P": f"in {author.plainly(place)}", "N": NUMBERS[len(names)]}
    words["K"] = author.speaker.word(f"{kind}s")
    template = author.phrase("pointing", "join")
    if len(names) == 1:
        return None
    author.mean(item.groups[0], f"all {kind} but {author.speaker.text(there)}")
    if "P" not in template.split() and "P," not in template and "P;" not in template:
        author.speaker.mean(place, f"{PLACE_OF}{author.speaker.text(there)}")
    author.mirror.note(item)
    return fill(template, words), Goal((item,))


def place_first(author: Author) -> tuple[str, Answer] | None:
    """Where something is to go is named first: "the cylinder's lonely; put the top block on it"."""
    step = sample_literal(author.rng, author.scene, author.rng.choice(("in", "on", "on")))
    if step is None or any(group.pick for group in step.groups) or len(step.groups[0].names) > 1:
        return None
    thing, place = (group.names[0] for group in step.groups)
    shown = told(author, place) if author.scene.entity(place).kind in LOOSE else author.plainly(place)
    words = {"X": told(author, thing), "Y": author.rng.choice(("it", "it", "it", "that", "that one"))}
    said = author.say(step, author.rng.choice(("imp", "imp", "told")), shown=words)
    if said is None:
        return None
    return fill(author.phrase("pointing", "place_first"), {"Y": shown, "A": said}), Goal((step,))


def named_first(author: Author) -> tuple[str, Answer] | None:
    """The base is named first; one goes on it, and another on that in turn."""
    solid = [each.name for each in author.scene.tagged("graspable") if "support" in each.tags]
    if len(solid) < 3:
        return None
    low, middle, high = author.rng.sample(solid, 3)
    goal = (literal("on", middle, low), literal("on", high, middle))
    template = author.phrase("pointing", "named_first")
    if not feasible(goal, author.scene) or ("big one" in template and size_of(author, low) != "large"):
        return None
    words = {"Y": author.plainly(low), "X": short(author, middle, author.scene.entity(low).kind)}
    words["Z"] = short(author, high, author.scene.entity(middle).kind)
    for item in goal:
        author.mirror.note(item)
    return fill(template, words), Goal(goal)


def if_so(author: Author) -> tuple[str, Answer] | None:
    """Is it open? If so, one or two things are to be done, often with it."""
    fixture = author.rng.choice([each.name for each in author.scene.tagged("openable")] or [""])
    if not fixture:
        return None
    asks = author.rng.choice(("open", "closed"))
    steps = [sample_literal(author.rng, author.scene) for _ in "ab"]
    put = sample_literal(author.rng, author.scene, "in")
    if fixture == "drawer" and put and author.rng.random() < 0.6:
        turn = literal(author.rng.choice(("closed", "closed", "open")), fixture)
        steps = [Literal("in", (put.groups[0], Group((fixture,)))), turn]
    section = author.rng.choice(("if_so", "if_so", "if_so_one", "if_not_so"))
    template = author.phrase("pointing", section)
    certain = [step for step in steps if step][: 1 if "B" not in template.split() else 2]
    goal = composed(certain)
    if goal is None or len(goal) < ("B" in template.split()) + 1 or not feasible(goal, author.scene):
        return None
    question = fill(author.phrase("pointing", f"asks_{asks}"), {"F": author.plainly(fixture)})
    author.speaker.said.append(fixture)
    said = [author.say(step) for step in certain]
    if not all(said):
        return None
    state = "open" if any(Atom("open", (fixture,)) == fact for fact in author.scene.facts) else "closed"
    if Atom("ajar", (fixture,)) in author.scene.facts:
        return None
    condition = f"{asks}({fixture})"
    wanted = (state == asks) == (section != "if_not_so")
    text = f"not {condition}" if section == "if_not_so" else condition
    author.form = author.mirror.clauses([[Branch(text, wanted, goal)]])
    words = {"Q": question, "A": said[0] or "", "B": said[-1] or ""}
    return fill(template, words), Goal(goal if wanted else ())


def beforehand(author: Author) -> tuple[str, Answer] | None:
    """What is held goes somewhere before something else is done, which may be told first."""
    held = _held(author)
    movable = [e.name for e in author.scene.tagged("graspable") if e.name != held]
    if held is None or not movable:
        return None
    away = step_about(author.rng, author.scene, held, ("in", "in", "on"))
    if author.rng.random() < 0.5:
        away = literal("on", held, "table")
    thing = author.rng.choice(movable)
    step = step_about(author.rng, author.scene, thing, ("in", "on", "holding", "moved"))
    goal = composed(each for each in (away, step) if each)
    if away is None or step is None or goal is None or len(goal) < 2 or not feasible(goal, author.scene):
        return None
    if {held, thing} & {*away.groups[1].names} or held in step.groups[-1].names:
        return None
    shown = {"X": told(author, thing)}
    if step.predicate in ("in", "on"):
        shown["Y"] = told(author, step.groups[1].names[0])
    said, place = author.say(step, shown=shown), where(author, away)
    gerund = author.gerund(said) if said else None
    if said is None or gerund is None or place is None or speaks_back(f"{said} {place}"):
        return None
    author.speaker.mean(held, HELD)
    author.mirror.note(away)
    words = {"A": said, "P": place, "S": author.speaker.word(author.scene.entity(held).kind)}
    return fill(author.phrase("pointing", "beforehand"), words), Goal(goal)


def held_twin(author: Author) -> tuple[str, Answer] | None:
    """What is held goes somewhere, and its big sister is fetched."""
    held = _held(author)
    if held is None:
        return None
    entity = author.scene.entity(held)
    colour = colour_of(entity)
    alike = [name for name in author.speaker.fitting(entity.kind, colour) if name != held]
    sizes = {size_of(author, name) for name in (held, *alike)}
    if len(alike) != 1 or sizes != {"small", "large"}:
        return None
    large = size_of(author, alike[0]) == "large"
    away = step_about(author.rng, author.scene, held, ("in", "in", "on"))
    step = step_about(author.rng, author.scene, alike[0], ("holding", "holding", "in", "on", "moved"))
    goal = composed(each for each in (away, step) if each)
    if away is None or step is None or goal is None or len(goal) < 2 or not feasible(goal, author.scene):
        return None
    if {held, alike[0]} & {*away.groups[1].names, *step.groups[-1].names[step.predicate == "holding" :]}:
        return None
    text = f"{'largest' if large else 'smallest'} {standard(entity.kind, colour)}"
    if not means(author, text, alike[0]):
        return None
    author.speaker.mean(alike[0], text)
    section = "twin_large" if large else "twin_small"
    twin = fill(author.phrase("references", section), {"K": author.speaker.word(entity.kind)})
    said, place = author.say(step, shown={"X": twin}), where(author, away)
    if said is None or place is None or speaks_back(place):
        return None
    author.speaker.mean(held, HELD)
    author.mirror.note(away)
    words = {"P": place, "B": said, "S": author.speaker.word(entity.kind)}
    return fill(author.phrase("pointing", "held_twin"), words), Goal(goal)
