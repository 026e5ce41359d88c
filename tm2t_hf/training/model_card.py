# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The model card (README.md) that goes with weights, from the template `model_card_template.md`."""

import json
import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import prod
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from safetensors import safe_open

from ..actions import Action
from ..data.shards import hub_data_set
from ..files import read_text, written_beside

ACTIONS_TITLE = "## What it can do"
TEMPLATE = Path(__file__).with_name("model_card_template.md")
DATA_SET_ID = re.compile(r"([\w.-]+/)?[\w.-]+", re.ASCII)  # what the Hub takes for one, in the metadata of a card
# In a command: going on with the latest checkpoint of the own output folder.
RESUMING = re.compile(r" --resume(_from_checkpoint)?([ =](latest|true))?(?= --|$)", re.IGNORECASE)


class Stage(NamedTuple):
    """What the card of one stage says."""

    title: str
    task: str | None
    summary: str
    usage: str


STAGES = {
    "vq": Stage(
        "Motion VQ-VAE",
        None,
        "It turns human motion into motion tokens and back: the first of the three stages of TM2T.",
        "vq = AutoModel.from_pretrained({source})\n"
        "extractor = AutoFeatureExtractor.from_pretrained({source})\n"
        'inputs = extractor("motion.npy", return_tensors="pt")  # joints (frames, joints, 3) in meters, y up\n'
        "codes = vq.encode(**inputs).codes\n"
        "joints = extractor.post_process(vq.decode(codes).detach())[0]",
    ),
    "m2t": Stage(
        "Motion to text",
        "motion-to-text",
        "It describes human motion in a sentence: the second of the three stages of TM2T.",
        'describe = pipeline("motion-to-text", model={source})\n'
        'print(describe("motion.npy"))  # joints (frames, joints, 3) in meters, y up',
    ),
    "t2m": Stage(
        "Text to motion",
        "text-to-motion",
        "It makes human motion from a sentence: the third of the three stages of TM2T.",
        'animate = pipeline("text-to-motion", model={source})\n'
        'motion = animate("a person waves the left hand", do_sample=True)\n'
        'joints = motion["joints"]  # (frames, joints, 3) in meters, y up',
    ),
    "matcher": Stage(
        "Text-motion matcher",
        None,
        "It embeds sentences and motions in one space; text-to-motion models are evaluated with it.",
        "matcher = AutoModel.from_pretrained({source})\n"
        "processor = AutoProcessor.from_pretrained({source})\n"
        'inputs = processor(text=["a person waves"], motion=["motion.npy"], return_tensors="pt")\n'
        "distance = matcher(**inputs).distances  # small where sentence and motion match",
    ),
}

ROWS = {  # of an evaluation's tables, by the type of model that they are about
    "tm2t-vq": "VQ reconstruction",
    "tm2t-m2t": "motion to text",
    "tm2t-t2m": "text to motion",
    "tm2t-t2m-transformer": "text to motion",
}
TASKS = {"VQ reconstruction": "motion-reconstruction"}  # of rows that are not called as their task is

