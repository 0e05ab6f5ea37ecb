"""What the actions of a robomimic file mean, by the controller that its `env_args` name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_skills.robot import OSC_POSE, ROTATION_SCALE, TRANSLATION_SCALE, ActionSpace

#: What an action of 1.0 is in `OSC_POSE`.
SCALE = [TRANSLATION_SCALE] * 3 + [ROTATION_SCALE] * 3
#: robosuite's controllers whose numbers are motions when they are not told otherwise, 0 being none.
DELTAS = ("OSC_POSE", "OSC_POSITION", "JOINT_POSITION", "IK_POSE")
#: Those whose numbers always are.
RATES = ("JOINT_VELOCITY", "JOINT_TORQUE")


def action_space(
    env_args: Mapping[str, Any], size: int, actions: Callable[[], Iterable[NDArray[Any]]]
) -> ActionSpace:
    """The action space of a file.

    One arm under OSC_POSE with our scale is `OSC_POSE`; two are it twice. If no controller is named, seven
    numbers that all lie in [-1, 1] are taken to be one arm's, as robosuite's default is. Of another
    controller it is said what is known; of none, set-points without limits.

    Args:
        env_args: of the file; may be empty.
        size: A.
        actions: (N, A) of each demonstration; asked for only if no controller is named.
    """
    controller = find_controller(env_args)
    if controller is None:
        if size == OSC_POSE.size and all(_normal(rows) for rows in actions()):
            return OSC_POSE
        return _plain(size, False)
    kind = str(controller.get("type"))
    delta = controller.get("input_type", "delta") == "delta" and controller.get("control_delta", True) is True
    moves = kind in RATES or (kind in DELTAS and delta)
    arms, rest = divmod(size, OSC_POSE.size)
    if kind == "OSC_POSE" and delta and arms in (1, 2) and not rest:
        names = OSC_POSE.names if arms == 1 else [f"robot{i}.{n}" for i in (0, 1) for n in OSC_POSE.names]
        if not _same_scale(controller):  # the same kind of action in other units: not to be taken for ours
            names = [f"action.{index}" for index in range(size)]
        return ActionSpace(tuple(names), OSC_POSE.relative * arms, OSC_POSE.low * arms, OSC_POSE.high * arms)
    return _plain(size, moves)


def find_controller(env_args: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The arm's controller in `env_args`: robosuite 1.5 nests it by body part, those before do not."""
    kwargs = env_args.get("env_kwargs")
    config = kwargs.get("controller_configs") if isinstance(kwargs, Mapping) else None
    if isinstance(config, list) and config:
        config = config[0]
    for key in ("body_parts", "arms", "right"):
        if isinstance(config, Mapping) and isinstance(config.get(key), Mapping):
            config = config[key]
    return config if isinstance(config, Mapping) and "type" in config else None


def _same_scale(controller: Mapping[str, Any]) -> bool:
    """Whether 1.0 is as much as in `OSC_POSE`; robosuite's default is."""
    scale = controller.get("output_max", SCALE)
    try:
        return bool(np.allclose(np.broadcast_to(np.asarray(scale, float), (6,)), SCALE))
    except (TypeError, ValueError):
        return False


def _normal(rows: NDArray[Any]) -> bool:
    return bool((np.abs(rows) <= 1).all())


def _plain(size: int, moves: bool) -> ActionSpace:
    """Numbers without limits; the last, the gripper's by custom, is a set-point in any case."""
    names = tuple(f"action.{index}" for index in range(size))
    space = ActionSpace.unlimited(names, relative=False)
    relative = (moves,) * (size - 1) + (False,)
    return ActionSpace(names, relative, space.low, space.high)
