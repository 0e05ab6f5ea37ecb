"""This and not that: an exception for each of two kinds, the rest of a kind, one thing instead of another."""

from __future__ import annotations

from planners.compact import Answer, Goal, Group, Literal
from planners.phrasing.author import Author, speaks_back
from planners.phrasing.families.placing import where
from planners.phrasing.meaning import feasible, sample_literal
from planners.phrasing.nouns import NUMBERS, colour_of, standard
from planners.phrasing.scenes import LOOSE
from planners.phrasing.templates import fill
from robot_skills.scene_graph import DIRECTIONS


def short(author: Author, name: str, kind: str | None) -> str:
    """A thing of a kind that was just named: "the blue one", "the small one" where that says which."""
    entity = author.scene.entity(name)
    colour, size = colour_of(entity), entity.attributes.get("size")
    if entity.kind == kind and author.rng.random() < 0.75:
        if size and author.speaker.fitting(kind, None, size) == (name,) and author.rng.random() < 0.5:
            author.speaker.mean(name, standard(kind, None, size))
            return f"the {author.speaker.word(size)} one"
        if author.speaker.fitting(kind, colour) == (name,):
            author.speaker.mean(name, standard(kind, colour))
            return f"the {author.speaker.word(colour)} one"
    return author.plainly(name)


def but_each(author: Author) -> tuple[str, Answer] | None:
    """All of one kind but one, and all of another but one, to one place."""
    kinds = [kind for kind in LOOSE[:3] if len(author.speaker.fitting(kind)) > 1]
    step = sample_literal(author.rng, author.scene, author.rng.choice(("in", "in", "in", "table")))
    if len(kinds) < 2 or step is None or step.groups[1].pick:
        return None
    words, goal = {"P": where(author, step) or ""}, []
    for number, kind in enumerate(author.rng.sample(kinds, 2)):
        names, end = author.speaker.fitting(kind), "2" * number
        out = author.rng.choice(names)
        words |= {f"K{end}": author.speaker.word(f"{kind}s"), f"S{end}": author.speaker.word(kind)}
        words[f"X{end}"] = short(author, out, kind)
        group = Group(tuple(name for name in names if name != out))
        author.mean(group, f"all {kind} but {author.speaker.text(out)}")
        goal.append(Literal(step.predicate, (group, step.groups[1])))
    if not words["P"] or not feasible(goal, author.scene):
        return None
    return fill(author.phrase("contrasts", "but_each"), words), Goal(tuple(goal))


def rest_of_kind(author: Author) -> tuple[str, Answer] | None:
    """One of a kind is left alone, or something else with it, and the others of the kind go somewhere."""
    kind = author.rng.choice(LOOSE[:3])
    names = author.speaker.fitting(kind)
    step = sample_literal(author.rng, author.scene, author.rng.choice(("in", "in", "in", "table", "moved")))
    if len(names) < 2 or step is None or any(group.pick for group in step.groups[1:]):
        return None
    out = [author.rng.choice(names)]
    others = [e.name for e in author.scene.tagged("graspable") if e.kind != kind]
    if others and author.rng.random() < 0.4:
        out.append(author.rng.choice(others))
    rest = Group(tuple(name for name in names if name != out[0]))
    item = Literal(step.predicate, (rest, *step.groups[1:]))
    left = " and ".join(map(author.plainly, out))
    words = {
        "S": author.speaker.word(kind),
        "K": author.speaker.word(f"{kind}s"),
        "N": NUMBERS[len(names) - 1],
    }
    section = "rest_one" if len(rest.names) == 1 else "rest_of_kind"
    author.mean(rest, f"all {kind} but {' & '.join(map(author.speaker.text, out))}")
    said = author.say(item, shown={"X": fill(author.phrase("contrasts", section), words)})
    if said is None or not feasible((item,), author.scene):
        return None
    used = {name for group in item.groups[1:] for name in group.names}
    if used & {*out}:
        return None
    spared = "spared_two" if len(out) > 1 else "spared"
    words = {"X": left.replace(" and ", " or ") if len(out) > 1 else left, "X2": left, "A": said}
    return fill(author.phrase("contrasts", spared), words), Goal((item,))


def contrast(author: Author) -> tuple[str, Answer] | None:
    """Not this one, that one: "not the big ball, the small one i want in the bowl"."""
    item = sample_literal(author.rng, author.scene, author.rng.choice(("in", "in", "on", "holding", "moved")))
    if item is None or any(group.pick or len(group.names) > 1 for group in item.groups):
        return None
    meant = author.scene.entity(item.groups[0].names[0])
    used = {group.names[0] for group in item.groups}
    rivals = [e for e in author.scene.tagged("graspable") if e.name not in used]
    alike = [each for each in rivals if each.kind == meant.kind]
    if not rivals:
        return None
    wrong = author.rng.choice(alike if alike and author.rng.random() < 0.8 else rivals)
    words = {"X": author.plainly(wrong.name), "X2": short(author, meant.name, wrong.kind)}
    section = "contrast_take"
    if item.predicate in ("in", "on"):
        section, words["P"] = "contrast", where(author, item) or ""
    elif item.groups[-1].names[0] in DIRECTIONS:
        section, words["P"] = "contrast_push", author.speaker.word(item.groups[1].names[0])
    if not all(words.values()) or speaks_back(words.get("P", "")):
        return None
    return fill(author.phrase("contrasts", section), words), Goal((item,))