LIMITS = (
    "For research, previews and teaching, on motion of one person like that of `{data_set}`: captions or motions of "
    "another kind than it holds give poor results, and no number above says how poor. Feet may slide, the path drifts "
    "over long motions, fingers and faces are not part of the skeleton. Review the motion before driving a robot with "
    "it or publishing it. Captions name what is common in the data and repeat its habits, also where it describes "
    "people by sex or age."
)


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
        arguments: the training script's arguments, a dataclass with at least `data_dir`, `license` (an identifier of
            the Hub, such as "cc-by-nc-4.0") and `skeleton`; the card calls the model by the name of its `output_dir`.
        scores: name -> value, the table of the card.
        command: the training command, script first; that of this process by default. Folders in it are shortened to
            their names, and that the run resumed its own checkpoint is left out: who repeats it has none.

    Raises:
        ValueError: for an unknown stage.
        FileNotFoundError: when the folder holds no checkpoint.
    """
    values = asdict(arguments)
    on_hub = hub_data_set(values["data_dir"])
    data_set = on_hub.repo_id if on_hub else Path(values["data_dir"]).resolve().name
    uploaded = values.get("push_to_hub") and values["hub_model_id"]
    name = uploaded or Path(values.get("output_dir") or folder).resolve().name
    training = {
        "data_set": data_set,
        "skeleton": Path(values["skeleton"]).name.removesuffix(".json"),
        "license": values["license"],
        "command": RESUMING.sub("", shlex.join(_short(part) for part in command or sys.argv)),
    }
    card = model_card(
        folder,
        stage,
        name,
        license=values["license"],
        datasets=[data_set] if DATA_SET_ID.fullmatch(data_set) else None,
        about="Made with tm2t_hf, which brings TM2T (Guo et al., ECCV 2022, arXiv 2207.01696) to transformers.",
        data_set=data_set,
        revision=values["hub_revision"] if uploaded else "",
        training=training,
        scores=[(key, f"{value:.4g}") for key, value in scores.items()],
    )
    with written_beside(Path(folder) / "README.md") as part:
        card.save(part)


def model_card(
    folder: str | PathLike,
    stage: str,
    name: str,
    *,
    license: str,
    about: str,
    data_set: str,
    revision: str = "",
    datasets: Sequence[str] | None = None,
    **sections: Any,
) -> ModelCard:
    """The card of the checkpoint in a folder.

    Args:
        folder: holds `config.json` and `model.safetensors`, whose sizes the card states.
        stage: a key of `STAGES`.
        name: what the card calls the model, and its folder in the code that shows its use.
        license: an identifier of the Hub.
        about: where the weights come from, in sentences that follow the stage's summary.
        data_set: what the model was trained on, in words.
        revision: branch of the Hub that the model is on; the main one by default.
        datasets: names of data sets for the card's metadata.
        sections: further variables of the template: `note`, `training`, `scores`.

    Raises:
        ValueError: for an unknown stage.
        FileNotFoundError: when the folder holds no checkpoint.
    """
    folder = Path(folder)
    if stage not in STAGES:
        raise ValueError(f"stage={stage!r} is unknown; it is one of {', '.join(STAGES)}.")
    for file in ("config.json", "model.safetensors"):
        if not (folder / file).is_file():
            raise FileNotFoundError(f"{folder} holds no {file}; save the model there before its card.")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    text = STAGES[stage]
    data = ModelCardData(
        license=license,
        library_name="transformers",
        pipeline_tag=text.task,
        language="en",
        datasets=datasets,
        tags=["tm2t", "human-motion", "text-to-motion", "motion-to-text", config["model_type"]],
    )
    used = [each for each in ("AutoFeatureExtractor", "AutoModel", "AutoProcessor", "pipeline") if each in text.usage]
    imports = f"import tm2t_hf  # or pass trust_remote_code=True below\nfrom transformers import {', '.join(used)}\n\n"
    return ModelCard.from_template(
        data,
        template_path=str(TEMPLATE),
        title=f"{text.title}: {name}",
        summary=f"{text.summary} {about}",
        usage=imports + text.usage.format(source=f'"{name}", revision="{revision}"' if revision else f'"{name}"'),
        sizes=_sizes(folder, config),
        limits=LIMITS.format(data_set=data_set),
        **sections,
    )


def add_results(path: str | PathLike, report: Mapping[str, Any]) -> int:
    """Put what an evaluation found about a model into the metadata of its card, as the Hub's `model-index`.

    Args:
        path: the card, whose tags say the type of the model.
        report: content of the `report.json` that `examples/evaluate_tm2t.py` writes.

    Returns:
        The number of results; 0 for a page that is no card, or of a model that the report has no row about.
    """
    card = ModelCard.load(path, ignore_metadata_errors=True)
    row = next((ROWS[tag] for tag in card.data.tags or () if tag in ROWS), None)
    data = report["data"]
    results = [
        EvalResult(
            task_type=TASKS.get(row, row.replace(" ", "-")),
            dataset_type=data["name"],
            dataset_name=data["name"],
            dataset_split=data["split"],
            metric_type=name,
            metric_name=f"{name} ({group})",
            metric_value=round(float(value[0] if isinstance(value, Sequence) else value), 6),
        )
        for group in ("matcher", "judge", "motions", "captions")
        for name, value in report.get(group, {}).get(row, {}).items()
        if isinstance(value, (int, float)) or _is_mean_with_interval(value)
    ]
    if results:
        title = next((line[2:] for line in card.text.splitlines() if line.startswith("# ")), "model")
        card.data.eval_results, card.data.model_name = results, title
        with written_beside(path) as part:
            card.save(part)
    return len(results)


def _is_mean_with_interval(value: Any) -> bool:
    return isinstance(value, Sequence) and len(value) == 2 and all(isinstance(each, (int, float)) for each in value)


def list_actions(folder: str | PathLike, actions: Sequence[Action]) -> None:
    """Let the card in a checkpoint's folder list what the model can do; nothing happens where there is no card."""
    path = Path(folder) / "README.md"
    if not path.is_file():
        return
    rows = "\n".join(f"| {action.action} | {action.prompt} | {action.clips} |" for action in actions)
    section = (
        f"{ACTIONS_TITLE}\n\n| action | a prompt | training clips |\n| --- | --- | ---: |\n{rows}\n\n"
        "An action with a handful of training clips may come out as another one.\n\n"
    )
    text = re.sub(rf"^{ACTIONS_TITLE}\n.*?(?=^## )", "", read_text(path), flags=re.MULTILINE | re.DOTALL)
    before, title, after = text.partition("## Size\n")
    with written_beside(path) as part:
        part.write_text(before + section + title + after, encoding="utf-8")


def _short(part: str) -> str:
    """A path -> its name, except the repository's own `examples/...`: nobody else has the folders of this machine."""
    if "examples/" in part:
        return part[part.index("examples/") :]
    return Path(part).name if os.sep in part and not part.startswith("{") else part


def _sizes(folder: Path, config: dict) -> list[tuple[str, str]]:
    """Weights (buffers included), bytes, and whole numbers of the configuration, of the motion VQ inside it too."""
    with safe_open(folder / "model.safetensors", "pt") as weights:
        count = sum(prod(weights.get_slice(key).get_shape()) for key in weights.keys())  # noqa: SIM118
    megabytes = (folder / "model.safetensors").stat().st_size / 1e6
    rows = [("weights", f"{count:,}"), ("model.safetensors", f"{megabytes:.1f} MB")]
    for prefix, values in (("", config), ("vq_config.", config.get("vq_config") or {})):
        rows += [
            (f"`{prefix}{key}`", str(value))
            for key, value in values.items()
            if isinstance(value, int) and not isinstance(value, bool) and not key.endswith("_token_id")
        ]
    return rows


__all__ = ["STAGES", "add_results", "list_actions", "model_card", "write_model_card"]
