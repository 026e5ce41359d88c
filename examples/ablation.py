# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
r"""The ablation that the paper leaves out: how the codebook is learned, and how many frames a token covers.

    python examples/ablation.py examples/configs/small.json --data_dir DATA --output_dir ablation --labels bandai_namco

Each combination is a motion VQ and a motion-to-text model of its codes, trained with the same configuration, seed and
number of updates, and evaluated on the validation split. What is trained or evaluated already is not done again, so an
interrupted run goes on where it stopped. Prints a Markdown table, which is also in `output_dir/ablation.md`.
"""

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transformers import HfArgumentParser

from tm2t_hf.files import written_beside
from tm2t_hf.training import run

EXAMPLES = Path(__file__).resolve().parent
# what the table shows: heading, row of the report, its section, key, factor, decimals
COLUMNS = [
    ("joint error (mm)", "motions", "VQ reconstruction", "root_relative_error", 1, 1),
    ("codebook used (%)", "motions", "VQ reconstruction", "codebook_used", 100, 1),
    ("perplexity", "motions", "VQ reconstruction", "codebook_perplexity", 1, 0),
    ("action (%)", "captions", "motion to text", "action", 100, 1),
    ("style (%)", "captions", "motion to text", "style", 100, 1),
]
HEADINGS = ["`codebook_update`", "`unit_length`", *(column[0] for column in COLUMNS)]


@dataclass
class Arguments:
    """What the command line takes."""

    config: str = field(metadata={"help": "JSON file of the training scripts."})
    data_dir: str = field(metadata={"help": "Folder in the HumanML3D layout, prepared by `tm2t-hf prepare`."})
    output_dir: str = field(metadata={"help": "Where models, reports and the table are written."})
    labels: str | None = field(
        default=None, metadata={"help": "Folder in examples/ whose labels.py knows actions and styles."}
    )
    modes: list[str] = field(
        default_factory=lambda: ["gradient", "ema", "ema_reset"], metadata={"help": "Values of codebook_update."}
    )
    unit_lengths: list[int] = field(default_factory=lambda: [2, 4, 8], metadata={"help": "Frames per token."})
    vq_epochs: int = field(default=30, metadata={"help": "Epochs of each motion VQ."})
    m2t_epochs: int = field(default=15, metadata={"help": "Epochs of each motion-to-text model."})
    split: str = field(default="val", metadata={"help": "Split that is evaluated."})


def main():
    """Train and evaluate every combination, and write the table."""
    arguments, configuration = parse(Arguments)
    rows = []
    for mode in arguments.modes:
        for unit_length in arguments.unit_lengths:
            folder = Path(arguments.output_dir) / f"{mode}-{unit_length}"
            report = train_and_evaluate(arguments, configuration, mode, unit_length, folder)
            rows.append([mode, str(unit_length), *(shown(report, *column[1:]) for column in COLUMNS)])
            write_table(Path(arguments.output_dir) / "ablation.md", HEADINGS, rows)
    print((Path(arguments.output_dir) / "ablation.md").read_text(encoding="utf-8"))


def train_and_evaluate(arguments: Arguments, configuration: dict, mode: str, unit_length: int, folder: Path) -> dict:
    """The report on one combination; only what is missing in the folder is done."""
    vq, m2t, report = folder / "tm2t-vq", folder / "tm2t-m2t", folder / "report" / "report.json"
    max_frames = configuration.get("max_frames", 199)
    train(arguments, "vq", vq, configuration, {"codebook_update": mode, "unit_length": unit_length})
    # one reading of each motion, as more of them are for unit_length 4
    positions = {"read_offsets": [0], "max_position_embeddings": max(100, max_frames // unit_length + 4)}
    flags = ("--vq", vq, "--num_offsets", min(4, unit_length))
    train(arguments, "m2t", m2t, configuration, positions, *flags)
    if not report.is_file():
        flags = ("--labels", arguments.labels) if arguments.labels else ()
        models = ("--vq", vq, "--m2t", m2t, "--data_dir", arguments.data_dir, "--split", arguments.split)
        call("evaluate_tm2t.py", *models, "--output_dir", report.parent, "--replications", 1, *flags)
    return json.loads(report.read_text(encoding="utf-8"))


def train(arguments: Arguments, stage: str, folder: Path, configuration: dict, changes: dict, *flags):
    """Train one stage to its end, from its last checkpoint on if there is one."""
    epochs = getattr(arguments, f"{stage}_epochs")
    if is_trained(folder, epochs):
        return
    model = json.dumps(configuration.get(stage, {}).get("model_config", {}) | changes)
    options = ("--data_dir", arguments.data_dir, "--output_dir", folder, "--epochs", epochs, "--model_config", model)
    call(f"train_{stage}.py", arguments.config, *options, *resumption(folder), *flags)


def parse(arguments_class: type) -> tuple[Any, dict]:
    """The command line, which may begin with the configuration file, and what that file holds."""
    command = sys.argv[1:]
    if command and not command[0].startswith("-"):
        command.insert(0, "--config")
    (arguments,) = HfArgumentParser(arguments_class).parse_args_into_dataclasses(command)
    return arguments, json.loads(Path(arguments.config).read_text(encoding="utf-8"))


def resumption(folder: Path) -> tuple[str, ...]:
    """The flags with which a training goes on that was interrupted in this folder."""
    return ("--resume_from_checkpoint", "latest") if (folder / "last").is_dir() else ()


def is_trained(folder: Path, epochs: int) -> bool:
    """Whether the training in this folder has come to its end."""
    progress = folder / "last" / "state" / "loop.json"
    return progress.is_file() and json.loads(progress.read_text(encoding="utf-8"))["epoch"] >= epochs


def call(script: str, *flags):
    """Run a script of this folder, and end with it when it fails."""
    code = subprocess.run([sys.executable, str(EXAMPLES / script), *map(str, flags)]).returncode
    if code:
        sys.exit(code)


def shown(report: dict, section: str, row: str, key: str, factor: float, decimals: int) -> str:
    """One cell of the table; empty where the report does not have it."""
    value = report.get(section, {}).get(row, {}).get(key)
    if isinstance(value, list):  # mean and half width of an interval
        value = value[0]
    return "" if value is None else f"{value * factor:.{decimals}f}"


def write_table(path: Path, headings: list[str], rows: list[list[str]]):
    """Write the table of all rows so far; cells of numbers stand on the right."""
    is_number = [cell.replace(".", "", 1).isdigit() or not cell for cell in rows[0]]
    lines = [headings, ["--:" if right else "---" for right in is_number], *rows]
    with written_beside(path) as part:
        part.write_text("".join(f"| {' | '.join(line)} |\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    run(main)
