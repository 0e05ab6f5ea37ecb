"""What the tuned reader may write about a scene, as a grammar of llama.cpp (GBNF).

It admits the language of `planners.forms` with the scene's names, kinds, colours and sizes, those of the
tabletop besides (what is not there may be named: resolving it tells that it is missing), and of a command's
own words only what a refusal is about. Types are not in it: `planners.reader.sound` looks at what it means.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from planners.compact import CANNOT, PLAIN, WORDED, spans
from planners.descriptions import COMPARED, EXTREMES, RELATIONS, SECOND, SIZES, THING, TIERS, TOWER
from planners.forms import EACH, HELD, NOTHING, PLACE_OF
from planners.phrasing.scenes import COLOURS, LOOSE
from robot_skills.scene_graph import DIRECTIONS, SceneGraph

#: What the reader was taught, whatever the scene holds.
KINDS = (*LOOSE, THING)
_GOAL, _ANSWER = "goal", 'goal | "ask: " asked | "refuse: " why'


def grammar(scene: SceneGraph, command: str, goal: bool = False) -> str:
    """The grammar of the answers there can be to a command in a scene; or of goals alone."""
    names = [entity.name for entity in scene.entities]
    loose = {each.kind for each in scene.entities if not {"openable", "pressable"} & each.tags} - {"table"}
    colours = {each.attributes["colour"] for each in scene.entities if "colour" in each.attributes}
    return (
        "\n".join(
            [
                f'root ::= " " ({_GOAL if goal else _ANSWER}) {_quoted(chr(10))}',
                'goal ::= clause ("; " clause){0,3}',
                "clause ::= branch | part",
                'branch ::= "if " tests ": " part (" elif " tests ": " part){0,2} (" else: " part)?',
                f'part ::= {_quoted(NOTHING)} | literal (" and " literal){{0,11}}',
                'tests ::= test ((" and " test){1,2} | (" or " test){1,2})?',
                'test ::= "not "? (there | fact)',
                'there ::= "there(" (("2 " | "3 " | "4 ")? description | held) ")"',
                'fact ::= ("in(" | "on(") group ", " one ")" | ("holding(" | "open(" | "closed(" | '
                '"pressed(") group ")"',
                'literal ::= ("in(" | "on(") group ", " (set | place) ")" | ("holding(" | "open(" | '
                '"closed(" | "pressed(" | "not pressed(" | "stacked(" | "pyramid(" | '
                '"upturned(") group ")" | '
                '"moved(" group ", " direction ")" | "elsewhere(" one ", " one (" & " one){0,3} ")"',
                'group ::= set (" & " set){0,7}',
                f"place ::= {_quoted(PLACE_OF)} one",
                f'each ::= "all " compared " " (size " ")? (colour " ")? kind ({_either(EACH)})',
                'among ::= compared " of " member (" | " member){1,3}',
                'set ::= each | among | "all " ("but " [1-4] " ")? other? description but? | '
                '"any " ([2-9] " " ("alike " | "unlike ")?)? "of " other? '
                'member (" | " member){0,7} but? | one',
                'but ::= " but " member (" & " member){0,3}',
                'member ::= "all " description | one',
                "one ::= name | held | other? description",
                f"held ::= {_quoted(HELD)}",
                'other ::= "other "',
                "description ::= plain (relation (name | held | near) | tower)?",
                "near ::= plain (relation (name | held | plain) | tower)?",
                f"tower ::= {_quoted(f' in {TOWER}')}",
                'plain ::= (extreme " ")? (size " ")? (colour " ")? kind',
                f"relation ::= {_either(f' {each} ' for each in (*RELATIONS, *COMPARED))}",
                f"compared ::= {_either((*EXTREMES, *SECOND))}",
                f"extreme ::= compared | {_either(TIERS)}",
                f"size ::= {_either(SIZES)}",
                f"colour ::= {_either(dict.fromkeys((*COLOURS, *sorted(colours))))}",
                f"kind ::= {_either(dict.fromkeys((*KINDS, *sorted(loose))))}",
                f"name ::= {_either(names)}",
                f"direction ::= {_either(DIRECTIONS)}",
                'asked ::= name (" | " name){0,15} | direction (" | " direction){1,3}',
                f'why ::= {_either(PLAIN)} | ({_either(WORDED)}) " " words | {_quoted(CANNOT + " ")} wrong',
                f"words ::= {_either(spans(command) or ['that'])}",
                'wrong ::= ("in(" | "on(") name ", " name ")" | '
                '("holding(" | "open(" | "closed(" | "pressed(" | "moved(") name ")"',
            ]
        )
        + "\n"
    )


def _either(texts: Iterable[str]) -> str:
    return " | ".join(_quoted(text) for text in texts)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
