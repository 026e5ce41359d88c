# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
r"""Text to motion by the GRU and the transformer, with and without a pretrained text encoder and people's captions.

    python examples/architectures.py examples/configs/small.json --data_dir DATA --vq VQ --labels bandai_namco \
        --people examples/shipped/dev/people.json --further_texts texts_people texts_written --output_dir architectures

Each is trained with the same configuration, seed and number of updates on the same tokens, and evaluated on the test
split and on sentences that people wrote. What is trained or evaluated already is not done again, so an interrupted run
goes on where it stopped. Prints a Markdown table, which is also in `output_dir/architectures.md`.
"""

import json
import resource
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

from ablation import call, is_trained, parse, resumption, shown, write_table
from transformers import AutoModel, pipeline

from tm2t_hf.files import written_beside
from tm2t_hf.training import run

FROZEN, TUNED = ("--freeze_text_encoder", "true"), ("--freeze_text_encoder", "false")
# what it is called in the table, flags of train_t2m.py, and whether the pretrained text encoder is one of them
ARCHITECTURES = {
    "gru": ("GRU, word vectors from nothing", ("--architecture", "gru"), False),
    "gru-frozen": ("GRU, text encoder frozen", ("--architecture", "gru", *FROZEN), True),
    "transformer": ("transformer from nothing", ("--architecture", "transformer"), False),
    "transformer-frozen": ("transformer, text encoder frozen", ("--architecture", "transformer", *FROZEN), True),
    "transformer-tuned": ("transformer, text encoder fine-tuned", ("--architecture", "transformer", *TUNED), True),
}
CAPTIONS = {"templates": "templates", "people": "and people's"}
# heading, section of the report, row, key, factor, decimals
COLUMNS = [
    ("templates: action (%)", "judge", "text to motion", "action", 100, 1),
    ("style (%)", "judge", "text to motion", "style", 100, 1),
    ("people's sentences: action (%)", "people", "text to motion", "action", 100, 1),
    ("mean over actions (%)", "people", "text to motion", "action_by_action", 100, 1),
]
TRANSFORMER = {
    "d_model": 256,
    "encoder_layers": 2,
    "decoder_layers": 3,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 1024,
    "decoder_ffn_dim": 1024,
    "dropout": 0.15,
}
HEADINGS = ["text to motion", "captions", "trained weights (M)", "training (min of a CPU)"]
HEADINGS += [column[0] for column in COLUMNS] + ["1 sentence (ms)", "32 (ms)"]


@dataclass
class Arguments:
    """What the command line takes."""

    config: str = field(metadata={"help": "JSON file of the training scripts."})
    data_dir: str = field(metadata={"help": "Folder in the HumanML3D layout, prepared by `tm2t-hf prepare`."})
    output_dir: str = field(metadata={"help": "Where models, reports and the table are written."})
    vq: str = field(default="tm2t-vq", metadata={"help": "Folder or Hub id of the motion VQ of all of them."})
    text_encoder: str = field(
        default="sentence-transformers/all-MiniLM-L6-v2", metadata={"help": "The pretrained text encoder."}
    )
    further_texts: list[str] = field(
        default_factory=list, metadata={"help": "Sub-folders with the further captions, drawn as often as `texts`."}
    )
    labels: str | None = field(
        default=None, metadata={"help": "Folder in examples/ whose labels.py and judge.py know actions and styles."}
    )
    people: str | None = field(default=None, metadata={"help": "JSON file of sentences that people wrote."})
    only: list[str] = field(default_factory=lambda: [*ARCHITECTURES], metadata={"help": "Which architectures."})
    transformer: str = field(
        default=json.dumps(TRANSFORMER),
        metadata={"help": "model_config of the transformers, as JSON; a text encoder stands for one of its layers."},
    )
    epochs: int = field(default=8, metadata={"help": "Epochs of each."})
    replications: int = field(default=5, metadata={"help": "How often the evaluation draws everything."})

    def __post_init__(self):
        if unknown := [name for name in self.only if name not in ARCHITECTURES]:
            raise ValueError(f"--only {unknown[0]} is unknown; choose from {', '.join(ARCHITECTURES)}.")


