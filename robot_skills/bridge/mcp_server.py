"""The skills as tools of the Model Context Protocol, for any planner that speaks it.

    list_skills   what there is: parameters, conditions, effects
    run_skill     one call, with its progress; cancelling it stops the arm
    stop          until the next run_skill
    status        live or dry, stopped and why, joints, hand, gripper
    look          a picture of a camera

The client starts this process and speaks over its standard input and output. Nothing listens on a port, and
whoever may start the process may move the arm, so there is no token.
"""

from __future__ import annotations

import base64
import io
import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
import mcp.types as protocol
from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server

from robot_skills import __version__
from robot_skills.bridge.arm import RosArm
from robot_skills.bridge.images import picture
from robot_skills.bridge.kinematics import Kinematics
from robot_skills.bridge.mcp_tools import make_tools, mode
from robot_skills.bridge.runner import SkillRunner
from robot_skills.bridge.schema import MessageError
from robot_skills.bridge.senses import Nobody
from robot_skills.bridge.settings import ArmSettings
from robot_skills.errors import InputError, JobError, require, unknown
from robot_skills.execution import Step
from robot_skills.library import SkillLibrary
from robot_skills.skill import SkillCall, Status

log = logging.getLogger(__name__)

#: Progress is told this often, s, and not at each control step, which a slow listener would hold up.
TELL = 0.1
#: The longer side of a picture is at most this, pixels: clients refuse what is much larger.
LONGEST = 1024


class Pictures(Nobody):
    """Keeps the latest picture of each camera as it came: larger than what the skills see. A `Watcher`."""

    def __init__(self, settings: ArmSettings) -> None:
        self._cameras = settings.cameras
        self._topics = {camera.topic for camera in settings.cameras.values()}
        self._latest: dict[str, tuple[float, Any]] = {}

    def message(self, topic: str, message: Any) -> None:
        """See `Watcher`."""
        if topic in self._topics:
            self._latest[topic] = time.monotonic(), message

    def jpeg(self, camera: str) -> bytes:
        """The picture of a camera.

        Raises:
            JobError: none came lately, or it is damaged.
        """
        kept = self._cameras[camera]
        came, message = self._latest.get(kept.topic, (-float("inf"), None))
        age = time.monotonic() - came
        if age > kept.max_age:
            since = "yet" if message is None else f"for {age:.1f} s"
            raise JobError(
                f"The camera {camera!r} has sent no image {since}: see robot-skills bridge doctor."
            )
        pillow, file = require("PIL.Image", "mcp"), io.BytesIO()
        try:
            image = pillow.fromarray(picture(message))
        except MessageError as error:
            raise JobError(f"The image of the camera {camera!r} cannot be read: {error}") from error
        image.thumbnail((LONGEST, LONGEST))
        image.save(file, "JPEG", quality=90)
        return file.getvalue()


