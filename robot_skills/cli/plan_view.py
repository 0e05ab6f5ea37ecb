"""A command, its plan and what came of it, on one HTML page that needs nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from robot_skills.cli.console import whole_file
from robot_skills.cli.scene_picture import picture
from robot_skills.scene_graph import SceneGraph
from robot_skills.skill import Status
from robot_skills.symbolic.journal import Entry

if TYPE_CHECKING:
    from planners.planner import PlanResult

#: Nothing is loaded and no script runs, whatever the names of things hold.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE = """
:root { color-scheme: light dark;
        --ink: #1c1e22; --soft: #6b7078; --line: #d9dce1; --paper: #fff; --tint: #f4f5f7; --mark: #1668c4;
        --good: #2a8a3c; --bad: #c62f2f; --warn: #c98a12; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8eaed; --soft: #9aa0a8; --line: #3a3e45; --paper: #17191c; --tint: #202328;
          --mark: #6aaef5; --good: #66c47a; --bad: #ef7272; --warn: #e2b04a; } }
* { box-sizing: border-box; } a { color: var(--mark); }
body { margin: 0 auto; max-width: 1080px; padding: 22px; font: 14px/1.5 system-ui, sans-serif;
       color: var(--ink); background: var(--paper); overflow-wrap: anywhere; }
h1 { font-size: 20px; margin: 0 0 6px; } h2 { font-size: 15px; margin: 22px 0 6px; }
p { margin: 2px 0; } .soft, small { color: var(--soft); } code { font-size: 13px; }
section { border: 1px solid var(--line); border-radius: 6px; margin: 10px 0; padding: 10px 14px; }
section > header { display: flex; gap: 10px; align-items: baseline; flex-wrap: wrap; }
header b { font-size: 15px; } .time { margin-left: auto; color: var(--soft); }
.good { color: var(--good); } .bad { color: var(--bad); } .warn { color: var(--warn); }
.pair { display: flex; flex-wrap: wrap; gap: 14px; margin-top: 8px; } figure { margin: 0; }
@media (max-width: 500px) { body { padding: 12px; } section { padding: 8px; } }
figcaption { color: var(--soft); font-size: 12px; }
svg { background: var(--tint); border-radius: 4px; max-width: 100%; height: auto; }
svg text { font: 10px system-ui, sans-serif; fill: var(--ink); text-anchor: middle; }
svg text.soft { fill: var(--soft); } svg .table { stroke: var(--soft); stroke-width: 2; }
svg .thing > * { stroke: var(--soft); stroke-width: 1; }
svg .marked > * { stroke: var(--mark); stroke-width: 3; }
svg .lid { fill: var(--soft); } svg .hand { stroke: var(--soft); stroke-width: 4; fill: none; }
ul { list-style: none; margin: 8px 0 0; padding: 0; } li.gained::before { content: "+ "; color: var(--good); }
li.lost::before { content: "\\2212\\a0"; color: var(--bad); }
"""
_COLOURS = {Status.SUCCEEDED: "good", Status.PREEMPTED: "warn"}


@dataclass(frozen=True)
class Story:
    """What the page tells.

    Attributes:
        result: of planning.
        scene: when the command was given.
        entries: the steps, foreseen or carried out.
        success: whether the goal holds at the end; None where nothing was carried out.
        reason: why the run ended.
        summary: of the run, in words.
        film: where the film lies, seen from the page; None where there is none.
    """

    result: PlanResult
    scene: SceneGraph
    entries: Sequence[Entry] = ()
    success: bool | None = None
    reason: str = ""
    summary: str = ""
    film: str | None = None


def write_story(path: Path | None, story: Story, film: Path | None = None) -> None:
    """Write the page, with a link to the film as it lies from there; None writes nothing."""
    if path is None:
        return
    if film is not None:
        link = quote(os.path.relpath(film.absolute(), path.absolute().parent))
        story = replace(story, film=link)
    with whole_file(path) as temporary:
        temporary.write_text(page(story), encoding="utf-8")


def page(story: Story) -> str:
    """The page, HTML; every word from outside is escaped."""
    title = escape(story.result.command)
    body = "\n".join([*_head(story), *_steps(story.entries)])
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _head(story: Story) -> Iterator[str]:
    result = story.result
    yield f"<h1>{escape(result.command)}</h1>"
    if story.success is not None:
        word, colour = ("Done.", "good") if story.success else ("Failed.", "bad")
        yield f'<p><b class="{colour}">{word}</b> {escape(story.reason)} {escape(story.summary)}</p>'
    if result.goal is not None:
        yield f"<p>Goal: <code>{escape(str(result.goal))}</code></p>"
    for colour, word, said in (("bad", "Refused.", result.refused), ("warn", "Question.", result.question)):
        if said is not None:
            yield f'<p><b class="{colour}">{word}</b> {escape(said)}</p>'
    if result.note is not None:
        yield f"<p>{escape(result.note)}</p>"
    if result.verified:
        sure = result.expected_success
        yield f"<p>Plan, verified on the skills' cards: {_calls(map(str, result.plan))}</p>"
        if sure is not None:
            yield f"<p>Chance that each step works at its first try: {sure:.0%}</p>"
    who = f", goal proposed by {result.proposal.proposer}" if result.proposal else ""
    yield f"<p><small>Planned in {result.seconds:.2f} s{escape(who)}</small></p>"
    if story.film is not None:
        yield f'<p><a href="{escape(story.film)}">The film</a></p>'
    yield f"<h2>The scene, as {escape(_source(story.scene))}</h2>{picture(story.scene)}"


def _steps(entries: Sequence[Entry]) -> Iterator[str]:
    if entries:
        carried_out = any(entry.outcome or entry.trouble for entry in entries)
        yield f"<h2>{'What happened' if carried_out else 'What the plan promises'}</h2>"
    number = 0
    for entry in entries:
        if entry.trouble is not None:
            word = "A new plan." if entry.plan else "Not as it should be."
            told = f"<p>Now: {_calls(map(str, entry.plan))}</p>" if entry.plan else ""
            yield f'<section><b class="warn">{word}</b> {escape(entry.trouble)}{told}</section>'
        else:
            number += 1
            yield _step(number, entry)


def _step(number: int, entry: Entry) -> str:
    gained, lost = entry.changes()
    marked = frozenset(arg for fact in (*gained, *lost) for arg in fact.args)
    outcome, told, time = entry.outcome, "", ""
    if outcome is not None:
        colour = _COLOURS.get(outcome.status, "bad")
        told = f'<span class="{colour}">{outcome.status.value}</span> <small>{escape(outcome.reason)}</small>'
        time = f'<span class="time">{outcome.steps} control steps, {outcome.seconds:.1f} s</span>'
    facts = [f'<li class="gained"><code>{escape(str(fact))}</code></li>' for fact in gained]
    facts += [f'<li class="lost"><code>{escape(str(fact))}</code></li>' for fact in lost]
    changed = f"<ul>{''.join(facts)}</ul>" if facts else '<p class="soft">No fact changed.</p>'
    return (
        f"<section><header><span><b>{number}.</b> <code>{escape(str(entry.call))}</code></span> {told} {time}"
        "</header>"
        f'<div class="pair"><figure>{picture(entry.before, marked)}<figcaption>before</figcaption></figure>'
        f"<figure>{picture(entry.after, marked)}<figcaption>after</figcaption></figure></div>"
        f"{changed}</section>"
    )


def _calls(calls: Iterable[str]) -> str:
    return ", ".join(f"<code>{escape(call)}</code>" for call in calls) or "nothing to do"


def _source(scene: SceneGraph) -> str:
    named = {"oracle": "the simulator's state shows it (oracle)", "camera": "cameras see it", "told": "told"}
    return named.get(scene.source, scene.source)
