"""Demonstrations of robosuite by its experts: what is recorded, and that it leads where it led."""

import numpy as np
import pytest
from rich.console import Console

pytest.importorskip("robosuite")
pytest.importorskip("fast_simplification")
from robot_skills.data.store import EpisodeStore
from robot_skills.errors import InputError
from sim.experts.robosuite import EpisodeExpert, RobosuiteRecipe, collect_robosuite, main
from sim.experts.scripted import HOLD
from sim.robosuite_world import RobosuiteWorld

RECIPE = """\
tasks: [Lift]
episodes: 2
cameras: []
state: oracle
executed: true
"""


def test_a_collection_executed_anew_leads_where_it_led(tmp_path) -> None:
    (tmp_path / "lift.yaml").write_text(RECIPE)
    main([str(tmp_path / "lift.yaml"), "-o", str(tmp_path / "store")])
    store = EpisodeStore.open(tmp_path / "store")
    assert store.meta.control_rate == 20
    assert store.meta.info["simulator"] == "robosuite"
    assert [record.text for record in store.episodes] == ["lift", "lift"]
    world = RobosuiteWorld("Lift", {}, state="oracle")
    assert store.meta.state_names == world.spec.state_names
    for number, record in enumerate(store.episodes):
        episode = store.read(number)
        executed = episode.extras["executed"]
        assert not np.allclose(executed[:, :6], episode.action[:, :6])  # turns are noisy as well
        np.testing.assert_array_equal(executed[:, 6], episode.action[:, 6])
        assert episode.end.sum() == HOLD
        world.reset(record.seed)
        for state, action, place in zip(episode.state, executed, episode.target, strict=True):
            np.testing.assert_array_equal(world.observe(()).state, state)
            np.testing.assert_allclose(world.body("cube_main")[0], place, atol=1e-6)
            world.act(action)
        assert world.success()
    world.close()
    again = collect_robosuite(
        RobosuiteRecipe.read(tmp_path / "lift.yaml"), tmp_path / "store", Console(quiet=True)
    )
    assert len(again.episodes) == 2  # nothing is left to do


def test_bad_settings_are_named() -> None:
    with pytest.raises(InputError, match="NutAssemblySquare"):
        RobosuiteRecipe(("Door",))
    with pytest.raises(InputError, match="oracle"):
        RobosuiteRecipe(("Lift",), state="orcale")
    with pytest.raises(InputError, match="name one task"):
        RobosuiteRecipe(("Lift", "NutAssemblySquare"), state="oracle")
    world = RobosuiteWorld("Stack", {})
    with pytest.raises(InputError, match="Stack has no scripted expert"):
        EpisodeExpert(world)
    world.close()
