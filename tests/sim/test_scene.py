from pathlib import Path

import pytest

from robot_skills.errors import InputError
from sim.tabletop.scene import AREA, CLEARANCE, GRASPABLE, ObjectSpec, Scene


def test_a_scene_survives_yaml(tmp_path: Path) -> None:
    for episode in range(20):
        scene = Scene.sample(5, episode)
        scene.save(tmp_path / "scene.yaml")
        assert Scene.load(tmp_path / "scene.yaml") == scene


def test_seed_and_episode_fix_a_scene() -> None:
    assert Scene.sample(3, 4) == Scene.sample(3, 4)
    assert len({str(Scene.sample(3, episode)) for episode in range(30)}) == 30
    assert Scene.sample(3, 4) != Scene.sample(4, 3)


def test_sampled_scenes_hold_three_to_six_objects_apart_and_on_the_table() -> None:
    counts = set()
    for episode in range(200):
        scene = Scene.sample(11, episode)
        counts.add(len(scene.objects))
        assert len(set(scene.names())) == len(scene.objects)
        assert any(item.kind in GRASPABLE for item in scene.objects)
        for index, item in enumerate(scene.objects):
            x, y, z = item.position
            assert AREA[0][0] <= x - item.radius
            assert x + item.radius <= AREA[0][1]
            assert AREA[1][0] <= y - item.radius
            assert y + item.radius <= AREA[1][1]
            assert z == item.height / 2
            for other in scene.objects[:index]:
                gap = ((x - other.position[0]) ** 2 + (y - other.position[1]) ** 2) ** 0.5
                assert gap - item.radius - other.radius > CLEARANCE
    assert counts == {3, 4, 5, 6}


def test_names_carry_the_size_only_where_it_is_needed() -> None:
    def block(size: str, x: float) -> ObjectSpec:
        return ObjectSpec("block", "red", size, (x, 0.0, 0.03))

    assert Scene((block("small", 0.4),)).names() == ["red block"]
    assert Scene((block("small", 0.4), block("large", 0.5))).names() == ["small red block", "large red block"]
    with pytest.raises(InputError, match="both called 'small red block'"):
        Scene((block("small", 0.4), block("small", 0.5)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("colour: mauve", r"Unknown colour 'mauve'; valid: .*red"),
        ("kind: cone", r"Unknown kind of object 'cone'; valid: ball, block"),
        ("size: huge", r"Unknown size 'huge'; valid: large, small"),
        ("colr: red", r"Unknown key of ObjectSpec 'colr'.*Did you mean 'colour'"),
        ("position: [0.5, 0.0]", r"three finite numbers"),
    ],
)
def test_a_wrong_object_is_named_with_what_would_be_right(tmp_path: Path, change: str, message: str) -> None:
    key = change.split(":")[0]
    good = {"kind": "block", "colour": "red", "size": "small", "position": "[0.5, 0.0, 0.02]"}
    good.pop(key, None)
    lines = [f"  {name}: {value}" for name, value in good.items()] + [f"  {change}"]
    file = tmp_path / "scene.yaml"
    file.write_text("objects:\n-" + "\n".join(lines)[1:] + "\n")
    with pytest.raises(InputError, match=message):
        Scene.load(file)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("objects: [", "not YAML"),
        ("- a list", "A scene is a mapping"),
        ("objects: []\ndrawr: 1.0", "Did you mean 'drawer'"),
        ("objects: []\ndrawer: 2.0", "between 0"),
        ("objects: 3", "Bad scene"),
    ],
)
def test_a_wrong_scene_file_is_one_clear_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "scene.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=message) as error:
        Scene.load(file)
    assert "\n" not in str(error.value)


def test_a_missing_scene_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No scene file at"):
        Scene.load(tmp_path / "none.yaml")
