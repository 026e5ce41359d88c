# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The arguments that all training scripts share, and how they are read: defaults, then a JSON file, then flags."""

import argparse
import ast
import json
import sys
from collections.abc import Sequence
from dataclasses import Field, dataclass, field, fields
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from transformers import HfArgumentParser

from ..bodies import MOST_VARIATION
from ..data.variation import MOST_JITTER, BodyVariation
from ..files import read_text
from ..skeletons import load_skeleton

SECTIONS = ("vq", "m2t", "t2m", "matcher")
EXAMPLE = '{"hidden_size": 192}'


@dataclass
class LoopArguments:
    """Arguments of every training script; a script adds its own."""

    data_dir: str = field(metadata={"help": "Folder in the HumanML3D layout, made ready by `tm2t-hf prepare`."})
    output_dir: str = field(metadata={"help": "Where the best model is saved; the latest checkpoint goes to `last/`."})
    overwrite_output_dir: bool = field(
        default=False, metadata={"help": "Replace the model that `output_dir` already holds."}
    )
    skeleton: str = field(
        default="humanml3d",
        metadata={"help": "Skeleton of the joints: humanml3d (22 joints), kit (21), or the path of one as JSON."},
    )
    mirror: bool = field(default=False, metadata={"help": "Also train on every clip mirrored left to right."})
    speeds: list[float] = field(
        default_factory=lambda: [1.0], metadata={"help": "Train on every clip at each of these speeds."}
    )
    repeats: dict = field(
        default_factory=dict,
        metadata={"help": 'How many times to repeat clips whose names match, as JSON: {"bn1_*": 4}.'},
    )
    body_copies: int = field(
        default=0, metadata={"help": "Also train on every clip as if this many others had performed it."}
    )
    body_variation: float = field(
        default=0.2, metadata={"help": "Share by which their legs, arms, shoulders and spine are longer or shorter."}
    )
    jitter: float = field(default=0.0, metadata={"help": "Meters by which joints of these copies are off, at most."})
    still_frames: int = field(
        default=0, metadata={"help": "Frames that these copies stand still at their ends, at most."}
    )
    store_variants: bool = field(
        default=False,
        metadata={"help": "Keep these variants of clips on the disk, rather than make them anew in each epoch."},
    )
    streaming: bool = field(
        default=False, metadata={"help": "Stream the training split, which then may be larger than memory."}
    )
    steps_per_epoch: int = field(default=0, metadata={"help": "Updates per epoch of a stream."})
    shuffle_buffer: int = field(default=1000, metadata={"help": "Rows of a stream that are shuffled at a time."})
    min_frames: int = field(default=40, metadata={"help": "Shorter clips are left out."})
    max_frames: int = field(default=199, metadata={"help": "Longer clips are left out."})
    epochs: int = field(default=300, metadata={"help": "Passes over the training split."})
    batch_size: int = field(default=64, metadata={"help": "Batch size per process."})
    group_by_length: bool = field(
        default=False, metadata={"help": "Batches of clips of similar lengths, which waste little on padding."}
    )
    gradient_accumulation_steps: int = field(
        default=1, metadata={"help": "Batches per update, which count as one batch of their total size."}
    )
    learning_rate: float = field(default=2e-4, metadata={"help": "Peak learning rate of AdamW."})
    weight_decay: float = field(default=0.0, metadata={"help": "Weight decay of AdamW; 0 is Adam, as in the paper."})
    lr_schedule: Literal[
        "constant", "constant_with_warmup", "linear", "cosine", "cosine_with_restarts", "polynomial", "inverse_sqrt"
    ] = field(default="constant", metadata={"help": "Schedule of the learning rate, as transformers names them."})
    warmup_steps: int = field(default=0, metadata={"help": "Updates over which the learning rate rises from 0."})
    max_grad_norm: float = field(default=0.5, metadata={"help": "Clip gradients at this norm; 0 never clips."})
    model_config: dict = field(
        default_factory=dict, metadata={"help": f"Fields of the model's configuration, as JSON: {EXAMPLE}."}
    )
    mixed_precision: Literal["no", "auto", "bf16", "fp16"] = field(
        default="no", metadata={"help": "Mixed-precision mode; auto is bf16 where the device has instructions for it."}
    )
    fsdp: bool = field(default=False, metadata={"help": "Divide weights and optimizer among the processes (FSDP2)."})
    gradient_checkpointing: bool = field(
        default=False, metadata={"help": "Compute activations again in the backward pass, to save memory."}
    )
    fused_optimizer: bool = field(default=False, metadata={"help": "Use the fused kernels of AdamW."})
    compile: bool = field(default=False, metadata={"help": "Compile the model with torch.compile."})
    num_workers: int = field(default=0, metadata={"help": "Processes per process that load data."})
    validate_every: int = field(default=1, metadata={"help": "Epochs between validations, each with a checkpoint."})
    early_stopping_patience: int = field(
        default=0, metadata={"help": "Stop after this many validations without a better one; 0 never."}
    )
    checkpointing_steps: int = field(
        default=0, metadata={"help": "Also write a checkpoint after this many updates within an epoch; 0 never."}
    )
    checkpoints_total_limit: int = field(
        default=1,
        metadata={"help": "Checkpoints to keep: `last/` and, as `checkpoint-*/`, those before it; 0 keeps all."},
    )
    report_to: Literal["none", "tensorboard", "wandb", "trackio"] = field(
        default="none", metadata={"help": "Where losses, and samples at each validation, are shown."}
    )
    license: str = field(
        default="other", metadata={"help": "License of the weights, for the model card.", "aliases": ["--licence"]}
    )
    seed: int = field(default=0, metadata={"help": "Seed of the initial weights and of all other draws."})
    resume_from_checkpoint: str = field(
        default="",
        metadata={
            "help": "`latest` resumes what `output_dir/last` holds; or the folder of another checkpoint.",
            "aliases": ["--resume"],
            "nargs": "?",
            "const": "latest",
        },
    )

    push_to_hub: bool = field(
        default=False,
        metadata={"help": "Upload the best model to the Hub whenever it is written, and at the end."},
    )
    hub_model_id: str = field(
        default="",
        metadata={"help": "Repository to upload to, owner/name; named after the output folder if left out."},
    )
    hub_private_repo: bool = field(default=False, metadata={"help": "Make a new repository private."})
    hub_revision: str = field(default="", metadata={"help": "Branch to upload to; the main one if left out."})

    def __post_init__(self):
        # `--resume` was once a switch
        self.resume_from_checkpoint = {"true": "latest", "false": ""}.get(
            str(self.resume_from_checkpoint).lower(), self.resume_from_checkpoint
        )
        load_skeleton(self.skeleton)
        check_range(self, 1, None, "min_frames", "epochs", "batch_size", "gradient_accumulation_steps")
        check_range(self, 1, None, "validate_every")
        check_range(self, 0, None, "learning_rate", "weight_decay", "warmup_steps", "max_grad_norm")
        check_range(self, 0, None, "checkpointing_steps", "checkpoints_total_limit", "early_stopping_patience")
        check_range(self, 0, None, "num_workers", "steps_per_epoch")
        check_range(self, 1, None, "shuffle_buffer")
        check_range(self, 0, None, "checkpointing_steps", "body_copies", "still_frames")
        check_range(self, 0, MOST_VARIATION, "body_variation")
        check_range(self, 0, MOST_JITTER, "jitter")
        check_range(self, 0, 2**32 - 1, "seed")
        if self.max_frames < self.min_frames:
            raise ValueError(f"--max_frames {self.max_frames} is below --min_frames {self.min_frames}.")
        if not all(isfinite(speed) and speed > 0 for speed in self.speeds):
            raise ValueError(f"--speeds must be above 0 (1 is as recorded); got {self.speeds}.")
        if not all(type(times) is int and times >= 1 for times in self.repeats.values()):
            raise ValueError(f"--repeats must give whole numbers from 1 on; got {self.repeats}.")

    @property
    def limits(self) -> dict:
        """The clip lengths that `load_motion_dataset` keeps, for any split."""
        return {"min_frames": self.min_frames, "max_frames": self.max_frames}

    @property
    def variants(self) -> dict:
        """What `load_motion_dataset` makes of the clips of a training split, and of no other."""
        bodies = BodyVariation(self.body_copies, self.body_variation, self.jitter, self.still_frames)
        variants = {"mirror": self.mirror, "speeds": self.speeds, "repeats": self.repeats, "bodies": bodies}
        return variants | {"store_variants": self.store_variants, "streaming": self.streaming}


