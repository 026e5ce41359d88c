# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The command `tm2t-hf`. Results go to stdout, everything else to stderr; the exit status says how it went.

0: done; 1: a data folder has problems; 2: something that the user can fix, in one sentence, or a wrong command line.
"""

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from transformers.utils import logging as transformers_logging

from . import folders, models, motions
from .common import complain, load_pipeline


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows defaults, but not those that only mean "left out"."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return super()._get_help_string(action) if action.default not in (None, False) else action.help


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(prog="tm2t-hf", description="Text to human motion and back.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(name: str, run, help: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=help, description=help, formatter_class=_HelpFormatter)
        command.set_defaults(run=run)
        return command

    for group in (models, motions, folders):
        group.add_commands(add)
    return parser


def main(command: Sequence[str] | None = None) -> int:
    """Run a command line; what the user can fix is reported in one sentence, with exit status 2."""
    arguments = build_parser().parse_args(command)
    logging.basicConfig(format="tm2t-hf: %(message)s")  # warnings, on stderr
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    try:
        status = arguments.run(arguments)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        print("tm2t-hf: interrupted.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read the output has seen enough; Python must not complain when it flushes
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (ValueError, OSError, ImportError) as error:
        complain(error)
        return 2


__all__ = ["build_parser", "load_pipeline", "main"]
