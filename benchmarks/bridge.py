"""What the bridge costs: joint states in to commands out, 500 Hz for a minute, images at 30 Hz.

python benchmarks/bridge.py [--seconds 60]

ROS_PYTHON names the Python of the environment that tests/peers/ros.sh makes: messages go to a real rclpy node
and come back.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from bridge_skills import simulated_arm
from report import write_report

from robot_skills.bridge.arm import RosArm
from robot_skills.bridge.messages import Float64MultiArray, Header, Image, Time
from robot_skills.bridge.settings import ArmSettings, TransportSettings
from robot_skills.bridge.transport import SENSORS, STREAM, Transport, open_transport
from tests.peers import ros_processes as ros


def chain(transport: TransportSettings, seconds: float) -> list[str]:
    """Joint states of the simulated arm in, trajectories out, while the arm moves."""
    settings = dataclasses.replace(ArmSettings.read("tabletop"), transport=transport)
    with simulated_arm(transport), RosArm(settings, open_transport(transport), live=True, patience=15) as arm:
        arm.resume()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            side = 1.0 if int(time.monotonic()) % 2 else -1.0
            action = np.array([0, side, 0, 0, 0, 0, -1], np.float32)
            arm.foresee(np.stack([action, action]))
            arm.act(action)
        return spread(1e3 * np.array(arm.latencies))


def there_and_back(
    transport: Transport,
    kind: type[Any],
    name: str,
    make: Callable[[int], Any],
    number: Callable[[Any], int],
    rate: float,
    seconds: float,
) -> list[str]:
    """Messages to the peer and back at a rate: how many came back, and how long they took."""
    sent: dict[int, float] = {}
    took: dict[int, float] = {}

    def arrived(message: Any) -> None:
        index = number(message)
        if index in sent:
            took[index] = time.monotonic() - sent[index]

    quality = SENSORS if kind is Image else STREAM
    transport.subscribe(f"/echoed/{name}", kind, arrived, quality)
    publish = transport.publisher(f"/echo/{name}", kind, quality)
    time.sleep(3.0)  # until both ends have found each other
    due = time.monotonic()
    for index in range(round(rate * seconds)):
        sent[index] = time.monotonic()
        publish(make(index))
        due += 1.0 / rate
        time.sleep(max(0.0, due - time.monotonic()))
    time.sleep(2.0)
    return [f"{len(sent) - len(took)} of {len(sent)}", *spread(1e3 * np.array(list(took.values())))]


def spread(values: Any) -> list[str]:
    """How many, the median, p99 and the longest, ms."""
    if not len(values):
        return ["0", "-", "-", "-"]
    middle, high = np.percentile(values, (50, 99))
    return [str(len(values)), f"{middle:.2f}", f"{high:.2f}", f"{values.max():.1f}"]


def picture(index: int) -> Image:
    """640 x 480 RGB, numbered in its stamp."""
    return Image(Header(Time(index, 0)), 480, 640, "rgb8", 0, 3 * 640, bytes(480 * 640 * 3))


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    args = parser.parse_args()
    rows: list[list[str]] = []
    before = os.getloadavg()[0]
    domain = 100 + os.getpid() % 100
    with ros.node(domain), ros.rosbridge(domain) as (url, _):
        for kind in ("dds", "rosbridge"):
            settings = TransportSettings(kind, url=url, domain=domain)
            transport = open_transport(settings)
            numbers = there_and_back(
                transport, Float64MultiArray, "array",
                lambda index: Float64MultiArray(data=(float(index), *(0.0,) * 6)),
                lambda message: int(message.data[0]), 500.0, args.seconds,
            )  # fmt: skip
            rows.append([kind, "500 Hz to rclpy and back", *numbers])
            images = there_and_back(
                transport, Image, "image", picture, lambda message: int(message.header.stamp.sec), 30, 10
            )
            rows.append([kind, "640 x 480 RGB at 30 Hz and back", *images])
            transport.close()
            rows.append([kind, "joint state in, trajectory out", "-", *chain(settings, 20.0)])
            print(*rows[-3:], sep="\n", flush=True)
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
