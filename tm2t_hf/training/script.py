# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""How a training script starts, is told to stop, and ends: lock, seeds, signals, exit codes."""

import logging
import os
import re
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, parse_flag_from_env, set_seed
from filelock import FileLock, Timeout
from huggingface_hub.errors import StrictDataclassError
from transformers.utils.logging import disable_progress_bar

from ..hub import HubFolder
from .arguments import LoopArguments
from .checkpoints import TrainingError, recover, refuse_to_replace
from .reports import tracking

logger = logging.getLogger(__name__)

LOCK = ".lock"


def start(arguments: LoopArguments) -> Accelerator:
    """Lock and check the output folder, seed everything and set up logging.

    Raises:
        ValueError: the output folder cannot be written to, another run is using it, it holds a model that the
            arguments neither resume nor overwrite, the package of `--report_to` is not installed, or the Hub does not
            take uploads.
    """
    accelerator = Accelerator(
        mixed_precision=mixed_precision_of(arguments),
        # the scripts give the schedule in updates of all processes together
        step_scheduler_with_optimizer=False,
        **tracking(arguments),
    )
    level = logging.INFO if accelerator.is_local_main_process else logging.ERROR
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s")
    for chatty in ("httpx", "httpx2", "filelock"):  # huggingface_hub uses either of the first two
        logging.getLogger(chatty).setLevel(logging.WARNING)
    disable_progress_bar()
    if arguments.mixed_precision == "auto":
        kind = "bfloat16, which this device has" if accelerator.mixed_precision == "bf16" else "float32 alone"
        logger.info("--mixed_precision auto: trains in %s.", kind)
    accelerator.output_lock = on_main_process(accelerator, lambda: claim_output_folder(arguments))
    accelerator.uploads = on_main_process(accelerator, lambda: hub_uploads(arguments))
    set_seed(arguments.seed)
    return accelerator


def mixed_precision_of(arguments: LoopArguments) -> str:
    """The mode that `--mixed_precision` asks for; where it leaves the choice, that of the device."""
    if arguments.mixed_precision != "auto":
        return arguments.mixed_precision
    on_gpu = torch.cuda.is_available() and not parse_flag_from_env("ACCELERATE_USE_CPU")
    has_bf16 = torch.cuda.is_bf16_supported(False) if on_gpu else torch.cpu._is_avx512_bf16_supported()
    return "bf16" if has_bf16 else "no"


def hub_uploads(arguments: LoopArguments) -> HubFolder | None:
    """The uploads of the output folder that `--push_to_hub` asks for; its repository is there from now on."""
    if not arguments.push_to_hub:
        return None
    uploads = HubFolder(
        arguments.output_dir, arguments.hub_model_id, arguments.hub_private_repo, arguments.hub_revision
    )
    arguments.hub_model_id = uploads.repo_id
    return uploads


def claim_output_folder(arguments: LoopArguments) -> FileLock:
    """Lock the output folder, finish a checkpoint that was being moved into place, and refuse to replace a model."""
    output_dir = Path(arguments.output_dir)
    lock = lock_folder(output_dir)
    try:
        recover(output_dir, arguments.checkpoints_total_limit)
        refuse_to_replace(arguments)
    except (ValueError, OSError):
        lock.release()
        raise
    return lock


def lock_folder(folder: Path) -> FileLock:
    """Keep other runs out of a folder, which is made if needed, until the lock is released or the process ends.

    The operating system holds the lock, on network file systems too, and drops it when the process dies.

    Raises:
        ValueError: the folder cannot be written to, or another run holds the lock.
    """
    lock = FileLock(folder / LOCK, mode=0o644)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
        (folder / LOCK).write_text(f"process {os.getpid()} on {socket.gethostname()}\n", encoding="utf-8")
    except Timeout:
        holder = (folder / LOCK).read_text(encoding="utf-8").strip() or "another process"
        raise ValueError(
            f"Another run is training into --output_dir {folder} ({holder}); wait for it or give another folder."
        ) from None
    except OSError as error:
        raise ValueError(f"--output_dir {folder} cannot be written to: {error.strerror or error}.") from None
    return lock


def on_main_process(accelerator: Accelerator, action: Callable):
    """What `action` returns on the main process, None on the others; its error is raised on all of them."""
    result = error = None
    if accelerator.is_main_process:
        try:
            result = action()
        except (ValueError, OSError) as raised:
            error = raised
    if accelerator.num_processes > 1:
        (error,) = broadcast_object_list([error])
    if error is not None:
        raise error
    return result


def _said(error: Exception) -> str:
    """What an error says; what one of a worker of a `DataLoader` says comes at the end of that worker's traceback."""
    message = str(error)
    if message.startswith(f"Caught {type(error).__name__} in DataLoader worker"):
        message = re.split(rf"^(?:\w+\.)*{type(error).__name__}: ", message, flags=re.MULTILINE)[-1]
    return message


class StopSignals:
    """Within the context, SIGTERM and a first SIGINT are remembered in `received`; a second SIGINT interrupts."""

    def __init__(self):
        self.received = 0
        self._before = {}

    def __enter__(self) -> "StopSignals":
        try:
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._receive)
        except ValueError:
            pass  # only the main thread may set handlers; elsewhere signals are somebody else's
        return self

    def __exit__(self, *exception):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame):
        if number == signal.SIGINT and self.received:
            raise KeyboardInterrupt
        self.received = number


def ignore_stop_signals(worker: int) -> None:
    """As `worker_init_fn` of a `DataLoader`: workers outlive signals that go to all processes of a run.

    The death of a worker would end the run before it has written its checkpoint. Workers end with the main process.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def run(main: Callable[[], None]) -> None:
    """Run a script's `main` and exit: 2 after a user's mistake, 1 when training failed, 128 + n after signal n."""
    try:
        main()
    except (ValueError, OSError, StrictDataclassError, TrainingError) as error:
        print(f"{Path(sys.argv[0]).name}: {' '.join(_said(error).split())}", file=sys.stderr)
        sys.exit(1 if isinstance(error, TrainingError) else 2)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)


__all__ = ["StopSignals", "ignore_stop_signals", "lock_folder", "on_main_process", "run", "start"]
