"""What goes with the words of a command: the same in the reader's language."""

from __future__ import annotations

import random
import re
from dataclasses import replace

import pytest

from planners.compact import Goal, Group
from planners.forms import Resolver
from planners.phrasing.author import Author
from planners.phrasing.conditions import draw_condition, draw_joined
from planners.phrasing.groups import Speaker
from planners.phrasing.scenes import sample_scene
from planners.phrasing.triples import FAMILIES, write
from robot_skills.logic import Atom
from tests.planners.test_phrasing import SIZES


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_said_of_several_things_is_seldom_written_by_names(family: str) -> None:
    """Where the language lacks words, groups are written out; the model should hardly ever have to."""
    rng = random.Random(family)
    groups = unsaid = 0
    for _ in range(25):
        author = Author(sample_scene(rng), rng)
        triple = write(author, family)
        if triple is not None and isinstance(triple.answer, Goal):
            groups += sum(len(group.names) > 1 for item in triple.answer.literals for group in item.groups)
            unsaid += len(author.mirror.unsaid)
    assert unsaid <= max(1, 0.05 * groups)


@pytest.mark.parametrize(
    ("group", "texts"),
    [
        (("yellow ball", "blue ball"), {"all ball", "all thing but all block"}),
        (("small red block", "large red block"), {"all red thing", "all block but green block"}),
        (("green block", "yellow ball", "blue ball"), {"all thing but all red thing"}),
        (("small red block",), {"small block", "small thing", "smallest red block", "small red block"}),
        (("yellow ball",), {"yellow ball", "yellow thing", "held", "other ball"}),
        (("white bowl",), {"bowl", "white bowl", "white thing"}),
    ],
)  # fmt: skip
def test_references_are_written_as_they_were_said(group: tuple[str, ...], texts: set[str]) -> None:
    """All of these texts, and in a text nothing but what the words say."""
    scene = replace(SIZES, facts=SIZES.facts | {Atom("holding", ("yellow ball",))})
    written = {}
    for number in range(200):
        speaker = Speaker(scene, random.Random(number), said=["blue ball"] * (number % 2))
        words = speaker.group(Group(group))
        written[words] = speaker.meant.get(Group(group), "")
    assert texts <= {*written.values()}, {*written.values()}
    for words, text in written.items():
        assert words is not None
        assert "other" not in text or OTHER.search(words), (words, text)
        assert " but " not in text or APART.search(words), (words, text)


OTHER = re.compile(r"\b(other|remaining|left|second|fellow|counterpart|more|last|another|alternate)\b")
APART = re.compile(
    r"\b(but|except\w*|bar|save|minus|than|not|no|isn't|aren't|don't|\w+'s not|excluding|apart|aside|non|"
    r"leaving|besides|without|other|exception)\b"
)


def test_conditions_say_what_is_so() -> None:
    """A condition, what denies it and what merely puts "not" before it, as texts that are looked up."""
    kinds = set()
    for number in range(400):
        rng = random.Random(number)
        speaker = Speaker(sample_scene(rng), rng)
        for drawn in (draw_condition(speaker), draw_joined(speaker)):
            if drawn is None or "other" in drawn.text:
                continue
            resolver = Resolver(speaker.scene)
            assert resolver.condition(drawn.text) is drawn.true, drawn
            assert resolver.condition(drawn.denied().text) is not drawn.true, drawn
            assert resolver.condition(drawn.denied().negated()) is drawn.true, drawn
            kinds.add(getattr(drawn, "section", "joined"))
    assert len(kinds) > 20
