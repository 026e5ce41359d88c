# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Motions -> one HTML file that plays them in any browser, from disk and without network.

The player is `web/viewer.js`, bundled with three.js into `web/viewer.min.js`; `web/package.json` says how. Colors,
limbs and the direction of view are those of the GIFs.
"""

import base64
import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from string import Template

import numpy as np

from ..files import written_beside
from ..skeletons import HUMANML3D, Skeleton
from . import gif

WEB = Path(__file__).resolve().parent / "web"
SMALLEST_UNIT = 0.0005  # meters that one step of an embedded coordinate stands for
COLORS = (gif.LEFT, gif.RIGHT, gif.MIDDLE)


@dataclass(frozen=True, eq=False)
class PageMotion:
    """A motion and what the page says about it.

    Args:
        joints: (frames, joints, 3) in meters, y up.
        fps: frames per second.
        caption: the text under the figure.
        note: a second, smaller line, such as a description that a model made.
        codes: codebook indices of the motion's tokens, shown under the timeline.
        unit_length: frames per token.
        skeleton: skeleton of the joints.

    Raises:
        ValueError: for joints of another shape, NaN or infinite values, no frames, an `fps` that is not above 0, or
            codes that are not whole numbers.
    """

    joints: np.ndarray
    fps: float = 20.0
    caption: str | None = None
    note: str | None = None
    codes: Sequence[int] | None = None
    unit_length: int = 4
    skeleton: Skeleton = HUMANML3D

    def __post_init__(self):
        object.__setattr__(self, "joints", gif.checked_joints(self.joints, self.skeleton))
        if not 0 < self.fps < float("inf"):
            raise ValueError(f"fps={self.fps} must be above 0.")
        if self.unit_length < 1:
            raise ValueError(f"unit_length={self.unit_length} must be at least 1.")
        if self.codes is not None:
            codes = np.asarray(self.codes)
            if codes.ndim != 1 or (len(codes) and codes.dtype.kind not in "iu"):
                raise ValueError(f"codes must be a list of whole numbers, not {codes.dtype} of shape {codes.shape}.")
            object.__setattr__(self, "codes", tuple(codes.tolist()))


def save_page(motions: Sequence[PageMotion], path: str | PathLike, title: str = "Motions") -> None:
    """Write a standalone page that shows several motions next to each other, played by one clock.

    Args:
        motions: at least one.
        path: file to write.
        title: heading of the page.

    Raises:
        ValueError: for no motions.
    """
    if not motions:
        raise ValueError("motions is empty, so there is nothing to show; pass at least one PageMotion.")
    page = Template((WEB / "template.html").read_text(encoding="utf-8")).substitute(
        title=html.escape(title),
        background=_css(gif.BACKGROUND),
        ink=_css(gif.INK),
        left=_css(gif.LEFT),
        right=_css(gif.RIGHT),
        motions=_json_in_html({"motions": [_embedded(motion) for motion in motions], "style": _style()}),
        license=(WEB / "three.LICENSE").read_text(encoding="utf-8").strip(),
        viewer=(WEB / "viewer.min.js").read_text(encoding="utf-8").strip(),
    )
    with written_beside(path) as part:
        part.write_text(page, encoding="utf-8", newline="\n")


def save_html(
    joints: np.ndarray,
    path: str | PathLike,
    fps: float = 20.0,
    title: str | None = None,
    skeleton: Skeleton = HUMANML3D,
) -> None:
    """Write a page that shows one motion; arguments and errors as for `save_gif`."""
    save_page([PageMotion(joints, fps, skeleton=skeleton)], path, title or "Motion")


def _embedded(motion: PageMotion) -> dict:
    """What the player reads; coordinates are whole numbers of `unit`, four times smaller than in JSON."""
    skeleton = motion.skeleton
    joints = motion.joints - [0, gif.floor_height(motion.joints), 0]
    root = joints[:, 0].astype("<f4")
    offsets = joints - root[:, None]  # (frames, joints, 3)
    unit = max(SMALLEST_UNIT, float(np.abs(offsets).max()) / 32767)
    values = {
        "caption": motion.caption,
        "note": motion.note,
        "fps": motion.fps,
        "frames": len(joints),
        "joints": skeleton.num_joints,
        "unit": unit,
        "root": _base64(root),
        "offsets": _base64(np.round(offsets / unit).astype("<i2")),
        "codes": motion.codes,
        "unit_length": motion.unit_length,
        "bones": [(*bone[:4], COLORS.index(bone[4])) for bone in gif.bones_of(skeleton)],
        "torso": [skeleton.face_joints[corner] for corner in (0, 1, 3, 2)],
        "azimuth": round(float(gif.viewing_azimuth(joints, skeleton)), 4),
        "travels": bool(np.ptp(joints[:, 0, [0, 2]], axis=0).max() > gif.FOLLOW_METRES),
    }
    if "head" in skeleton.joint_names:
        head = skeleton.joint_names.index("head")
        values["head"] = (head, skeleton.parents[head])
    return values


def _style() -> dict:
    return {
        "background": _css(gif.BACKGROUND),
        "line": _css(gif.FLOOR_LINE),
        "walked": _css(gif.PATH),
        "ahead": _css(gif.PATH_AHEAD),
        "colors": [_css(color) for color in COLORS],
    }


def _json_in_html(values: dict) -> str:
    """JSON that cannot end the script element around it, whatever text it holds."""
    text = json.dumps(values, ensure_ascii=True, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _base64(array: np.ndarray) -> str:
    return base64.b64encode(array.tobytes()).decode("ascii")


def _css(color: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)


__all__ = ["PageMotion", "save_html", "save_page"]