def main():
    """Train and evaluate every architecture with both kinds of captions, and write the table."""
    arguments, _ = parse(Arguments)
    table, rows = Path(arguments.output_dir) / "architectures.md", []
    for name in arguments.only:
        for captions in CAPTIONS if arguments.further_texts else ("templates",):
            folder = Path(arguments.output_dir) / f"{name}-{captions}"
            train(arguments, name, captions, folder)
            rows.append([ARCHITECTURES[name][0], CAPTIONS[captions], *figures_of(arguments, folder)])
            write_table(table, HEADINGS, rows)
    print(table.read_text(encoding="utf-8"))


def train(arguments: Arguments, name: str, captions: str, folder: Path):
    """Train one model to its end; how long that took is in `training.json`."""
    model, (_, architecture, has_text_encoder) = folder / "tm2t-t2m", ARCHITECTURES[name]
    if is_trained(model, arguments.epochs):
        return
    flags = [*architecture, "--vq", arguments.vq, "--data_dir", arguments.data_dir, "--output_dir", model]
    flags += ["--epochs", arguments.epochs]
    if has_text_encoder:
        flags += ["--text_encoder", arguments.text_encoder]
    if name.startswith("transformer"):
        sizes = json.loads(arguments.transformer)
        sizes["encoder_layers"] -= has_text_encoder
        flags += ["--model_config", json.dumps(sizes)]
    if captions == "people":
        flags += ["--further_texts", *arguments.further_texts, "--even_sources", "true"]
    flags += resumption(model)
    took = folder / "training.json"
    before = json.loads(took.read_text(encoding="utf-8"))["cpu_seconds"] if took.is_file() else 0
    begin = cpu_seconds_of_scripts()
    try:
        call("train_t2m.py", arguments.config, *flags)
    finally:  # what was interrupted counts as well
        with written_beside(took) as part:
            part.write_text(json.dumps({"cpu_seconds": before + cpu_seconds_of_scripts() - begin}), encoding="utf-8")


def cpu_seconds_of_scripts() -> float:
    """Processor time of all scripts that were called so far."""
    return sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


def figures_of(arguments: Arguments, folder: Path) -> list[str]:
    """The cells of one model: weights, training, scores and how long a motion takes."""
    model, report = folder / "tm2t-t2m", folder / "report" / "report.json"
    if not report.is_file():
        flags = ["--t2m", model, "--data_dir", arguments.data_dir, "--output_dir", report.parent]
        flags += ["--replications", arguments.replications]
        flags += ["--labels", arguments.labels] if arguments.labels else []
        flags += ["--people", arguments.people] if arguments.people else []
        call("evaluate_tm2t.py", *flags)
    report = json.loads(report.read_text(encoding="utf-8"))
    seconds = json.loads((folder / "training.json").read_text(encoding="utf-8"))["cpu_seconds"]
    weights = sum(p.numel() for p in AutoModel.from_pretrained(model).train().parameters() if p.requires_grad)
    animate = pipeline("text-to-motion", model=str(model))
    times = [f"{1000 * seconds_for(animate, count):.0f}" for count in (1, 32)]
    return [f"{weights / 1e6:.1f}", f"{seconds / 60:.0f}", *(shown(report, *column[1:]) for column in COLUMNS), *times]


def seconds_for(animate, count: int) -> float:
    """Median time in which the pipeline makes motions of `count` sentences in one batch."""
    times = []
    for _ in range(6):
        begin = time.perf_counter()
        animate(["a person walks forward and waves the left hand"] * count, batch_size=count)
        times.append(time.perf_counter() - begin)
    return statistics.median(times[1:])


if __name__ == "__main__":
    run(main)
