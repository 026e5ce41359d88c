# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Joints -> a GIF of a figure on a floor, drawn with Pillow alone (no ffmpeg, no display).

Left limbs are blue, right limbs orange, spine and head dark. The floor has a line each half metre, the figure a shadow
and the path of its root. The camera stands still, or moves along with a figure that travels far, without ever turning.
"""

from dataclasses import dataclass
from os import PathLike

import numpy as np

from ..files import written_beside
from ..skeletons import HUMANML3D, Skeleton

BACKGROUND = (250, 250, 247)
FLOOR_LINE = (196, 196, 190)
SHADOW, PATH, PATH_AHEAD = (205, 205, 199), (116, 158, 110), (206, 219, 202)
INK, FAINT = (52, 56, 64), (140, 142, 146)
LEFT, RIGHT, MIDDLE = (45, 116, 196), (232, 107, 45), (66, 70, 80)

SUPERSAMPLING = 2  # drawn at this multiple of the size and reduced, which smooths every edge
TALLEST_FPS = 50  # viewers slow GIFs of shorter frame times down
FLOOR_METRES = 5.0  # the floor ends this far from what the camera looks at
FOLLOW_METRES = 3.0  # a path that reaches further is followed by the camera
LIMB_RADIUS, TIP_RADIUS, HEAD_RADIUS = 0.055, 0.032, 0.105  # metres


def save_gif(
    joints: np.ndarray,
    path: str | PathLike,
    fps: float = 20.0,
    title: str | None = None,
    skeleton: Skeleton = HUMANML3D,
    size: int = 480,
) -> None:
    """Write an endless GIF of a motion.

    Args:
        joints: (frames, joints, 3) in metres, y up.
        path: file to write.
        fps: frames a second. GIF times are hundredths of a second, kept exact over the whole motion; above 50 fps
            frames are left out, because viewers do not show more.
        title: text above the figure, wrapped; usually the caption.
        skeleton: what the joints are.
        size: width and height in pixels.

    Raises:
        ImportError: without Pillow.
        ValueError: for joints of another shape or skeleton, NaN or infinite values, or no frames.
    """
    joints = _check(joints, skeleton)
    if not fps > 0:
        raise ValueError(f"fps={fps} must be above 0.")
    stride = int(np.ceil(fps / TALLEST_FPS))
    frames = draw_motion(joints[::stride], fps / stride, title, skeleton, size)
    ends = np.round(np.arange(len(frames) + 1) * stride * 100 / fps).astype(int)  # hundredths of a second
    # One palette for all frames, learnt from a few of them side by side, so that no colour flickers.
    samples = frames[:: max(1, len(frames) // 4)]
    sheet = _pillow().Image.new("RGB", (size * len(samples), size))
    for index, frame in enumerate(samples):
        sheet.paste(frame, (index * size, 0))
    palette = sheet.quantize(128, dither=0)
    frames = [frame.quantize(palette=palette, dither=0) for frame in frames]
    with written_beside(path) as part:
        frames[0].save(
            part,
            format="GIF",
            save_all=True,
            append_images=frames[1:],
            loop=0,
            duration=[int(10 * hundredths) for hundredths in np.diff(ends)],
        )


def draw_motion(
    joints: np.ndarray, fps: float = 20.0, title: str | None = None, skeleton: Skeleton = HUMANML3D, size: int = 480
) -> list:
    """The frames of `save_gif` as Pillow images (RGB, size x size)."""
    pillow = _pillow()
    joints = _check(joints, skeleton)
    joints = joints - [0, np.percentile(joints[..., 1].min(axis=1), 5), 0]  # the floor is where the feet mostly are
    big = size * SUPERSAMPLING
    heading = _wrap(title, pillow.ImageFont.load_default(big // 26), big * 0.92)
    top = big * (0.04 + 0.052 * len(heading))
    camera = _Camera.fit(joints, skeleton, big, top, big * 0.93)
    bones = _bones(skeleton)
    frames = []
    for index in range(len(joints)):
        if index == 0 or (camera.targets[index] != camera.targets[index - 1]).any():
            floor = pillow.Image.new("RGB", (big, big), BACKGROUND)
            _draw_floor(pillow.ImageDraw.Draw(floor), camera, index)
        image = floor.copy()
        draw = pillow.ImageDraw.Draw(image)
        _draw_path(draw, camera, index, joints)
        _draw_figure(draw, camera, index, joints[index], skeleton, bones)
        _draw_words(draw, pillow, heading, index / fps, (len(joints) - 1) / fps, big)
        frames.append(image.reduce(SUPERSAMPLING))
    return frames


@dataclass
class _Camera:
    """A perspective camera that looks at `targets[frame]`; it never turns."""

    right: np.ndarray  # (3,) unit vectors of the picture's axes; `toward` points from the target to the camera
    up: np.ndarray
    toward: np.ndarray
    targets: np.ndarray  # (frames, 3)
    distance: float
    focal: float  # pixels
    centre: np.ndarray  # (2,) pixels

    @classmethod
    def fit(cls, joints: np.ndarray, skeleton: Skeleton, size: int, top: float, bottom: float) -> "_Camera":
        """The nearest camera that keeps every joint of every frame between `top` and `bottom` of the picture."""
        azimuth, elevation = _view(joints, skeleton), np.radians(14)
        sin, cos = np.sin(azimuth), np.cos(azimuth)
        right = np.array([cos, 0, -sin])
        toward = np.array([sin * np.cos(elevation), np.sin(elevation), cos * np.cos(elevation)])
        up = np.cross(toward, right)
        path = joints[:, 0] * [1, 0, 1]
        if np.ptp(path, axis=0).max() > FOLLOW_METRES:
            targets = _smooth(path, len(path) // 6 + 1)
        else:
            targets = np.zeros_like(path)
        focal = size * 1.6
        half_width, half_height = size * 0.47, (bottom - top) / 2
        # In the camera's axes, relative to what it follows. At least the room a person needs, so that no gesture is
        # magnified, and a margin for head and limbs.
        points = (joints - targets[:, None]).reshape(-1, 3) @ np.stack([right, up, toward], axis=1)
        low, high = points.min(axis=0) - 0.14, points.max(axis=0) + [0.14, 0.22, 0.14]
        middle = (low + high) / 2
        reach = np.maximum((high - low) / 2, [0.55, 0.95, 0])
        distance = reach[2] + focal * max(reach[0] / half_width, reach[1] / half_height)
        targets = targets + middle @ np.stack([right, up, toward])
        return cls(right, up, toward, targets, distance, focal, np.array([size / 2, (top + bottom) / 2]))

    def project(self, points: np.ndarray, frame: int) -> tuple[np.ndarray, np.ndarray]:
        """(..., 3) metres -> (..., 2) pixels and (...) pixels a metre there; behind the camera that is 0."""
        points = points - self.targets[frame]
        depth = self.distance - points @ self.toward
        scale = np.where(depth > 0.2, self.focal / np.maximum(depth, 0.2), 0)
        x, y = points @ self.right, points @ self.up
        return self.centre + np.stack([x * scale, -y * scale], axis=-1), scale


def _view(joints: np.ndarray, skeleton: Skeleton) -> float:
    """Azimuth of the camera: three quarters from the front, or beside a figure that travels."""
    right_hip, left_hip, right_shoulder, left_shoulder = (joints[:, joint] for joint in skeleton.face_joints)
    across = (left_hip - right_hip + left_shoulder - right_shoulder).mean(axis=0)
    facing = np.arctan2(-across[2], across[0])  # across x up, on the floor
    path = joints[:, 0, [0, 2]] - joints[0, 0, [0, 2]]
    farthest = path[np.linalg.norm(path, axis=1).argmax()]
    if np.linalg.norm(farthest) < 1:
        return facing - np.radians(25)
    heading = np.arctan2(*farthest)
    views = heading - np.radians(55), heading + np.radians(55)
    return max(views, key=lambda view: round(np.cos(view - facing), 1))


def _draw_floor(draw, camera: _Camera, frame: int) -> None:
    """Lines that fade with the distance from what the camera looks at."""
    middle = camera.targets[frame][[0, 2]]
    lines = np.arange(-FLOOR_METRES, FLOOR_METRES + 0.01, 0.5)
    for axis in (0, 1):
        points = np.empty((len(lines), len(lines), 2))  # (line, place along it, x and z)
        points[..., axis] = lines[:, None] + np.round(middle[axis] * 2) / 2
        points[..., 1 - axis] = lines + np.round(middle[1 - axis] * 2) / 2
        pixels, scale = camera.project(_on_floor(points), frame)
        strength = np.clip(1.1 - np.linalg.norm(points - middle, axis=-1) / FLOOR_METRES, 0, 1)[..., None]
        colours = np.round(np.array(BACKGROUND) + strength * np.subtract(FLOOR_LINE, BACKGROUND)).astype(int)
        visible = (strength[..., 0] > 0) & (scale > 0)
        for line, place in np.argwhere(visible[:, :-1] & visible[:, 1:]):
            draw.line([*pixels[line, place], *pixels[line, place + 1]], fill=tuple(colours[line, place]), width=2)


def _draw_path(draw, camera: _Camera, frame: int, joints: np.ndarray) -> None:
    """The root's path on the floor: walked dark, still ahead light."""
    path, scale = camera.project(joints[:, 0] * [1, 0, 1], frame)
    width = max(2, round(0.025 * scale[frame]))
    for points, colour in ((path[frame:], PATH_AHEAD), (path[: frame + 1], PATH)):
        if len(points) > 1:
            draw.line([tuple(point) for point in points], fill=colour, width=width, joint="curve")