class SkillTools:
    """The tools, and what they answer.

    Args:
        arm: that the skills drive.
        settings: of the arm.
        kinematics: of the arm, its own: the arm uses those that it has in other threads.
        library: of the skills.
        runner: of the skills.
        pictures: a watcher of the arm.
        live: whether the arm is sent commands.

    Raises:
        InputError: no skill of the library is trained.
    """

    def __init__(
        self,
        arm: RosArm,
        settings: ArmSettings,
        kinematics: Kinematics,
        library: SkillLibrary,
        runner: SkillRunner,
        pictures: Pictures,
        *,
        live: bool,
    ) -> None:
        self._arm, self._settings, self._kinematics = arm, settings, kinematics
        self._library, self._runner, self._pictures, self._live = library, runner, pictures, live
        self._lock = threading.Lock()
        #: With the time that each has on this arm.
        self._skills = {
            name: replace(skill, timeout=round(runner.limit(skill), 1))
            for name, skill in library.skills.items()
        }
        skills = [
            skill
            for name, skill in self._skills.items()
            if name not in library.composites and library.trained(name)
        ]
        if not skills:
            raise InputError(
                f"No skill in {library.folder} is trained: robot-skills skills add FOLDER puts one there."
            )
        self._tools = {tool.name: tool for tool in make_tools(skills, list(settings.cameras), live)}
        self._answers: dict[str, Callable[[Mapping[str, Any]], protocol.CallToolResult]] = {
            "list_skills": self._list_skills,
            "stop": self._stop,
            "status": self._status,
            "look": self._look,
        }

    def server(self) -> Server[Any]:
        """A server that offers them."""
        return Server(
            "robot-skills",
            version=__version__,
            title=f"Skills of {self._settings.name}",
            instructions=f"A robot arm, {self._settings.name}, with trained skills. {mode(self._live)} Call "
            "look before and after run_skill: nobody else checks a skill's conditions, or what came of it.",
            on_list_tools=self._list_tools,
            on_call_tool=self._call,
        )

    async def _list_tools(
        self, context: ServerRequestContext[Any], params: protocol.PaginatedRequestParams | None
    ) -> protocol.ListToolsResult:
        return protocol.ListToolsResult(tools=list(self._tools.values()))

    async def _call(
        self, context: ServerRequestContext[Any], params: protocol.CallToolRequestParams
    ) -> protocol.CallToolResult:
        given = params.arguments or {}
        if params.name == "run_skill":
            return await self._run(context, given)
        return await anyio.to_thread.run_sync(answered, partial(self._answer, params.name, given))

    async def _run(
        self, context: ServerRequestContext[Any], given: Mapping[str, Any]
    ) -> protocol.CallToolResult:
        """Run a skill in a thread, beside a task that tells its progress and, when cancelled, ends it."""
        preempt = threading.Event()
        told: deque[tuple[float, float, str]] = deque(maxlen=1)

        async def tell() -> None:
            try:
                while True:
                    await anyio.sleep(TELL)
                    if told:
                        await context.session.report_progress(*told.pop())
            finally:
                preempt.set()

        async with anyio.create_task_group() as group:
            group.start_soon(tell)
            # Waits for the thread even when cancelled: then the arm has been stopped.
            result = await anyio.to_thread.run_sync(
                answered, partial(self._run_skill, given, preempt, told.append)
            )
            group.cancel_scope.cancel()
        return result

    def _answer(self, name: str, given: Mapping[str, Any]) -> protocol.CallToolResult:
        self._check(name, given)
        return self._answers[name](given)

    def _run_skill(
        self,
        given: Mapping[str, Any],
        preempt: threading.Event,
        tell: Callable[[tuple[float, float, str]], None],
    ) -> protocol.CallToolResult:
        self._check("run_skill", given)
        call = read_call(given)

        def on_step(step: Step) -> None:
            limit = self._skills[call.skill].timeout
            tell((step.seconds, limit, f"{call}: {step.seconds:.1f} s of at most {limit:g} s"))

        outcome = self._runner.run(call, preempt, on_step)
        dry = "" if self._live else "Dry run, nothing was sent. "
        text = f"{dry}{call}: {outcome.status.value.replace('_', ' ')} after {outcome.seconds:.1f} s."
        data = {"live": self._live, **outcome.to_json()}
        return says(f"{text} {outcome.reason}", data, failed=outcome.status is not Status.SUCCEEDED)

    def _list_skills(self, given: Mapping[str, Any]) -> protocol.CallToolResult:
        skills = []
        for name, skill in self._skills.items():
            steps = self._library.composites.get(name)
            runs = {"trained": self._library.trained(name)}
            skills.append(
                skill.to_json() | runs | ({"steps": [str(step) for step in steps]} if steps else {})
            )
        return says_data({"skills": skills})

    def _stop(self, given: Mapping[str, Any]) -> protocol.CallToolResult:
        self._runner.stop("An MCP client called stop.")
        return says("Stopped. The next run_skill moves it again.")

    def _status(self, given: Mapping[str, Any]) -> protocol.CallToolResult:
        running, state = self._runner.running, self._arm.senses.inputs.state
        data: dict[str, Any] = {
            "live": self._live,
            "stopped": self._arm.stopped,
            "running": None if running is None else str(running),
        }
        if state is not None:
            names = (joint.name for joint in self._settings.joints)
            with self._lock:
                position, quaternion = self._kinematics.pose(state.position)
            data |= {
                "age": round(time.monotonic() - state.received, 3),
                "joints": dict(zip(names, rounded(state.position), strict=True)),
                "hand": {"position": rounded(position), "quaternion": rounded(quaternion)},
            }
            if self._settings.gripper is not None:
                (data["gripper"],) = rounded([state.opening])
        return says_data(data)

    def _look(self, given: Mapping[str, Any]) -> protocol.CallToolResult:
        cameras = self._settings.cameras
        camera = str(given.get("camera", next(iter(cameras))))
        if camera not in cameras:
            raise unknown("camera", camera, cameras)
        data = base64.b64encode(self._pictures.jpeg(camera)).decode()
        return protocol.CallToolResult(content=[protocol.ImageContent(data=data, mime_type="image/jpeg")])

    def _check(self, tool: str, given: Mapping[str, Any]) -> None:
        if tool not in self._tools:
            raise unknown("tool", tool, self._tools)
        arguments = self._tools[tool].input_schema["properties"]
        for name in given:
            if name not in arguments:
                raise unknown(f"argument of {tool}", name, arguments)


def serve(server: Server[Any]) -> None:
    """Speak over standard input and output until the client closes them."""

    async def speak() -> None:
        async with stdio_server() as (reader, writer):
            await server.run(reader, writer, server.create_initialization_options())

    anyio.run(speak)


def answered(work: Callable[[], protocol.CallToolResult]) -> protocol.CallToolResult:
    """What the work answers; its error as one of the tool, on one line."""
    try:
        return work()
    except (InputError, JobError) as error:
        return says(str(error), failed=True)
    except Exception as error:
        log.exception("A tool failed.")
        return says(f"{type(error).__name__}: {error}", failed=True)


def says(text: str, data: dict[str, Any] | None = None, *, failed: bool = False) -> protocol.CallToolResult:
    """One line for the model, and plain JSON values for the program."""
    line = protocol.TextContent(text=" ".join(text.split()))
    return protocol.CallToolResult(content=[line], structured_content=data, is_error=failed)


def says_data(data: dict[str, Any]) -> protocol.CallToolResult:
    """Plain JSON values, which the model reads as they are."""
    return protocol.CallToolResult(
        content=[protocol.TextContent(text=json.dumps(data))], structured_content=data
    )


def rounded(values: Any) -> list[float]:
    """Numbers to a tenth of a millimetre or milliradian."""
    return [round(float(value), 4) + 0.0 for value in values]  # and no -0.0


def read_call(given: Mapping[str, Any]) -> SkillCall:
    """The call that the arguments of `run_skill` are.

    Raises:
        InputError: they are none.
    """
    skill, arguments = given.get("skill"), given.get("arguments", {})
    if not isinstance(skill, str):
        raise InputError(f"run_skill needs a skill by its name, as in 'pick', not {skill!r}.")
    if not isinstance(arguments, Mapping) or not all(isinstance(value, str) for value in arguments.values()):
        raise InputError(f"The arguments of {skill} are names and texts, not {arguments!r}.")
    return SkillCall(skill, dict(arguments))
