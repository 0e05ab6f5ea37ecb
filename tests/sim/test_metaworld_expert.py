"""Demonstrations of MetaWorld by its experts: what is recorded, and how a collection goes on."""

import numpy as np
import pytest
from rich.console import Console

pytest.importorskip("metaworld")

from robot_skills.data.collection import FAILURES
from robot_skills.errors import InputError
from sim.experts import metaworld
from sim.experts.metaworld import HOLD, MetaWorldRecipe, collect_metaworld, task_text

RECIPE = MetaWorldRecipe(("button-press-v3", "drawer-close-v3"), episodes=2, image_size=(32, 32), steps=200)


def test_a_collection_that_was_stopped_goes_on_and_gives_the_same(tmp_path) -> None:
    console = Console(quiet=True)
    whole = collect_metaworld(RECIPE, tmp_path / "whole", console)
    assert [episode.call.skill for episode in whole.episodes] == [t for t in RECIPE.tasks for _ in range(2)]
    assert {episode.text for episode in whole.episodes} == {"button press", "drawer close"}
    for number, record in enumerate(whole.episodes):
        episode = whole.read(number)
        assert episode.images["corner2"].shape == (record.length, 32, 32, 3)
        assert episode.end.sum() == HOLD
        assert np.isfinite(episode.target).all()
        assert np.abs(episode.action).max() <= 1
    again = collect_metaworld(RECIPE, tmp_path / "whole", console)  # nothing is left to do
    assert len(again.episodes) == 4
    other = MetaWorldRecipe(RECIPE.tasks, episodes=3, image_size=(32, 32), steps=200)
    with pytest.raises(InputError, match="another recipe"):
        collect_metaworld(other, tmp_path / "whole", console)


def test_seeds_that_failed_are_neither_tried_nor_counted_again(tmp_path, monkeypatch) -> None:
    recipe, console = MetaWorldRecipe(("drawer-close-v3",), 2, image_size=(32, 32)), Console(quiet=True)
    tried: list[int] = []
    real = metaworld.demonstrate

    def demonstrate(world, seed, *rest):
        if seed == 2 and seed not in tried:
            tried.append(seed)
            raise KeyboardInterrupt
        tried.append(seed)
        return None if seed == 0 else real(world, seed, *rest)

    monkeypatch.setattr(metaworld, "demonstrate", demonstrate)
    with pytest.raises(KeyboardInterrupt):
        collect_metaworld(recipe, tmp_path / "store", console)
    store = collect_metaworld(recipe, tmp_path / "store", console)
    assert tried == [0, 1, 2, 2]
    assert [episode.seed for episode in store.episodes] == [1, 2]
    assert len((tmp_path / "store" / FAILURES).read_text().splitlines()) == 1


def test_what_was_executed_is_kept_beside_the_labels_if_asked_for(tmp_path) -> None:
    recipe = MetaWorldRecipe(("reach-v3",), 2, cameras=(), state="oracle", executed=True, noise=0.3)
    store = collect_metaworld(recipe, tmp_path / "store", Console(quiet=True))
    world = metaworld.MetaWorld("reach-v3", {}, "oracle")
    for number, record in enumerate(store.episodes):
        episode = store.read(number)
        executed = episode.extras["executed"]
        assert not np.allclose(executed[:, :3], episode.action[:, :3])
        np.testing.assert_array_equal(executed[:, 3], episode.action[:, 3])
        # Executed anew, it leads where it led.
        world.reset(record.seed)
        for state, action in zip(episode.state, executed, strict=True):
            np.testing.assert_array_equal(world.observe().state, state)
            world.act(action)
    world.close()
    plain = collect_metaworld(
        MetaWorldRecipe(("reach-v3",), 1, cameras=()), tmp_path / "plain", Console(quiet=True)
    )
    assert plain.meta.extras == {}
    assert plain.state.shape[1] == 4


def test_bad_settings_are_named(tmp_path) -> None:
    with pytest.raises(InputError, match="tasks names one"):
        MetaWorldRecipe(())
    with pytest.raises(InputError, match="first_seed"):
        MetaWorldRecipe(("reach-v3",), first_seed=950_000)
    with pytest.raises(InputError, match="state"):
        MetaWorldRecipe(("reach-v3",), state="orcale")
    assert task_text("pick-place-wall-v3") == "pick place wall"