@dataclass
class CaptionArguments(LoopArguments):
    """Arguments of scripts whose models read captions; a script adds its own."""

    further_texts: list[str] = field(
        default_factory=list,
        metadata={"help": "Sub-folders of the data with further captions of the training clips, laid out as `texts`."},
    )
    even_sources: bool = field(
        default=False, metadata={"help": "Draw the captions of each of these folders, and of `texts`, equally often."}
    )


def check_range(arguments: Any, least: float, most: float | None, *names: str) -> None:
    """Raise a ValueError naming the flag unless each of these arguments is from `least` to `most` (None: no limit)."""
    for name in names:
        value = getattr(arguments, name)
        if not (isfinite(value) and least <= value and (most is None or value <= most)):
            wanted = f"at least {least}" if most is None else f"from {least} to {most}"
            raise ValueError(f"--{name} must be {wanted}; got {value}.")


def parse_arguments(arguments_class: type, section: str, args: Sequence[str] | None = None):
    """Command line to a dataclass: `script.py [config.json] [--flag value ...]`, flags winning over the file.

    The JSON file holds values that all scripts share, and one object per script, e.g.
    `{"seed": 1, "vq": {"epochs": 50, "model_config": {"hidden_size": 192}}, "m2t": {...}}`. Its values become the
    defaults of the parser. The objects of other scripts are checked for unknown keys where `train_<section>.py` lies
    next to the script that defines `arguments_class`.

    Args:
        arguments_class: a subclass of `LoopArguments`.
        section: the script's object in the file, one of `SECTIONS`.
        args: the command line after the script's name; that of this process by default.

    Raises:
        FileNotFoundError: there is no such JSON file.
        ValueError: an unknown flag, key or section, a value of the wrong type, or a missing required one.
        SystemExit: after `--help`.
    """
    args = list(sys.argv[1:] if args is None else args)
    parser = _Parser(arguments_class, description=arguments_class.__doc__, allow_abbrev=False)
    if args and args[0].endswith(".json"):
        parser.set_defaults_from(_values_of(args.pop(0), arguments_class, section))
    (arguments, unknown) = parser.parse_args_into_dataclasses(args, return_remaining_strings=True)
    if unknown:
        raise ValueError(_unknown("argument", unknown[0].split("=")[0], parser._option_string_actions))
    return arguments


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """One spelling per argument, the type for its value, and no default where it is empty."""

    def __init__(self, prog: str):
        super().__init__(prog, max_help_position=34, width=119)

    def _format_action_invocation(self, action):
        if not action.option_strings:
            return super()._format_action_invocation(action)
        return " ".join([action.option_strings[0], self._format_value(action)]).strip()

    def _format_value(self, action) -> str:
        if action.choices:
            return "{" + ",".join(map(str, action.choices)) + "}"
        return "" if action.nargs == 0 else getattr(action.type, "__name__", "").removeprefix("string_to_").upper()

    def _format_usage(self, usage, actions, groups, prefix):
        return f"usage: {self._prog} [config.json] [--flag value ...]\n\n"

    def _get_help_string(self, action):
        return action.help if action.default in ("", None, {}) or action.required else super()._get_help_string(action)


