# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The commands for the Hub: push, push-data, update (of the code that a checkpoint carries), and demo."""

import shutil
import tempfile
from argparse import Namespace
from pathlib import Path

from transformers import AutoModel, AutoProcessor

from tm2t_hf_cli import complain

from ..data import push_data
from ..hub import HubFolder
from ..loading import load_processor, load_whole
from ..skeletons import load_skeleton


def push(arguments: Namespace) -> int:
    """Upload a model's folder, after a look whether it is whole, and print the address of the commit."""
    load_whole(AutoModel, arguments.model_dir)
    uploads = HubFolder(arguments.model_dir, arguments.repo_id, arguments.private, arguments.revision)
    print(uploads.upload(f"Upload {uploads.repo_id.rpartition('/')[2]}"))
    return 0


def push_data_folder(arguments: Namespace) -> int:
    """Upload a data folder, and print the address of the commit."""
    address = push_data(
        arguments.data_dir,
        arguments.repo_id or Path(arguments.data_dir).resolve().name,
        private=arguments.private,
        revision=arguments.revision,
        license=arguments.license,
        skeleton=load_skeleton(arguments.skeleton),
        further_texts=arguments.further_texts,
    )
    print(address)
    return 0


def update(arguments: Namespace) -> int:
    """Save models again, all but their weights; 2 when one of them could not be loaded."""
    failed = 0
    for folder in arguments.model_dir:
        try:
            update_folder(Path(folder))
        except (ValueError, OSError) as error:
            complain(error)
            failed += 1
    return 2 if failed else 0


def demo(arguments: Namespace) -> int:
    """Serve the demo on the loopback device until it is interrupted.

    Raises:
        ImportError: Gradio is missing.
        ValueError: a model cannot be used, or the port is taken.
    """
    try:
        from ..demo import LAUNCH, build_app
    except ImportError as error:
        raise ImportError(f"tm2t-hf demo needs Gradio: pip install -e '.[app]' ({error}).") from error
    app = build_app(arguments.text_to_motion or "", arguments.motion_to_text or "")
    try:
        app.launch(server_name="127.0.0.1", server_port=arguments.port, **LAUNCH)
    except OSError as error:
        raise ValueError(f"Port {arguments.port} cannot be used here; name another one with --port.") from error
    return 0


def update_folder(folder: Path) -> None:
    """Renew a model's configuration, processor and code in its folder, where code that is no longer used goes.

    Raises:
        FileNotFoundError: there is no model in the folder.
        ValueError: it is not whole.
    """
    model = load_whole(AutoModel, folder)
    processor = load_processor(AutoProcessor, folder)
    with tempfile.TemporaryDirectory() as name:
        new = Path(name)
        model.config.save_pretrained(new)
        processor.save_pretrained(new)
        for path in folder.rglob("*.py"):
            if not (new / path.relative_to(folder)).exists():
                path.unlink()
        shutil.copytree(new, folder, dirs_exist_ok=True, copy_function=shutil.copyfile)


__all__ = ["demo", "push", "push_data_folder", "update", "update_folder"]
