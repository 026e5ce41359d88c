# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Motion to text, shown recordings of real people: those of the CMU database, as another program exported them."""

import json
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from cmu.build import read_clip
from tqdm.auto import tqdm

GAITS = ("walk", "run", "dash")  # what motion to text has to name right
WHOLE = {"start": 0.0, "end": 1e6, "mirrored_text": False}  # of a clip without captions: its first ten seconds


@dataclass
class Recording:
    """A clip: joints (frames, joints, 3) in meters, people's caption (maybe none), and walking or running."""

    name: str
    joints: np.ndarray
    caption: str
    gait: str | None
    seen: bool


def load_recordings(folder: str, action_and_style: Callable) -> list[Recording]:
    """Every clip outside the training set, and all of walking and running.

    Args:
        folder: with `clips.jsonl` and `bvh.tar.xz`, or the files of it in `bvh/`.
        action_and_style: reads both off a sentence.
    """
    try:
        clips = [json.loads(line) for line in (Path(folder) / "clips.jsonl").read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise SystemExit(f"--cmu {folder}: {error}") from error
    chosen = []
    for clip in clips:
        action = action_and_style(clip["description"])[0]
        gait = action if action in GAITS else None
        if gait or clip.get("split", "train") != "train":
            chosen.append((WHOLE | clip, gait))
    try:
        with tempfile.TemporaryDirectory() as unpacked:
            motions = Path(folder)
            if not (motions / "bvh").is_dir():
                with tarfile.open(motions / "bvh.tar.xz") as archive:
                    archive.extractall(unpacked, filter="data")
                motions = Path(unpacked)
            return [read_recording(motions, *each) for each in tqdm(chosen, desc="CMU recordings", leave=False)]
    except (OSError, ValueError, tarfile.TarError) as error:
        raise SystemExit(f"--cmu {folder}: {error}") from error


def read_recording(motions: Path, clip: dict, gait: str | None) -> Recording:
    """One line of `clips.jsonl`, and what `motions` holds for it."""
    return Recording(
        name=f"{Path(clip['file']).stem} from {clip['start']:g} s, {clip['description']}",
        joints=read_clip(motions / clip["file"], clip),
        caption=clip.get("captions", [""])[0],
        gait=gait,
        seen=clip.get("split") == "train",
    )


def recording_rows(recordings: list[Recording], captions: list[str], action_and_style: Callable) -> dict[str, dict]:
    """A row for walking and running, then one per clip with people's caption and the model's."""
    rows = {}
    for recording, caption in zip(recordings, captions, strict=True):
        rows[recording.name] = {"seen": "yes" if recording.seen else "no"}
        rows[recording.name] |= {"people": recording.caption, "caption": caption}
        if recording.gait:
            rows[recording.name]["action"] = float(action_and_style(caption)[0] == recording.gait)
    right = [row["action"] for row in rows.values() if "action" in row]
    return ({f"walking and running, {len(right)} clips": {"action": float(np.mean(right))}} if right else {}) | rows
