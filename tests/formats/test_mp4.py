# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Videos: by PyAV and by ffmpeg where they are installed, one sentence where neither is."""

import importlib.util
import shutil
import subprocess
import sys

import numpy as np
import pytest
from rigid_motions import t_pose

from tm2t_hf.formats import mp4
from tm2t_hf.formats.gif import LEFT, RIGHT
from tm2t_hf.formats.mp4 import save_mp4

pytest.importorskip("PIL.Image")


def moving(frames):
    return np.stack([t_pose()] * frames) + np.linspace(0, 0.5, frames)[:, None, None] * [0, 0, 1]


@pytest.fixture(params=["av", "ffmpeg"])
def encoder(request, monkeypatch):
    """One of the two encoders, the other hidden."""
    if request.param == "av":
        if importlib.util.find_spec("av") is None:
            pytest.skip("PyAV is not installed")
        monkeypatch.setattr(shutil, "which", lambda name: None)
    else:
        if shutil.which("ffmpeg") is None:
            pytest.skip("ffmpeg is not installed")
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    return request.param


def decoded(path):
    """The frames of a video as (frames, height, width, 3), and its frame rate."""
    if "av" in sys.modules or importlib.util.find_spec("av"):
        import av

        with av.open(str(path)) as video:
            rate = float(video.streams.video[0].average_rate)
            return np.stack([frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]), rate
    raw = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True
    )
    return np.frombuffer(raw.stdout, np.uint8).reshape(-1, 128, 128, 3), None


@pytest.mark.parametrize("fps", [20, 12.5, 30])
def test_every_frame_is_there_and_shows_the_figure(encoder, tmp_path, monkeypatch, fps):
    path = tmp_path / "motion.mp4"
    save_mp4(moving(15), path, fps=fps, title="a person walks", size=128)
    assert [file.name for file in tmp_path.iterdir()] == ["motion.mp4"]
    monkeypatch.undo()
    frames, rate = decoded(path)
    assert frames.shape == (15, 128, 128, 3)
    assert rate is None or rate == pytest.approx(fps, rel=1e-3)
    for color in (LEFT, RIGHT):
        distance = np.abs(frames.astype(int) - color).sum(axis=-1)
        assert ((distance < 90).sum(axis=(1, 2)) > 50).all()
    assert np.abs(frames[0].astype(int) - frames[-1]).mean() > 1
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")  # plays before it is loaded


def test_one_frame_is_a_video_too(encoder, tmp_path, monkeypatch):
    save_mp4(moving(1), tmp_path / "motion.mp4", size=128)
    monkeypatch.undo()
    assert len(decoded(tmp_path / "motion.mp4")[0]) == 1


def test_without_an_encoder_one_sentence_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(mp4, "draw_motion", None)  # nothing is drawn in vain
    with pytest.raises(
        ImportError, match=r"^Writing .mp4 needs PyAV or ffmpeg: .*pip install av.*, or save a .gif\.$"
    ):
        save_mp4(moving(2), tmp_path / "motion.mp4")
    assert not list(tmp_path.iterdir())


def test_what_ffmpeg_says_is_passed_on(tmp_path, monkeypatch):
    program = tmp_path / "bin" / "ffmpeg"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'first line' >&2\necho 'Unknown encoder libx264' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RuntimeError, match=r"could not write the video \(Unknown encoder libx264\)"):
        save_mp4(moving(2), tmp_path / "motion.mp4", size=96)
    assert [file.name for file in tmp_path.iterdir()] == ["bin"]


@pytest.mark.parametrize(
    ("joints", "arguments", "message"),
    [
        (moving(2), {"size": 101}, "size=101 must be even"),
        (moving(2), {"fps": 0}, "fps=0 must be above 0"),
        (np.zeros((2, 21, 3)), {}, "`joints` has shape"),
        (np.zeros((0, 22, 3)), {}, "`joints` has no frames"),
        (np.full((2, 22, 3), np.nan), {}, "`joints` holds NaN"),
    ],
)
def test_bad_input_is_named(tmp_path, joints, arguments, message):
    with pytest.raises(ValueError, match=message):
        save_mp4(joints, tmp_path / "motion.mp4", **arguments)
    assert not list(tmp_path.iterdir())
