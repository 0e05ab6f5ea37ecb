"""A node of a real ROS 1, as `ros_node.py` is one of ROS 2: it answers whoever asks.

/echo/NAME is sent back on /echoed/NAME; the service /trigger counts its calls, /slow takes 3 s; the action
/count (test_msgs/Fibonacci) gives feedback, can be canceled, rejects orders below 0; /follow
(control_msgs/FollowJointTrajectory) says how many points it was given; whoever says so on /ask_back has its
service /ours called.
"""

import itertools
import sys
import threading
import time

import rospy
from actionlib.action_server import ActionServer
from actionlib.simple_action_server import SimpleActionServer
from control_msgs.msg import FollowJointTrajectoryAction, FollowJointTrajectoryResult
from geometry_msgs.msg import TwistStamped
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Bool, Float64MultiArray, String
from std_srvs.srv import SetBool, SetBoolResponse, Trigger, TriggerResponse
from test_msgs.msg import FibonacciAction, FibonacciFeedback, FibonacciResult
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


def echo() -> None:
    """Send back what comes."""
    for name, kind in KINDS.items():
        publisher = rospy.Publisher(f"/echoed/{name}", kind, queue_size=1000)
        rospy.Subscriber(f"/echo/{name}", kind, publisher.publish, queue_size=1000)


def offer_services() -> None:
    """Services that answer, and one that takes its time."""
    calls = itertools.count(1)

    def slow(request):
        time.sleep(3.0)
        return TriggerResponse()

    rospy.Service("/trigger", Trigger, lambda request: TriggerResponse(True, f"call {next(calls)}"))
    rospy.Service("/slow", Trigger, slow)
    rospy.Service("/switch", SetBool, lambda r: SetBoolResponse(r.data, "on" if r.data else "off"))


class Count:
    """An action that gives feedback, can be canceled, and rejects orders below 0."""

    def __init__(self) -> None:
        self._canceled = set()
        self._server = ActionServer(
            "/count", FibonacciAction, self._on_goal, self._on_cancel, auto_start=False
        )
        self._server.start()

    def _on_cancel(self, goal) -> None:
        self._canceled.add(goal.get_goal_id().id)

    def _on_goal(self, goal) -> None:
        if goal.get_goal().order < 0:
            goal.set_rejected(FibonacciResult(), "orders are 0 or more")
            return
        goal.set_accepted()
        threading.Thread(target=self._count, args=(goal,), daemon=True).start()

    def _count(self, goal) -> None:
        numbers = [0, 1]
        for _ in range(1, goal.get_goal().order):
            if goal.get_goal_id().id in self._canceled:
                goal.set_canceled(FibonacciResult(numbers))
                return
            numbers.append(numbers[-1] + numbers[-2])
            goal.publish_feedback(FibonacciFeedback(numbers))
            time.sleep(0.05)
        goal.set_succeeded(FibonacciResult(numbers))


def offer_follower() -> SimpleActionServer:
    """A controller that moves nothing."""

    def follow(goal) -> None:
        last = goal.trajectory.points[-1]
        text = f"{len(goal.trajectory.points)} points, {last.time_from_start.to_sec():g} s"
        server.set_succeeded(FollowJointTrajectoryResult(0, text))

    server = SimpleActionServer("/follow", FollowJointTrajectoryAction, follow, auto_start=False)
    server.start()
    return server


def ask_back() -> None:
    """Call the service of whoever is tested when it says so, and say what came of it."""
    answers = rospy.Publisher("/answers", String, queue_size=10)

    def asked(message) -> None:
        rospy.wait_for_service("/ours", 5.0)
        answers.publish(rospy.ServiceProxy("/ours", Trigger)().message)

    rospy.Subscriber("/ask_back", Bool, asked)


def main() -> None:
    """The node, and all that it offers."""
    rospy.init_node("peer")
    echo()
    offer_services()
    ask_back()
    described = rospy.Publisher("/described", String, queue_size=1, latch=True)
    described.publish("<robot/>")
    kept = Count(), offer_follower()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    rospy.spin()
    del kept


if __name__ == "__main__":
    main()