class _Parser(HfArgumentParser):
    """Errors are raised rather than printed with the usage; a dict is given as JSON."""

    def __init__(self, arguments_class: type, **kwargs):
        super().__init__(arguments_class, formatter_class=_HelpFormatter, **kwargs)
        self.register("type", dict, _json_object)

    def error(self, message: str):
        raise ValueError(message)

    def set_defaults_from(self, values: dict) -> None:
        self.set_defaults(**values)
        for action in self._actions:
            if action.dest in values:
                action.required = False


def _values_of(path: str, arguments_class: type, section: str) -> dict:
    """The values that a JSON file gives to one script, by field, checked against the fields' types."""
    content = _parse_json(read_text(path), path)
    known = _by_key(arguments_class)
    values = {}

    def take(key: str, value: Any, where: str, names: Sequence[str]):
        if key not in known:
            raise ValueError(_unknown("key", key, names, where))
        values[known[key].name] = _checked(value, known[key], f"{key} in {where}")

    for key, value in content.items():
        if key not in SECTIONS or (key in known and not isinstance(value, dict)):
            take(key, value, path, (*known, *SECTIONS))
        elif not isinstance(value, dict):
            raise ValueError(f"{key} in {path} must be an object with the values of one script; got {value!r}.")
        elif key != section:
            _check_other_section(value, f"{key} of {path}", _declared_next_to(arguments_class, key))
    for key, value in (content.get(section) or {}).items() if isinstance(content.get(section), dict) else ():
        take(key, value, f"{section} of {path}", tuple(known))
    return values


