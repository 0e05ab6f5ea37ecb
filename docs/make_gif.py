"""Turn the film of `make demo` into the README's animation.

python docs/make_gif.py out/demo/demo.mp4 docs/demo.gif
"""

from __future__ import annotations

import sys
from pathlib import Path

import av
from PIL import Image

WIDTH, EVERY, COLOURS = 512, 2, 200


def main() -> None:
    """Read every second picture, shrink it, and give it a palette of its own."""
    film, target = Path(sys.argv[1]), Path(sys.argv[2])
    with av.open(str(film)) as container:
        rate = float(container.streams.video[0].average_rate or 10)
        pictures = [frame.to_image() for frame in container.decode(video=0)][::EVERY]
    height = round(pictures[0].height * WIDTH / pictures[0].width)
    small = [picture.resize((WIDTH, height), Image.Resampling.LANCZOS) for picture in pictures]
    frames = [picture.quantize(COLOURS, dither=Image.Dither.NONE) for picture in small]
    frames[0].save(
        target,
        save_all=True,
        append_images=frames[1:],
        duration=round(1000 * EVERY / rate / 1.5),
        loop=0,
        optimize=True,
    )


if __name__ == "__main__":
    main()
