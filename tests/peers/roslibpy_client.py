"""roslibpy on the far side of a rosbridge server: it talks to what `test_roslibpy_peer.py` offers.

    python tests/peers/roslibpy_client.py PORT CHECK...

Writes one JSON line: check -> null, or what went wrong.
"""

import json
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

import roslibpy

SAMPLES = {
    "state": (
        "sensor_msgs/msg/JointState",
        {
            "header": {"stamp": {"sec": 3, "nanosec": 4}, "frame_id": "base"},
            "name": ["a", "b"],
            "position": [1.5, -2.0],
            "velocity": [],
            "effort": [0.25, 0.5],
        },
    ),
    "text": ("std_msgs/msg/String", {"data": 'grüße "ROS"\n'}),
    "array": (
        "std_msgs/msg/Float64MultiArray",
        {
            "layout": {"dim": [{"label": "x", "size": 2, "stride": 2}], "data_offset": 0},
            "data": [1.0, 2.5],
        },
    ),
}


def wait(condition: Callable[[], Any], seconds: float = 8.0) -> bool:
    """Whether something comes true in time."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.002)
    return True


def topics(ros: roslibpy.Ros) -> None:
    """What roslibpy publishes comes back through the bridge equal by value."""
    for name, (kind, sample) in SAMPLES.items():
        got: list[Any] = []
        roslibpy.Topic(ros, f"/echoed/{name}", kind).subscribe(got.append)
        out = roslibpy.Topic(ros, f"/echo/{name}", kind)
        out.advertise()
        until = time.monotonic() + 10.0
        while not got and time.monotonic() < until:
            out.publish(roslibpy.Message(sample))
            time.sleep(0.1)
        assert got, f"nothing came back of {name}"
        assert got[0] == sample, f"{name} came back as {got[0]}"


def order(ros: roslibpy.Ros) -> None:
    """Two hundred messages come back, each once and in their order."""
    kind = SAMPLES["array"][0]
    got: list[float] = []
    back = roslibpy.Topic(ros, "/echoed/array", kind, queue_length=1000)
    back.subscribe(lambda message: got.append(message["data"][0]))
    out = roslibpy.Topic(ros, "/echo/array", kind, queue_size=1000)
    time.sleep(1.0)
    got.clear()
    for number in range(200):
        # Fewer under way than the ten that queues in between keep.
        assert wait(lambda number=number: number - len(got) < 8), f"{len(got)} of {number} came back"
        out.publish(roslibpy.Message({"layout": {"dim": [], "data_offset": 0}, "data": [float(number)]}))
        time.sleep(0.002)
    wait(lambda: len(got) >= 200)
    assert got == [float(number) for number in range(200)], f"{len(got)} of 200 came back"


def services(ros: roslibpy.Ros) -> None:
    """Services of the bridge answer, and say so when they fail."""
    trigger = roslibpy.Service(ros, "/trigger", "std_srvs/srv/Trigger")
    for number in (1, 2, 3):
        answer = trigger.call(roslibpy.ServiceRequest(), timeout=5)
        assert dict(answer) == {"success": True, "message": f"call {number}"}, answer
    switch = roslibpy.Service(ros, "/switch", "std_srvs/srv/SetBool")
    for value in (True, False):
        answer = switch.call(roslibpy.ServiceRequest({"data": value}), timeout=5)
        assert answer["success"] is value, answer


def offered(ros: roslibpy.Ros) -> None:
    """The bridge calls a service of roslibpy's."""
    got: list[str] = []

    def answer(request: Any, response: Any) -> bool:
        response["success"], response["message"] = True, "from roslibpy"
        return True

    service = roslibpy.Service(ros, "/theirs", "std_srvs/srv/Trigger")
    service.advertise(answer)
    roslibpy.Topic(ros, "/answers", "std_msgs/msg/String").subscribe(lambda said: got.append(said["data"]))
    ask = roslibpy.Topic(ros, "/ask_back", "std_msgs/msg/Bool")
    ask.advertise()
    until = time.monotonic() + 12.0
    while not got and time.monotonic() < until:
        ask.publish(roslibpy.Message({"data": True}))
        time.sleep(0.5)
    assert got, "the bridge said nothing"
    assert got[0] == "from roslibpy", got[0]


class Sent:
    """A goal of roslibpy's, and what is heard of it."""

    def __init__(self, ros: roslibpy.Ros, order: int) -> None:
        self.client = roslibpy.ActionClient(ros, "/count", "test_msgs/action/Fibonacci")
        self.feedback: list[list[int]] = []
        self.results: list[Any] = []
        self.errors: list[Any] = []
        self.over = threading.Event()
        self.key = self.client.send_goal(
            roslibpy.Goal({"order": order}), self._ended, self._told, self._failed
        )

    def _told(self, message: Any) -> None:
        self.feedback.append(message["sequence"])

    def _ended(self, message: Any) -> None:
        self.results.append(message)
        self.over.set()

    def _failed(self, message: Any) -> None:
        self.errors.append(message)
        self.over.set()


def actions(ros: roslibpy.Ros) -> None:
    """A goal gives feedback and a result; one is canceled, one is rejected."""
    goal = Sent(ros, 8)
    assert goal.over.wait(10.0), "no result"
    assert not goal.errors, goal.errors
    (result,) = goal.results
    assert result["status"] == roslibpy.GoalStatus.SUCCEEDED, result
    assert result["values"] == {"sequence": [0, 1, 1, 2, 3, 5, 8, 13, 21]}, result
    assert len(goal.feedback) >= 5, f"{len(goal.feedback)} of 7 feedbacks"
    goal = Sent(ros, 400)
    time.sleep(0.5)
    began = time.monotonic()
    goal.client.cancel_goal(goal.key)
    assert goal.over.wait(10.0), "no result after cancelling"
    assert time.monotonic() - began < 5.0
    (ended,) = goal.results + goal.errors  # a goal that did not succeed ends as an error
    assert ended["status"] == roslibpy.GoalStatus.CANCELED, ended
    assert ended["values"]["sequence"][:5] == [0, 1, 1, 2, 3], ended
    goal = Sent(ros, -1)
    assert goal.over.wait(10.0), "no answer to a goal that is rejected"
    assert not goal.feedback
    assert not goal.results, goal.results
    assert goal.errors[0]["status"] == roslibpy.GoalStatus.ABORTED, goal.errors


def main() -> None:
    """Run the checks that are named."""
    ros = roslibpy.Ros("127.0.0.1", int(sys.argv[1]))
    ros.run(10)
    found: dict[str, str | None] = {}
    for check in (topics, order, services, offered, actions):
        if check.__name__ not in sys.argv[2:]:
            continue
        try:
            check(ros)
            found[check.__name__] = None
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            found[check.__name__] = f"{type(error).__name__}: {error} (line {where.lineno})"
    sys.stdout.write(f"{json.dumps(found)}\n")
    sys.stdout.flush()
    ros.terminate()


if __name__ == "__main__":
    main()
