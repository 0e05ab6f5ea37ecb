"""Commands with a turn: something to be left alone, a correction, a part that is refused."""

from __future__ import annotations

from planners.compact import Answer, Goal, Refuse, literal
from planners.phrasing.author import FILES, Author, speaks_back
from planners.phrasing.families.refusals import KEEPS, cannot, missing, no_place, no_skill, question
from planners.phrasing.meaning import feasible, sample_literal, step_kind
from planners.phrasing.noise import MARK
from planners.phrasing.scenes import LOOSE
from planners.phrasing.templates import fill
from robot_skills.logic import Atom
from robot_skills.scene_graph import DIRECTIONS

FIXTURES = ("drawer", "door", "button")
_SWAPS = (
    "WswapW X and Y", "WswapW X with Y", "WexchangeW X and Y", "WswitchW X and Y", "WinterchangeW X and Y",
    "please WswapW X and Y", "could you WswapW X and Y", "let X and Y Wtrade placesW",
    "Wswap placesW of X and Y",
    "WswapW the positions of X and Y", "make X and Y Wchange placesW", "X and Y should Wswap placesW",
    "WreplaceW X with Y and vice versa", "WexchangeW X for Y",
)  # fmt: skip


def addition(author: Author) -> tuple[str, Answer] | None:
    """A command and what is to be left alone."""
    written = author.plain_command()
    if written is None:
        return None
    text, goal = written
    used = {name for item in goal for group in item.groups for name in group.names}
    draw = author.rng.random()
    if draw < 0.15 and not speaks_back(text):
        return fill(author.phrase("additions", "rest"), {"A": text}), Goal(goal)
    fixtures = [e.name for e in author.scene.entities if e.kind in FIXTURES and e.name not in used]
    if draw < 0.3 and fixtures:
        shown = author.speaker.fixture(author.rng.choice(fixtures))
        return fill(author.phrase("additions", "fixture"), {"A": text, "F": shown}), Goal(goal)
    if draw < 0.6:
        left = [e.name for e in author.scene.entities if e.kind in LOOSE and e.name not in used]
        if not left:
            return None
        thing = f"the {author.speaker.told_apart(author.scene.entity(author.rng.choice(left)))}"
        template = author.phrase("additions", "leave")
        return fill(template, {"A": text, "X": thing, "B": "it is"}), Goal(goal)
    other = sample_literal(
        author.rng, author.scene, author.rng.choice(("open", "closed", "pressed", "moved"))
    )
    template = author.phrase("additions", "nothing")
    if other is None or any(not group.names[0] for group in other.groups) or other in goal:
        return None
    if {name for group in other.groups for name in group.names} & used:
        return None
    forbidden = author.say(other)
    gerund = author.gerund(forbidden) if forbidden else None
    if forbidden is None or gerund is None or KEEPS.match(forbidden):
        return None
    if speaks_back(forbidden) and template.find("A") > max(template.find("B"), template.find("H")):
        return None
    return fill(template, {"A": text, "B": forbidden, "H": gerund}), Goal(goal)


def correction(author: Author) -> tuple[str, Answer] | None:
    """Something else was said first, and taken back."""
    item, wrong = sample_literal(author.rng, author.scene), sample_literal(author.rng, author.scene)
    if item is None or wrong is None or item == wrong:
        return None
    taken = author.say(wrong)
    author.forget()
    right = author.say(item)
    template = author.phrase("additions", "corrected")
    if taken is None or right is None or speaks_back(taken):
        return None
    if author.rng.random() < 0.25 and len(taken.split()) > 3:
        taken = " ".join(taken.split()[: author.rng.randint(2, 3)]) + "..."
        template = "B no, just A" if author.rng.random() < 0.5 else "B no, A"
    return fill(template, {"A": right, "B": taken}), Goal((item,))


def corrected_thing(author: Author) -> tuple[str, Answer] | None:
    """The wrong thing, no, the right one."""
    item = sample_literal(author.rng, author.scene, author.rng.choice(("in", "on", "holding", "moved")))
    if item is None or any(len(group.names) > 1 for group in item.groups):
        return None
    slot = author.rng.randrange(len(item.groups))
    named = item.groups[slot].names[0]
    meant = None if named in DIRECTIONS else author.scene.entity(named)
    if meant is None:
        others = [way for way in DIRECTIONS if way != named]
        before, after = author.speaker.word(author.rng.choice(others)), author.speaker.word(named)
    else:
        tag = "graspable" if not slot else "container" if item.predicate == "in" else "support"
        rivals = [e.name for e in author.scene.tagged(tag) if e.name not in (meant.name, "table")]
        if not rivals:
            return None
        before, after = author.plainly(author.rng.choice(rivals)), author.plainly(meant.name)
    shown = fill(author.phrase("additions", "corrected_thing"), {"X": before, "X2": after})
    kind = step_kind(item, author.scene)
    words = author.words_for(item, kind, {} if meant is None else {"Y" if slot else "X": shown})
    if words is None:
        return None
    if meant is None:
        words["D"] = shown
    text = fill(author.phrase(FILES[kind], "imp"), words)
    return text.rstrip(","), Goal((item,))


def mixed(author: Author) -> tuple[str, Answer] | None:
    """A step that can be done and one that cannot: the whole is refused."""
    refused = author.rng.choice((no_skill, missing, cannot, no_place, question))(author)
    done = author.plain_command()
    if refused is None or done is None:
        return None
    text, answer = refused
    if author.gerund(text.replace(MARK, "")) is None:
        return None
    parts, forms = [done[0], text], [author.mirror.goal(done[1]), author.form]
    if author.rng.random() > 0.6 and not speaks_back(done[0]):
        parts, forms = parts[::-1], forms[::-1]
    if author.form:
        author.form = " and ".join(forms)
    joint = author.rng.choice((" and ", " and then ", ", then ", ". ", ", ", "; ", " and also "))
    return joint.join(parts), answer


def swap(author: Author) -> tuple[str, Answer] | None:
    """Two things change places: a goal where a place has a name, and no skill where it has none."""
    movable = [e.name for e in author.scene.tagged("graspable") if e.kind != "ball"]
    if len(movable) < 2:
        return None
    pair = author.rng.sample(movable, 2)
    places = [author.base_of(name) or "table" for name in pair]
    template = author.rng.choice(_SWAPS)
    text = fill(template.replace("W", MARK), dict(zip(("X", "Y"), map(author.plainly, pair), strict=True)))
    facts = author.scene.facts
    settled = all(Atom("on", (name, place)) in facts for name, place in zip(pair, places, strict=True))
    if not settled or set(places) & set(pair):
        return None
    if places[0] == places[1]:
        return text, Refuse("skill", MARK)
    goal = (literal("on", pair[0], places[1]), literal("on", pair[1], places[0]))
    return (text.replace(MARK, ""), Goal(goal)) if feasible(goal, author.scene) else None
