"""The tabletop in a window, with the keys that drive it; drawn with pygame."""

from __future__ import annotations

import os
import textwrap
from types import ModuleType
from typing import Any

from robot_skills.errors import InputError, require
from robot_skills.robot import Image
from robot_skills.teleop.keys import HELP, Pressed, Status
from sim.tabletop.world import TabletopWorld

#: Pixels: the picture of the front camera, that of the wrist in its corner, the lines below.
SIDE, INSET, FOOT = 480, 150, 112
#: Letters of a message in a line.
COLUMNS = 72
#: The front camera is rendered at this size and enlarged: in full it would take most of a control step.
RENDERED = 320
DARK, LIGHT, GREY, RED = (24, 26, 30), (240, 240, 240), (175, 177, 181), (235, 110, 100)
MODES = {
    "ready": "the first key starts the recording",
    "recording": "recording",
    "still": "time waits for the next key",
    "paused": "PAUSED, P goes on",
    "done": "all saved",
}
#: SDL's drivers that show nothing; it takes one by itself where there is no display.
BLIND = ("offscreen", "dummy")
#: Names of keys as pygame says them, where ours differ.
NAMES = {"return": "enter", "left shift": "shift", "right shift": "shift"}


class TabletopWindow:
    """Shows a world and reads the keyboard, one control step a poll; close it, or use a `with` statement.

    Args:
        world: what is shown.
        rate: control steps a second. A machine that cannot draw as fast makes time go slower.

    Raises:
        InputError: pygame is not installed, or there is no display.
    """

    def __init__(self, world: TabletopWorld, rate: float) -> None:
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
        self._pygame: ModuleType = require("pygame", "teleop")
        self._world, self._rate = world, rate
        pygame = self._pygame
        try:
            pygame.display.init()
            pygame.font.init()
            self._screen: Any = pygame.display.set_mode((SIDE, SIDE + FOOT))
        except pygame.error as error:
            raise InputError(f"There is no window to be had ({error}): {_ADVICE}") from error
        driver = pygame.display.get_driver()
        if driver in BLIND and os.environ.get("SDL_VIDEODRIVER") != driver:
            self.close()
            raise InputError(f"There is no display for the window: {_ADVICE}")
        pygame.display.set_caption("robot-skills: teleoperation")
        self._fonts = {size: pygame.font.Font(None, size) for size in (18, 22)}
        self._clock = pygame.time.Clock()
        self._down: set[str] = set()

    def __enter__(self) -> TabletopWindow:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Take the window away."""
        self._pygame.display.quit()

    def poll(self) -> Pressed:
        """Wait for the end of the control step and read what was pressed in it."""
        pygame = self._pygame
        self._clock.tick(self._rate)
        events: list[str] = []
        for event in pygame.event.get():
            if event.type == pygame.QUIT:
                return Pressed(closed=True)
            if event.type == pygame.WINDOWFOCUSLOST:
                self._down.clear()  # another window will be told that the keys go up
            elif event.type in (pygame.KEYDOWN, pygame.KEYUP):
                spoken = pygame.key.name(event.key)
                name = NAMES.get(spoken, spoken)
                if event.type == pygame.KEYDOWN:
                    self._down.add(name)
                    events.append(name)
                else:
                    self._down.discard(name)
        # A key that was only tapped counts as down for one step.
        return Pressed(frozenset({*self._down, *events}), tuple(events))

    def show(self, status: Status) -> None:
        """Draw both cameras, the status and, if asked for, the keys."""
        pygame, screen = self._pygame, self._screen
        front = self._surface(self._world.render("front", RENDERED, RENDERED))
        screen.blit(pygame.transform.smoothscale(front, (SIDE, SIDE)), (0, 0))
        wrist = self._surface(self._world.render("wrist", INSET, INSET))
        corner = SIDE - INSET  # bottom right: there the arm never goes
        screen.blit(wrist, (corner, corner))
        pygame.draw.rect(screen, DARK, (corner, corner, INSET, INSET), 2)
        screen.fill(DARK, (0, SIDE, SIDE, FOOT))
        grip = "closed" if status.closed else "open"
        counts = f"{status.saved} of {status.wanted} saved, seed {status.seed}, {status.steps} steps"
        self._write(status.task, (10, SIDE + 8), 22, LIGHT)
        self._write(f"{MODES[status.mode]} | gripper {grip} | {counts} | H: keys", (10, SIDE + 32), 18, GREY)
        colour = RED if "Warning" in status.message else LIGHT
        for row, line in enumerate(textwrap.wrap(status.message, COLUMNS)[:3]):
            self._write(line, (10, SIDE + 54 + 18 * row), 18, colour)
        if status.help:
            self._write_help()
        pygame.display.flip()

    def _write_help(self) -> None:
        pygame = self._pygame
        panel = pygame.Surface((SIDE, 22 * len(HELP) + 16))
        panel.set_alpha(215)
        self._screen.blit(panel, (0, 0))
        for row, (key, what) in enumerate(HELP):
            self._write(key, (16, 12 + 22 * row), 22, LIGHT)
            self._write(what, (100, 12 + 22 * row), 22, LIGHT)

    def _write(self, text: str, place: tuple[int, int], size: int, colour: tuple[int, int, int]) -> None:
        self._screen.blit(self._fonts[size].render(text, True, colour), place)

    def _surface(self, image: Image) -> Any:
        height, width, _ = image.shape
        return self._pygame.image.frombuffer(image.tobytes(), (width, height), "RGB")


_ADVICE = "on a machine without one, play a key script with --keys FILE."
