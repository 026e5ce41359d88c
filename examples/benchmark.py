# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
r"""Measure how fast everything is on this machine: training steps, generation, pipelines, the command line.

    python examples/benchmark.py --size paper --device cpu --json report.json
    python examples/benchmark.py --only t2m_step m2t_step --dtype bfloat16

Prints a Markdown table: the median time of each work, the processor time in it (below the time times
the number of threads where the work waits), its arithmetic by matrix products and convolutions, their rate, that rate
as a share of the rate of a large matrix product, which is measured alternately with the work so that both see the same
machine, and the peak memory of the process or of the GPU. For the size of the paper on a CPU, the last column compares
with the authors' code, at the rate of float32 products or convolutions that its machine had. docs/performance.md has
such tables.
"""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from benchmarking.works import EPOCHS, ORIGINAL_RATES, WORKS, Setting
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import HfArgumentParser
from transformers.utils import logging

from tm2t_hf.files import written_beside
from tm2t_hf.training import run

COLUMNS = ("work", "median (ms)", "CPU time (ms)", "GFLOP", "GFLOP/s", "of a product's rate", "peak memory (GB)")
COLUMNS += ("original / this",)
PRODUCT = 2048  # rows and columns of the matrix product that gives the machine's rate
CONVOLUTION = (128, 1024, 16), (1024, 1024, 3)  # that of the convolutions: its input and its weights


@dataclass
class Arguments:
    """What the command line takes."""

    device: str = field(
        default="cuda" if torch.cuda.is_available() else "cpu", metadata={"help": "Device of the models."}
    )
    dtype: Literal["float32", "bfloat16"] = field(
        default="float32", metadata={"help": "Type of the arithmetic: autocast in training, the models' own in use."}
    )
    size: Literal["tiny", "small", "paper"] = field(
        default="small", metadata={"help": "Whose sizes: those of the file in examples/configs."}
    )
    only: list[str] = field(
        default_factory=list,
        metadata={"help": f"What to measure, all that is possible if left out: {', '.join(WORKS | EPOCHS)}."},
    )
    data_dir: str = field(
        default="", metadata={"help": "Folder in the HumanML3D layout, for epochs with clips of its lengths."}
    )
    compile: bool = field(default=False, metadata={"help": "Use torch.compile in training and in the motion VQ."})
    seconds: float = field(default=10.0, metadata={"help": "How long to repeat each work, at least three times."})
    json: str = field(default="", metadata={"help": "File to write the figures to."})
    write_into: str = field(
        default="", metadata={"help": "Page that also gets the table, between its two marks for this size and type."}
    )

    def __post_init__(self):
        if self.write_into and (self.only or self.data_dir):
            raise ValueError("--write_into writes the whole table: leave out --only and --data_dir.")
        self.only = self.only or [*WORKS, *(EPOCHS if self.data_dir else ())]
        for name in self.only:
            if name not in WORKS | EPOCHS:
                raise ValueError(f"--only {name} is unknown; choose from {', '.join(WORKS | EPOCHS)}.")
            if name in EPOCHS and not self.data_dir:
                raise ValueError(f"--only {name} needs --data_dir, whose clips give the lengths.")


@dataclass
class Figures:
    """What is found for one work: seconds, gigabytes, 10^9 operations, and shares of the machine's rate."""

    name: str
    title: str
    seconds: float
    cpu_seconds: float
    gflop: float
    gflop_per_second: float
    share_of_product_rate: float
    peak_memory_gb: float | None
    times_original: float | None


def main():
    """Measure and print."""
    (arguments,) = HfArgumentParser(Arguments).parse_args_into_dataclasses()
    logging.set_verbosity_error()
    mark = f"benchmark {arguments.size} {arguments.dtype}"
    if arguments.write_into:
        parts_of(Path(arguments.write_into), mark)  # refused now and not after minutes
    device, dtype = torch.device(arguments.device), getattr(torch, arguments.dtype)
    setting = Setting(device, dtype, arguments.size, arguments.compile, arguments.data_dir)
    machine = describe_machine(setting)
    lines = [", ".join(f"{name} {value}" for name, value in machine.items()), ""]
    lines += [f"| {' | '.join(COLUMNS)} |", f"|---{'|--:' * (len(COLUMNS) - 1)}|"]
    print(*lines, sep="\n")
    found = []
    for name in arguments.only:
        found.append(measure(name, setting, arguments.seconds))
        lines.append(row_of(found[-1]))
        print(lines[-1], flush=True)
        if arguments.json:  # now: a later work may fail
            report = {"machine": machine, "works": [asdict(figures) for figures in found]}
            with written_beside(Path(arguments.json)) as part:
                part.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if arguments.write_into:
        write_into(Path(arguments.write_into), mark, lines)


