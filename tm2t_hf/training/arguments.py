# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Arguments that every training script has, and how they are read: a JSON of defaults, then flags."""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from transformers import HfArgumentParser


@dataclass
class LoopArguments:
    """Arguments of every training script; a script adds its own."""

    data_dir: str = field(metadata={"help": "Folder in the HumanML3D layout, made ready by `tm2t-hf prepare`."})
    output_dir: str = field(metadata={"help": "Best model here, last one and the state to resume from in `last/`."})
    skeleton: Literal["humanml3d", "kit"] = field(default="humanml3d", metadata={"help": "22 joints or 21 joints."})
    mirror: bool = field(default=False, metadata={"help": "Also train on every clip mirrored left to right."})
    speeds: list[float] = field(
        default_factory=lambda: [1.0], metadata={"help": "Train on every clip at each of these speeds."}
    )
    repeats: str = field(
        default="{}",
        metadata={"help": 'JSON of patterns of clip names and how often those clips count: {"bn1_*": 4}.'},
    )
    min_frames: int = field(default=40, metadata={"help": "Shorter clips are left out."})
    max_frames: int = field(default=199, metadata={"help": "Longer clips are left out."})
    epochs: int = field(default=300, metadata={"help": "Passes over the training split."})
    batch_size: int = field(default=64, metadata={"help": "Clips a batch and process."})
    learning_rate: float = field(default=2e-4, metadata={"help": "Peak learning rate of AdamW."})
    weight_decay: float = field(default=0.0, metadata={"help": "Weight decay of AdamW; 0 is Adam, as in the paper."})
    lr_schedule: str = field(default="constant", metadata={"help": "Any name of transformers' get_scheduler."})
    warmup_steps: int = field(default=0, metadata={"help": "Updates over which the learning rate rises from 0."})
    max_grad_norm: float = field(default=0.5, metadata={"help": "Gradients are clipped at this norm; 0: never."})
    model_config: str = field(default="{}", metadata={"help": "JSON of the model's configuration fields."})
    mixed_precision: Literal["no", "bf16", "fp16"] = field(default="no", metadata={"help": "Of the arithmetic."})
    validate_every: int = field(default=1, metadata={"help": "Epochs from one validation and checkpoint to the next."})
    licence: str = field(default="other", metadata={"help": "Licence of the weights, for the model card."})
    seed: int = field(default=0, metadata={"help": "Seed of everything that is drawn."})
    resume: bool = field(default=False, metadata={"help": "Go on from `output_dir/last`."})

    def __post_init__(self):
        if isinstance(self.model_config, str):
            self.model_config = _parse_json(self.model_config, "--model_config")
        if isinstance(self.repeats, str):
            self.repeats = _parse_json(self.repeats, "--repeats")

    @property
    def limits(self) -> dict:
        """The lengths of clip that `load_motion_dataset` is to keep, of any split."""
        return {"min_frames": self.min_frames, "max_frames": self.max_frames}

    @property
    def variants(self) -> dict:
        """What `load_motion_dataset` is to make of the clips of a training split, and of no other."""
        return {"mirror": self.mirror, "speeds": self.speeds, "repeats": self.repeats}


def parse_arguments(arguments_class: type, section: str):
    """
    Command line to a dataclass: `script.py [config.json] [--flag value …]`, flags winning over the file.

    The JSON file holds values shared by all scripts at the top and one object a script, e.g.
    `{"seed": 1, "vq": {"epochs": 50, "model_config": {"hidden_size": 192}}, "m2t": {…}}`.

    Raises:
        SystemExit: for values of the wrong type and for what is required and missing, as argparse does.
        ValueError: for unknown flags or keys, and for what is not JSON.
    """
    command = sys.argv[1:]
    if command and command[0].endswith(".json"):
        content = _parse_json(Path(command[0]).read_text(encoding="utf-8"), command[0])
        values = {key: value for key, value in content.items() if not isinstance(value, dict)}
        values.update(content.get(section, {}))
        flags = []
        for key, value in values.items():
            if isinstance(value, list):
                flags += [f"--{key}", *map(str, value)]
            else:
                flags.append(f"--{key}={json.dumps(value) if isinstance(value, dict) else value}")
        command = flags + command[1:]
    # a key that is nearly right is wrong, too
    parser = HfArgumentParser(arguments_class, allow_abbrev=False)
    return parser.parse_args_into_dataclasses(args=command)[0]


def _parse_json(text: str, source: str) -> dict:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{source} is not JSON: {error}.") from None
    if not isinstance(value, dict):
        raise ValueError(f'{source} must be a JSON object, such as {{"hidden_size": 192}}; got {text}.')
    return value
