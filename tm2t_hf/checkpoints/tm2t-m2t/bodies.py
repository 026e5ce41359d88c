# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Bodies: the bone lengths of known ones, other proportions of the same skeleton, how tall one is and in which unit.

A body is given by its *offsets*, `(joints, 3)`: the vector of the bone that ends at each joint, in the rest pose, as
`bone_offsets` takes them from a motion and `retarget` gives them to one.
"""

from dataclasses import dataclass

import numpy as np

from .skeletons import HUMANML3D, SKELETONS, Skeleton

# The body that all motions of HumanML3D were retargeted to: that of its clip 012314, an adult of 1.7 m.
_HUMANML3D_LENGTHS = (
    *(0.0, 0.10307, 0.10988, 0.13157, 0.39362, 0.39019, 0.14319, 0.43243, 0.42564, 0.05736, 0.14338),
    *(0.14942, 0.21936, 0.13749, 0.14338, 0.10304, 0.13161, 0.12298, 0.25684, 0.26309, 0.26601, 0.26988),
)
BODIES = {
    "humanml3d": (HUMANML3D.name, np.array(HUMANML3D.directions) * np.array(_HUMANML3D_LENGTHS)[:, None]),
}
MOST_VARIATION = 0.5  # beyond it a body is no human one

METRES_PER_UNIT = {
    "meters": 1.0,
    "centimeters": 0.01,
    "millimeters": 0.001,
    "inches": 0.0254,
    "feet": 0.3048,
    "0.45 inches": 0.0254 / 0.45,  # what the files of the CMU database are measured in
}
_METRIC = ("meters", "centimeters", "millimeters")
ADULT = 1.7  # meters
SHORTEST, TALLEST = 0.95, 2.6  # meters, of people and of figures drawn like them

# Of a standing person's height, the ankles lie 0.04 above the floor and the base of the skull 0.09 below the crown
# (body segment lengths of Drillis and Contini, 1966); the joints of a skeleton span what is between them.
HEIGHT_PER_SPAN = 1.15


def known_offsets(body: str, skeleton: Skeleton) -> np.ndarray | None:
    """Offsets `(joints, 3)` of a body of `BODIES`, in meters; None if there is none of this name for the skeleton."""
    skeleton_name, offsets = BODIES.get(body, (None, None))
    return offsets.copy() if SKELETONS.get(skeleton_name) == skeleton else None


def body_parts(skeleton: Skeleton) -> dict[str, list[int]]:
    """The joints at the ends of the bones of the legs, the arms, the shoulders and the spine (head and hips with it).

    Arms are the last two bones of the chains that begin on another chain, shoulders what comes before these.
    """
    feet = {*skeleton.left_foot, *skeleton.right_foot}
    parts = {"legs": [], "arms": [], "shoulders": [], "spine": []}
    for chain in skeleton.chains:
        if feet.intersection(chain):
            parts["spine"].append(chain[1])  # the hip
            parts["legs"] += chain[2:]
        elif chain[0] == 0:
            parts["spine"] += chain[1:]
        else:
            parts["arms"] += chain[-2:]
            parts["shoulders"] += chain[1:-2]
    return parts


def varied_offsets(
    offsets, skeleton: Skeleton, rng: np.random.Generator, amount: float = 0.2, tilt: float = 4.0
) -> np.ndarray:
    """Another body of the same skeleton: `retarget` a motion to it, and it is as if somebody else performed it.

    Args:
        offsets: `(joints, 3)` of the body to start from.
        skeleton: of the offsets.
        rng: the random source.
        amount: legs, arms, shoulders and spine each become longer or shorter by up to this share, which people keep
            within `MOST_VARIATION`.
        tilt: standard deviation in degrees of the angle by which each bone's rest direction is turned. People (and
            the places where motion-capture systems put the joints) differ in posture, not only in lengths.

    Returns:
        `(joints, 3)` offsets.
    """
    offsets = np.array(offsets, dtype=np.float64)
    scales = np.ones(skeleton.num_joints)
    for joints in body_parts(skeleton).values():
        scales[joints] = 1 + rng.uniform(-amount, amount)
    axes = rng.normal(size=offsets.shape)
    across = np.cross(axes, offsets)  # (joints, 3), perpendicular to the bones
    norm = np.linalg.norm(across, axis=1, keepdims=True)
    across = across / np.where(norm > 0, norm, 1) * np.linalg.norm(offsets, axis=1, keepdims=True)
    angles = np.radians(rng.normal(scale=tilt, size=(skeleton.num_joints, 1)))
    turned = offsets * np.cos(angles) + across * np.sin(angles)
    return turned * scales[:, None]


@dataclass(frozen=True)
class Finding:
    """What was found, and what may be wrong about it (a clause) or None."""

    value: str
    doubt: str | None = None


def body_height(joints: np.ndarray, skeleton: Skeleton) -> float:
    """Height of a person with these bones who stands upright, from the floor to the crown.

    Args:
        joints: `(frames, joints, 3)`, in any unit; bones are as long as they are in the median of the frames.
        skeleton: of these joints.

    Returns:
        The height, in the unit of the joints.
    """
    pose = rest_pose(joints, skeleton)
    legs = pose[0, 1] - pose[:, 1].min()
    trunk, joint = 0.0, _head_joint(skeleton)
    while joint > 0:  # a head that is drawn forward counts like one that is drawn upward
        parent = skeleton.parents[joint]
        trunk += float(np.linalg.norm(pose[joint] - pose[parent]))
        joint = parent
    return max(HEIGHT_PER_SPAN * (float(legs) + trunk), 1e-9)


def check_body(offsets, skeleton: Skeleton, argument: str = "offsets") -> np.ndarray:
    """Bone vectors (joints, 3) of a body in the unit of the skeleton, as float64.

    Raises:
        ValueError: they have another shape, are no finite numbers, or those of nobody; names `argument`.
    """
    wanted = f"({skeleton.num_joints}, 3) bone vectors in the unit of skeleton {skeleton.name}"
    try:
        offsets = np.asarray(offsets, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{argument} must be {wanted}, but holds what is no number.") from None
    if offsets.shape != (skeleton.num_joints, 3):
        raise ValueError(f"{argument} has shape {offsets.shape}, but must be {wanted}.")
    if not np.isfinite(offsets).all():
        raise ValueError(f"{argument} must be {wanted}, but holds NaN or infinite values.")
    pose = np.zeros_like(offsets)
    for chain in skeleton.chains:
        for parent, joint in zip(chain, chain[1:], strict=False):
            pose[joint] = pose[parent] + offsets[joint]
    height = body_height(pose[None], skeleton) * skeleton.metres_per_unit
    if not SHORTEST / 3 <= height <= 3 * TALLEST:  # any figure; other units are ten times as large or small
        raise ValueError(
            f"{argument} must be {wanted}, but those are of a body {height:.3g} meters tall: are they in another unit?"
        )
    return offsets


def find_unit(joints: np.ndarray, skeleton: Skeleton) -> Finding:
    """The key of `METRES_PER_UNIT` in which a body of `(frames, joints, 3)` has the height of a person.

    Meters, centimeters and millimeters are preferred: they lie so far apart that children are told from giants.

    Raises:
        ValueError: a clause: the height is that of a person in none of the units.
    """
    height = body_height(joints, skeleton)
    fitting = [unit for unit, meters in METRES_PER_UNIT.items() if SHORTEST <= height * meters <= TALLEST]
    if not fitting:
        raise ValueError(
            f"its body is {height:.4g} tall, a person's height in none of {', '.join(METRES_PER_UNIT)}; give the "
            "length of its unit in meters (unit=)"
        )
    metric = [unit for unit in fitting if unit in _METRIC]
    unit = min(metric or fitting, key=lambda unit: abs(np.log(height * METRES_PER_UNIT[unit] / ADULT)))
    if metric and len(fitting) == 1:
        return Finding(unit)
    return Finding(unit, f"the unit seems to be {unit} by the height of the body; if not, pass unit (--unit)")


def rest_pose(joints: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """`(joints, 3)`: the bones of this body, as long as they are in the median of the frames, in the rest pose."""
    parents = np.array(skeleton.parents)
    bones = joints[:, 1:] - joints[:, parents[1:]]
    lengths = np.median(np.linalg.norm(bones, axis=-1), axis=0)  # (joints - 1,)
    return _joined(np.array(skeleton.directions) * np.append(0, lengths)[:, None], skeleton)


def top_joint(skeleton: Skeleton) -> int:
    """The joint that is highest in the rest pose: the head, or the neck where the head is drawn forward."""
    return int(_joined(np.array(skeleton.directions), skeleton)[:, 1].argmax())


def _head_joint(skeleton: Skeleton) -> int:
    """The end of the chain that reaches the top."""
    top = top_joint(skeleton)
    return next(chain[-1] for chain in skeleton.chains if top in chain)


def _joined(bones: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Bone vectors (joints, 3) -> places of the joints (joints, 3), the root at the origin."""
    return np.stack(skeleton.join_bones(np.zeros(3), bones))


__all__ = [
    "ADULT",
    "BODIES",
    "METRES_PER_UNIT",
    "MOST_VARIATION",
    "Finding",
    "body_height",
    "body_parts",
    "check_body",
    "find_unit",
    "known_offsets",
    "rest_pose",
    "top_joint",
    "varied_offsets",
]
