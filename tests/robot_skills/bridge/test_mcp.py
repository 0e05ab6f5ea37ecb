"""The skills as MCP tools, with the protocol's own client: in this process, and over the pipes of another."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import anyio
import numpy as np
import pytest

from robot_skills.bridge.arm import RosArm
from robot_skills.bridge.kinematics import Kinematics
from robot_skills.bridge.runner import SkillRunner
from robot_skills.bridge.transports.memory import MemoryTransport
from robot_skills.errors import InputError, JobError
from robot_skills.execution import LocalChunks
from robot_skills.library import SkillLibrary
from robot_skills.skill import SkillCall, Status
from tests.robot_skills.bridge.rehearsal import (
    URDF,
    PerfectArm,
    new_domain,
    panda,
    patient,
    patient_file,
    wait_for,
)
from tests.robot_skills.bridge.test_service import Sideways

pytest.importorskip("mcp")

from mcp import Client, StdioServerParameters
from mcp.types import CallToolResult, Tool
from PIL import Image

from robot_skills.bridge.mcp_server import Pictures, SkillTools

PANDA = patient(panda(first_seconds=0.0))
PICK = {"skill": "pick", "arguments": {"object": "red block"}}
ROOT = Path(__file__).parents[3]
T = TypeVar("T")


class Desk:
    """The tools on an arm that does what it is told."""

    def __init__(self, *, live: bool) -> None:
        domain, library, self.policy = new_domain(), SkillLibrary.open(), Sideways(3)
        self.peer = PerfectArm(PANDA, MemoryTransport(domain))
        pictures = Pictures(PANDA)
        self.arm = RosArm(PANDA, MemoryTransport(domain), live=live, watcher=pictures)
        self.runner = SkillRunner(self.arm, library, lambda name: LocalChunks(self.policy))  # type: ignore[arg-type]
        kinematics = Kinematics(PANDA, URDF.read_text())
        self.tools = SkillTools(self.arm, PANDA, kinematics, library, self.runner, pictures, live=live)

    def talk(self, conversation: Callable[[Client], Awaitable[T]]) -> T:
        """Speak to the tools as a client that shakes hands first, message by message."""

        async def run() -> T:
            async with Client(self.tools.server(), mode="legacy") as client:
                return await conversation(client)

        return anyio.run(run)

    def call(self, name: str, given: dict[str, Any] | None = None) -> CallToolResult:
        return self.talk(lambda client: client.call_tool(name, given))

    def close(self) -> None:
        self.arm.close()
        self.peer.close()


@pytest.fixture
def desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    made = Desk(live=getattr(request, "param", True))
    yield made
    made.close()


dry = pytest.mark.parametrize("desk", [False], indirect=True)


@pytest.fixture(scope="module")
def idle() -> Iterator[Desk]:
    """One that no test moves."""
    made = Desk(live=False)
    yield made
    made.close()


def text(result: CallToolResult) -> str:
    (block,) = result.content
    return str(getattr(block, "text", ""))


def picture(result: CallToolResult) -> Image.Image:
    (block,) = result.content
    return Image.open(io.BytesIO(base64.b64decode(getattr(block, "data", ""))))


async def tools_of(client: Client) -> dict[str, Tool]:
    return {tool.name: tool for tool in (await client.list_tools()).tools}


async def begun(client: Client, act: Callable[[], Awaitable[None]]) -> list[CallToolResult]:
    """Run a skill, and do something at its first progress; its result, unless it was cancelled."""
    results, moving = [], anyio.Event()

    async def progress(now: float, total: float | None, message: str | None) -> None:
        moving.set()

    async def run() -> None:
        results.append(await client.call_tool("run_skill", PICK, progress_callback=progress))
        moving.set()

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        with anyio.fail_after(60):
            await moving.wait()
        assert not results, results
        await act()
        if not results:
            group.cancel_scope.cancel()
    return results


def test_a_skill_runs_with_progress(desk: Desk) -> None:
    desk.policy.left = 8
    heard: list[tuple[float, float | None, str | None]] = []

    async def run(client: Client) -> CallToolResult:
        async def progress(*said: Any) -> None:
            heard.append(said)

        return await client.call_tool("run_skill", PICK, progress_callback=progress)

    result = desk.talk(run)
    assert not result.is_error, text(result)
    assert result.structured_content["status"] == "succeeded"
    assert text(result).startswith('pick(object="red block"): succeeded after ')
    assert desk.peer.commands
    assert len(heard) > 3
    assert [seconds for seconds, _, _ in heard] == sorted({seconds for seconds, _, _ in heard})
    assert {total for _, total, _ in heard} == {10.0 * desk.arm.stretch}


def test_cancelling_stops_the_arm(desk: Desk) -> None:
    desk.policy.left = 10_000

    async def leave(client: Client) -> str:
        async def nothing() -> None:
            assert desk.runner.running is not None

        assert await begun(client, nothing) == []
        assert await anyio.to_thread.run_sync(wait_for, lambda: desk.runner.running is None)
        return text(await client.call_tool("status"))

    assert json.loads(desk.talk(leave))["running"] is None
    assert desk.peer.rests()
    assert desk.peer.speeds().max() > 0.05, "it never moved"


def test_the_arm_stops_when_the_client_leaves(desk: Desk) -> None:
    desk.policy.left = 10_000

    async def leave(client: Client) -> None:
        with anyio.move_on_after(1.0):
            await client.call_tool("run_skill", PICK)

    desk.talk(leave)
    assert wait_for(lambda: desk.runner.running is None)
    assert desk.peer.rests()


def test_stop_ends_a_skill_and_latches_until_the_next(desk: Desk) -> None:
    desk.policy.left = 10_000
    said: list[dict[str, Any]] = []

    async def stop(client: Client) -> list[CallToolResult]:
        async def act() -> None:
            busy = await client.call_tool("run_skill", PICK)
            assert busy.is_error
            assert text(busy) == 'One skill at a time: pick(object="red block") is running.'
            said.append((await client.call_tool("status")).structured_content)
            assert not (await client.call_tool("stop")).is_error
            await anyio.to_thread.run_sync(wait_for, lambda: desk.runner.running is None)
            await anyio.sleep(0.1)

        results = await begun(client, act)
        said.append((await client.call_tool("status")).structured_content)
        desk.policy.left = 2
        assert not (await client.call_tool("run_skill", PICK)).is_error
        return results

    (result,) = desk.talk(stop)
    assert result.is_error
    assert result.structured_content["status"] in ("preempted", "aborted")
    assert [(at["stopped"], at["running"]) for at in said] == [
        (None, 'pick(object="red block")'),
        ("An MCP client called stop.", None),
    ]


def test_a_stop_outlives_a_call_that_came_before_it(desk: Desk) -> None:
    """While a policy is loaded the arm is not yet resumed; a stop in that time is not undone."""
    loading, loaded, outcomes = threading.Event(), threading.Event(), []

    def source(name: str) -> LocalChunks:
        loading.set()
        loaded.wait(5.0)
        return LocalChunks(desk.policy)  # type: ignore[arg-type]

    runner = SkillRunner(desk.arm, SkillLibrary.open(), source)
    call = SkillCall("pick", {"object": "red block"})
    thread = threading.Thread(target=lambda: outcomes.append(runner.run(call)))
    thread.start()
    assert loading.wait(20.0)
    runner.stop("Enough.")
    loaded.set()
    thread.join()
    assert outcomes[0].status is Status.PREEMPTED
    assert desk.arm.stopped is not None
    assert not desk.peer.commands


@dry
def test_a_dry_run_sends_nothing(desk: Desk) -> None:
    result = desk.call("run_skill", PICK)
    assert text(result).startswith("Dry run, nothing was sent. ")
    assert result.structured_content["live"] is False
    assert desk.peer.commands == []
    assert desk.peer.grips == []


@pytest.mark.parametrize("desk", [True, False], indirect=True)
def test_what_a_tool_does_is_said_before_it_is_called(desk: Desk) -> None:
    tools = desk.talk(tools_of)
    live = "LIVE" in str(tools["run_skill"].description)
    hints = {name: tool.annotations for name, tool in tools.items() if tool.annotations is not None}
    assert {name for name, hint in hints.items() if hint.read_only_hint} == {
        "list_skills",
        "status",
        "look",
        *([] if live else ["run_skill"]),
    }
    assert [hints[name].destructive_hint for name in ("run_skill", "stop")] == [live, False]
    assert "push(object, direction)" in str(tools["run_skill"].description)
    assert "direction is one of left, right, forward, back" in str(tools["run_skill"].description)
    assert tools["run_skill"].input_schema["properties"]["skill"]["enum"] == list(SkillLibrary.open().skills)
    (pick,) = (
        skill for skill in desk.call("list_skills").structured_content["skills"] if skill["name"] == "pick"
    )
    assert pick["parameters"] == {"object": "graspable"}
    assert "hand_empty" in pick["preconditions"]
    assert "holding(object)" in pick["effects"]


@pytest.mark.parametrize(
    ("tool", "given", "said"),
    [
        (
            "run_skill",
            {"skill": "pik", "arguments": {}},
            "Unknown skill 'pik'; valid: .*Did you mean 'pick'?",
        ),
        ("run_skill", {"skill": "pick"}, r"pick needs the argument 'object' \(graspable\)"),
        ("run_skill", {"skill": "pick", "arguments": {"objekt": "ball"}}, "Did you mean 'object'?"),
        ("run_skill", {"skill": "pick", "arguments": {"object": 7}}, "names and texts, not {'object': 7}"),
        ("run_skill", {"skill": "pick", "arguments": "red block"}, "names and texts, not 'red block'"),
        (
            "run_skill",
            {"skill": "push", "arguments": {"object": "red block", "direction": "up"}},
            "direction is one of left, right, forward, back, not 'up'",
        ),
        ("run_skill", {}, "needs a skill by its name"),
        ("run_skill", {"skil": "pick"}, "Unknown argument of run_skill 'skil'.*Did you mean 'skill'?"),
        ("look", {"camera": "back"}, "Unknown camera 'back'; valid: front, wrist"),
        ("stopp", {}, "Unknown tool 'stopp'.*Did you mean 'stop'?"),
    ],
)
def test_what_is_wrong_is_one_line(idle: Desk, tool: str, given: dict[str, Any], said: str) -> None:
    result = idle.call(tool, given)
    assert result.is_error
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(text(result))
    assert "\n" not in text(result)
    assert idle.arm.stopped == "It was not told to start yet."


@dry
def test_status_and_pictures(desk: Desk) -> None:
    status = desk.call("status").structured_content
    where = Kinematics(PANDA, URDF.read_text()).tool(desk.peer.position)[0]
    np.testing.assert_allclose(status["hand"]["position"], where, atol=1e-3)
    assert np.linalg.norm(status["hand"]["quaternion"]) == pytest.approx(1.0, abs=1e-3)
    assert list(status["joints"]) == [joint.name for joint in PANDA.joints]
    assert status["gripper"] == pytest.approx(0.04)
    for given in ({}, {"camera": "wrist"}):
        seen = picture(desk.call("look", given))
        assert (seen.size, seen.getpixel((9, 9))) == ((64, 64), (128, 128, 128))
    desk.peer.silent = True
    time.sleep(PANDA.cameras["front"].max_age + 0.1)
    blind = desk.call("look")
    assert blind.is_error
    assert "The camera 'front' has sent no image for " in text(blind)


def test_without_a_trained_skill_nothing_is_offered(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "pick").mkdir()
    (tmp_path / "pick" / "skill.yaml").write_text(
        (SkillLibrary.open().folder / "pick/skill.yaml").read_text()
    )
    library = SkillLibrary.open(tmp_path)
    with pytest.raises(InputError, match="is trained"):
        SkillTools(desk.arm, PANDA, desk.tools._kinematics, library, desk.runner, Pictures(PANDA), live=False)
    desk.peer.silent = True
    time.sleep(PANDA.safety.state_age + 0.3)
    with pytest.raises(JobError):
        desk.runner.run(SkillCall("pick", {"object": "red block"}))


def test_over_the_pipes_of_a_process_beside_the_simulated_arm(tmp_path: Path) -> None:
    pytest.importorskip("pybullet")
    pytest.importorskip("cyclonedds")
    where = ["--config", str(patient_file(tmp_path / "arm.yaml")), "--transport", "dds"]
    where += ["--domain", str(100 + os.getpid() % 100)]
    command = ["-m", "robot_skills.cli.main", "bridge"]
    server = StdioServerParameters(
        command=sys.executable,
        args=[*command, "mcp", "--live", *where],
        env={"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
    )
    strange: list[Exception] = []

    async def heard(message: Any) -> None:
        if isinstance(message, Exception):
            strange.append(message)

    async def converse() -> None:
        async with Client(server, message_handler=heard) as client:
            assert set(await tools_of(client)) == {"list_skills", "run_skill", "stop", "status", "look"}
            before = (await client.call_tool("status")).structured_content
            assert before["live"] is True
            assert np.ptp(picture(await client.call_tool("look"))) > 50

            async def moved() -> None:
                await anyio.sleep(0.3)

            assert await begun(client, moved) == []
            await anyio.sleep(0.7)
            after = (await client.call_tool("status")).structured_content
            assert after["running"] is None
            off = np.subtract(after["hand"]["position"], before["hand"]["position"])
            assert np.abs(off).max() > 0.01
            again = (await client.call_tool("status")).structured_content
            np.testing.assert_allclose(again["hand"]["position"], after["hand"]["position"], atol=2e-3)
            await client.call_tool("stop")
            last = (await client.call_tool("status")).structured_content
            assert last["stopped"] == "An MCP client called stop."

    arm = subprocess.Popen(
        [sys.executable, *command, "sim-arm", *where], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert arm.stdout is not None
        assert "is up" in arm.stdout.readline()
        anyio.run(converse)
    finally:
        arm.terminate()
        arm.wait(10.0)
    assert not strange, "something else than the protocol was on standard output"
