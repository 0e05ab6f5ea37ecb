"""The page and the contact sheet show what the data set holds."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from robot_skills.data.episode import Episode
from robot_skills.data.formats.base import Problem
from robot_skills.data.meta import StoreMeta
from robot_skills.data.viewer import ACROSS, contact_sheet, page, parse_episodes
from robot_skills.errors import InputError
from tests.robot_skills.data.healthy import Memory

META = StoreMeta(cameras={"front": (24, 32), "wrist": (24, 24)}, control_rate=10.0)
EVIL = '</script><script>alert("x")</script> <!-- & 红'


def episode(seed: int, length: int, text: str = "pick the block") -> Episode:
    """Plain pictures whose grey level counts the steps: they survive a lossy codec."""
    random = np.random.default_rng(seed)
    images = {}
    for name, (height, width) in META.cameras.items():
        grey = (np.arange(length) * 5 % 250)[:, None, None, None]
        images[name] = np.broadcast_to(grey, (length, height, width, 3)).astype(np.uint8)
    return Episode(
        images=images,
        state=random.normal(size=(length, 10)).astype(np.float32),
        action=random.uniform(-1, 1, (length, 7)).astype(np.float32),
        end=np.zeros(length, np.float32),
        target=np.zeros((length, 3), np.float32),
        text=text,
        seed=seed,
    )


class Reader(HTMLParser):
    """What a browser would take from the page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag == "script"
        if self._inside:
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.scripts[-1] += data


def parse(html: str) -> tuple[dict[str, Any], str, Reader]:
    reader = Reader()
    reader.feed(html)
    assert len(reader.scripts) == 2
    return json.loads(reader.scripts[0]), reader.scripts[1], reader


@pytest.fixture(scope="module")
def source() -> Memory:
    return Memory([episode(0, 7), episode(1, ACROSS * ACROSS + 9, EVIL)], META)


