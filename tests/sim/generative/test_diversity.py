"""Diversity: numbers that can be checked by hand, and what they must do when a set gets more varied."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sim.generative.diversity import bleu, diversity, matched, self_bleu, tokens, vendi_score
from sim.generative.grammar import propose
from sim.generative.novelty import Archive, signature_of
from sim.generative.task import Provenance, Task, make_task

PLAIN = ["open the door", "open the door now", "press the red button twice", "stack three cubes by colour"]


def bag_of_words(texts: list[str]) -> np.ndarray:
    """Unit vectors without a model: counts of words, hashed into 64 places."""
    rows = np.zeros((len(texts), 64), np.float32)
    for row, text in zip(rows, texts, strict=True):
        for word in tokens(text):
            row[sum(map(ord, word)) % 64] += 1.0
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_bleu_of_a_sentence_with_itself_is_one_and_of_a_shorter_one_is_worked_out_by_hand() -> None:
    long = ["the", "red", "cube", "is", "in", "the", "blue", "box"]
    assert bleu(long, [long]) == pytest.approx(1.0)
    # 5 of 5, 4 of 4, 3 of 3, 2 of 2 n-grams found; brevity penalty exp(1 - 8/5).
    assert bleu(long[:5], [long]) == pytest.approx(math.exp(1 - 8 / 5))
    # Unigrams 3 of 4, bigrams 1 of 3, none of 2 and of 1: 0.1 in their places.
    found = bleu(["press", "the", "green", "light"], [["press", "the", "button", "under", "green"]])
    precision = (3 / 4 * 1 / 3 * 0.1 / 2 * 0.1 / 1) ** 0.25
    assert found == pytest.approx(precision * math.exp(1 - 5 / 4))


def test_vendi_counts_what_is_different() -> None:
    assert vendi_score(np.eye(5)) == pytest.approx(5.0)
    assert vendi_score(np.ones((5, 5))) == pytest.approx(1.0)
    two_kinds = np.kron(np.eye(2), np.ones((3, 3)))
    assert vendi_score(two_kinds) == pytest.approx(2.0)


def test_a_set_of_near_copies_scores_worse_on_every_number() -> None:
    copies = ["open the door", "open the door now", "open the door please", "open the door today"]
    varied, same = diversity(PLAIN, bag_of_words), diversity(copies, bag_of_words)
    assert varied.self_bleu < same.self_bleu
    assert varied.cosine < same.cosine
    assert varied.nearest < same.nearest
    assert varied.vendi > same.vendi
    assert same.words == pytest.approx(3.75)
    assert self_bleu([tokens(text) for text in copies]) == pytest.approx(same.self_bleu)


def test_matched_subsets_have_the_size_asked_for_and_are_drawn_by_the_seed() -> None:
    first = matched(PLAIN, bag_of_words, 3, draws=2)
    assert [each.count for each in first] == [3, 3]
    assert first == matched(PLAIN, bag_of_words, 3, draws=2)


def proposed(number: int) -> Task:
    return make_task(propose(2, number), number, Provenance("test", 2, number))


def test_the_archive_refuses_what_it_has_whatever_its_colours() -> None:
    archive = Archive(bag_of_words)
    task = proposed(0)
    assert archive.admit(task) is None
    assert archive.admit(task) is not None
    kinds = {signature_of(proposed(number)) for number in range(200)}
    assert 100 < len(kinds) < 200  # colours alone do not make a task another
    assert not any(colour in kind for kind in kinds for colour in ("purple", "orange", "cyan"))


def test_rare_families_that_can_be_done_are_proposed_more_often() -> None:
    archive = Archive(bag_of_words)
    archive.tried.update({"single": 10, "stacking": 10, "sorting": 10})
    archive.accepted.update({"single": 9, "stacking": 3})
    weights = archive.weights()
    assert weights["stacking"] > weights["sorting"]  # nothing of it was ever accepted
    assert weights["counting"] > weights["single"]  # not tried yet, against common
