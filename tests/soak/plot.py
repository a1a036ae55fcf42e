"""The plot: memory, descriptors, objects and the waits of a healthy client over time, in one SVG of moderate size.

Lives here: matplotlib. Never here: judgement.
"""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot

#: Points of a line at most: each is the median of a bucket.
MOST_POINTS = 300
MIB = 1 << 20


def thin(times: list[float], values: list[float], most: int = MOST_POINTS) -> tuple[list[float], list[float]]:
    """Medians of equal buckets; times in minutes."""
    step = max(1, -(-len(times) // most))
    parts = range(0, len(times), step)
    return [median(times[at : at + step]) / 60 for at in parts], [median(values[at : at + step]) for at in parts]


def draw(record: dict[str, Any], path: Path) -> None:
    """Write the plot."""
    matplotlib.rcParams["svg.hashsalt"] = "soak"
    figure, axes = pyplot.subplots(4, 1, figsize=(9, 12), sharex=True, layout="constrained")
    for subject, series in record["processes"].items():
        style = {"linewidth": 1, "label": subject, "linestyle": "--" if "supervisor" in subject else "-"}
        if "count" not in series:
            axes[0].plot(*thin(series["t"], [value / MIB for value in series["rss"]]), **style)
        axes[1].plot(*thin(series["t"], series["descriptors"]), **style)
    for subject, series in record["objects"].items():
        axes[2].plot(*thin(series["t"], series["objects"]), linewidth=1, label=subject)
    for number, (server, series) in enumerate(record["latency"].items()):
        for name, line in (("p50", "-"), ("p99", ":")):
            points = thin(series["t"], series[name])
            axes[3].plot(*points, line, color=f"C{number}", linewidth=1, label=f"{server}, {name}")
    axes[3].set_yscale("log")
    titles = ("resident memory, MiB", "open descriptors", "objects that gc knows", "waits of a healthy client, ms")
    for axis, title in zip(axes, titles, strict=True):
        axis.set_title(title, loc="left", fontsize=10)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7, ncols=2, loc="upper right")
        for name, start, end in record["spans"]:
            if name in ("rest", "end"):
                axis.axvspan(start / 60, end / 60, color="0.9")
        # Room for the legend.
        axis.set_ylim(*((None, axis.get_ylim()[1] * 5) if axis is axes[3] else (0, axis.get_ylim()[1] * 1.4)))
    axes[3].set_xlabel("minutes")
    figure.savefig(path, format="svg", metadata={"Date": None})
    pyplot.close(figure)