def describe_machine(setting: Setting) -> dict[str, str | int]:
    """What the figures depend on."""
    is_gpu = setting.device.type == "cuda"
    return {
        "size": setting.size,
        "dtype": str(setting.dtype).removeprefix("torch."),
        "device": torch.cuda.get_device_name(setting.device) if is_gpu else platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def measure(name: str, setting: Setting, seconds: float) -> Figures:
    """Repeat one work for some seconds, alternately with a matrix product and the yardstick of the original."""
    torch.manual_seed(0)
    title, prepare, original, bound = (WORKS | EPOCHS)[name]
    restart_peak_memory(setting.device)
    work = prepare(setting)
    gflop = count_operations(work) / 1e9  # and warm up
    if setting.compile:
        work()  # the counter sees no compiled code, so that this is the call that compiles
    memory = peak_memory(setting.device)
    product, yardstick = new_product(setting.device, setting.dtype), YARDSTICKS[bound](setting.device, torch.float32)
    times, products, yardsticks = [], [], []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        times.append(timed(work, setting.device))
        products.append(timed(product, setting.device)[0])
        yardsticks.append(timed(yardstick, setting.device)[0])
    median, cpu_median = (statistics.median(column) for column in zip(*times, strict=True))
    product_rate = 2 * PRODUCT**3 / 1e9 / statistics.median(products)
    times_original = None
    if original is not None and setting.size == "paper" and setting.device.type == "cpu":
        rate_here = count_operations(yardstick) / 1e9 / statistics.median(yardsticks)
        times_original = original * ORIGINAL_RATES[bound] / (median * rate_here)
    rate = gflop / median
    return Figures(name, title, median, cpu_median, gflop, rate, rate / product_rate, memory, times_original)


def new_product(device: torch.device, dtype: torch.dtype) -> Callable[[], torch.Tensor]:
    """A large matrix product that has run once before."""
    product = partial(torch.mm, *torch.randn(2, PRODUCT, PRODUCT, device=device, dtype=dtype))
    product()
    return product


def new_convolution(device: torch.device, dtype: torch.dtype) -> Callable[[], torch.Tensor]:
    """A convolution of the size of those in the motion VQ, which has run once before."""
    motion, weight = (torch.randn(shape, device=device, dtype=dtype) for shape in CONVOLUTION)
    convolution = partial(torch.conv1d, motion, weight, padding=1)
    convolution()
    return convolution


YARDSTICKS = {"product": new_product, "convolution": new_convolution}  # of the rates in `ORIGINAL_RATES`


def count_operations(work: Callable[[], None]) -> int:
    """Floating-point operations of the matrix products and convolutions of a work (of this process alone)."""
    # of the kernels of attention, the counter knows those of GPUs only
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False, custom_mapping=packed_products()) as counter:
        work()
    return counter.get_total_flops()


def packed_products() -> dict[object, Callable[..., int]]:
    """For the counter: the products with weights that are laid out once, and how to count their operations."""

    def of_mkl(inputs: torch.Size, packed: torch.Size, weight: torch.Size, *others, **kwargs) -> int:
        return 2 * inputs.numel() * weight[0]  # what MKL has packed has another shape

    def of_onednn(inputs: torch.Size, weight: torch.Size, *others, **kwargs) -> int:
        return 2 * inputs.numel() * weight[0]

    counts = {torch.ops.mkl._mkl_linear: of_mkl} if torch.backends.mkl.is_available() else {}
    return counts | ({torch.ops.mkldnn._linear_pointwise: of_onednn} if torch.backends.mkldnn.is_available() else {})


def timed(work: Callable[[], object], device: torch.device) -> tuple[float, float]:
    """Seconds of one call, and those of the processor in this process and those that it waits for."""
    synchronize(device)
    start, cpu_start = time.perf_counter(), processor_time()
    work()
    synchronize(device)
    return time.perf_counter() - start, processor_time() - cpu_start


def processor_time() -> float:
    """Seconds so far of this process, and of those that it has waited for."""
    return time.process_time() + sum(os.times()[2:4])


def synchronize(device: torch.device) -> None:
    """Wait for the GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def restart_peak_memory(device: torch.device) -> None:
    """Let `peak_memory` tell the peak from now on."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # proc(5): resets the peak resident set size


def peak_memory(device: torch.device) -> float | None:
    """The peak in gigabytes: of the GPU, or of the resident memory of this process (on Linux alone)."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="ascii").splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 / 1e9 for line in lines if line.startswith("VmHWM")), None)


def row_of(figures: Figures) -> str:
    """A row of the table; without what is not there, such as the arithmetic of another process."""
    has_arithmetic = figures.gflop >= 0.005
    cells = [
        figures.title,
        f"{figures.seconds * 1e3:.3g}" if figures.seconds < 1 else f"{figures.seconds * 1e3:.0f}",
        f"{figures.cpu_seconds * 1e3:.0f}",
        f"{figures.gflop:.3g}" if has_arithmetic else "",
        f"{figures.gflop_per_second:.0f}" if has_arithmetic else "",
        f"{figures.share_of_product_rate:.0%}" if has_arithmetic else "",
        f"{figures.peak_memory_gb:.2f}" if has_arithmetic and figures.peak_memory_gb is not None else "",
        "" if figures.times_original is None else f"{figures.times_original:.2g}",
    ]
    return f"| {' | '.join(cells)} |"


def parts_of(page: Path, mark: str) -> tuple[str, str]:
    """A page up to the first of its two marks, and from the second one on.

    Raises:
        ValueError: the page does not exist, or has no such marks.
    """
    begin, end = (f"<!-- {mark}: {side} -->" for side in ("begin", "end"))
    if not page.is_file():
        raise ValueError(f"--write_into {page}: there is no such page.")
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found and found_end):
        raise ValueError(f"{page} has no {begin} with {end} behind it: add these two lines where the table is to be.")
    return before + begin, end + after


def write_into(page: Path, mark: str, lines: list[str]) -> None:
    """Replace what is between the two marks of a page."""
    before, after = parts_of(page, mark)
    text = "\n".join(lines)
    with written_beside(page) as part:
        part.write_text(f"{before}\n{text}\n{after}", encoding="utf-8")


if __name__ == "__main__":
    run(main)
