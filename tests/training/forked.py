# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Processes for tests: several that train together, and ones that are killed. Forked, as imports are slow."""

import multiprocessing
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from time import process_time

import torch
from accelerate.state import AcceleratorState
from torch.distributed import TCPStore

FORK = multiprocessing.get_context("fork")
KILLED = 137


def in_processes(function: Callable, world: int = 1) -> list:
    """What `function()` returns in each of `world` processes that train together; its SystemExit code if it exits."""
    # where they meet, here and not in the first of them: a port that is free now may be taken when that one starts
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    children = []
    for rank in range(world):
        receiver, sender = FORK.Pipe(duplex=False)
        process = FORK.Process(target=_child, args=(function, rank, world, store.port, sender))
        process.start()
        children.append((process, receiver))
    results = []
    for process, receiver in children:
        results.append(pickle.loads(receiver.recv_bytes()) if receiver.poll(600) else "no answer within ten minutes")
        process.join(5)
        process.kill()
    failed = [result for result in results if isinstance(result, str)]
    assert not failed, failed[0]
    return [value for (value,) in results]


def _child(function: Callable, rank: int, world: int, port: int, sender):
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    AcceleratorState._reset_state(True)
    os.environ["ACCELERATE_USE_CPU"] = "true"
    if world > 1:
        os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world)}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_USE_AGENT_STORE": "True"}
    try:
        result = (function(),)
    except SystemExit as error:
        result = (error.code,)
    except BaseException:
        result = traceback.format_exc()
    sender.send_bytes(pickle.dumps(result))  # not `send`, which would share the memory of tensors
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    os._exit(0)


def killed_at(operation: int, folder: Path, function: Callable) -> int | None:
    """Run `function()` in a process that dies before its n-th file operation in `folder`, as by `kill -9`.

    Returns:
        None if it was killed, or the number of file operations if it came to its end.
    """
    count = 0
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT

    def watch(event: str, arguments: tuple):
        nonlocal count
        changes = event in ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod")
        if not changes and not (event == "open" and isinstance(arguments[2], int) and arguments[2] & writing):
            return
        path = arguments[0]
        # `shutil.rmtree` names files relative to an open folder
        relative = event in ("os.remove", "os.rmdir")
        if not relative and not (isinstance(path, str | os.PathLike) and str(path).startswith(str(folder))):
            return
        count += 1
        if count == operation:
            os._exit(KILLED)

    return _doomed(lambda: sys.addaudithook(watch), function, lambda: count)


def killed_after(seconds: float, function: Callable) -> float | None:
    """Run `function()` in a process that dies when it has used the processor for so long; 0 lets it live.

    Returns:
        None if it was killed, or the seconds that it used if it came to its end.
    """
    # without a handler, the signal ends the process as abruptly as `kill -9`
    return _doomed(lambda: signal.setitimer(signal.ITIMER_PROF, seconds), function, process_time)


def _doomed(arm: Callable, function: Callable, measure: Callable):
    """What `measure()` gives after `function()` in a process that `arm()` may have killed by then: None if it has."""
    receiver, sender = FORK.Pipe(duplex=False)

    def child():
        torch.set_num_threads(1)
        AcceleratorState._reset_state(True)
        os.environ["ACCELERATE_USE_CPU"] = "true"
        arm()
        try:
            function()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        sender.send(measure())
        os._exit(0)

    process = FORK.Process(target=child)
    process.start()
    process.join(600)
    assert process.exitcode in (0, KILLED, -signal.SIGPROF), process.exitcode
    return receiver.recv() if process.exitcode == 0 else None
