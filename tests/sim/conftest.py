from collections.abc import Iterator

import pytest

from sim.tabletop.world import TabletopWorld


@pytest.fixture(scope="session")
def world() -> Iterator[TabletopWorld]:
    world = TabletopWorld()
    yield world
    world.close()
