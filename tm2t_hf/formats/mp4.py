# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Joints -> an MP4 video (H.264), drawn as the GIFs are, encoded by PyAV or by the program ffmpeg."""

import importlib.util
import shutil
import subprocess
from fractions import Fraction
from os import PathLike
from pathlib import Path

import numpy as np

from ..files import written_beside
from ..skeletons import HUMANML3D, Skeleton
from .gif import draw_motion
from .kinematics import checked_joints

# yuv420p is what every player shows; the index comes first, so that a browser starts before it has the whole file.
CODEC, PIXELS, QUALITY = "libx264", "yuv420p", "20"


def save_mp4(
    joints: np.ndarray,
    path: str | PathLike,
    fps: float = 20.0,
    title: str | None = None,
    skeleton: Skeleton = HUMANML3D,
    size: int = 480,
) -> None:
    """Write a video of a motion.

    Args:
        joints: `(frames, joints, 3)` in meters, y up.
        path: file to write.
        fps: frames per second.
        title: text above the figure, wrapped; usually the caption.
        skeleton: skeleton of the joints.
        size: width and height in pixels, an even number.

    Raises:
        ImportError: without Pillow, or without both PyAV and ffmpeg.
        ValueError: for joints of another shape, no frames, NaN or infinite values, a frame rate that is not above 0,
            or an odd size.
        RuntimeError: when ffmpeg fails.
    """
    joints = checked_joints(joints, fps, skeleton)
    if size < 2 or size % 2:
        raise ValueError(f"size={size} must be even: videos store colors for blocks of 2 x 2 pixels.")
    encode = _encoder()
    frames = draw_motion(joints, fps, title, skeleton, size)
    with written_beside(path) as part:
        encode(frames, part, fps, size)


def _encoder():
    """The function that encodes with what is installed."""
    if importlib.util.find_spec("av"):
        return _encode_by_av
    if shutil.which("ffmpeg"):
        return _encode_by_ffmpeg
    raise ImportError("Writing .mp4 needs PyAV or ffmpeg: run `pip install av` or install ffmpeg, or save a .gif.")


def _encode_by_av(frames, path: Path, fps: float, size: int) -> None:
    import av

    rate = Fraction(fps).limit_denominator(1001)
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as video:
        stream = video.add_stream(CODEC, rate=rate, options={"crf": QUALITY})
        stream.width = stream.height = size
        stream.pix_fmt = PIXELS
        for frame in frames:
            video.mux(stream.encode(av.VideoFrame.from_image(frame)))
        video.mux(stream.encode())


def _encode_by_ffmpeg(frames, path: Path, fps: float, size: int) -> None:
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size}x{size}", "-r", str(fps), "-i", "-"]
    target = ["-c:v", CODEC, "-crf", QUALITY, "-pix_fmt", PIXELS, "-movflags", "+faststart", "-f", "mp4", str(path)]
    pixels = b"".join(frame.tobytes() for frame in frames)
    done = subprocess.run(["ffmpeg", "-v", "error", "-y", *source, *target], input=pixels, capture_output=True)
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise RuntimeError(f"ffmpeg could not write the video ({reason[-1]}); save a .gif instead.")


__all__ = ["save_mp4"]
