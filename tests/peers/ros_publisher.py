"""A real ROS 2 node that publishes for the arm's tests: a camera, or states that no arm is in.

python ros_publisher.py camera      pictures on /front/image_raw, 15 a second
python ros_publisher.py hostile     joint states in which all is wrong that can be, 1000 a second
"""

import contextlib
import itertools
import math
import sys
import time

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image, JointState

JOINTS = [f"panda_joint{number}" for number in range(1, 8)]


def pictures(node):
    """What publishes the next picture, and how often a second."""
    publisher = node.create_publisher(Image, "/front/image_raw", qos_profile_sensor_data)
    picture = Image(height=64, width=64, encoding="rgb8", step=3 * 64, data=bytes(64 * 64 * 3))

    def publish() -> None:
        picture.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(picture)

    return publish, 15.0


def wrong_states(node):
    """The same for joint states: no numbers, infinite, far off, of other joints, too few, of another time."""
    publisher = node.create_publisher(JointState, "/joint_states", 10)
    states = itertools.cycle(
        [
            (JOINTS, [math.nan] * 7, 0),
            (JOINTS, [math.inf] * 7, 0),
            (JOINTS, [100.0] * 7, 0),
            (JOINTS[::-1] + JOINTS, [0.0] * 14, 0),
            (["a"] * 7, [0.0] * 7, 0),
            (JOINTS, [0.0] * 3, 0),
            (JOINTS, [0.0] * 7, -3600),
            (JOINTS, [0.0] * 7, 3600),
        ]
    )

    def publish() -> None:
        names, position, shift = next(states)
        message = JointState(name=names, position=position)
        message.header.stamp.sec = int(time.time()) + shift
        publisher.publish(message)

    return publish, 1000.0


def main() -> None:
    """Publish until it is killed."""
    rclpy.init()
    node = rclpy.create_node(f"publisher_{sys.argv[1]}")
    publish, rate = {"camera": pictures, "hostile": wrong_states}[sys.argv[1]](node)
    node.create_timer(1.0 / rate, publish)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(node)


if __name__ == "__main__":
    main()
