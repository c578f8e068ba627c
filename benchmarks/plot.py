"""One picture of all tables of times: `python -m benchmarks.plot docs/benchmarks.md docs/benchmarks.svg`.

It is drawn from the Markdown, so that the page and the picture cannot disagree.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import NamedTuple

_ROW = re.compile(r"^\| (.+?) \| ([\d.]+) \| [\d.]+ to [\d.]+ \| ([\d.]+) \|$")


class Chart(NamedTuple):
    """A table: its title, what the ratios are to, and name, seconds and ratio of each row."""

    title: str
    base: str
    rows: list[tuple[str, float, float]]


def charts(markdown: str) -> list[Chart]:
    """Reads the tables of times from a page."""
    found: list[Chart] = []
    title = ""
    for line in markdown.splitlines():
        if line.startswith("## "):
            title = line[3:]
        elif line.startswith("| | median s "):
            found.append(Chart(title, line.rsplit("| x ", 1)[1].removesuffix(" |"), []))
        elif found and (row := _ROW.match(line)):
            found[-1].rows.append((row[1], float(row[2]), float(row[3])))
    return [chart for chart in found if chart.rows]


def draw(markdown: str, target: Path) -> None:
    """Writes the picture; the ending of `target` says in which format."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "ftpsvc"  # the same tables give the same file
    from matplotlib import pyplot

    tables = charts(markdown)
    if not tables:
        return
    heights = [len(chart.rows) + 2 for chart in tables]
    figure, axes = pyplot.subplots(
        len(tables),
        1,
        figsize=(9, 0.32 * sum(heights)),
        height_ratios=heights,
        squeeze=False,
        layout="constrained",
    )
    for chart, (axis,) in zip(tables, axes, strict=True):
        names = [name for name, _, _ in reversed(chart.rows)]
        ratios = [ratio for _, _, ratio in reversed(chart.rows)]
        colours = ["tab:blue" if name.startswith("ftpsvc") else "tab:gray" for name in names]
        axis.barh(names, ratios, color=colours)
        axis.axvline(1, color="black", linewidth=0.8)
        axis.bar_label(
            axis.containers[0], [f" {seconds:.3g} s" for _, seconds, _ in reversed(chart.rows)], fontsize=7
        )
        axis.set_title(f"{chart.title}: times of {chart.base}", fontsize=9, loc="left")
        axis.tick_params(labelsize=7)
        axis.margins(x=0.12)
    figure.savefig(target, metadata={"Date": None} if target.suffix == ".svg" else None)
    pyplot.close(figure)


if __name__ == "__main__":
    draw(Path(sys.argv[1]).read_text(encoding="utf-8"), Path(sys.argv[2]))
