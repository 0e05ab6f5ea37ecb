"""What was done, in words: "I opened the drawer and put the red block in it; opening it took two tries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from planners.answers import listing
from robot_skills.skill import Outcome, SkillCall, Status
from robot_skills.symbolic.closed_loop import RunResult

#: skill -> (what was done, doing it, to do it)
_WORDS = {
    "pick": ("picked up {object}", "picking up {object}", "pick up {object}"),
    "place": ("put {object} {relation} {target}", "putting {object} {relation} {target}",
              "put {object} {relation} {target}"),
    "push": ("pushed {object} {direction}", "pushing {object} {direction}", "push {object} {direction}"),
    "open": ("opened {target}", "opening {target}", "open {target}"),
    "close": ("closed {target}", "closing {target}", "close {target}"),
    "press": ("pressed {target}", "pressing {target}", "press {target}"),
}  # fmt: skip
_TIMES = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_DID, _DOING, _DO = range(3)


@dataclass(frozen=True)
class _Deed:
    """A call with its outcomes, one after another."""

    call: SkillCall
    outcomes: tuple[Outcome, ...]

    @property
    def done(self) -> bool:
        return self.outcomes[-1].status is Status.SUCCEEDED


def summary(result: RunResult) -> str:
    """One or two sentences about a run that has ended."""
    deeds = list(_deeds(result.outcomes))
    if not deeds:
        return "I did nothing: it was so already." if result.success else f"I did nothing. {result.reason}"
    done = [deed for deed in deeds if deed.done or (result.success and deed is not deeds[-1])]
    parts = [f"I {listing(_clauses(done))}"] if done else []
    parts += [f"{_say(deed.call, _DOING)} took {_count(len(deed.outcomes))} tries" for deed in _hard(done)]
    if not parts and result.success:
        parts = [f"I {listing(_clauses(deeds))}"]
    told = f"{'; '.join(parts)}." if parts else ""
    return " ".join(filter(None, (told, _end(result, deeds[-1]))))


def _end(result: RunResult, last: _Deed) -> str:
    """How it went wrong, where it did."""
    outcome = last.outcomes[-1]
    if result.success:
        return ""
    if outcome.status is Status.PREEMPTED:
        return f"I was stopped while {_say(last.call, _DOING)}."
    if outcome.status is Status.ABORTED:
        return f"I had to stop while {_say(last.call, _DOING)}: {outcome.reason}"
    if last.done:
        return f"Yet it is not as it should be: {result.reason}"
    tries = f" in {_count(len(last.outcomes))} tries" if len(last.outcomes) > 1 else ""
    return f"I could not {_say(last.call, _DO)}{tries}: {outcome.reason}"


def _deeds(outcomes: Sequence[Outcome]) -> Iterator[_Deed]:
    """Calls in the order in which they were last tried, with every try of each since it last worked."""
    open_: dict[SkillCall, list[Outcome]] = {}
    finished: list[_Deed] = []
    for outcome in outcomes:
        tried = [*open_.pop(outcome.call, []), outcome]
        if outcome.status is Status.SUCCEEDED:
            finished.append(_Deed(outcome.call, tuple(tried)))
        else:
            open_[outcome.call] = tried
    last = outcomes[-1].call if outcomes else None
    left = [_Deed(call, tuple(tried)) for call, tried in open_.items()]
    yield from (*finished, *sorted(left, key=lambda deed: deed.call == last))


def _clauses(deeds: Sequence[_Deed]) -> list[str]:
    """What was done, deed by deed; taking a thing and putting it somewhere is one."""
    told: list[str] = []
    place = ""
    for number, deed in enumerate(deeds):
        following = deeds[number + 1].call if number + 1 < len(deeds) else None
        carried = (
            deed.call.skill == "pick"
            and following is not None
            and following.skill == "place"
            and following.args.get("object") == deed.call.args.get("object")
        )
        if not carried:
            told.append(_say(deed.call, _DID, known=place))
            place = deed.call.args.get("target", place)
    return told


def _hard(deeds: Sequence[_Deed]) -> Iterator[_Deed]:
    return (deed for deed in deeds if len(deed.outcomes) > 1)


def _say(call: SkillCall, form: int, known: str = "") -> str:
    """A call in words; a place that was named right before is "it"."""
    if call.skill not in _WORDS:
        about = listing([f"the {value}" for value in call.args.values()]) if call.args else ""
        verb = ("carried out", "carrying out", "carry out")[form]
        return f"{verb} {call.skill!r}{' with ' if about else ''}{about}"
    named = {
        name: value
        if name in ("relation", "direction")
        else "it"
        if name == "target" and value == known
        else f"the {value}"
        for name, value in call.args.items()
    }
    return _WORDS[call.skill][form].format(**named)


def _count(number: int) -> str:
    return _TIMES[number] if number < len(_TIMES) else str(number)
