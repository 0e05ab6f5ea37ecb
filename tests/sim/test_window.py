"""The window, on SDL's dummy display: real key events in, real pixels out."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from robot_skills.errors import InputError
from robot_skills.teleop.keys import KEYS, Status
from sim.tabletop.scene import Scene
from sim.tabletop.window import INSET, SIDE, TabletopWindow
from sim.tabletop.world import TabletopWorld

pygame = pytest.importorskip("pygame")
STATUS = Status("press(target=button)", "ready", 7, 0, 2, 10, False, "", False)


@pytest.fixture
def window(world: TabletopWorld, monkeypatch: pytest.MonkeyPatch) -> Iterator[TabletopWindow]:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    world.reset(Scene.sample(3))
    with TabletopWindow(world, rate=1000) as window:
        window.poll()  # what opening the window brings
        yield window


def post(kind: int, *keys: int) -> None:
    for key in keys:
        pygame.event.post(pygame.event.Event(kind, key=key))


def pixels() -> NDArray[Any]:
    return np.swapaxes(pygame.surfarray.array3d(pygame.display.get_surface()), 0, 1).astype(int)


def test_keys_are_held_until_they_go_up(window: TabletopWindow) -> None:
    post(pygame.KEYDOWN, pygame.K_w, pygame.K_LSHIFT)
    first, second = window.poll(), window.poll()
    assert (first.down, first.events) == ({"w", "shift"}, ("w", "shift"))
    assert (second.down, second.events) == ({"w", "shift"}, ())
    post(pygame.KEYUP, pygame.K_w)
    assert window.poll().down == {"shift"}


def test_a_tap_between_two_polls_is_not_missed(window: TabletopWindow) -> None:
    post(pygame.KEYDOWN, pygame.K_SPACE)
    post(pygame.KEYUP, pygame.K_SPACE)
    assert (tapped := window.poll()).down == {"space"}
    assert tapped.events == ("space",)
    assert window.poll().down == frozenset()


def test_keys_do_not_stick_when_another_window_takes_over(window: TabletopWindow) -> None:
    post(pygame.KEYDOWN, pygame.K_w)
    window.poll()
    pygame.event.post(pygame.event.Event(pygame.WINDOWFOCUSLOST))
    assert window.poll().down == frozenset()


def test_every_key_has_its_name_here(window: TabletopWindow) -> None:
    codes = {"enter": pygame.K_RETURN, "shift": pygame.K_RSHIFT}
    post(pygame.KEYDOWN, *(codes.get(key) or pygame.key.key_code(key) for key in KEYS))
    assert window.poll().events == KEYS


def test_closing_the_window_ends_the_session(window: TabletopWindow) -> None:
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    assert window.poll().closed


def test_both_cameras_the_status_and_the_keys_are_drawn(window: TabletopWindow, world: TabletopWorld) -> None:
    window.show(STATUS)
    plain = pixels()
    wrist = world.render("wrist", INSET, INSET).astype(int)
    inset = plain[SIDE - INSET : SIDE, SIDE - INSET :]
    np.testing.assert_array_equal(inset[2:-2, 2:-2], wrist[2:-2, 2:-2])
    front = world.render("front", SIDE, SIDE).astype(int)
    assert np.abs(plain[: SIDE - INSET] - front[: SIDE - INSET]).mean() < 5
    window.show(Status(**{**vars(STATUS), "message": "Saved. " * 30}))
    assert (pixels()[SIDE:] != plain[SIDE:]).any()
    window.show(Status(**{**vars(STATUS), "help": True}))
    assert (pixels()[:SIDE] != plain[:SIDE]).mean() > 0.3


def test_without_a_display_there_is_advice(world: TabletopWorld) -> None:
    code = "from sim.tabletop.window import TabletopWindow\nTabletopWindow(None, 10.0)"
    bare = {"PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": "/nonexistent"}
    done = subprocess.run([sys.executable, "-c", code], env=bare, capture_output=True, text=True, check=False)
    assert "InputError" in done.stderr
    assert "play a key script with --keys FILE" in done.stderr


def test_without_pygame_the_extra_is_named(world: TabletopWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygame", None)
    with pytest.raises(InputError, match=r"pip install 'robot-skills\[teleop\]'"):
        TabletopWindow(world, 10.0)
