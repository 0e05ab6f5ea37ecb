"""Commands with their answers: the meaning is drawn first, then the words.

A `Triple` is a scene, a command and the answer to it. The answer follows from what was drawn, never from the
words: things are referred to by descriptions that were checked to mean them (`nouns`), a goal is what holds
after all steps (`meaning.composed`), a condition is looked up in the scene.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass

from planners.compact import WORDED, Answer, Goal, Refuse, spans
from planners.forms import resolve, same
from planners.phrasing.author import Author
from planners.phrasing.families import (
    alike,
    asides,
    branches,
    clipped,
    comparisons,
    conditionals,
    contrasts,
    counts,
    denials,
    exclusions,
    likeness,
    lists,
    mixtures,
    numbers,
    orders,
    pointing,
    quantities,
    questions,
    ranks,
    references,
    refrained,
    refusals,
    remainders,
    retrievals,
    sizes,
    steps,
    towers,
    turns,
)
from planners.phrasing.noise import MARK, noisy
from planners.phrasing.scenes import sample_scene
from robot_skills.scene_graph import SceneGraph

CHATTER = 0.12
#: How often a family is tried on a scene before another is drawn: many fit few scenes.
_TRIES = 25


@dataclass(frozen=True)
class Triple:
    """A command in a scene, and the right answer.

    Attributes:
        answer: what the command comes to.
        form: what it says, in the reader's language: resolved in the scene it is the answer.
        family: what kind of command it is, for figures by group.
    """

    scene: SceneGraph
    command: str
    answer: Answer
    form: str
    family: str


_Writer = Callable[[Author], "tuple[str, Answer] | None"]
#: family -> how often it is written, and by what. Those that few scenes have anything for weigh more, so that
#: over all scenes they are not rare.
FAMILIES: dict[str, tuple[float, _Writer]] = {
    "plain": (90, steps.plain),
    "single": (90, steps.single),
    "held": (7, steps.held_thing),
    "talked": (3, steps.talked),
    "chain": (60, steps.chain),
    "two places": (8, steps.two_places),
    "through": (4, steps.through),
    "condition": (10, conditionals.condition),
    "joined condition": (2, conditionals.joined_condition),
    "condition on it": (2.5, conditionals.about_it),
    "condition on its place": (4, conditionals.on_its_place),
    "nested condition": (1.5, conditionals.nested),
    "two conditions": (2.5, conditionals.each_if),
    "place by condition": (2.5, conditionals.elsewhere),
    **branches.BRANCHES,
    **ranks.RANKS,
    **clipped.CLIPPED,
    "addition": (5, turns.addition),
    "but not": (10, exclusions.but_not),
    "other bowl": (4, exclusions.other_bowl),
    "instead": (6, exclusions.instead),
    "not so": (6, exclusions.not_so),
    "not shut": (3, exclusions.left_so),
    "nothing on": (8, exclusions.nothing_on),
    "none outside": (1.5, exclusions.none_outside),
    "not yet": (5, exclusions.not_yet),
    "neither": (4, exclusions.neither),
    "but each": (6, contrasts.but_each),
    "rest of a kind": (7, contrasts.rest_of_kind),
    "contrast": (6, contrasts.contrast),
    "topic": (3, references.topic),
    "tower of": (8, references.tower_of),
    "then on it": (3, references.then_on_it),
    "stacked pair": (14, references.stacked_pair),
    "where that is": (1.5, references.where_that_is),
    "same again": (2.5, references.same_again),
    "sibling": (2, references.sibling),
    "swapped hand": (9, references.swapped_hand),
    "others too": (3, references.others_too),
    "numbered": (7, lists.numbered),
    "by place": (5, lists.by_place),
    "elided": (4, lists.elided),
    "elided place": (3, lists.elided_place),
    "then shut": (6, lists.put_away_and),
    "then shut and more": (5, lists.put_away_and_more),
    "amount": (8, quantities.amount),
    "two amounts": (2, quantities.two_amounts),
    "one of each": (6, quantities.one_of_each),
    "split": (8, quantities.split),
    "one other": (12, quantities.one_other),
    "counted up": (4, quantities.counted_up),
    "all counted": (3.5, counts.all_counted),
    "one more": (7, counts.one_more),
    "listed count": (1.5, counts.listed_count),
    "more there": (12, remainders.more_there),
    "the others too": (7, remainders.the_others_too),
    "no more there": (12, remainders.no_more_there),
    "off the table": (9, remainders.off_the_table),
    "table but": (6, remainders.table_but),
    "mixture": (12, mixtures.all_together),
    "mixture apart": (4, mixtures.each_apart),
    "one of each listed": (4, mixtures.of_each),
    "some of these": (3, mixtures.of_these),
    "one on another": (6, mixtures.on_another),
    "either": (5, mixtures.either),
    "matching": (4, mixtures.matching),
    "exception elsewhere": (5, denials.exception),
    "not a": (6, denials.not_a),
    "neither place": (5, denials.neither_place),
    "other of two": (5, denials.other_of_two),
    "nor stays": (7, denials.nor_stays),
    "none there": (6, denials.none_there),
    "turned": (5, denials.turned),
    "up there": (9, denials.up_there),
    "only there": (3, denials.only_there),
    "meant not": (4, denials.meant_not),
    "coloured but": (4, denials.coloured_but),
    "not all": (3, denials.not_all),
    "nothing": (1.5, denials.nothing),
    "not this": (3, denials.not_this),
    "anywhere but": (2, denials.anywhere_but),
    "out of": (3, retrievals.out_of),
    "all out of": (1.5, retrievals.all_out_of),
    "replaced": (2, retrievals.replaced),
    "note": (3, retrievals.note),
    "which is bigger": (5, comparisons.which_is),
    "of each kind": (12, comparisons.each_extreme),
    "of three sizes": (35, comparisons.of_three),
    "one on its like": (5, alike.onto_like),
    "likes apart": (4, alike.likes_apart),
    "several by size": (14, alike.several_extreme),
    "sorts apart": (5, alike.sorts_apart),
    "tower by size": (16, comparisons.tower_by_size),
    "apart by size": (5, comparisons.apart),
    "sized": (8, comparisons.sized),
    "unknown size": (1, comparisons.unknown_size),
    "by comparison": (14, sizes.by_comparison),
    "all compared": (11, sizes.all_compared),
    "of each colour": (14, sizes.each_colour),
    "be it": (6, sizes.be_it),
    "matched by size": (32, sizes.matched),
    "one side by size": (5, sizes.sized_sides),
    "left empty": (4, sizes.left_empty),
    "asked by size": (5, sizes.asked_size),
    "each in its place": (14, sizes.placed_each),
    "one below": (13, towers.one_below),
    "tower or its upper part": (13, towers.upper_two),
    "rebuilt": (9, towers.rebuilt),
    "in its place": (22, towers.in_its_place),
    "rider": (14, towers.rider),
    "one on the other": (8, towers.one_on_other),
    "with its load": (20, towers.with_load),
    "not that, the other": (5, pointing.not_that_other),
    "former and latter": (2.5, pointing.former_latter),
    "down, then on it": (20, pointing.down_then_on),
    "join it": (14, pointing.join_it),
    "place first": (3, pointing.place_first),
    "named first": (3, pointing.named_first),
    "if so": (2.5, pointing.if_so),
    "beforehand": (20, pointing.beforehand),
    "twin of the held": (40, pointing.held_twin),
    "take, then on it": (7, asides.take_on_it),
    "take and let rest": (4, asides.take_rest),
    "so does": (9, asides.so_does),
    "same with a pair": (7, asides.same_pairs),
    "kept in hand": (7, asides.keep_in_hand),
    "one, told by the way": (9, asides.one_and_other),
    "held goes too": (16, asides.goes_too),
    "lodger": (28, asides.lodger),
    "afterthought": (5, asides.afterthought),
    "held and the other": (24, asides.held_and_other),
    "of its kind": (90, asides.of_its_kind),
    "seat": (7, asides.seat),
    "wants doing": (5, asides.wants_doing),
    "followed": (7, asides.follow),
    "held, and shut": (9, asides.held_and_shut),
    "some of all": (9, numbers.some_of),
    "half": (8, numbers.half_of),
    "both and one off the table": (12, numbers.both_plus),
    "all by number": (5, numbers.all_things),
    "one goes, one stays": (8, numbers.one_stays),
    "one in each": (8, numbers.one_each),
    "number corrected": (4, numbers.corrected_count),
    "odd one": (8, numbers.odd_one),
    "only one": (4, numbers.lone),
    "none bar": (7, refrained.none_bar),
    "exception first": (8, refrained.save_for),
    "stack left": (35, refrained.stack_left),
    "on no account": (6, refrained.no_account),
    "stop, not there": (6, refrained.stop_place),
    "outside of": (6, refrained.outside_of),
    "named last": (6, likeness.named_last),
    "own colour": (9, likeness.own_colour),
    "coloured like": (7, likeness.coloured_like),
    "only when": (6, orders.only_when),
    "out of order": (6, orders.reordered),
    "place said once": (4.5, orders.elided_list),
    "shut too": (5, orders.shut_too),
    "correction": (6, turns.correction),
    "corrected thing": (6, turns.corrected_thing),
    "mixed": (2.5, turns.mixed),
    "swap": (1.2, turns.swap),
    "chat": (5.5, refusals.question),
    "injection": (2.4, refusals.injection),
    "hazard": (3.4, refusals.hazard),
    "forbidden": (2, refusals.forbidden),
    "skill": (6.5, refusals.no_skill),
    "place": (5, refusals.no_place),
    "missing": (10, refusals.missing),
    "missing fixture": (4, refusals.missing_fixture),
    "too many": (0.8, refusals.too_many),
    "cannot": (6, refusals.cannot),
    "ambiguous": (10, questions.ambiguous),
    "which way": (3, questions.which_way),
    "what": (3, questions.what),
}


def write(author: Author, family: str | None = None) -> Triple | None:
    """One command, of a family where one is given; None where the scene has nothing for it."""
    name = family or author.rng.choices(tuple(FAMILIES), [weight for weight, _ in FAMILIES.values()])[0]
    written = None
    for _ in range(_TRIES):
        author.begin()
        if (written := FAMILIES[name][1](author)) is not None:
            break
    if written is None:
        return None
    text, answer = written
    if author.rng.random() < CHATTER and name != "chat":
        text = author.chatter(text)
    text = re.sub(r"\s+", " ", noisy(text, author.rng)).strip()
    text = re.sub(r"\s+([,.;:!?])", r"\1", text).replace(",,", ",").replace(",.", ".")
    answer = _quoting(text, answer)
    plain = text.replace(MARK, "").lower()
    about = answer.about if isinstance(answer, Refuse) and answer.reason in WORDED else ""
    if about and about not in spans(plain):
        return None
    form = author.form or (author.mirror.goal(answer.literals) if isinstance(answer, Goal) else str(answer))
    if not same(answer, resolve(form, author.scene)):
        return None
    return Triple(author.scene, plain, answer, form, name)


def write_triples(seed: int, scenes: int, each: int, held_out: bool = False) -> list[Triple]:
    """Commands about so many scenes, `each` of them a scene; the same for the same arguments."""
    written: list[Triple] = []
    for number in range(scenes):
        rng = random.Random(f"{seed}:{number}:{held_out}")
        written += scene_triples(rng, sample_scene(rng), each, held_out)
    return written


def scene_triples(rng: random.Random, scene: SceneGraph, count: int, held_out: bool = False) -> list[Triple]:
    """So many commands about one scene."""
    author = Author(scene, rng, held_out)
    written: list[Triple] = []
    while len(written) < count:
        triple = write(author)
        if triple is not None:
            written.append(triple)
    return written


def _quoting(text: str, answer: Answer) -> Answer:
    """The answer with the marked words of the command as what it is about."""
    if not isinstance(answer, Refuse) or answer.about != MARK:
        return answer
    marked = text.split(MARK)
    return Refuse(answer.reason, marked[1].strip().lower() if len(marked) > 2 else MARK)
