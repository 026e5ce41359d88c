# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The model card (README.md) that training writes beside weights: data, licence, command, sizes, scores, limits."""

import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import prod
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import safe_open

from ..files import written_beside


class _Stage(NamedTuple):
    """What the card of one stage says."""

    title: str
    task: str | None
    summary: str
    usage: str


STAGES = {
    "vq": _Stage(
        "Motion VQ-VAE",
        None,
        "It turns human motion into motion tokens and back: the first of the three stages of TM2T.",
        'vq = AutoModel.from_pretrained("{folder}")\n'
        'extractor = AutoFeatureExtractor.from_pretrained("{folder}")\n'
        'inputs = extractor("motion.npy", return_tensors="pt")  # joints (frames, joints, 3) in metres, y up\n'
        "codes = vq.encode(**inputs).codes\n"
        "joints = extractor.post_process(vq.decode(codes))",
    ),
    "m2t": _Stage(
        "Motion to text",
        "motion-to-text",
        "It describes human motion in a sentence: the second of the three stages of TM2T.",
        'describe = pipeline("motion-to-text", model="{folder}")\n'
        'describe("motion.npy")  # joints (frames, joints, 3) in metres, y up',
    ),
    "t2m": _Stage(
        "Text to motion",
        "text-to-motion",
        "It makes human motion from a sentence: the third of the three stages of TM2T.",
        'animate = pipeline("text-to-motion", model="{folder}")\n'
        'animate("a person waves the left hand", do_sample=True)["joints"]  # (frames, joints, 3) in metres, y up',
    ),
    "matcher": _Stage(
        "Text-motion matcher",
        None,
        "It embeds sentences and motions in one space; text-to-motion models are evaluated with it.",
        'matcher = AutoModel.from_pretrained("{folder}")\nprocessor = AutoProcessor.from_pretrained("{folder}")',
    ),
}

CITATION = """@inproceedings{guo2022tm2t,
  title={TM2T: Stochastic and Tokenized Modeling for the Reciprocal Generation of 3D Human Motions and Texts},
  author={Guo, Chuan and Zuo, Xinxin and Wang, Sen and Cheng, Li},
  booktitle={ECCV},
  year={2022}
}"""


def write_model_card(
    folder: str | PathLike,
    stage: str,
    arguments: Any,
    scores: Mapping[str, float],
    command: Sequence[str] | None = None,
) -> None:
    """Write `README.md` into a checkpoint folder.

    Args:
        folder: a folder with `config.json` and `model.safetensors`, whose sizes the card states.
        stage: "vq", "m2t", "t2m" or "matcher".
        arguments: the training script's arguments, a dataclass with at least `data_dir`, `licence` (an identifier of
            the Hub, such as "cc-by-nc-4.0") and `skeleton`; the card calls the model by the name of its `output_dir`.
        scores: name -> value, the table of the card.
        command: the training command, script first; that of this process by default. Folders in it are shortened to
            their names.

    Raises:
        ValueError: for an unknown stage.
        FileNotFoundError: when the folder holds no checkpoint.
    """
    folder = Path(folder)
    if stage not in STAGES:
        raise ValueError(f"stage={stage!r} is unknown; it is one of {', '.join(STAGES)}.")
    for name in ("config.json", "model.safetensors"):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} holds no {name}; save the model there before its card.")
    text = _card(folder, STAGES[stage], asdict(arguments), scores, command or sys.argv)
    with written_beside(folder / "README.md") as part:
        part.write_text(text, encoding="utf-8")


def _card(folder: Path, stage: _Stage, arguments: dict, scores: Mapping[str, float], command: Sequence[str]) -> str:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    data_set, licence = Path(arguments["data_dir"]).name, arguments["licence"]
    tags = ["tm2t", "human-motion", "text-to-motion", "motion-to-text", config["model_type"]]
    header = [
        f"license: {licence}",
        "library_name: transformers",
        *([f"pipeline_tag: {stage.task}"] if stage.task else []),
        "language: en",
        "datasets:",
        f"- {data_set}",
        "tags:",
        *(f"- {tag}" for tag in tags),
    ]
    imports = {
        "pipeline": "pipeline(",
        "AutoModel": "AutoModel.",
        "AutoProcessor": "AutoProcessor.",
        "AutoFeatureExtractor": "AutoFeatureExtractor.",
    }
    used = sorted(name for name, sign in imports.items() if sign in stage.usage)
    # training writes into a folder beside the one that the model moves into
    name = Path(arguments.get("output_dir") or folder).resolve().name
    sections = [
        "---\n" + "\n".join(header) + "\n---",
        f"# {stage.title}: {name}",
        f"{stage.summary} Made with tm2t_hf, which brings TM2T (Guo et al., ECCV 2022, "
        "arXiv 2207.01696) to transformers.",
        "## Use",
        f"```python\nimport tm2t_hf  # pip install tm2t_hf\nfrom transformers import {', '.join(used)}\n\n"
        + stage.usage.format(folder=name)
        + "\n```",
        "## Training",
        f"Data: the training split of `{data_set}`, skeleton `{arguments['skeleton']}`. "
        f"Licence of these weights: **{licence}**.",
        f"```\naccelerate launch {shlex.join(_short(part) for part in command)}\n```",
        "## Size",
        _table(("", ""), _sizes(folder, config)),
        "## Scores",
        _table(("score", "value"), [(key, f"{value:.4g}") for key, value in scores.items()]),
        "## Intended use and limits",
        f"For research, previews and teaching, on motion of one person like that of `{data_set}`: captions or motions "
        "of another kind than it holds give poor results, and no number above says how poor. Feet may slide, the path "
        "drifts over long motions, fingers and faces are not part of the skeleton. Read the motion before it drives a "
        "robot or a published figure. Captions name what is common in the data and repeat its habits, also where it "
        "describes people by sex or age.",
        "## Citation",
        f"```bibtex\n{CITATION}\n```",
    ]
    return "\n\n".join(sections) + "\n"


def _short(part: str) -> str:
    """A path -> its name, but for the repository's own `examples/...`: nobody else has the folders of this machine."""
    if "examples/" in part:
        return part[part.index("examples/") :]
    return Path(part).name if os.sep in part and not part.startswith("{") else part


def _sizes(folder: Path, config: dict) -> list[tuple[str, str]]:
    """Weights (buffers included), bytes, and whole numbers of the configuration, of the motion VQ inside it too."""
    with safe_open(folder / "model.safetensors", "pt") as weights:
        count = sum(prod(weights.get_slice(key).get_shape()) for key in weights.keys())
    megabytes = (folder / "model.safetensors").stat().st_size / 1e6
    rows = [("weights", f"{count:,}"), ("model.safetensors", f"{megabytes:.1f} MB")]
    for prefix, fields in (("", config), ("vq_config.", config.get("vq_config") or {})):
        rows += [
            (f"`{prefix}{key}`", str(value))
            for key, value in fields.items()
            if isinstance(value, int) and not isinstance(value, bool) and not key.endswith("_token_id")
        ]
    return rows


def _table(header: tuple[str, str], rows: Sequence[tuple[str, str]]) -> str:
    return "\n".join(f"| {left} | {right} |" for left, right in [header, ("---", "---:"), *rows])
