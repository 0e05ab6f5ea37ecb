"""The small CLIP that comes with the package: rendered, trained, examined, written to its folder.

python benchmarks/clip.py [--scenes 3000] [--steps 4000] [--examine]

Pictures: scenes of the tabletop with seeds below 900,000, captioned in the simulator's own words by what it
sees in each pixel. Other words come from texts alone: colours from the names that CSS and the XKCD survey
give to them (matplotlib carries both), kinds and sizes from MiniLM's likeness of 16,000 words to
descriptions.
Examined on scenes from seed 1,000,000 on.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.colors import CSS4_COLORS, XKCD_COLORS, to_rgb
from report import hardware
from safetensors.torch import save_file

from planners.vocabulary import ADJECTIVES, KINDS
from robot_skills.embedding import sentence_embedding
from robot_skills.policies.clip import SHIPPED, load_clip, load_tokenizer
from robot_skills.policies.clip.evaluation import Examiner, examine, name_sizes, sights, worded
from robot_skills.policies.clip.training import ClipTraining, Labelled, Trainer
from robot_skills.policies.clip.words import Captions, Lexicon, colour_meanings, meanings
from robot_skills.policies.torchvision_shim import import_open_clip
from robot_skills.training.statistics import wilson_interval
from sim import captions
from sim.tabletop.scene import COLOURS, DIMENSIONS, FIXTURES

FORMAT_VERSION = 1
OUT = Path("out/clip")
#: Pairs of colour and kind that no caption names and no picture is learned from.
UNSAID = (("ball", "red"), ("cylinder", "yellow"), ("block", "purple"), ("bowl", "cyan"))
CAPTIONS = Captions(tuple(DIMENSIONS), tuple(COLOURS), ("small", "large"), (*FIXTURES, "robot"), UNSAID)
#: CLIP's word pieces that are whole words of three letters or more, the most frequent ones.
VOCABULARY = 16_000
OTHER_WORDS: Mapping[str, Sequence[str]] = {**KINDS, **ADJECTIVES}
#: The first scene of the examination.
EXAMINED = 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenes", type=int, default=3000)
    parser.add_argument("--steps", type=int, default=ClipTraining.steps)
    parser.add_argument("--examine", action="store_true", help="only examine the shipped weights again")
    args = parser.parse_args()
    torch.set_num_threads(1)
    OUT.mkdir(parents=True, exist_ok=True)
    folder = SHIPPED["tabletop"]
    minutes = None if args.examine else build(folder, args.scenes, args.steps)
    model, tokenize = load_clip("tabletop"), load_tokenizer("tabletop")
    rows = report(model, tokenize, lexicon())
    write_card(folder, rows, args.scenes, args.steps, minutes)


def build(folder: Path, scenes: int, steps: int) -> float:
    """Train, and write the folder; minutes of processor time."""
    began = time.process_time()
    settings = json.loads((Path(captions.__file__).parent / "clip.json").read_text())
    torch.manual_seed(0)
    open_clip = import_open_clip()
    model = open_clip.model.CLIP(**settings["model_cfg"])
    tokenize = open_clip.SimpleTokenizer(context_length=settings["model_cfg"]["text_cfg"]["context_length"])
    pictures, config = labelled(0, scenes), ClipTraining(steps=steps)
    trainer = Trainer(model, tokenize, pictures, CAPTIONS, lexicon(), config)
    for measured in trainer.run():
        print({name: round(value, 3) for name, value in measured.items()}, flush=True)
    write_folder(folder, model, settings)
    return (time.process_time() - began) / 60


def write_folder(folder: Path, model: Any, settings: Mapping[str, Any]) -> None:
    """Weights in float16, and the configuration, in the form that open_clip reads."""
    new = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    weights = {name: value.detach().half().contiguous() for name, value in model.state_dict().items()}
    save_file(weights, new / "open_clip_model.safetensors")
    config = {"format_version": FORMAT_VERSION, **settings}
    (new / "open_clip_config.json").write_text(json.dumps(config, indent=2) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    new.rename(folder)


def labelled(first: int, scenes: int) -> Labelled:
    """The pictures of some scenes, rendered once."""
    path = OUT / f"pictures_{first}_{scenes}.npz"
    if not path.exists():
        np.savez(path, **captions.album(range(first, first + scenes))._asdict())
    data = np.load(path)
    images, seen, things = (torch.from_numpy(data[name]) for name in ("images", "seen", "things"))
    names = ((*captions.KINDS, "table"), captions.HUES, captions.SIZES)
    return Labelled(images.permute(0, 3, 1, 2).contiguous(), seen.long(), things.long(), *names)


def lexicon() -> Lexicon:
    """Other words and their meanings, computed once (a minute)."""
    path = OUT / "lexicon.npz"
    if not path.exists():
        pieces = import_open_clip().SimpleTokenizer().encoder
        whole = (piece.removesuffix("</w>") for piece in pieces if piece.endswith("</w>"))
        words = [word for word in whole if word.isalpha() and len(word) > 2][:VOCABULARY]
        embedding = sentence_embedding()

        def embed(texts: Sequence[str]) -> Any:
            parts = [embedding(texts[i : i + 256]) for i in range(0, len(texts), 256)]
            return np.concatenate(parts)

        named = {name: to_rgb(code) for name, code in CSS4_COLORS.items()}
        for name, code in XKCD_COLORS.items():
            named[name.removeprefix("xkcd:").replace("/", " ")] = to_rgb(code)
        swatches = {name: rgb for name, rgb in named.items() if name not in COLOURS}
        kinds, like_kinds = meanings(words, CAPTIONS.kinds, embed)
        sizes, like_sizes = meanings(words, CAPTIONS.sizes, embed)
        np.savez(
            path,
            words=words,
            kinds=kinds,
            like_kinds=like_kinds,
            sizes=sizes,
            like_sizes=like_sizes,
            swatches=list(swatches),
            colours=colour_meanings(
                np.array(list(swatches.values()), np.float32), np.array(list(COLOURS.values()), np.float32)
            ),
        )
    data = np.load(path)
    words, swatches = (tuple(map(str, data[name])) for name in ("words", "swatches"))
    shares = {0: data["kinds"], 1: data["colours"], 2: data["sizes"]}
    likeness = {0: data["like_kinds"], 2: data["like_sizes"]}
    return Lexicon({0: words, 1: swatches, 2: words}, shares, likeness)


def report(model: Any, tokenize: Any, known: Lexicon) -> list[tuple[str, ...]]:
    """What was asked, and successes of naming and of finding, of front pictures."""
    data = labelled(EXAMINED, 300)
    front = torch.from_numpy(np.load(OUT / f"pictures_{EXAMINED}_300.npz")["views"] == 0)
    data = data._replace(images=data.images[front], seen=data.seen[front], things=data.things[front])
    examiner = Examiner(model, tokenize, data)
    seen = sights(data, CAPTIONS)
    usual = [sight for sight in seen if sight.spec[:2] not in UNSAID]
    unsaid = [sight for sight in seen if sight.spec[:2] in UNSAID]
    hues = {name: ADJECTIVES[name] for name in CAPTIONS.colours}
    kinds = {name: KINDS[name] for name in CAPTIONS.kinds}
    listed = {word for words in known.words.values() for word in words}
    rare = {name: [w for w in words if w not in listed] for name, words in OTHER_WORDS.items()}
    trials = [
        ("the captions' words", usual, {}),
        ("pairs of colour and kind that were held out", unsaid, {}),
        ("other words for colours", seen, hues),
        ("other words for kinds", seen, kinds),
        ("other words for both", seen, {**hues, **kinds}),
        ("words in no list", [s for s in seen if any(rare.get(name) for name in s.spec[:2])], rare),
    ]
    rows = []
    for name, asked, words in trials:
        result = examine(examiner, asked, CAPTIONS, worded(words))
        rows.append((name, *(share(*result[part]) for part in ("colour", "kind", "both", "found"))))
        print(rows[-1], flush=True)
    rows.append(("small or large, of its kind", share(*name_sizes(examiner, seen)), "", "", ""))
    return rows


def share(successes: int, trials: int) -> str:
    """Successes, trials, and the rate with its interval."""
    low, high = wilson_interval(successes, trials)
    return f"{successes}/{trials}, {successes / max(trials, 1):.1%} ({low:.1%} to {high:.1%})"


def write_card(
    folder: Path, rows: list[tuple[str, ...]], scenes: int, steps: int, minutes: float | None
) -> None:
    """README.md of the folder."""
    size = (folder / "open_clip_model.safetensors").stat().st_size / 1e6
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    time_taken = "" if minutes is None else f" {minutes:.0f} minutes of one core of {hardware()}."
    text = CARD.format(
        table=table, scenes=scenes, steps=steps, size=size, time=time_taken, pictures=5 * scenes
    )
    (folder / "README.md").write_text(text)


CARD = """\
# A small CLIP of the tabletop

