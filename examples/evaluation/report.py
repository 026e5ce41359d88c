# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""How `evaluate_tm2t.py` writes down what it found: `report.json`, `report.md`, and tables in other pages."""

import json
from pathlib import Path

from tm2t_hf.files import written_beside
from tm2t_hf.training.model_card import add_results

ACTION_AND_STYLE = [
    ("action", "right action (%)", 1, 100),
    ("style", "right style (%)", 1, 100),
    ("both", "both (%)", 1, 100),
]
R_PRECISION = [(f"r_precision{k}", f"R-precision {k}", 3, 1) for k in (1, 2, 3)]
TABLES = {  # group -> title and columns: name in the report, heading, decimals, factor
    "matcher": (
        "Motions, as the matcher sees them",
        [
            *R_PRECISION,
            ("fid", "FID", 3, 1),
            ("mm_dist", "MM-Dist", 3, 1),
            ("diversity", "Diversity", 3, 1),
            ("multimodality", "MultiModality", 3, 1),
        ],
    ),
    "judge": ("Actions and styles, judged on joints", ACTION_AND_STYLE),
    "motions": (
        "Motions, as people see them",
        [
            ("root_relative_error", "joint error, root-relative (mm)", 1, 1),
            ("global_error", "joint error, global (mm)", 1, 1),
            ("acceleration_error", "acceleration error (m/s²)", 2, 1),
            ("foot_sliding", "foot sliding (m/s)", 3, 1),
            ("ground_penetration", "ground penetration (mm)", 1, 1),
            ("seconds", "mean length (s)", 2, 1),
            ("empty", "empty motions", 1, 1),
            ("codebook_used", "codebook used (%)", 1, 100),
            ("codebook_perplexity", "perplexity", 0, 1),
        ],
    ),
    "captions": (
        "Captions",
        [
            *ACTION_AND_STYLE,
            ("bleu1", "BLEU-1", 1, 100),
            ("bleu4", "BLEU-4", 1, 100),
            ("rougeL", "ROUGE-L", 1, 100),
            ("cider", "CIDEr", 2, 1),
            ("bert_score", "BERTScore", 1, 100),
            *R_PRECISION,
            ("mm_dist", "MM-Dist", 3, 1),
        ],
    ),
    "people": (
        "People's sentences, judged on joints",
        [
            ("sentences", "sentences", 0, 1),
            ("action", "right action (%)", 1, 100),
            ("action_by_action", "mean over actions (%)", 1, 100),
            ("styled_sentences", "of these with a style", 0, 1),
            ("style", "right style (%)", 1, 100),
        ],
    ),
    "people_actions": (
        "People's sentences, action by action",
        [("sentences", "sentences", 0, 1), ("action", "right action (%)", 0, 100), ("instead", "instead", 0, 1)],
    ),
    "requests": (
        "Requests never learned, by their score",
        [
            ("known", "people's sentences", 0, 1),
            ("unknown", "requests never learned", 0, 1),
            ("auc", "area under the ROC curve", 3, 1),
            ("threshold", "threshold", 2, 1),
            ("warned_known", "warned of people's sentences (%)", 1, 100),
            ("warned_unknown", "warned of requests never learned (%)", 1, 100),
        ],
    ),
    "bodies": ("Captions of other bodies", ACTION_AND_STYLE),
    "recordings": (
        "Captions of real people (CMU)",
        [
            ("seen", "in the training set", 0, 1),
            ("people", "people's caption", 0, 1),
            ("caption", "motion to text", 0, 1),
            ("action", "named right (%)", 0, 100),
        ],
    ),
}
BEGIN, END = "<!-- evaluation: begin -->", "<!-- evaluation: end -->"


def write_report(folder: Path, report: dict):
    """`report.json` and `report.md`."""
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "report.json", json.dumps(report, indent=1) + "\n")
    write(folder / "report.md", markdown(report, "#"))


def write_into(path: Path, report: dict):
    """The tables in a model card or another page: between the two marks there, or in a section of their own."""
    page = path.read_text(encoding="utf-8")
    if BEGIN not in page:
        page = f"{page.rstrip()}\n\n## Evaluation\n\n{BEGIN}\n{END}\n"
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    write(path, f"{before}{BEGIN}\n{markdown(report, '###')}{END}{after}")
    add_results(path, report)


def write(path: Path, text: str):
    """Write a text file whole or not at all."""
    with written_beside(path) as part:
        part.write_text(text, encoding="utf-8")


def markdown(report: dict, heading: str) -> str:
    """One table per group; a column that no row has is left out."""
    data = report["data"]
    but = ", ".join(f"{name} {value}" for name, value in report["deviations"].items())
    lines = [
        f"{heading} {data['clips']} clips of {data['name']}, {data['split']} split",
        "",
        f"- protocol {report['protocol']}{f', but for {but}' if but else ''}; seed {report['seed']}, "
        f"{report['replications']} replications, mean ± half width of the 95 % interval",
        f"- data: sha256 {data['sha256'][:12]}",
        *(f"- {role}: {each['name']}, sha256 {each['sha256'][:12]}" for role, each in report["checkpoints"].items()),
        *(f"- {option}: {each['name']}, sha256 {each['sha256'][:12]}" for option, each in report["sentences"].items()),
    ]
    for group, (title, columns) in TABLES.items():
        rows = report.get(group)
        if not rows:
            continue
        columns = [column for column in columns if any(column[0] in scores for scores in rows.values())]
        lines += ["", f"{heading}# {title}", "", "| | " + " | ".join(name for _, name, _, _ in columns) + " |"]
        lines += ["|---|" + "--:|" * len(columns)]
        for name, scores in rows.items():
            cells = [show(scores.get(key), decimals, factor) for key, _, decimals, factor in columns]
            lines += [f"| {name} | " + " | ".join(cells) + " |"]
    return "\n".join(lines) + "\n"


def show(value: float | list[float] | str | None, decimals: int, factor: float) -> str:
    """A score in a table, [mean, half width] as mean ± half width; words as they are."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, list):
        return " ± ".join(f"{part * factor:.{decimals}f}" for part in value)
    return f"{value * factor:.{decimals}f}"