def test_the_page_holds_the_numbers_and_the_pictures(source: Memory) -> None:
    found = Problem("jump", "It jumps <b>.", 1, 30, "warning")
    data, _, _ = parse(page(source, [0, 1], [found]))
    for number, shown in enumerate(data["episodes"]):
        made = source.read(number)
        for name in ("state", "action"):
            values = np.frombuffer(base64.b64decode(shown[name]), "<f4").reshape(len(made), -1)
            assert np.array_equal(values, made.rows(name))
        for name, camera in shown["cameras"].items():
            sheets = [
                np.asarray(Image.open(io.BytesIO(base64.b64decode(sheet.partition(",")[2])))).astype(int)
                for sheet in camera["sheets"]
            ]
            assert camera["count"] == len(made)
            for step in range(len(made)):
                place = step % camera["sheet_size"]
                y = place // camera["columns"] * camera["height"]
                x = place % camera["columns"] * camera["width"]
                cut = sheets[step // camera["sheet_size"]][y : y + camera["height"], x : x + camera["width"]]
                assert np.abs(cut[4:-4, 4:-4] - made.images[name][step][4:-4, 4:-4]).mean() < 2.5, (
                    name,
                    step,
                )
    assert data["episodes"][0]["problems"] == []
    assert data["episodes"][1]["problems"] == [found.to_json()]
    assert data["episodes"][1]["text"] == EVIL
    assert data["rate"] == 10.0
    assert data["state_names"] == list(META.state_names)


def test_the_page_needs_no_network_and_keeps_texts_out_of_its_markup(source: Memory) -> None:
    html = page(source, [0, 1])
    _, script, reader = parse(html)
    assert not re.search(r"https?://|\bfetch\(|XMLHttpRequest|import\s*\(|innerHTML|document\.write", html)
    for tag, attributes in reader.tags:
        assert tag not in ("link", "iframe", "img", "object", "embed")
        assert "src" not in attributes
    assert "alert(" not in script
    assert sum(tag == "script" for tag, _ in reader.tags) == 2


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_the_script_decodes_what_python_wrote(source: Memory, tmp_path: Path) -> None:
    data, script, _ = parse(page(source, [0, 1]))
    (tmp_path / "data.json").write_text(json.dumps(data))
    (tmp_path / "run.js").write_text(
        script + ";const d = JSON.parse(require('fs').readFileSync(process.argv[2]));"
        "const e = d.episodes[1], c = e.cameras.front;"
        "console.log(JSON.stringify([row(floats(e.state), 10, 42), row(floats(e.action), 7, 5),"
        "cell(c, 0), cell(c, 13), cell(c, 144 + 3)]))"
    )
    run = subprocess.run(
        ["node", tmp_path / "run.js", tmp_path / "data.json"], capture_output=True, text=True, check=True
    )
    state, action, *cells = json.loads(run.stdout)
    assert np.array_equal(np.float32(state), source.read(1).state[42])
    assert np.array_equal(np.float32(action), source.read(1).action[5])
    assert cells == [
        {"sheet": 0, "x": 0, "y": 0},
        {"sheet": 0, "x": 32, "y": 24},
        {"sheet": 1, "x": 3 * 32, "y": 0},
    ]


#: As much of a document as the page's script asks for.
DOCUMENT = """
const made = [];
function node(tag) {
  const style = {}, self = { tag, style, children: [], attributes: {}, textContent: "", clientWidth: 640,
    classList: { toggle() {} }, complete: true, drawn: [],
    append(...c) { self.children.push(...c); }, replaceChildren(...c) { self.children = c; },
    setAttribute(k, v) { self.attributes[k] = v; },
    getContext() { return new Proxy({}, { get: (_, name) => name === "drawImage"
      ? (image, x, y, w, h) => self.drawn.push([image.src.slice(0, 22), x, y, w, h]) : () => 0,
      set: () => true }); } };
  made.push(self); return self;
}
const ids = {};
globalThis.document = { getElementById: id => ids[id] ??= node(id), createElement: node, body: node("body") };
globalThis.window = {}; globalThis.getComputedStyle = () => ({ getPropertyValue: () => "#000" });
globalThis.Image = class { complete = true; };
document.getElementById("data").textContent = require("fs").readFileSync(process.argv[2], "utf8");
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_the_page_runs(source: Memory, tmp_path: Path) -> None:
    problem = Problem("jump", "It jumps.", 1, 30, "warning")
    data, script, _ = parse(page(source, [0, 1], [problem]))
    (tmp_path / "data.json").write_text(json.dumps(data))
    (tmp_path / "run.js").write_text(
        DOCUMENT + script + ";ids.list.children[1].onclick(); ids.marks.children[0].onclick();"
        "const view = ids.views.children[0].children[0];"
        "console.log(JSON.stringify({ text: ids.text.textContent, clock: ids.clock.textContent,"
        "  drawn: view.drawn.at(-1), legend: ids['action-legend'].children[2].textContent,"
        "  problems: ids.problems.children.length }));"
    )
    run = subprocess.run(
        ["node", tmp_path / "run.js", tmp_path / "data.json"], capture_output=True, text=True, check=True
    )
    shown = json.loads(run.stdout)
    assert shown["text"] == EVIL
    assert shown["clock"] == f"step 30 of {ACROSS * ACROSS + 9}, 3.00 s"
    assert shown["drawn"] == ["data:image/webp;base64", 30 % ACROSS * 32, 30 // ACROSS * 24, 32, 24]
    assert float(shown["legend"].split()[1]) == pytest.approx(float(source.read(1).action[30, 2]), abs=1e-3)
    assert shown["problems"] == 1


def test_the_contact_sheet_shows_first_and_last_step(source: Memory) -> None:
    sheet = np.asarray(contact_sheet(source, [0], columns=4))
    assert sheet.shape == (2 * (24 + 18 + 6) + 6, 4 * (32 + 6) + 6, 3)
    for column, step in enumerate((0, 2, 4, 6)):
        assert (sheet[24 + 12, 6 + column * 38 + 16] == source.read(0).images["front"][step, 12, 16]).all()


@pytest.mark.parametrize(
    ("text", "numbers"), [(None, [0, 1, 2]), ("0-2", [0, 1, 2]), ("5", [5]), ("4,0-1,1", [4, 0, 1])]
)
def test_episodes_are_named_as_ranges(text: str | None, numbers: list[int]) -> None:
    assert parse_episodes(text, 6, 3) == numbers


@pytest.mark.parametrize(
    ("text", "words"), [("6", "0 to 5"), ("a", "0-5 or"), ("3-1", "0-5 or"), ("-1", "0-5 or")]
)
def test_episodes_that_are_not_there(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse_episodes(text, 6, 3)