def _on_floor(points: np.ndarray) -> np.ndarray:
    """(..., 2) x and z -> (..., 3)."""
    return np.stack([points[..., 0], np.zeros(points.shape[:-1]), points[..., 1]], axis=-1)


def _bones(skeleton: Skeleton) -> list[tuple[int, int, float, float, tuple[int, int, int]]]:
    """(parent, joint, radius at each in metres, colour): limbs taper towards the tips of their chains."""
    bones = []
    for chain in skeleton.chains:
        radii = np.linspace(LIMB_RADIUS, TIP_RADIUS, len(chain))
        for place in range(1, len(chain)):
            name = skeleton.joint_names[chain[place]]
            colour = LEFT if name.startswith("left") else RIGHT if name.startswith("right") else MIDDLE
            bones.append((chain[place - 1], chain[place], radii[place - 1], radii[place], colour))
    return bones


def _draw_figure(draw, camera: _Camera, frame: int, pose: np.ndarray, skeleton: Skeleton, bones) -> None:
    """Shadow, then limbs and head from the farthest to the nearest, each with a thin light edge."""
    shadow, scale = camera.project(pose * [1, 0, 1], frame)
    for parent, joint, _, _, _ in bones:
        draw.line([tuple(shadow[parent]), tuple(shadow[joint])], fill=SHADOW, width=round(0.07 * scale[joint]))
    for point, near in zip(shadow, scale, strict=True):
        _disc(draw, point, 0.035 * near, SHADOW)

    pixels, scale = camera.project(pose, frame)
    edge = 0.012 * scale.mean()
    right_hip, left_hip, right_shoulder, left_shoulder = skeleton.face_joints
    torso = [right_hip, left_hip, left_shoulder, right_shoulder]
    parts = [(scale[torso].mean(), pixels[torso], None, MIDDLE)]
    for parent, joint, wide, narrow, colour in bones:
        radii = wide * scale[parent], narrow * scale[joint]
        parts.append((scale[[parent, joint]].mean(), pixels[[parent, joint]], radii, colour))
    if "head" in skeleton.joint_names:
        head = skeleton.joint_names.index("head")
        neck = skeleton.parents[head]
        axis = pose[head] - pose[neck]
        centre, near = camera.project(pose[head] + 0.07 * axis / max(np.linalg.norm(axis), 1e-6), frame)
        nearest = max(near, scale[head], scale[neck])  # never behind the neck, whose end would show on the face
        parts.append((nearest, np.stack([centre, centre]), (HEAD_RADIUS * near,) * 2, MIDDLE))
    for _, points, radii, colour in sorted(parts, key=lambda part: part[0]):
        if radii is None:
            draw.polygon([tuple(point) for point in points], fill=colour)
        else:
            _capsule(draw, points, np.add(radii, edge), BACKGROUND)
            _capsule(draw, points, radii, colour)


