# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""How tall a body is, by its bones and whatever its pose, and the unit that its joints are measured in."""

from dataclasses import dataclass

import numpy as np

from .skeletons import Skeleton

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
    return Finding(unit, f"the unit seems to be {unit} by the height of the body, or else pass unit=")


def rest_pose(joints: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """`(joints, 3)`: the bones of this body, as long as they are in the median of the frames, in the rest pose."""
    parents = np.array(skeleton.parents)
    bones = joints[:, 1:] - joints[:, parents[1:]]
    lengths = np.median(np.linalg.norm(bones, axis=-1), axis=0)  # (joints - 1,)
    return _summed(np.array(skeleton.directions[1:]) * lengths[:, None], skeleton)


def top_joint(skeleton: Skeleton) -> int:
    """The joint that is highest in the rest pose: the head, or the neck where the head is drawn forward."""
    return int(_summed(np.array(skeleton.directions[1:]), skeleton)[:, 1].argmax())


def _head_joint(skeleton: Skeleton) -> int:
    """The end of the chain that reaches the top."""
    top = top_joint(skeleton)
    return next(chain[-1] for chain in skeleton.chains if top in chain)


def _summed(bones: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Bone vectors (joints - 1, 3) -> places of the joints (joints, 3), the root at the origin."""
    places = np.zeros((skeleton.num_joints, 3))
    for chain in skeleton.chains:
        for parent, joint in zip(chain, chain[1:], strict=False):
            places[joint] = places[parent] + bones[joint - 1]
    return places


__all__ = ["ADULT", "METRES_PER_UNIT", "Finding", "body_height", "find_unit", "rest_pose", "top_joint"]
