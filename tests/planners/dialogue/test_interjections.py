from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planners.dialogue.interjections import Kind, heard, heard_moving, says_stop

CASES = st.sampled_from([str.lower, str.upper, str.title, str.swapcase])
AROUND = st.text(" \t.!?…-*\"'", max_size=4)


@given(st.data(), CASES, AROUND, AROUND)
def test_stop_is_heard_with_any_one_slip(data: st.DataObject, case: object, left: str, right: str) -> None:
    letters, place = list("stop"), data.draw(st.integers(0, 3))
    slip = data.draw(st.sampled_from(["none", "lost", "doubled", "other", "more", "swapped"]))
    other = data.draw(st.sampled_from(string.ascii_lowercase))
    if slip == "lost":
        del letters[place]
    elif slip == "doubled":
        letters[place] *= data.draw(st.integers(2, 9))
    elif slip == "other":
        letters[place] = other
    elif slip == "more":
        letters.insert(place, other)
    elif slip == "swapped" and place < 3:
        letters[place : place + 2] = letters[place : place + 2][::-1]
    typed = left + case("".join(letters)) + right  # type: ignore[operator]
    assert says_stop(typed), typed
    assert heard_moving(typed).kind is Kind.STOP


@given(st.text(max_size=40), st.text(max_size=40))
def test_stop_is_heard_among_any_other_words(before: str, after: str) -> None:
    assert says_stop(f"{before} stop {after}")
    assert says_stop(f"{before} STOP! {after}")


@pytest.mark.parametrize(
    "line",
    [
        "s t o p", "S.T.O.P", "s-t-o-p", "ѕтор", "ｓｔｏｐ", "s\u200bt\u200bop", "st0p", "$top",
        "stopstopstop",
        "please stpo", "don't stop... I mean stop", "no no no stop it", "halt!", "freeze", "abort",
        "cancel that",
        "arrête !", "detente", "STOPP", "стоп", "Стой!", "止まれ", "停!", "今すぐ停止して", "정지", "توقف",
        "रुको",
        "ok that's enough", "hold it", "don't move", "\u202estop", "s\u0301top", "top", "please top",
    ],
)  # fmt: skip
def test_stop_in_other_spellings(line: str) -> None:
    assert heard_moving(line).kind is Kind.STOP


@pytest.mark.parametrize(
    "line",
    [
        "no, on top of the green one", "put the red block in the drawer", "no, the small one",
        "open the door",
        "not the top drawer, the door", "go on", "wait", "I meant the yellow ball", "", "???", "stack it",
    ],
)  # fmt: skip
def test_what_is_no_stop(line: str) -> None:
    assert heard_moving(line).kind is not Kind.STOP


@pytest.mark.parametrize(
    ("line", "kind", "rest"),
    [
        ("no, the green one", Kind.CORRECTION, "the green one"),
        ("No wait, the green one!", Kind.CORRECTION, "the green one"),
        ("the green one instead", Kind.CORRECTION, "the green one"),
        ("sorry, I meant the green one", Kind.CORRECTION, "the green one"),
        ("not the red one, the green one", Kind.CORRECTION, "not the red one, the green one"),
        ("actually put it in the bowl", Kind.CORRECTION, "put it in the bowl"),
        ("no", Kind.CORRECTION, ""),
        ("put it back", Kind.PUT_BACK, "it"),
        ("please put the red block back where it was", Kind.PUT_BACK, "the red block"),
        ("undo that", Kind.UNDO, ""),
        ("undo", Kind.UNDO, ""),
        ("do that again with the blue one", Kind.AGAIN, "the blue one"),
        ("do it again", Kind.AGAIN, ""),
        ("once more", Kind.AGAIN, ""),
        ("wait a moment", Kind.WAIT, ""),
        ("ok, go on", Kind.OTHER, "ok, go on"),
        ("go on please", Kind.GO_ON, ""),
        ("quit", Kind.LEAVE, ""),
        ("stop", Kind.STOP, ""),
        ("put the red block back in the bowl", Kind.OTHER, "put the red block back in the bowl"),
        ("open the drawer", Kind.OTHER, "open the drawer"),
    ],
)
def test_kinds_between_commands(line: str, kind: Kind, rest: str) -> None:
    said = heard(line)
    assert (said.kind, said.rest) == (kind, rest)