def _disc(draw, centre: np.ndarray, radius: float, colour) -> None:
    draw.ellipse([*(centre - radius), *(centre + radius)], fill=colour)


def _capsule(draw, ends: np.ndarray, radii, colour) -> None:
    """Two discs and what lies between them."""
    along = ends[1] - ends[0]
    side = np.array([-along[1], along[0]]) / max(np.hypot(*along), 1e-6)
    (start, end), (wide, narrow) = ends, radii
    corners = start + side * wide, end + side * narrow, end - side * narrow, start - side * wide
    draw.polygon([tuple(corner) for corner in corners], fill=colour)
    for centre, radius in zip(ends, radii, strict=True):
        _disc(draw, centre, radius, colour)


def _draw_words(draw, pillow, heading: list[str], seconds: float, length: float, size: int) -> None:
    """Title, time, and which colour is which side."""
    font = pillow.ImageFont.load_default(size // 26)
    for line, text in enumerate(heading):
        draw.text((size / 2, size * (0.05 + 0.052 * line)), text, fill=INK, font=font, anchor="mm")
    small = pillow.ImageFont.load_default(size // 38)
    height = size * 0.965
    x = size * 0.04
    for colour, word in ((LEFT, "left"), (RIGHT, "right")):
        _disc(draw, np.array([x, height]), size * 0.008, colour)
        draw.text((x + size * 0.018, height), word, fill=FAINT, font=small, anchor="lm")
        x += size * 0.085
    draw.text((size * 0.96, height), f"{seconds:.1f} / {length:.1f} s", fill=FAINT, font=small, anchor="rm")


def _wrap(title: str | None, font, width: float) -> list[str]:
    """Break a title into at most three lines that fit; what is left over ends in an ellipsis."""
    lines: list[str] = []
    for word in (title or "").split():
        if lines and font.getlength(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    if len(lines) > 3:
        lines = [*lines[:2], lines[2] + " ..."]
    return lines


def _smooth(path: np.ndarray, width: int) -> np.ndarray:
    """Mean over `width` frames on either side, the ends repeated."""
    padded = np.concatenate([path[:1].repeat(width, axis=0), path, path[-1:].repeat(width, axis=0)])
    kernel = np.hanning(2 * width + 3)[1:-1]
    kernel /= kernel.sum()
    return np.stack([np.convolve(column, kernel, mode="valid") for column in padded.T], axis=1)


def _check(joints, skeleton: Skeleton) -> np.ndarray:
    joints = np.asarray(joints, dtype=np.float64)
    if problem := skeleton.problem_with(joints):
        raise ValueError(f"`joints` {problem}.")
    return joints


def _pillow():
    try:
        import PIL.Image
        import PIL.ImageDraw
        import PIL.ImageFont
    except ImportError as error:
        raise ImportError("Drawing needs Pillow; install it with `pip install tm2t_hf[render]`.") from error
    return PIL
