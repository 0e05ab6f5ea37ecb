"""Drives an arm without end, so that a test can kill it in mid-motion.

python tests/peers/ros_driver.py '{"kind": "rosbridge", "url": "ws://127.0.0.1:9090"}'
"""

import dataclasses
import json
import sys

import numpy as np

from robot_skills.bridge.arm import RosArm
from robot_skills.bridge.settings import ArmSettings, TransportSettings
from robot_skills.bridge.transport import open_transport
from robot_skills.errors import JobError
from robot_skills.training.configuration import from_mapping


def say(line: str) -> None:
    """Tell whoever reads our output."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Swing the hand from side to side; say once that it moves, and why it ended."""
    transport = from_mapping(TransportSettings, json.loads(sys.argv[1]), "transport")
    settings = dataclasses.replace(ArmSettings.read("tabletop"), transport=transport)
    with RosArm(settings, open_transport(transport), live=True, patience=15.0) as arm:
        arm.resume()
        try:
            for step in range(10_000):
                side = 1.0 if step // 8 % 2 else -1.0
                action = np.array([0, side, 0, 0, 0, 0, -1], np.float32)
                arm.foresee(np.stack([action, action]))
                arm.observe(("front",))
                arm.act(action)
                if step == 3:
                    say("moving")
        except JobError as error:
            say(f"ended: {error}")


if __name__ == "__main__":
    main()
