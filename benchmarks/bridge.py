"""What the bridge costs: joint states in to commands out, 500 Hz for a minute, images at 30 Hz.

python benchmarks/bridge.py [--seconds 60]

ROS_PYTHON names the Python of the environment that tests/peers/ros.sh makes: messages go to a real rclpy node
and come back.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from report import write_report

from robot_skills.bridge.arm import RosArm
from robot_skills.bridge.messages import CompressedImage, Float64MultiArray, Header, Image, Time
from robot_skills.bridge.settings import TransportSettings
from robot_skills.bridge.transport import SENSORS, STREAM, Quality, Transport, open_transport
from tests.peers import ros_processes as ros
from tests.robot_skills.bridge.rehearsal import PerfectArm, panda


def chain(transport: TransportSettings, seconds: float) -> list[str]:
    """Joint states of an arm in another process in, 100 Hz, trajectories out, while the arm moves."""
    settings = dataclasses.replace(panda(), transport=transport, control_rate=10.0)
    with perfect_arm(transport), RosArm(settings, open_transport(transport), live=True, patience=15) as arm:
        arm.resume()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            side = 1.0 if int(time.monotonic()) % 2 else -1.0
            action = np.array([0, side, 0, 0, 0, 0, -1], np.float32)
            arm.foresee(np.stack([action, action]))
            arm.act(action)
        return spread(1e3 * np.array(arm.latencies))


@contextlib.contextmanager
def perfect_arm(transport: TransportSettings) -> Iterator[None]:
    """The arm that the bridge's tests drive, in a process of its own, with two cameras at 33 Hz."""
    command = [sys.executable, __file__, "--arm", json.dumps(dataclasses.asdict(transport))]
    with ros.running(command, {**os.environ}, "is up"):
        yield


def be_the_arm(transport: TransportSettings) -> None:
    """Follow what comes, and say the joints' states, until this process is ended."""
    PerfectArm(panda(), open_transport(transport), rate=100.0, every=3)
    print("The arm is up.", flush=True)
    threading.Event().wait()


def there_and_back(
    transport: Transport,
    there: tuple[str, type[Any], Callable[[int], Any]],
    back: tuple[str, type[Any], Callable[[Any], int]],
    rate: float,
    seconds: float,
) -> list[str]:
    """Messages to the peer at a rate, each answered by one: how many came back, and how long they took.

    Args:
        transport: ours.
        there: topic, type, and the message of a number.
        back: topic, type, and the number of a message.
        rate: Hz.
        seconds: so long.
    """
    sent: dict[int, float] = {}
    took: dict[int, float] = {}
    topic, kind, number = back

    def arrived(message: Any) -> None:
        index = number(message)
        if index in sent:
            took[index] = time.monotonic() - sent[index]

    transport.subscribe(topic, kind, arrived, quality(kind))
    topic, kind, make = there
    publish = transport.publisher(topic, kind, quality(kind))
    time.sleep(3.0)  # until both ends have found each other
    due = time.monotonic()
    for index in range(round(rate * seconds)):
        sent[index] = time.monotonic()
        publish(make(index))
        due += 1.0 / rate
        time.sleep(max(0.0, due - time.monotonic()))
    time.sleep(2.0)
    return [f"{len(sent) - len(took)} of {len(sent)}", *spread(1e3 * np.array(list(took.values())))]


def quality(kind: type[Any]) -> Quality:
    """Pictures as cameras send them, best effort; all else reliably."""
    return SENSORS if kind in (Image, CompressedImage) else STREAM


def spread(values: Any) -> list[str]:
    """How many, the median, p99 and the longest, ms."""
    if not len(values):
        return ["0", "-", "-", "-"]
    middle, high = np.percentile(values, (50, 99))
    return [str(len(values)), f"{middle:.2f}", f"{high:.2f}", f"{values.max():.1f}"]


def numbers(index: int) -> Float64MultiArray:
    """As a command of seven joints, the first its number."""
    return Float64MultiArray(data=(float(index), *(0.0,) * 6))


def compressed(index: int) -> CompressedImage:
    """640 x 480 as a JPEG file of 60 kB, of which nobody looks at the inside."""
    return CompressedImage(Header(Time(index, 0)), "jpeg", bytes(60_000))


def stamp(message: Any) -> int:
    """The number in a picture's stamp."""
    return int(message.header.stamp.sec)


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--arm", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.arm:
        be_the_arm(TransportSettings(**json.loads(args.arm)))
    rows: list[list[str]] = []
    before = os.getloadavg()[0]
    domain = 100 + os.getpid() % 100
    with ros.node(domain, "--echo"), ros.rosbridge(domain) as (url, _):
        for kind in ("dds", "rosbridge"):
            settings = TransportSettings(kind, url=url, domain=domain)
            transport = open_transport(settings)
            array = ("/echo/array", Float64MultiArray, numbers)
            echoed = ("/echoed/array", Float64MultiArray, lambda message: int(message.data[0]))
            jpeg = ("/echo/compressed", CompressedImage, compressed)
            for what, there, back, rate, seconds in (
                ("500 Hz to rclpy and back", array, echoed, 500.0, args.seconds),
                ("a picture as JPEG of 60 kB to rclpy and back, 30 Hz", jpeg,
                 ("/echoed/compressed", CompressedImage, stamp), 30.0, 10.0),
                ("a raw picture of 640 x 480 from rclpy, asked for by number, 30 Hz",
                 ("/show", Float64MultiArray, numbers), ("/echoed/shown", Image, stamp), 30.0, 10.0),
            ):  # fmt: skip
                rows.append([kind, what, *there_and_back(transport, there, back, rate, seconds)])
            transport.close()
            rows.append([kind, "joint state in at 100 Hz, trajectory out", "-", *chain(settings, 20.0)])
            print(*rows[-4:], sep="\n", flush=True)
    load = os.getloadavg()[0]
    write_report(
        "bridge",
        "What the bridge costs",
        ["transport", "what", "lost", "count", "median ms", "p99 ms", "longest ms"],
        rows,
        f"The machine's load was {before:.1f} before and {load:.1f} after, on the cores named below: with "
        "more load than cores, a process waits for its turn, and that is in the numbers.",
    )


if __name__ == "__main__":
    main()
