# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Joints -> a GIF of a figure on a floor, drawn with Pillow alone (no ffmpeg, no display).

Left limbs are blue, right limbs orange, spine and head dark. The floor has a line each half meter, the figure a shadow
and the path of its root. The camera stands still, or moves along with a figure that travels far, without ever turning.
"""

from collections.abc import Iterator
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

UNCHANGED = 127  # in a GIF's palette: the color that lets the frame before show through
SUPERSAMPLING = 2  # drawn at this multiple of the size and reduced, which smooths every edge
TALLEST_FPS = 50  # viewers slow GIFs of shorter frame times down
FLOOR_METRES = 5.0  # the floor ends this far from what the camera looks at
NEAREST = 0.4  # meters before the camera where the floor's lines end
FOLLOW_METRES = 3.0  # a path that reaches further is followed by the camera
LIMB_RADIUS, TIP_RADIUS, HEAD_RADIUS = 0.055, 0.032, 0.105  # meters
CAP_CORNERS = 9  # of the half circle that ends a limb
WORDS_HEIGHT = 0.965  # of the picture: the row of the legend and the time


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
        joints: (frames, joints, 3) in meters, y up.
        path: file to write.
        fps: frames a second. GIF times are hundredths of a second, kept exact over the whole motion; above 50 fps
            frames are left out, because viewers do not show more.
        title: text above the figure, wrapped; usually the caption.
        skeleton: skeleton of the joints.
        size: width and height in pixels.

    Raises:
        ImportError: without Pillow.
        ValueError: for joints of another shape or skeleton, NaN or infinite values, or no frames.
    """
    joints = checked_joints(joints, skeleton)
    if not fps > 0:
        raise ValueError(f"fps={fps} must be above 0.")
    stride = int(np.ceil(fps / TALLEST_FPS))
    joints = joints[::stride]
    ends = np.round(np.arange(len(joints) + 1) * stride * 100 / fps).astype(int)  # hundredths of a second
    scene = _Scene(joints, fps / stride, title, skeleton, size)
    # the last frame has the whole path, whose color is its own
    palette = _common_palette([scene.draw(frame) for frame in (*range(0, len(joints), max(1, len(joints) // 4)), -1)])
    # one by one: memory for all of them would take longer than drawing them
    frames = (scene.draw(frame).quantize(palette=palette, dither=0) for frame in range(len(joints)))
    with written_beside(path) as part, open(part, "wb") as file:
        for block in _gif_blocks(frames, np.diff(ends) * 10):
            file.write(block)


def _common_palette(frames: list):
    """An image whose palette is learned from RGB images side by side, so that no color flickers."""
    pillow = _pillow()
    width, height = frames[0].size
    sheet = pillow.Image.new("RGB", (width * len(frames), height))
    for index, frame in enumerate(frames):
        sheet.paste(frame, (index * width, 0))
    third = sheet.resize((sheet.width // 3, height // 3), pillow.Image.Resampling.NEAREST)  # holds the same colors
    return third.quantize(UNCHANGED, dither=0)


def _gif_blocks(frames: Iterator, durations: np.ndarray) -> Iterator[bytes]:
    """The bytes of a GIF in which each frame holds only the box that changes, and the palette is there once.

    `Image.save` writes the same, but searches every frame again for the colors that it uses and gives it a palette.

    Args:
        frames: images of one palette of at most `UNCHANGED` colors.
        durations: milliseconds for each.
    """
    pillow = _pillow()
    before = next(frames)
    first = before.copy()
    colors = first.getpalette()[: 3 * UNCHANGED]
    first.putpalette(colors + [0] * (3 * (UNCHANGED + 1) - len(colors)))
    yield from pillow.GifImagePlugin.getheader(first, info={"loop": 0})[0]
    box, changed, duration = (0, 0, *first.size), first, durations[0]
    for after, milliseconds in zip(frames, durations[1:], strict=True):
        difference = pillow.ImageChops.subtract_modulo(after, before)
        before = after
        if difference.getbbox() is None:
            duration += milliseconds
            continue
        yield from _frame_blocks(changed, box, duration)
        box, duration = difference.getbbox(), milliseconds
        changed = after.crop(box)
        changed.paste(UNCHANGED, mask=difference.crop(box).point([255] + [0] * 255, "1"))  # compresses well
    yield from _frame_blocks(changed, box, duration)
    yield b";"


def _frame_blocks(image, box: tuple[int, int, int, int], milliseconds: int) -> list[bytes]:
    return _pillow().GifImagePlugin.getdata(
        image, box[:2], duration=int(milliseconds), transparency=UNCHANGED, disposal=1
    )


def draw_motion(
    joints: np.ndarray, fps: float = 20.0, title: str | None = None, skeleton: Skeleton = HUMANML3D, size: int = 480
) -> list:
    """The frames of `save_gif` as Pillow images (RGB, size x size)."""
    joints = checked_joints(joints, skeleton)
    scene = _Scene(joints, fps, title, skeleton, size)
    return [scene.draw(frame) for frame in range(len(joints))]


class _Scene:
    """All that there is to draw of a motion."""

    def __init__(self, joints: np.ndarray, fps: float, title: str | None, skeleton: Skeleton, size: int):
        joints = joints - [0, floor_height(joints), 0]
        big = size * SUPERSAMPLING
        heading = _wrap(title, _pillow().ImageFont.load_default(big // 26), big * 0.92)
        top = big * (0.04 + 0.052 * len(heading))
        self.fps, self.length = fps, len(joints)
        self.camera = _Camera.fit(joints, skeleton, big, top, big * 0.93)
        self.floor = _Floor(self.camera, size)
        paths = (_RootPath(joints[:, 0], self.camera, walked) for walked in (False, True))
        self.parts = [*paths, _Figure(joints, skeleton, self.camera)]
        self.words = _Words(heading, (len(joints) - 1) / fps, size)
        self.ground, self.target = None, None  # the floor with the words, and what the camera looks at there

    def draw(self, frame: int):
        """The picture of one frame; -1 is the last."""
        frame %= self.length
        target = self.camera.targets[frame]
        if self.ground is None or (target != self.target).any():
            self.ground, self.target = self.floor.draw(frame), target
            self.words.draw(self.ground)
        image = self.ground.copy()
        self.words.draw_time(image, frame / self.fps)
        for part in self.parts:
            _draw_part(image, part, frame)
        return image


def _draw_part(image, part, frame: int) -> None:
    """Draw into the box that holds the part, enlarged; reduced again, its edges are smooth."""
    pillow = _pillow()
    low, high, draw = part.at(frame)
    left, top, right, bottom = box = _pixels_of(low, high, image.width)
    if left == right or top == bottom:
        return
    size = (right - left) * SUPERSAMPLING, (bottom - top) * SUPERSAMPLING
    large = image.crop(box).resize(size, pillow.Image.Resampling.NEAREST)
    draw(pillow.ImageDraw.Draw(large), np.array([left, top]) * SUPERSAMPLING)
    image.paste(large.reduce(SUPERSAMPLING), (left, top))


def _pixels_of(low: np.ndarray, high: np.ndarray, size: int) -> tuple[int, int, int, int]:
    """The part of the picture that holds a box of supersampled pixels: left, top, right, bottom."""
    low = np.clip(np.floor(low / SUPERSAMPLING) - 1, 0, size)
    high = np.clip(np.ceil(high / SUPERSAMPLING) + 2, low, size)
    return (*low.astype(int).tolist(), *high.astype(int).tolist())


@dataclass
class _Camera:
    """A perspective camera that looks at `targets[frame]`; it never turns."""

    right: np.ndarray  # (3,) unit vectors of the picture's axes; `toward` points from the target to the camera
    up: np.ndarray
    toward: np.ndarray
    targets: np.ndarray  # (frames, 3)
    distance: float
    focal: float  # pixels
    center: np.ndarray  # (2,) pixels

    @classmethod
    def fit(cls, joints: np.ndarray, skeleton: Skeleton, size: int, top: float, bottom: float) -> "_Camera":
        """The nearest camera that keeps every joint of every frame between `top` and `bottom` of the picture."""
        azimuth, elevation = viewing_azimuth(joints, skeleton), np.radians(14)
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

    def project(self, points: np.ndarray, frame: int | slice) -> tuple[np.ndarray, np.ndarray]:
        """(..., 3) meters -> (..., 2) pixels and (...) pixels per meter there; behind the camera that is 0.

        With a slice of frames, (frames, points, 3) -> (frames, points, 2) and (frames, points).
        """
        target = self.targets[frame]
        points = points - (target[:, None] if isinstance(frame, slice) else target)
        depth = self.distance - points @ self.toward
        scale = np.where(depth > NEAREST / 2, self.focal / np.maximum(depth, NEAREST / 2), 0)
        x, y = points @ self.right, points @ self.up
        return self.center + np.stack([x * scale, -y * scale], axis=-1), scale

    def floor_distance(self, pixels: np.ndarray) -> np.ndarray:
        """(..., 2) pixels -> (...) meters on the floor from the target to what is seen there; above the horizon inf.

        The camera moves only along the floor, so that this is the same in every frame.
        """
        # coordinate by coordinate in single precision: a picture has many pixels
        x, y = np.moveaxis(((pixels - self.center) / self.focal).astype(np.float32), -1, 0)
        rays = [
            x * np.float32(r) - y * np.float32(u) - np.float32(t)
            for r, u, t in zip(self.right, self.up, self.toward, strict=True)
        ]
        height = np.float32(self.targets[0, 1] + self.distance * self.toward[1])
        with np.errstate(divide="ignore"):
            length = np.where(rays[1] < -1e-9, height / -rays[1], np.inf)
        near = length < 1e6
        seen = (self.distance * self.toward[axis] + np.where(near, length, 0) * rays[axis] for axis in (0, 2))
        return np.where(near, np.hypot(*seen), np.inf)


def viewing_azimuth(joints: np.ndarray, skeleton: Skeleton) -> float:
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


class _Floor:
    """Lines that fade with the distance from what the camera looks at."""

    def __init__(self, camera: _Camera, size: int):
        self.camera, self.size = camera, size
        rows, columns = np.mgrid[:size, :size]
        distance = camera.floor_distance((np.stack([columns, rows], axis=-1) + 0.5) * SUPERSAMPLING)
        strength = np.round(255 * np.clip(1.1 - distance / FLOOR_METRES, 0, 1)).astype(np.uint8)
        self.top = int(np.append(np.flatnonzero(strength.any(axis=1)), size - 1)[0])  # the first row with floor in it
        self.strength = _pillow().Image.fromarray(strength[self.top :])
        ramp = np.linspace(BACKGROUND, FLOOR_LINE, 256)
        self.palette = np.round(ramp).astype(np.uint8).ravel().tolist()

    def draw(self, frame: int):
        """A new picture with the floor in it."""
        pillow = _pillow()
        mask = pillow.Image.new("L", (self.size * SUPERSAMPLING, (self.size - self.top) * SUPERSAMPLING))
        draw = pillow.ImageDraw.Draw(mask)
        for line in self._lines(frame).tolist():
            draw.line(line, fill=255, width=2)
        mask = pillow.ImageChops.multiply(mask.reduce(SUPERSAMPLING), self.strength)
        mask.putpalette(self.palette)
        picture = pillow.Image.new("RGB", (self.size, self.size), BACKGROUND)
        picture.paste(mask.convert("RGB"), (0, self.top))
        return picture

    def _lines(self, frame: int) -> np.ndarray:
        """(lines, 4) supersampled pixels: x and y of both ends, cut off where the floor has faded or is too near."""
        camera = self.camera
        target = camera.targets[frame]
        middle = np.round(target * 2) / 2
        places = np.arange(-FLOOR_METRES, FLOOR_METRES + 0.01, 0.5)
        ends = np.zeros((2, len(places), 2, 3))  # (x or z, line, end, x y z)
        for lines, across, along in zip(ends, (0, 2), (2, 0), strict=True):
            lines[..., across] = (places + middle[across])[:, None]
            to_target = lines[:, 0, across] - target[across]
            reach = np.sqrt(np.maximum((1.1 * FLOOR_METRES) ** 2 - to_target**2, 0))
            low, high = middle[along] + places[[0, -1]]
            lines[..., along] = np.clip(target[along] + reach[:, None] * [-1, 1], low, high)
        ends = ends.reshape(-1, 2, 3)
        # Where a line passes the camera, it ends just before.
        depth = camera.distance - (ends - target) @ camera.toward  # (lines, end)
        ends, depth = ends[(depth > NEAREST).any(axis=1)], depth[(depth > NEAREST).any(axis=1)]
        cut = np.clip((depth - NEAREST) / (depth - depth[:, ::-1] + 1e-9), 0, 1) * (depth < NEAREST)
        ends = ends + cut[..., None] * (ends[:, ::-1] - ends)
        pixels = camera.project(ends, frame)[0]  # (lines, end, 2)
        seen = (pixels.max(axis=1) > 0) & (pixels.min(axis=1) < self.size * SUPERSAMPLING)
        return pixels[seen.all(axis=1)].reshape(-1, 4) - [0, self.top * SUPERSAMPLING] * 2


class _RootPath:
    """The root's path on the floor: walked dark, still ahead light. Two parts, whose boxes are smaller than one."""

    def __init__(self, root: np.ndarray, camera: _Camera, walked: bool):
        self.camera, self.walked = camera, walked
        self.points = root * [1, 0, 1]
        kept = [0]  # frames at least a centimeter apart: what lies between would not be seen
        for frame in range(1, len(root)):
            if np.hypot(*(self.points[frame] - self.points[kept[-1]])[[0, 2]]) > 0.01:
                kept.append(frame)
        self.kept = np.array(kept)

    def at(self, frame: int) -> tuple:
        """Low and high corner (2,) of what is drawn, in supersampled pixels, and the function that draws it."""
        here = np.searchsorted(self.kept, frame)
        kept = self.kept[:here] if self.walked else self.kept[here:][::-1]
        pixels, scale = self.camera.project(self.points[[*kept, frame]], frame)
        width = max(2, round(0.025 * scale[-1]))

        def draw(draw, origin):
            _line(draw, pixels - origin, width, PATH if self.walked else PATH_AHEAD)

        return pixels.min(axis=0) - width, pixels.max(axis=0) + width, draw


def _line(draw, pixels: np.ndarray, width: int, color) -> None:
    """A line through (points, 2) pixels, round where it bends."""
    if len(pixels) < 2:
        return
    draw.line(pixels.ravel().tolist(), fill=color, width=width)
    angles = np.arctan2(*np.diff(pixels, axis=0).T)
    bends = np.abs((np.diff(angles) + np.pi) % (2 * np.pi) - np.pi) > np.radians(10)
    for corner in pixels[1:-1][bends]:
        draw.ellipse([*(corner - width / 2), *(corner + width / 2)], fill=color)


def bones_of(skeleton: Skeleton) -> list[tuple[int, int, float, float, tuple[int, int, int]]]:
    """(parent, joint, radius at each in meters, color): limbs taper towards the tips of their chains."""
    bones = []
    for chain in skeleton.chains:
        radii = np.linspace(LIMB_RADIUS, TIP_RADIUS, len(chain))
        for place in range(1, len(chain)):
            name = skeleton.joint_names[chain[place]]
            color = LEFT if name.startswith("left") else RIGHT if name.startswith("right") else MIDDLE
            bones.append((chain[place - 1], chain[place], radii[place - 1], radii[place], color))
    return bones


class _Figure:
    """Shadow, then limbs and head from the farthest to the nearest, each with a thin light edge.

    All frames are projected at once: `shapes` are outlines (frames, shapes, corners, 2) in supersampled pixels, in the
    order in which they are drawn, and `colors` has theirs.
    """

    def __init__(self, joints: np.ndarray, skeleton: Skeleton, camera: _Camera):
        bones = bones_of(skeleton)
        parents, ends = np.array([bone[:2] for bone in bones]).T
        wide, narrow = np.array([bone[2:4] for bone in bones]).T
        every = slice(None)

        pixels, scale = camera.project(joints * [1, 0, 1], every)
        shadow = _capsules(pixels[:, parents], pixels[:, ends], 0.035 * scale[:, parents], 0.035 * scale[:, ends])

        pixels, scale = camera.project(joints, every)
        edge = 0.012 * scale.mean(axis=1, keepdims=True)
        starts, stops = pixels[:, parents], pixels[:, ends]
        radii = wide * scale[:, parents], narrow * scale[:, ends]
        depths = [*scale[:, [parents, ends]].mean(axis=1).T]
        inner, outer = ([*np.moveaxis(_capsules(starts, stops, *(r + e for r in radii)), 1, 0)] for e in (0, edge))
        colors = [bone[4] for bone in bones]
        if "head" in skeleton.joint_names:
            head = skeleton.joint_names.index("head")
            neck = skeleton.parents[head]
            axis = joints[:, head] - joints[:, neck]
            axis = axis / np.maximum(np.linalg.norm(axis, axis=-1, keepdims=True), 1e-6)
            center, near = camera.project((joints[:, head] + 0.07 * axis)[:, None], every)
            inner.append(_capsules(center, center, HEAD_RADIUS * near, HEAD_RADIUS * near)[:, 0])
            outer.append(_capsules(center, center, HEAD_RADIUS * near + edge, HEAD_RADIUS * near + edge)[:, 0])
            # never behind the neck, whose end would show on the face
            depths.append(np.maximum(near[:, 0], scale[:, [head, neck]].max(axis=1)))
            colors.append(MIDDLE)
        right_hip, left_hip, right_shoulder, left_shoulder = skeleton.face_joints
        torso = [right_hip, left_hip, left_shoulder, right_shoulder]
        # without an edge, and with as many corners as the others have, the last of them in one place
        corners = pixels[:, torso + torso[-1:] * (shadow.shape[2] - len(torso))]
        inner.append(corners)
        outer.append(corners)
        depths.append(scale[:, torso].mean(axis=1))

        order = np.argsort(np.stack(depths, axis=1), axis=1, kind="stable")  # (frames, parts)
        parts = np.stack([np.stack(outer, axis=1), np.stack(inner, axis=1)], axis=2)  # (frames, parts, 2, corners, 2)
        parts = np.take_along_axis(parts, order[:, :, None, None, None], axis=1)
        self.shapes = np.concatenate([shadow, parts.reshape(len(joints), -1, *parts.shape[3:])], axis=1)
        pairs = [*((BACKGROUND, color) for color in colors), (MIDDLE, MIDDLE)]
        self.colors = [
            [SHADOW] * len(bones) + [color for part in row for color in pairs[part]] for row in order.tolist()
        ]

    def at(self, frame: int) -> tuple:
        """Low and high corner (2,) of what is drawn, in supersampled pixels, and the function that draws it."""
        shapes = self.shapes[frame]

        def draw(draw, origin):
            outlines = (shapes - origin).reshape(len(shapes), -1).tolist()
            for outline, color in zip(outlines, self.colors[frame], strict=True):
                draw.polygon(outline, fill=color)

        return shapes.min(axis=(0, 1)), shapes.max(axis=(0, 1)), draw


def _capsules(starts: np.ndarray, ends: np.ndarray, start_radii: np.ndarray, end_radii: np.ndarray) -> np.ndarray:
    """Outlines (..., corners, 2) of what two discs and the band between them cover; points (..., 2), radii (...)."""
    along = ends - starts
    length = np.linalg.norm(along, axis=-1, keepdims=True)
    along = np.where(length > 1e-6, along / np.maximum(length, 1e-6), [1.0, 0.0])
    side = np.stack([-along[..., 1], along[..., 0]], axis=-1)
    angles = np.radians(np.linspace(-90, 90, CAP_CORNERS))
    # (..., corners, 2): half a circle around the end, then half a circle around the start
    arc = np.cos(angles)[:, None] * along[..., None, :] + np.sin(angles)[:, None] * side[..., None, :]
    end_caps = ends[..., None, :] + end_radii[..., None, None] * arc
    start_caps = starts[..., None, :] - start_radii[..., None, None] * arc
    return np.concatenate([end_caps, start_caps], axis=-2)


class _Words:
    """Title, time, and which color is which side: masks of text, made once."""

    def __init__(self, heading: list[str], length: float, size: int):
        font, small = (_pillow().ImageFont.load_default(size * SUPERSAMPLING // part) for part in (26, 38))
        self.length, self.size, self.small = length, size, small
        self.stamps = [(INK, *self._text(0.5, 0.05 + 0.052 * i, line, font, "mm")) for i, line in enumerate(heading)]
        x = 0.04
        for color, word in ((LEFT, "left"), (RIGHT, "right")):
            self.stamps.append((color, *self._dot(x)))
            self.stamps.append((FAINT, *self._text(x + 0.018, WORDS_HEIGHT, word, small, "lm")))
            x += 0.085
        self.times: dict[str, tuple] = {}  # one for each tenth of a second

    def draw(self, image) -> None:
        for color, corner, mask in self.stamps:
            image.paste(color, corner, mask)

    def draw_time(self, image, seconds: float) -> None:
        time = f"{seconds:.1f} / {self.length:.1f} s"
        if time not in self.times:
            self.times[time] = self._text(0.96, WORDS_HEIGHT, time, self.small, "rm")
        image.paste(FAINT, *self.times[time])

    def _text(self, x: float, y: float, text: str, font, anchor: str) -> tuple:
        place = np.array([x, y]) * self.size * SUPERSAMPLING
        left, top, right, bottom = font.getbbox(text, anchor=anchor)
        box = place + [[left, top], [right, bottom]]
        return self._mask(
            box, lambda draw, origin: draw.text(place - origin, text, fill=255, font=font, anchor=anchor)
        )

    def _dot(self, x: float) -> tuple:
        place, radius = np.array([x, WORDS_HEIGHT]) * self.size * SUPERSAMPLING, 0.008 * self.size * SUPERSAMPLING
        box = np.stack([place - radius, place + radius])
        return self._mask(box, lambda draw, origin: draw.ellipse((box - origin).ravel().tolist(), fill=255))

    def _mask(self, box: np.ndarray, paint) -> tuple[tuple[int, int], object]:
        """What `paint(draw, origin)` draws into a box of supersampled pixels: its corner in the picture and a mask."""
        pillow = _pillow()
        left, top, right, bottom = _pixels_of(*box, self.size)
        mask = pillow.Image.new("L", ((right - left) * SUPERSAMPLING, (bottom - top) * SUPERSAMPLING))
        paint(pillow.ImageDraw.Draw(mask), np.array([left, top]) * SUPERSAMPLING)
        return (left, top), mask.reduce(SUPERSAMPLING)


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


def floor_height(joints: np.ndarray) -> float:
    """Height in meters of the floor under joints (frames, joints, 3): where the feet mostly are."""
    return float(np.percentile(joints[..., 1].min(axis=1), 5))


def checked_joints(joints, skeleton: Skeleton) -> np.ndarray:
    """Joints (frames, joints, 3) as float64; a ValueError for another shape, no frames, NaN or infinite values."""
    joints = np.asarray(joints, dtype=np.float64)
    skeleton.check(joints)
    return joints


def _pillow():
    try:
        import PIL.GifImagePlugin
        import PIL.Image
        import PIL.ImageChops
        import PIL.ImageDraw
        import PIL.ImageFont
    except ImportError as error:
        raise ImportError("Drawing needs Pillow; in the clone of tm2t_hf, run `pip install -e .[render]`.") from error
    return PIL
