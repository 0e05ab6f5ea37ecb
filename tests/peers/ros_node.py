"""A real ROS 2 node, run by rclpy in an environment of its own: it answers whoever asks.

/echo/NAME is sent back on /echoed/NAME; the service /trigger counts its calls, /slow takes 3 s; the action
/count (test_msgs/Fibonacci) gives feedback, can be canceled, rejects orders below 0; whoever says so on
/ask_back has its service /ours called. With --echo it sends back, and does nothing else.
"""

import itertools
import sys
import threading
import time

import rclpy
from geometry_msgs.msg import TwistStamped
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Bool, Float64MultiArray, String
from std_srvs.srv import SetBool, Trigger
from test_msgs.action import Fibonacci
from trajectory_msgs.msg import JointTrajectory

KINDS = {
    "joint_state": JointState,
    "trajectory": JointTrajectory,
    "twist": TwistStamped,
    "array": Float64MultiArray,
    "flag": Bool,
    "text": String,
    "image": Image,
    "compressed": CompressedImage,
}


def echo(node, group) -> None:
    """Send back what comes."""
    for name, kind in KINDS.items():
        quality = qos_profile_sensor_data if kind in (Image, CompressedImage) else 1000
        publisher = node.create_publisher(kind, f"/echoed/{name}", quality)
        node.create_subscription(
            kind,
            f"/echo/{name}",
            lambda message, p=publisher: p.publish(message),
            quality,
            callback_group=group,
        )


def show(node, group) -> None:
    """A picture of 640 x 480 for each number that comes on /show, with the number in its stamp."""
    publisher = node.create_publisher(Image, "/echoed/shown", qos_profile_sensor_data)
    picture = Image(height=480, width=640, encoding="rgb8", step=3 * 640, data=bytes(480 * 640 * 3))

    def shown(message) -> None:
        picture.header.stamp.sec = int(message.data[0])
        publisher.publish(picture)

    node.create_subscription(Float64MultiArray, "/show", shown, 1000, callback_group=group)


def describe(node):
    """Say once what those that come later still hear; the publisher is to be kept."""
    quality = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    latched = node.create_publisher(String, "/described", quality)
    latched.publish(String(data="<robot/>"))
    return latched


def offer_services(node, group) -> None:
    """Services that answer, and one that takes its time."""
    calls = itertools.count(1)

    def trigger(request, response):
        response.success, response.message = True, f"call {next(calls)}"
        return response

    def switch(request, response):
        response.success, response.message = request.data, "on" if request.data else "off"
        return response

    def slow(request, response):
        time.sleep(3.0)
        return response

    node.create_service(Trigger, "/trigger", trigger, callback_group=group)
    node.create_service(Trigger, "/slow", slow, callback_group=group)
    node.create_service(SetBool, "/switch", switch, callback_group=group)


def count(goal):
    """Carry out a goal of ROS's example of an action."""
    numbers = [0, 1]
    feedback = Fibonacci.Feedback()
    result = Fibonacci.Result()
    for _ in range(1, goal.request.order):
        if goal.is_cancel_requested:
            goal.canceled()
            result.sequence = numbers
            return result
        numbers.append(numbers[-1] + numbers[-2])
        feedback.sequence = numbers
        goal.publish_feedback(feedback)
        time.sleep(0.05)
    goal.succeed()
    result.sequence = numbers
    return result


def offer_action(node, group):
    """An action that gives feedback, can be canceled, and rejects orders below 0."""
    return ActionServer(
        node,
        Fibonacci,
        "/count",
        count,
        goal_callback=lambda goal: GoalResponse.ACCEPT if goal.order >= 0 else GoalResponse.REJECT,
        cancel_callback=lambda goal: CancelResponse.ACCEPT,
        callback_group=group,
    )


def ask_back(node, group) -> None:
    """Call the service of whoever is tested when it says so, and say what came of it."""
    ask = node.create_client(Trigger, "/ours", callback_group=group)
    answers = node.create_publisher(String, "/answers", 10)

    def wait() -> None:
        ask.wait_for_service(5.0)
        future = ask.call_async(Trigger.Request())
        future.add_done_callback(lambda done: answers.publish(String(data=done.result().message)))

    def asked(message) -> None:
        threading.Thread(target=wait, daemon=True).start()

    node.create_subscription(Bool, "/ask_back", asked, 10, callback_group=group)


def spin(node, threads: int) -> None:
    """Say that all is ready, and run until the process is ended."""
    executor = MultiThreadedExecutor(threads) if threads > 1 else SingleThreadedExecutor()
    executor.add_node(node)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    try:
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        sys.exit(0)


def main() -> None:
    """The node, and all that it offers."""
    rclpy.init()
    node = rclpy.create_node("peer")
    group = ReentrantCallbackGroup()
    echo(node, group)
    show(node, group)
    if "--echo" in sys.argv:  # rclpy's executor of several threads hardly keeps up with 500 messages a second
        spin(node, 1)
        return
    kept = describe(node), offer_action(node, group)
    offer_services(node, group)
    ask_back(node, group)
    spin(node, 4)
    del kept


if __name__ == "__main__":
    main()
