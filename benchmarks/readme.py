"""Copy the tables of `results/` into the README, between their markers.

python benchmarks/readme.py
"""

from __future__ import annotations

import re
from pathlib import Path

from report import RESULTS

README = Path(__file__).parent.parent / "README.md"


def table(name: str) -> str:
    """A result without its heading, which becomes a line in bold."""
    title, _, body = (RESULTS / f"{name}.md").read_text().partition("\n")
    body = body.partition("\nWrong:")[0]  # case by case only in the result itself
    return f"**{title.removeprefix('# ')}**\n{body.rstrip()}"


def main() -> None:
    """Fill `<!-- results NAME -->` to `<!-- end -->` anew."""
    text = README.read_text()
    filled = re.sub(
        r"(<!-- results (\w+) -->\n).*?(<!-- end -->)",
        lambda match: f"{match.group(1)}{table(match.group(2))}\n{match.group(3)}",
        text,
        flags=re.DOTALL,
    )
    temporary = README.with_name(".README.md")
    temporary.write_text(filled)
    temporary.replace(README)


if __name__ == "__main__":
    main()
