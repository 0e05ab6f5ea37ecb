"""Film a trained Push-T policy for the documentation: python docs/make_pusht_gif.py FOLDER docs/pusht.gif."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from robot_skills.policies.registry import load_policy
from robot_skills.training.rollout import rollout
from sim.pusht import MAX_STEPS, PushT

FIRST, SHOWN, SIZE, EVERY = 100_000, 4, 144, 3


class Filmed(PushT):
    """Keeps a picture of every third step."""

    def __init__(self, cameras: dict[str, tuple[int, int]]) -> None:
        super().__init__("agent" if cameras else "keypoints", {**cameras, "film": (SIZE, SIZE)})
        self.pictures: list[np.ndarray] = []

    def act(self, action: np.ndarray) -> None:
        """Act, and take a picture when it is time."""
        super().act(action)
        if self.steps % EVERY == 0:
            self.pictures.append(self.observe(("film",)).images["film"])


def main() -> None:
    """Run the first four test starts side by side."""
    policy, target = load_policy(Path(sys.argv[1])), Path(sys.argv[2])
    worlds = [Filmed({name: (96, 96) for name in policy.cameras}) for _ in range(SHOWN)]
    for number, world in enumerate(worlds):
        world.reset(FIRST + number)
    rollout(policy, worlds, lambda number: worlds[number].done, MAX_STEPS)
    length = max(len(world.pictures) for world in worlds)
    rows = [world.pictures + [world.pictures[-1]] * (length - len(world.pictures)) for world in worlds]
    frames = [Image.fromarray(np.concatenate(pictures, axis=1)) for pictures in zip(*rows, strict=True)]
    frames[0].save(target, save_all=True, append_images=frames[1:], duration=80, loop=0, optimize=True)


if __name__ == "__main__":
    main()
