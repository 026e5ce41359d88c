# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The pictures of a report (matplotlib).

| picture | what it shows |
|---|---|
| `intervals.png` | one panel per score: every row's mean and 95 % interval |
| `map.png` | the matcher's embeddings of real and of made motions, on the two main axes of the real ones |
| `actions.png` | which action the judge saw for each action that was asked for |
"""

import logging
from pathlib import Path

import numpy as np

from tm2t_hf.files import written_beside

from .report import TABLES

logger = logging.getLogger(__name__)

COLORS = {"real motion": "#555555", "VQ reconstruction": "#d98c1f", "text to motion": "#2a6fbb"}


def draw_pictures(folder: Path, report: dict, rows: dict[str, list[dict]], labels: list | None):
    """The pictures whose numbers are there; none, and a warning, without matplotlib.

    Args:
        folder: where they are written.
        report: as written.
        rows: row of motions -> what was seen of it, one dict per replication, with `embeddings` (clips, dim) and
            `verdicts` (clips, 2).
        labels: (action, style) of every clip.
    """
    try:
        from matplotlib.figure import Figure  # without pyplot no window system is asked for
    except ImportError:
        logger.warning("The pictures are left out, because there is no matplotlib: `pip install -e .[render]`.")
        return
    pictures = {}
    if report["matcher"] or report["judge"]:
        pictures["intervals.png"] = draw_intervals(Figure(layout="constrained"), report)
    if report["matcher"] and len(rows) > 1:
        embeddings = {name: replications[0]["embeddings"] for name, replications in rows.items()}
        pictures["map.png"] = draw_map(Figure(layout="constrained"), embeddings)
    if labels:
        name, replications = list(rows.items())[-1]
        seen = [verdict[0] for replication in replications for verdict in replication["verdicts"].tolist()]
        wanted = [action for action, _ in labels] * len(replications)
        pictures["actions.png"] = draw_confusion(Figure(layout="constrained"), wanted, seen, name)
    for name, figure in pictures.items():
        with written_beside(folder / name) as part:
            figure.savefig(part, format="png", dpi=130)


def draw_intervals(figure, report: dict):
    """One panel per score: every row with its interval."""
    panels = []
    for group in ("matcher", "judge"):
        for key, heading, _, factor in TABLES[group][1]:
            rows = {name: scores[key] for name, scores in report[group].items() if key in scores}
            if rows:
                panels.append((heading, {name: np.array(value) * factor for name, value in rows.items()}))
    columns = min(5, len(panels))
    lines = -(-len(panels) // columns)
    figure.set_size_inches(2.6 * columns, 1.9 * lines)
    for number, (heading, rows) in enumerate(panels, 1):
        axes = figure.add_subplot(lines, columns, number)
        for place, (name, value) in enumerate(rows.items()):
            mean, width = value if value.ndim else (value, 0)
            axes.errorbar(place, mean, width, fmt="o", color=COLORS[name], capsize=4)
            axes.annotate(f"{mean:.4g}", (place, mean), (7, 0), textcoords="offset points", fontsize=7, va="center")
        axes.set_title(heading, fontsize=9)
        axes.set_xticks(range(len(rows)), [name.replace(" ", "\n", 1) for name in rows], fontsize=7)
        axes.set_xlim(-0.5, len(rows) - 0.2)
        axes.margins(y=0.2)
        axes.tick_params(axis="y", labelsize=7)
        axes.grid(axis="y", alpha=0.3)
    return figure


def draw_map(figure, embeddings: dict[str, np.ndarray]):
    """A panel for each row over the real motions, all on the two main axes of the real ones."""
    real_name, *others = embeddings
    real = embeddings[real_name].astype(np.float64)
    _, scales, axes_of_real = np.linalg.svd(real - real.mean(0), full_matrices=False)
    share = (scales[:2] ** 2).sum() / (scales**2).sum()
    places = {name: (values - real.mean(0)) @ axes_of_real[:2].T for name, values in embeddings.items()}
    figure.set_size_inches(4.5 * len(others), 4.5)
    first = None
    for number, name in enumerate(others, 1):
        axes = first = figure.add_subplot(1, len(others), number, sharex=first, sharey=first)
        for row, marker in ((real_name, "o"), (name, "x")):
            axes.scatter(*places[row].T, s=16, alpha=0.6, marker=marker, color=COLORS[row], label=row, linewidths=0.9)
        axes.set_aspect("equal")
        axes.legend(fontsize=8)
    figure.suptitle(f"Matcher embeddings on two axes with {share:.0%} of the real motions' variance", fontsize=10)
    return figure


def draw_confusion(figure, wanted: list[str], seen: list[str], name: str):
    """What was asked for against what the judge saw, in percent of what was asked for."""
    actions = sorted(set(wanted))
    columns = actions + sorted(set(seen) - set(wanted))
    counts = np.zeros((len(actions), len(columns)))
    for action, verdict in zip(wanted, seen, strict=True):
        counts[actions.index(action), columns.index(verdict)] += 1
    percent = 100 * counts / counts.sum(1, keepdims=True)
    figure.set_size_inches(0.42 * len(columns) + 2.5, 0.36 * len(actions) + 2.2)
    axes = figure.add_subplot()
    axes.imshow(percent, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    for (row, column), value in np.ndenumerate(percent):
        if value >= 0.5:
            color = "white" if value > 60 else "black"
            axes.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=7, color=color)
    axes.set_xticks(range(len(columns)), columns, rotation=60, ha="right", fontsize=8)
    named = [f"{action} ({count:.0f})" for action, count in zip(actions, counts.sum(1), strict=True)]
    axes.set_yticks(range(len(actions)), named, fontsize=8)
    axes.set_xlabel("seen by the judge")
    axes.set_ylabel("asked for (motions)")
    axes.set_title(f"{name}: actions in percent", fontsize=10)
    return figure
