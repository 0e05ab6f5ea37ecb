"""Copy the tables of `results/` into the pages that show them, between their markers.

python benchmarks/readme.py
"""

from __future__ import annotations

import re
from pathlib import Path

from report import RESULTS

HOUSE = Path(__file__).parent.parent
PAGES = ("README.md", "docs/simulators.md")


def table(name: str) -> str:
    """A result without its heading, which becomes a line in bold."""
    title, _, body = (RESULTS / f"{name}.md").read_text().partition("\n")
    body = body.partition("\nWrong:")[0]  # case by case only in the result itself
    return f"**{title.removeprefix('# ')}**\n{body.rstrip()}"


def main() -> None:
    """Fill `<!-- results NAME -->` to `<!-- end -->` anew."""
    for page in (HOUSE / name for name in PAGES):
        filled = re.sub(
            r"(<!-- results (\w+) -->\n).*?(<!-- end -->)",
            lambda match: f"{match.group(1)}{table(match.group(2))}\n{match.group(3)}",
            page.read_text(),
            flags=re.DOTALL,
        )
        temporary = page.with_name(f".{page.name}")
        temporary.write_text(filled)
        temporary.replace(page)


if __name__ == "__main__":
    main()