def _by_key(arguments_class: type) -> dict[str, Field]:
    """The fields of a dataclass by the keys that a JSON file may use for them: names and aliases."""
    keys = {each.name: each for each in fields(arguments_class)}
    for each in list(keys.values()):
        keys |= {alias.removeprefix("--"): each for alias in each.metadata.get("aliases", ())}
    return keys


def _declared_next_to(arguments_class: type, section: str) -> list[str] | None:
    """The arguments that the script of another section adds to the shared ones; None if there is no such script here.

    The script is read and not imported: that would take seconds, and scripts would import each other.
    """
    # `inspect.getfile` finds no class of a script that `runpy` runs
    script = Path(arguments_class.__post_init__.__code__.co_filename).with_name(f"train_{section}.py")
    if not script.is_file():
        return None
    bases = {each.__name__: each for each in (LoopArguments, *LoopArguments.__subclasses__())}
    declared = []
    for node in ast.walk(ast.parse(read_text(script))):
        base = bases.get(ast.unparse(node.bases[0])) if isinstance(node, ast.ClassDef) and node.bases else None
        if base is not None:
            declared += _by_key(base)
            declared += [each.target.id for each in node.body if isinstance(each, ast.AnnAssign)]
    return declared or None


def _check_other_section(values: dict, where: str, declared: list[str] | None) -> None:
    """Raise a ValueError for a key that the script of that section would refuse, or a bad value of a shared one."""
    shared = _by_key(LoopArguments)
    for key, value in values.items():
        if key in shared:
            _checked(value, shared[key], f"{key} in {where}")
        elif declared is not None and key not in declared:
            raise ValueError(_unknown("key", key, (*shared, *declared), where))


def _checked(value: Any, of: Field, where: str) -> Any:
    """A value of a JSON file, in the type of its field."""
    wanted, origin = of.type, get_origin(of.type)
    if origin is Literal:
        if value in get_args(wanted):
            return value
        raise ValueError(f"{where} must be one of {', '.join(map(str, get_args(wanted)))}; got {value!r}.")
    if origin is list:
        (item,) = get_args(wanted)
        if isinstance(value, list) and value:
            return [_checked_as(each, item, where) for each in value]
        raise ValueError(f"{where} must be a list of {item.__name__} values; got {value!r}.")
    if wanted is str and isinstance(value, bool) and "nargs" in of.metadata:
        return str(value)
    return _checked_as(value, wanted, where)


def _checked_as(value: Any, wanted: type, where: str) -> Any:
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is not wanted:
        raise ValueError(f"{where} must be of type {wanted.__name__}; got {value!r}.")
    return value


def _unknown(kind: str, name: str, known: Sequence[str], where: str = "") -> str:
    close = get_close_matches(name, list(known), n=1)
    hint = f"; did you mean {close[0]}" if close else ""
    return f"Unknown {kind} {name}{f' in {where}' if where else ''}{hint}{'?' if close else '.'}"


def _json_object(text: str) -> dict:
    try:
        return _parse_json(text, "the value")
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _parse_json(text: str, source: str) -> dict:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{source} is not JSON: {error}.") from None
    if not isinstance(value, dict):
        raise ValueError(f"{source} must be a JSON object, such as {EXAMPLE}; got {text.strip()[:60]}.")
    return value
