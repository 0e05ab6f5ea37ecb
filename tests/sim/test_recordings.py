import itertools
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from robot_skills.data.segmentation import traces
from robot_skills.data.segmentation.truth import read_truth
from robot_skills.errors import InputError
from sim.experts.recording import record
from sim.experts.recordings import RecordingsRecipe, collect_recordings
from sim.tabletop.world import TabletopWorld


def test_a_recording_is_several_skills_that_succeed_and_its_seed_fixes_it(world: TabletopWorld) -> None:
    shown, again = (record(world, 850_000, 0.25) for _ in range(2))
    assert shown.success, shown.reason
    assert 3 <= len(shown.parts) <= 6
    edges = [0, *(part.stop for part in shown.parts)]
    assert edges[:-1] == [part.start for part in shown.parts]
    assert edges[-1] == len(shown.state) == len(shown.action) == len(shown.images["wrist"])
    assert np.abs(shown.action).max() <= 1
    assert again.parts == shown.parts
    np.testing.assert_array_equal(shown.images["front"], again.images["front"])


def test_skills_follow_one_another_sensibly() -> None:
    world = TabletopWorld({})
    for seed in range(850_000, 850_004):
        calls = [part.call for part in record(world, seed, 0.25).parts]
        for before, after in itertools.pairwise(calls):
            assert (after.skill == "place") == (before.skill == "pick")
            assert before != after
    world.close()


def test_collected_recordings_hide_their_skills_and_go_on(tmp_path: Path) -> None:
    console = Console(quiet=True)
    recipe = RecordingsRecipe(1, first_seed=850_000, skills=(3, 3), cameras=("front",), image_size=(16, 16))
    collect_recordings(recipe, tmp_path / "store", console, local=True)
    more = RecordingsRecipe(2, first_seed=850_000, skills=(3, 3), cameras=("front",), image_size=(16, 16))
    store = collect_recordings(more, tmp_path / "store", console, local=True)
    assert len(store.episodes) == 2
    for record_ in store.episodes:
        assert record_.text == ""
        assert record_.call is None
    assert np.isnan(store.target).all()
    truths, names = read_truth(store)
    assert all(len(truth.boundaries) == 2 for truth in truths)
    assert set(names) <= {"close", "open", "pick", "place", "press", "push"}
    assert len(traces(store)) == 2
    with pytest.raises(InputError, match="another recipe"):
        collect_recordings(RecordingsRecipe(2, first_seed=850_001), tmp_path / "store", console, local=True)


def test_seeds_of_evaluation_are_refused() -> None:
    with pytest.raises(InputError, match="first_seed"):
        RecordingsRecipe(1, first_seed=1_000_000)
