"""The skill graph as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from robot_skills.errors import InputError, require
from robot_skills.skill import Skill
from robot_skills.symbolic.skill_graph import Edge, edges

#: What matplotlib writes that shows lines well.
SUFFIXES = (".png", ".pdf", ".svg")
_NODE, _LINE, _TEXT = "#dfeaf5", "#7f8c9a", "#22303c"


def draw(skills: Mapping[str, Skill], path: Path) -> tuple[Edge, ...]:
    """Draw a library's skill graph and write it to a file.

    Args:
        skills: the cards.
        path: ends in .png, .pdf or .svg.

    Raises:
        InputError: the file has another suffix, or matplotlib is not installed.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"A picture's name ends in {', '.join(SUFFIXES)}, not {path.suffix!r}.")
    require("matplotlib", "train")
    import networkx  # torch brings it
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    found = edges(skills)
    graph = networkx.DiGraph()
    graph.add_nodes_from(skills)
    graph.add_edges_from((edge.giver, edge.taker) for edge in found)
    # On a circle no edge runs behind a node, whatever the library.
    places = networkx.circular_layout(graph)
    side = max(7.0, 1.1 * len(skills))
    figure = Figure(figsize=(side, side), dpi=120)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set_xlim(-1.35, 1.35)
    axes.set_ylim(-1.35, 1.35)
    look = {"node_size": 3600, "connectionstyle": "arc3,rad=0.12"}
    networkx.draw_networkx_nodes(graph, places, ax=axes, node_size=3600, node_color=_NODE, edgecolors=_LINE)
    networkx.draw_networkx_labels(graph, places, ax=axes, font_size=11, font_color=_TEXT)
    networkx.draw_networkx_edges(graph, places, ax=axes, edge_color=_LINE, arrowsize=16, **look)
    # Near its end, where an edge and the one back lie apart.
    networkx.draw_networkx_edge_labels(
        graph,
        places,
        {(edge.giver, edge.taker): ",\n".join(edge.supplies) for edge in found},
        ax=axes,
        font_size=8,
        font_color=_TEXT,
        label_pos=0.66,
        rotate=False,
        connectionstyle=look["connectionstyle"],
        bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.85},
    )
    figure.savefig(path)
    return found
