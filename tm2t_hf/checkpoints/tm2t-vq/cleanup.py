# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Clean feet: generated joints smoothed, put on the floor, and with feet that stand where they touch it.

Everything works on joints (frames, joints, 3) in meters, y up, with the ground at y = 0, as the models make them.
Bones get their median length and keep it.
"""

import numpy as np

from .skeletons import HUMANML3D, Skeleton

CONTACT_HEIGHT = 0.06  # meters above the floor below which a toe can be in contact
SLOW, FAST = 0.4, 0.8  # meters per second: a contact is below the first at some time, below the second at all
SHORTEST_CONTACT = 0.1  # seconds
BLEND_SECONDS = 0.2  # over which a foot returns to its own path after a contact
SMOOTHING_SECONDS = 0.2  # width of the window; a parabola in it keeps the extent of fast movements
REACH = 0.999  # share of its length that a leg stretches to at most, which keeps its knee from flipping


def clean_motion(joints: np.ndarray, skeleton: Skeleton = HUMANML3D, fps: float = 20.0) -> np.ndarray:
    """Smooth a motion, lift it out of the ground, and lock its feet while they are in contact with it.

    Args:
        joints: (frames, joints, 3) in meters, y up, ground at y = 0.
        skeleton: skeleton of the joints.
        fps: frames per second.

    Returns:
        The cleaned joints, of the same shape, float32.

    Raises:
        ValueError: if the joints are not a motion of the skeleton.
    """
    joints = np.asarray(joints, dtype=np.float64)
    skeleton.check(joints)
    lengths = bone_lengths(joints, skeleton)
    contacts = foot_contacts(joints, skeleton, fps)
    joints = with_bone_lengths(smoothed(joints, fps), lengths, skeleton)
    joints = lifted(joints, fps)
    for leg, contact in zip(legs(skeleton), contacts.T, strict=True):
        joints = with_locked_foot(joints, leg, contact, lengths, fps)
    return joints.astype(np.float32)


def legs(skeleton: Skeleton) -> list[tuple[int, ...]]:
    """The left and the right leg: hip, knee, ankle and the joints of the foot, the toe last."""
    paths = []
    for toe in (skeleton.left_foot[1], skeleton.right_foot[1]):
        path = [toe]
        while skeleton.parents[path[0]] > 0:
            path.insert(0, skeleton.parents[path[0]])
        paths.append(tuple(path))
    return paths


def foot_contacts(joints: np.ndarray, skeleton: Skeleton, fps: float) -> np.ndarray:
    """Where the left and the right toe are in contact with the ground: (frames, 2) bool.

    A contact holds a slow moment of a low toe and lasts as long as the toe is neither fast nor high (hysteresis), so
    that neither noise nor a rolling foot breaks it.
    """
    toes = joints[:, [leg[-1] for leg in legs(skeleton)]]  # (frames, 2, 3)
    steps = np.linalg.norm(np.diff(toes[..., [0, 2]], axis=0), axis=-1) * fps  # (frames - 1, 2)
    speeds = np.minimum(np.concatenate([steps, steps[-1:]]), np.concatenate([steps[:1], steps])) if len(steps) else 0.0
    low = toes[..., 1] < CONTACT_HEIGHT
    possible, sure = low & (speeds < FAST), low & (speeds < SLOW)
    contacts = np.zeros_like(low)
    for foot in range(low.shape[1]):
        for start, end in _runs(possible[:, foot]):
            if end - start >= SHORTEST_CONTACT * fps and sure[start:end, foot].any():
                contacts[start:end, foot] = True
    return contacts


def with_locked_foot(
    joints: np.ndarray, leg: tuple[int, ...], contact: np.ndarray, lengths: np.ndarray, fps: float
) -> np.ndarray:
    """The motion with one foot held at its mean place during each contact; the knee follows by inverse kinematics.

    Args:
        joints: (frames, joints, 3) with constant bone lengths.
        leg: hip, knee, ankle and the joints of the foot.
        contact: (frames,) bool.
        lengths: (joints,) of the bone that ends at each joint.
        fps: frames per second.
    """
    runs = _runs(contact)
    if not runs:
        return joints
    hip, knee, ankle, *foot = leg
    toe = joints[:, leg[-1]]
    frames = np.arange(len(joints))[:, None]
    shift = np.zeros_like(toe)  # (frames, 3)
    for start, end in runs:
        place = toe[start:end].mean(0)
        shift[start:end] += place - toe[start:end]
        first, last = place - toe[start], place - toe[end - 1]  # (3,)
        shift[:start] += first * _fade((start - frames[:start]) / _blend_frames(first, fps))
        shift[end:] += last * _fade((frames[end:] - end + 1) / _blend_frames(last, fps))
    target = joints[:, ankle] + shift
    # a foot that the leg does not reach stays as near as it does
    reach = REACH * (lengths[knee] + lengths[ankle])
    way = target - joints[:, hip]
    distance = np.linalg.norm(way, axis=-1, keepdims=True)
    target = joints[:, hip] + way * np.minimum(1, reach / np.maximum(distance, 1e-9))
    moved = joints.copy()
    moved[:, [ankle, *foot]] += (target - joints[:, ankle])[:, None]
    moved[:, knee] = _knee(joints[:, hip], joints[:, knee], target, lengths[knee], lengths[ankle])
    return moved


def lifted(joints: np.ndarray, fps: float) -> np.ndarray:
    """The whole body raised, smoothly, where it is below the ground."""
    depth = np.maximum(0, -joints[..., 1].min(1))  # (frames,)
    radius = max(1, round(BLEND_SECONDS * fps / 2))
    # the largest of a window, then its mean: smooth, and never less than needed
    rise = _windows(_windows(depth, radius).max(-1), radius).mean(-1)
    return joints + np.array([0, 1, 0]) * rise[:, None, None]


def smoothed(joints: np.ndarray, fps: float) -> np.ndarray:
    """Each coordinate replaced by the parabola through the frames around it (Savitzky and Golay, 1964)."""
    radius = min(max(1, round(SMOOTHING_SECONDS * fps / 2)), (len(joints) - 1) // 2)
    if radius < 2:  # a parabola through three points is exact
        return joints
    offsets = np.arange(-radius, radius + 1)
    kernel = np.linalg.pinv(np.stack([offsets**0, offsets, offsets**2], axis=1))[0]  # (window,)
    flat = joints.reshape(len(joints), -1)
    # the ends are mirrored through the end points, so that a steady movement stays one
    head, tail = 2 * flat[:1] - flat[radius:0:-1], 2 * flat[-1:] - flat[-2 : -radius - 2 : -1]
    padded = np.concatenate([head, flat, tail])
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * radius + 1, axis=0)  # (frames, values, window)
    return (windows @ kernel).reshape(joints.shape)


def bone_lengths(joints: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """(joints,): the median length of the bone that ends at each joint; 0 for the root."""
    bones = joints[:, 1:] - joints[:, list(skeleton.parents[1:])]
    return np.concatenate([[0.0], np.median(np.linalg.norm(bones, axis=-1), axis=0)])


def with_bone_lengths(joints: np.ndarray, lengths: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """The motion with bones of the same directions, but of the lengths (joints,)."""
    restored = joints.copy()
    for chain in skeleton.chains:
        for parent, joint in zip(chain, chain[1:], strict=False):
            bone = joints[:, joint] - joints[:, parent]
            norm = np.maximum(np.linalg.norm(bone, axis=-1, keepdims=True), 1e-9)
            restored[:, joint] = restored[:, parent] + bone * (lengths[joint] / norm)
    return restored


def _knee(hip: np.ndarray, knee: np.ndarray, ankle: np.ndarray, thigh: float, shin: float) -> np.ndarray:
    """Place of a knee (frames, 3) between a hip and an ankle, bent to the side that it was bent to."""
    way = ankle - hip
    distance = np.maximum(np.linalg.norm(way, axis=-1, keepdims=True), 1e-9)
    along = way / distance
    distance = np.clip(distance, abs(thigh - shin) + 1e-9, thigh + shin - 1e-9)
    projection = (thigh**2 - shin**2 + distance**2) / (2 * distance)
    height = np.sqrt(np.maximum(thigh**2 - projection**2, 0))
    side = knee - hip
    side = side - along * (side * along).sum(-1, keepdims=True)
    return hip + along * projection + height * side / np.maximum(np.linalg.norm(side, axis=-1, keepdims=True), 1e-9)


def _blend_frames(shift: np.ndarray, fps: float) -> np.ndarray:
    """Frames over which the coordinates of a shift (3,) fade: a foot held down is let go sooner, to swing freely."""
    is_down = shift * [0, 1, 0] < 0
    return np.maximum(1.0, np.where(is_down, BLEND_SECONDS / 2, BLEND_SECONDS) * fps)


def _fade(share: np.ndarray) -> np.ndarray:
    """1 at 0, 0 from 1 on, level at both ends."""
    return 0.5 * (1 + np.cos(np.pi * np.clip(share, 0, 1)))


def _runs(values: np.ndarray) -> list[tuple[int, int]]:
    """First and one past the last index of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], values, [False]]).astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def _windows(values: np.ndarray, radius: int) -> np.ndarray:
    """(frames,) -> (frames, 2 * radius + 1), the ends repeated."""
    return np.lib.stride_tricks.sliding_window_view(np.pad(values, radius, mode="edge"), 2 * radius + 1)


__all__ = ["clean_motion", "foot_contacts"]
