# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Bodies as data: the bone lengths of known ones, and other proportions of the same skeleton.

A body is given by its *offsets*, `(joints, 3)`: the vector of the bone that ends at each joint, in the rest pose, as
`bone_offsets` takes them from a motion and `retarget` gives them to one.
"""

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
        amount: legs, arms, shoulders and spine each become longer or shorter by up to this share.
        tilt: standard deviation in degrees of the angle by which each bone's rest direction is turned. People (and
            the places where motion-capture systems put the joints) differ in posture, not only in lengths.

    Returns:
        `(joints, 3)` offsets.

    Raises:
        ValueError: for an amount below 0 or above `MOST_VARIATION`.
    """
    if not 0 <= amount <= MOST_VARIATION:
        raise ValueError(f"The variation of bodies is {amount:g}, but must be between 0 and {MOST_VARIATION:g}.")
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


__all__ = ["BODIES", "MOST_VARIATION", "body_parts", "known_offsets", "varied_offsets"]
