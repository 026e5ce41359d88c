# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Checkpoints of a training run: written whole, found whole after a kill, read without unpickling anything freely.

output_dir/            the best model and its card
  train_config.json    the arguments it was trained with
  last/                the last model and its card
    state/             what resuming needs besides: loop.json, training.pt, random_states_<process>.pt, SHA256SUMS
  checkpoint-3-20/     with --checkpoints_total_limit: an earlier `last/`, of 3 epochs and 20 updates
  checkpoint.writing/  a checkpoint in the making, worth nothing
  checkpoint.ready/    a whole one that is being moved into place; `recover` finishes that after a kill
"""

import hashlib
import json
import logging
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from safetensors import SafetensorError
from transformers import PreTrainedModel

from ..actions import ACTIONS_FILE
from ..coverage import COVERAGE_FILE
from ..files import in_one_line
from ..loading import load_processor
from ..skeletons import Skeleton
from .arguments import LoopArguments
from .fsdp import WholeModel, all_finite

logger = logging.getLogger(__name__)

TRAIN_CONFIG, LOOP, TRAINING, SUMS = "train_config.json", "loop.json", "training.pt", "SHA256SUMS"
# What is said of the best model; the first of them comes last with a new one.
DESCRIPTIONS = ("README.md", COVERAGE_FILE, ACTIONS_FILE)
# Arguments that a resumed run may change: those that do not touch the training, and those that do in a way that is
# reported and not refused.
FREE = {
    "output_dir",
    "overwrite_output_dir",
    "resume_from_checkpoint",
    "license",
    "report_to",
    "validate_every",
    "early_stopping_patience",
    "checkpointing_steps",
    "push_to_hub",
    "hub_model_id",
    "hub_private_repo",
    "hub_revision",
    "checkpoints_total_limit",
    "store_variants",
}
REPORTED = {
    "epochs",
    "mixed_precision",
    "gradient_checkpointing",
    "fused_optimizer",
    "compile",
    "data_dir",
    "vq",
    "m2t",
    "init_from",
    "text_encoder",
    "batch_size",
    "group_by_length",
    "gradient_accumulation_steps",
    "num_processes",
    "num_workers",
}


def check_same_codes(vq: PreTrainedModel, model: PreTrainedModel, name: str) -> None:
    """Raise a ValueError if the translation model `name` was trained on codes that are not those of `vq`."""
    same = model.config.codebook_size == vq.config.codebook_size
    if same and model.vq is not None:
        # in half precision, in which a text-to-motion model may store its motion VQ
        codebook, other = (each.quantizer.embedding.weight.cpu().half() for each in (vq, model.vq))
        same = torch.equal(codebook, other)
    if not same:
        raise ValueError(
            f"{name} was trained on the {model.config.codebook_size} codes of another motion VQ than the one given by "
            f"--vq, which has {vq.config.codebook_size}; give the VQ that it was trained with."
        )


def check_same_skeleton(vq: PreTrainedModel, skeleton: Skeleton, name: str) -> None:
    """Raise a ValueError if the motion VQ `name` was trained on the features of another skeleton."""
    if vq.config.feature_size != skeleton.feature_size:
        raise ValueError(
            f"{name} was trained on motion of another skeleton: it has {vq.config.feature_size} features per frame, "
            f"--skeleton {skeleton.name} has {skeleton.feature_size}; give a motion VQ of that skeleton, or the "
            "--skeleton that it was trained with."
        )


class TrainingError(RuntimeError):
    """The training cannot go on, for a reason that one sentence explains; the last checkpoint is kept."""


@dataclass
class Progress:
    """Where a run is: `step` batches of epoch `epoch` are done.

    Args:
        epoch, step: whole epochs done, and batches of the next one.
        best: lowest validation loss so far.
        worse: validations since then.
        sums: of the training losses of the epoch so far, as `Means` holds them.
        num_rows, global_batch_size: what `step` counts in.
    """

    epoch: int = 0
    step: int = 0
    best: float | None = None
    worse: int = 0
    sums: dict = field(default_factory=dict)
    num_rows: int = 0
    global_batch_size: int = 0


@dataclass
class Parts:
    """Everything of a run that has a state.

    Args:
        accelerator: from `start`.
        model: not wrapped.
        objects: name -> object with `state_dict` and `load_state_dict`.
        whole: the model to save where `model` is sharded; then all processes have to ask for the states.
    """

    accelerator: Accelerator
    model: torch.nn.Module
    objects: dict[str, Any]
    whole: WholeModel | None = None

    def state_dict(self) -> dict:
        """The states of all parts by name."""
        return {name: part.state_dict() for name, part in self.objects.items()}

    def load_state_dict(self, states: dict) -> None:
        """Restore the states of all parts; raises a KeyError for one that is missing."""
        for name, part in self.objects.items():
            part.load_state_dict(states[name])


# ------------------------------------------------------------------------------------------------------------ writing


def save_checkpoint(
    parts: Parts,
    progress: Progress,
    arguments: LoopArguments,
    save: Callable[[torch.nn.Module, Path, dict], None],
    scores: dict,
    is_best: bool,
) -> None:
    """Write `last/` with the state to resume from, and the best model in `output_dir` if this is the best so far.

    Everything is written and synced in `checkpoint.writing`, which one renaming makes `checkpoint.ready`; only then is
    anything old touched. A kill at any moment leaves the old checkpoint or the new one, see `recover`.
    """
    accelerator, output_dir = parts.accelerator, Path(arguments.output_dir)
    writing = output_dir / "checkpoint.writing"
    state = writing / "last" / "state"
    if not all_finite(accelerator, parts.model):
        raise TrainingError(
            f"Weights have become NaN or infinite: training stopped, and {what_is_kept(output_dir)}. Lower "
            "--learning_rate, or set --max_grad_norm."
        )
    try:
        if accelerator.is_main_process:
            _remove(writing)
            state.mkdir(parents=True)
        accelerator.wait_for_everyone()
        torch.save(random_states(), state / f"random_states_{accelerator.process_index}.pt")
        accelerator.wait_for_everyone()
        states = parts.state_dict() if accelerator.is_main_process or parts.whole else {}
        if accelerator.is_main_process:
            torch.save(states, state / TRAINING)
            model = parts.whole.filled(states["sharded"]) if parts.whole else parts.model
            (state / LOOP).write_text(json.dumps(asdict(progress), indent=1), encoding="utf-8")
            sums = {path.name: _sha256(path) for path in sorted(state.iterdir())}
            (state / SUMS).write_text("".join(f"{sums[name]}  {name}\n" for name in sums), encoding="utf-8")
            config = asdict(arguments) | {"num_processes": accelerator.num_processes}
            for folder in (writing / "last", *([writing / "best"] if is_best else [])):
                folder.mkdir(exist_ok=True)
                save(model, folder, scores)
                (folder / TRAIN_CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
            settle(writing)
            os.replace(writing, output_dir / "checkpoint.ready")
            _sync(output_dir)
            recover(output_dir, arguments.checkpoints_total_limit)
        accelerator.wait_for_everyone()
    except Exception as error:
        # tokenizers raises no more than an `Exception` where a disk is full
        if not isinstance(error, (OSError, RuntimeError, SafetensorError)) and type(error) is not Exception:
            raise
        shutil.rmtree(writing, ignore_errors=True)
        raise TrainingError(
            f"The checkpoint could not be written to {output_dir} ({in_one_line(error)}); {what_is_kept(output_dir)}."
        ) from error


def what_is_kept(output_dir: Path) -> str:
    """What is left of a run that cannot go on, as the end of a sentence."""
    last = output_dir / "last"
    return f"{last} keeps the last good checkpoint" if last.is_dir() else "there is no checkpoint yet"


def recover(output_dir: Path, limit: int = 1) -> None:
    """Finish moving a whole checkpoint into place, and remove what a killed run left of an unfinished one.

    With a limit above 1, or 0 for none, earlier checkpoints are kept as `checkpoint-*`; the oldest go.

    May be interrupted and repeated at any point. The old card goes before the weights that it describes, and the new
    one comes last, so that no card ever stands next to weights of another checkpoint. What was found out about the old
    weights at the end of an earlier training goes with it.
    """
    ready, last, old = (output_dir / name for name in ("checkpoint.ready", "last", "last.old"))
    worthless = output_dir / "checkpoint.writing"
    _remove(worthless)
    for part in output_dir.glob(".*.part"):  # of `written_beside`, such as half a card
        if part.is_file():
            part.unlink()
    best = ready / "best"
    if best.is_dir():
        if (best / "README.md").is_file():
            for name in DESCRIPTIONS:
                (output_dir / name).unlink(missing_ok=True)
        for file in sorted(best.iterdir(), key=lambda file: (file.name == "README.md", file.name)):
            target = output_dir / file.name
            if target.is_dir():
                _remove(target)
            os.replace(file, target)
        _sync(output_dir)
        best.rmdir()
    if (ready / "last").is_dir():
        if last.is_dir():
            _remove(old)
            os.replace(last, old)
        os.replace(ready / "last", last)
        _sync(output_dir)
    if old.is_dir() and limit != 1:
        kept = output_dir / _name_of(old)
        _remove(kept)  # of a run that was resumed from before it
        os.replace(old, kept)
        _sync(output_dir)
    _remove(old)
    if limit > 1:
        for folder in kept_checkpoints(output_dir)[: 1 - limit]:
            os.replace(folder, worthless)  # a part of it would be kept for ever
            _remove(worthless)
    _remove(ready)


def kept_checkpoints(output_dir: Path) -> list[Path]:
    """The folders of the checkpoints before `last/`, the oldest first."""
    folders = [folder for folder in output_dir.glob("checkpoint-*") if (folder / "state" / LOOP).is_file()]
    return sorted(folders, key=lambda folder: (folder / "state" / LOOP).stat().st_mtime_ns)


def _name_of(folder: Path) -> str:
    """The name under which a checkpoint is kept: by the epochs and the updates after them that it has seen."""
    progress = _read_json(folder / "state" / LOOP)
    return f"checkpoint-{progress.get('epoch')}-{progress.get('step')}"


def settle(folder: Path) -> None:
    """Give every file in a folder the permissions of an ordinary new file, and sync it all to the disk.

    safetensors and others write files that only their owner may read.
    """
    umask = os.umask(0)
    os.umask(umask)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            path.chmod(0o666 & ~umask)
        _sync(path)
    _sync(folder)


def _sync(path: Path) -> None:
    if path.is_dir() and os.name == "nt":
        return  # Windows cannot open a folder
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(folder: Path) -> None:
    if folder.is_dir():
        shutil.rmtree(folder)


# ------------------------------------------------------------------------------------------------------------ reading


def refuse_to_replace(arguments: LoopArguments) -> None:
    """Raise a ValueError if the output folder holds a model that the arguments neither resume nor overwrite."""
    if arguments.resume_from_checkpoint or arguments.overwrite_output_dir:
        return
    output_dir = Path(arguments.output_dir)
    for name in ("config.json", "model.safetensors", TRAIN_CONFIG, "last"):
        if (output_dir / name).exists():
            raise ValueError(
                f"--output_dir {output_dir} already holds a model ({name}): give another folder, "
                "--resume_from_checkpoint latest to continue its training, or --overwrite_output_dir to replace it."
            )


def find_checkpoint(arguments: LoopArguments) -> Path:
    """The folder of the checkpoint that `--resume_from_checkpoint` names, whose `state` is there.

    Raises:
        FileNotFoundError: there is none.
    """
    wanted = arguments.resume_from_checkpoint
    root = Path(arguments.output_dir if wanted == "latest" else wanted)
    for folder in (root / "last", *([] if wanted == "latest" else [root])):
        if (folder / "state" / LOOP).is_file():
            return folder
    kept = kept_checkpoints(root)
    earlier = f"give an earlier one, --resume_from_checkpoint {kept[-1]}, or " if kept else ""
    raise FileNotFoundError(
        f"There is nothing to resume in {root / 'last' if wanted == 'latest' else root}; {earlier}leave out "
        "--resume_from_checkpoint to begin anew."
    )


def check_sums(folder: Path) -> None:
    """Raise a ValueError if a file of the checkpoint's `state` is not as it was written.

    torch reads numbers that a faulty disk has changed without a word. Earlier checkpoints have no checksums.
    """
    path = folder / "state" / SUMS
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    sums = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    for file in sorted(path.parent.iterdir()):
        if file.name in sums and _sha256(file) != sums[file.name]:
            raise _damaged(file, f"its checksum is not that in {SUMS}")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def check_same_training(folder: Path, arguments: LoopArguments, num_processes: int) -> None:
    """Compare a run's arguments with those that the checkpoint was made with.

    Raises:
        ValueError: for changes that would make the resumed run another training. Others are logged as a warning.
    """
    before = _read_json(folder / TRAIN_CONFIG)
    now = json.loads(json.dumps(asdict(arguments) | {"num_processes": num_processes}))
    differing = {name for name in now if name not in FREE and before.get(name, now[name]) != now[name]}
    if now["lr_schedule"].startswith("constant"):
        differing.discard("epochs")
    if not now["streaming"]:  # then the order of the rows does not depend on them
        differing -= {"num_workers", "shuffle_buffer", "steps_per_epoch"}

    def listed(names: set[str], values: dict) -> str:
        return ", ".join(f"--{name} {json.dumps(values[name])}" for name in sorted(names))

    refused = differing - REPORTED
    if refused:
        raise ValueError(
            f"{folder} was trained with {listed(refused, before)}, not {listed(refused, now)}; resume with the "
            "arguments that it was begun with, or begin anew in another --output_dir."
        )
    if differing:
        logger.warning(
            "Resuming with %s, but %s was trained with %s: the result is not that of a run with either.",
            listed(differing, now), folder, listed(differing, before),
        )  # fmt: skip


def load_progress(folder: Path, num_rows: int, global_batch_size: int) -> Progress:
    """Where the checkpoint's run was.

    Raises:
        ValueError: for a damaged file, or a checkpoint within an epoch of other batches than these.
    """
    path = folder / "state" / LOOP
    content = _read_json(path)
    try:
        content.setdefault("worse", 0)  # checkpoints from before there was early stopping
        if content.keys() != asdict(Progress()).keys():
            raise ValueError(f"it holds {', '.join(content) or 'nothing'}")
        progress = Progress(**content)
        numbers = (progress.epoch, progress.step, progress.worse, progress.num_rows, progress.global_batch_size)
        if not all(type(number) is int and number >= 0 for number in numbers):
            raise ValueError(f"counts are {numbers}")
        if not (progress.best is None or (isinstance(progress.best, float | int) and isfinite(progress.best))):
            raise ValueError(f"best is {progress.best!r}")
        for total, count, weight in progress.sums.values():
            float(total), float(count), float(weight)
    except (TypeError, ValueError, AttributeError) as error:
        raise _damaged(path, error) from None
    if progress.step and (progress.num_rows, progress.global_batch_size) != (num_rows, global_batch_size):
        raise ValueError(
            f"{folder} stopped within an epoch of {progress.num_rows} rows in batches of {progress.global_batch_size} "
            f"over all processes, and can be resumed only with these; now there are {num_rows} rows in batches of "
            f"{global_batch_size}."
        )
    if progress.num_rows != num_rows:
        logger.warning(
            "%s was trained on %d rows, and now there are %d: the result is not that of a run with either.",
            folder, progress.num_rows, num_rows,
        )  # fmt: skip
    progress.num_rows, progress.global_batch_size = num_rows, global_batch_size
    return progress


def check_same_processor(folder: Path, processor: Any) -> None:
    """Raise a ValueError unless a processor gives a model the inputs that its checkpoint was trained on.

    The scripts make it from the data, which may have changed: every word and every number would mean something else.
    """
    before = load_processor(type(processor), folder)
    extractors = [getattr(each, "feature_extractor", each) for each in (before, processor)]
    differing = [name for name in ("mean", "std") if not np.array_equal(*(getattr(each, name) for each in extractors))]
    if hasattr(processor, "tokenizer") and before.tokenizer.get_vocab() != processor.tokenizer.get_vocab():
        differing.append("vocabulary")
    if differing:
        raise ValueError(
            f"{folder} was trained with another {' and '.join(differing)} than the data and the models of the "
            "arguments have now; resume with those that it was begun with, or begin anew in another --output_dir."
        )


def load_parts(parts: Parts, folder: Path) -> None:
    """Restore every part of a run, except its random states."""
    path = folder / "state" / TRAINING
    states = _read_tensors(path)
    try:
        _check_same_frozen_weights(parts, states)
        parts.load_state_dict(states)
    except Exception as error:  # whatever foreign content leads to inside torch
        raise ValueError(
            f"{path} does not fit this training ({in_one_line(error)}); resume with the arguments that it was begun "
            "with, or begin anew in another --output_dir."
        ) from error


def _check_same_frozen_weights(parts: Parts, states: dict) -> None:
    """Raise a ValueError if weights that nothing trains have changed, as those of a `--vq` that was trained again.

    The data is made with those that are here, the rest of the model was trained with those of the checkpoint.
    """
    model, weights = (parts.whole.copy, states["sharded"]["model"]) if parts.whole else (parts.model, states["model"])
    averaged = {
        parameter for module in model.modules() if hasattr(module, "accumulating") for parameter in module.parameters()
    }
    for name, parameter in model.named_parameters():
        if not (parameter.requires_grad or parameter in averaged or torch.equal(parameter.cpu(), weights[name])):
            raise ValueError(f"the frozen {name} is that of another model")


def restore_random_states(folder: Path, accelerator: Accelerator) -> dict:
    """Restore this process's random states and return them; a process that the run did not have keeps its own.

    Raises:
        FileNotFoundError: they are missing although the run had this process.
        ValueError: they are damaged.
    """
    before = _read_json(folder / TRAIN_CONFIG).get("num_processes", 1)
    path = folder / "state" / f"random_states_{accelerator.process_index}.pt"
    if not path.is_file():
        if accelerator.process_index >= before:
            return random_states()
        raise FileNotFoundError(f"{path} is missing, so the run cannot be resumed exactly; {_way_out(path)}.")
    states = _read_tensors(path)
    try:
        set_random_states(states)
    except Exception as error:  # whatever foreign content leads to
        raise _damaged(path, error) from error
    return states


def random_states() -> dict:
    """The states of all global random generators of this process."""
    version, state, position, has_gauss, gauss = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": [version, torch.from_numpy(state.astype(np.int64)), position, has_gauss, gauss],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_states(states: dict) -> None:
    """Put the global random generators into the states that `random_states` gave."""
    random.setstate(states["python"])
    version, state, *rest = states["numpy"]
    np.random.set_state((version, state.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(states["torch"])
    if torch.cuda.is_available() and len(states["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(states["cuda"])


def _read_json(path: Path) -> dict:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is missing, so the run cannot be resumed; {_way_out(path)}.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(path, error) from None
    if not isinstance(content, dict):
        raise _damaged(path, "no JSON object")
    return content


def _read_tensors(path: Path) -> dict:
    """A file of `torch.save`: tensors, containers and numbers, nothing that could run code."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing, so the run cannot be resumed; {_way_out(path)}.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a hostile file can raise anything
        raise _damaged(path, error) from error
    if not isinstance(content, dict):
        raise _damaged(path, "no states by name")
    return content


def _damaged(path: Path, reason: Exception | str) -> ValueError:
    return ValueError(
        f"{path} is damaged or was not written by this training ({in_one_line(reason)}); {_way_out(path)}."
    )


def _way_out(file: Path) -> str:
    """What to do without the checkpoint that a file is of: resume the newest of the others, if any were kept."""
    folder = file.parent.parent if file.parent.name == "state" else file.parent
    others = [other for other in kept_checkpoints(folder.parent) if other != folder]
    anew = "begin anew in another --output_dir"
    return f"resume an earlier one, --resume_from_checkpoint {others[-1]}, or {anew}" if others else anew
