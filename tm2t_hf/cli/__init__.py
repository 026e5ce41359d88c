# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""What the commands of `tm2t-hf` do; their arguments are in `tm2t_hf_cli`, which does without this package for help.

Results go to stdout, everything else to stderr.
"""

import logging
from argparse import Namespace
from collections.abc import Callable
from importlib import import_module

from transformers.utils import logging as transformers_logging

from tm2t_hf_cli import build_parser, main


def load_command(name: str) -> Callable[[Namespace], int]:
    """The function `module.function` of this package that runs a command, with no more imported than it needs."""
    logging.basicConfig(format="tm2t-hf: %(message)s")  # warnings, on stderr
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    module, function = name.split(".")
    return getattr(import_module(f".{module}", __name__), function)


__all__ = ["build_parser", "load_command", "main"]