An [open_clip](https://github.com/mlfoundations/open_clip) model, {size:.1f} MB: image tower and text tower
are open_clip's classes, `open_clip_config.json` holds their sizes, the weights are float16. It names the
things on the simulator's table by colour, kind and size, and points at them: every 4 px patch of a 64 px
picture has a vector in the space of the texts.

```python
from robot_skills.policies.clip import load_clip, load_tokenizer

model, tokenize = load_clip("tabletop"), load_tokenizer("tabletop")
```

## Training

`python benchmarks/clip.py --scenes {scenes} --steps {steps}` (`make clip`).{time}

- {pictures:,} pictures of {scenes:,} scenes (seeds 0 and on): both cameras as a policy sees them, and
  close-ups. The simulator's state says what each pixel shows; captions name it in the simulator's words only
  (eight colours, block, cylinder, ball, bowl, small, large; drawer, door, button, robot, table).
- Held out: red balls, yellow cylinders, purple blocks and cyan bowls are in no caption, and what shows them
  is not learned from.
- The image tower is compared with a vector for each caption; the text tower then learns these vectors, those
  of the held-out pairs by analogy, and other words.
- Other words never occur beside a picture. Colours: the 148 names of CSS and 949 of the XKCD survey, by their
  place in L*a*b* next to the eight. Kinds and sizes: 16,000 frequent words by MiniLM's likeness to
  descriptions (`robot_skills/policies/clip/words.py`).

## What it can do

Front pictures of 300 scenes from seed 1,000,000 on, two a scene, with 3 to 6 loose things; every loose thing
that shows at least 6 pixels is asked for. *Colour*, *kind*, *both*: of the best of all 32 pairs of colour and
kind, by the mean of its patches. *Found*: the peak of the map lies on it. Other words are those
of the planner's vocabulary (crimson, azure, cube, orb, dish ...), drawn for each question; the dictionaries
hold all of them but cuboid and orb, no caption holds any. 95 % Wilson intervals.

| words | colour | kind | both | found |
|---|---|---|---|---|
{table}

What it cannot do: tell kinds. A block is 4 px wide in the front picture, and one guess in four is right by
chance. What finds things is their colour; where a bowl has the colour of what was asked for, the peak may lie
on the bowl. A small and a large block differ by a centimetre, less than a pixel.
"""


if __name__ == "__main__":
    main()
