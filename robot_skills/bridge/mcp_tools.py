"""How the tools are described to a client of the Model Context Protocol: from the cards of the skills."""

from __future__ import annotations

from typing import Any

import mcp.types as protocol

from robot_skills.skill import Skill, Status, describe


def mode(live: bool) -> str:
    """What running a skill does."""
    return "LIVE: run_skill moves the arm." if live else "Dry run: nothing is sent, the arm does not move."


def card(skill: Skill) -> str:
    """A skill in a line."""
    takes = "; ".join(f"{name} is {describe(kind)}" for name, kind in skill.parameters.items())
    needs = ", ".join(map(str, skill.preconditions))
    changes = ", ".join(
        [
            *map(str, skill.effects),
            *(f"{effect} if {each.condition}" for each in skill.when for effect in each.effects),
        ]
    )
    return (
        f"- {skill.name}({', '.join(skill.parameters)}): {skill.summary} {takes}. "
        f"Needs: {needs or 'nothing'}. Changes: {changes or 'nothing'}. Ends within {skill.timeout:g} s."
    )


def run_tool(skills: list[Skill], live: bool) -> protocol.Tool:
    """The tool that runs a skill."""
    return protocol.Tool(
        name="run_skill",
        description=f"{mode(live)} Run a skill, one at a time, and wait for its end; progress is told in "
        "seconds, and cancelling stops the arm. 'succeeded' means that the policy says it is over: look, "
        "to see whether it worked. Things are called what a person would call them: 'red block'.\n"
        + "\n".join(map(card, skills)),
        input_schema=properties(
            skill={"type": "string", "enum": [skill.name for skill in skills]},
            arguments={
                "type": "object",
                "description": 'By the name of the parameter, as in {"object": "red block"}.',
                "additionalProperties": {"type": "string"},
            },
        ),
        output_schema=properties(
            live={"type": "boolean", "description": "Whether the arm was sent commands."},
            skill={"type": "string"},
            args={"type": "object"},
            status={"type": "string", "enum": [status.value for status in Status]},
            reason={"type": "string"},
            steps={"type": "integer", "description": "Control steps that were played."},
            seconds={"type": "number", "description": "Wall time."},
        ),
        annotations=protocol.ToolAnnotations(
            read_only_hint=not live, destructive_hint=live, idempotent_hint=False, open_world_hint=False
        ),
    )


def make_tools(skills: list[Skill], cameras: list[str], live: bool) -> list[protocol.Tool]:
    """What is offered: `look` only where there is a camera."""
    sees = protocol.ToolAnnotations(read_only_hint=True, open_world_hint=False)
    tools = [
        protocol.Tool(
            name="list_skills",
            description="Every skill of the library: its parameters, what must hold before (preconditions), "
            "what holds after (effects), its time-out in seconds, and whether it is trained. One with steps "
            "stands for those: run them one by one.",
            input_schema=properties(),
            output_schema=properties(skills={"type": "array", "items": {"type": "object"}}),
            annotations=sees,
        ),
        run_tool(skills, live),
        protocol.Tool(
            name="stop",
            description="Stop the arm now, within its limits, and end the skill that runs. It holds its pose "
            "until the next run_skill. This is no emergency stop: that one is made of hardware.",
            input_schema=properties(),
            annotations=protocol.ToolAnnotations(
                read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False
            ),
        ),
        protocol.Tool(
            name="status",
            description="Whether the arm is live or dry, why it is stopped, what runs, and where it is: "
            "joints, hand and gripper as last reported.",
            input_schema=properties(),
            output_schema=STATUS,
            annotations=sees,
        ),
    ]
    if cameras:
        which = {"type": "string", "enum": cameras, "default": cameras[0]}
        look = "A picture of what is in front of the arm now, from one of its cameras."
        looks = properties(camera=which) | {"required": []}
        tools.append(protocol.Tool(name="look", description=look, input_schema=looks, annotations=sees))
    return tools


def properties(**kinds: Any) -> dict[str, Any]:
    """The schema of an object that has all of these and no others."""
    return {"type": "object", "properties": kinds, "required": list(kinds), "additionalProperties": False}


def numbers(description: str, count: int) -> dict[str, Any]:
    """The schema of so many numbers."""
    items = {"type": "number"}
    return {
        "type": "array", "items": items, "minItems": count, "maxItems": count, "description": description,
    }  # fmt: skip


STATUS = properties(
    live={"type": "boolean", "description": "Whether the arm is sent commands."},
    stopped={"type": ["string", "null"], "description": "Why it may not move; run_skill resumes it."},
    running={"type": ["string", "null"], "description": "The skill call that is being carried out."},
    age={"type": "number", "description": "Of what follows, s."},
    joints={"type": "object", "additionalProperties": {"type": "number"}, "description": "By name, rad."},
    hand=properties(
        position=numbers("Base frame, m: x forward, y left, z up.", 3),
        quaternion=numbers("x, y, z, w.", 4),
    ),
    gripper={"type": "number", "description": "Its opening, m."},
) | {"required": ["live", "stopped", "running"]}
