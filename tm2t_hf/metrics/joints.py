# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Scores of joints: what people see in an animation."""

from collections.abc import Sequence

import numpy as np

from .arrays import Array, as_array, check_pairs, mean

CONTACT_HEIGHT = 0.025  # meters; a lower toe counts as standing, as in Zhang et al. (SIGGRAPH 2018)


def joint_scores(
    predictions: Sequence[Array], skeleton, references: Sequence[Array] | None = None
) -> dict[str, float]:
    """What shows in an animation, each the mean over the clips.

    Args:
        predictions: a list of (frames, joints, 3), meters, y up, ground at y = 0.
        skeleton: a `tm2t_hf.Skeleton`.
        references: the motions that the predictions should be, likewise. The shorter of a pair cuts the other.

    Returns:
        `foot_sliding` (m/s), `ground_penetration` (mm), and with references `root_relative_error` (mm), `global_error`
        (mm) and `acceleration_error` (m/s²).
    """
    if not len(predictions):
        raise ValueError("there is no motion to score.")
    if references is not None and len(predictions) != len(references):
        raise ValueError(f"{len(predictions)} predictions, {len(references)} references: give one reference each.")
    rows = []
    for i, motion in enumerate(predictions):
        row = {"foot_sliding": foot_sliding(motion, skeleton), "ground_penetration": 1000 * ground_penetration(motion)}
        if references is not None:
            frames = min(len(motion), len(references[i]))
            pair = motion[:frames], references[i][:frames]
            row["root_relative_error"] = 1000 * joint_error(*pair, root_relative=True)
            row["global_error"] = 1000 * joint_error(*pair)
            row["acceleration_error"] = acceleration_error(*pair, skeleton.fps)
        rows.append(row)
    return {name: mean(row[name] for row in rows) for name in rows[0]}


def joint_error(prediction: Array, reference: Array, root_relative: bool = False) -> float:
    """Mean distance of two motions' joints, (frames, joints, 3); `root_relative` puts every root at the origin."""
    prediction, reference = as_array(prediction), as_array(reference)
    check_pairs(prediction, reference, "prediction", "reference")
    if root_relative:
        prediction, reference = (joints - joints[:, :1] for joints in (prediction, reference))
    return float(np.linalg.norm(prediction - reference, axis=-1).mean())


def acceleration_error(prediction: Array, reference: Array, fps: float) -> float:
    """Mean difference of the joints' accelerations, m/s² for joints in meters; 0 for clips below three frames."""
    prediction, reference = as_array(prediction), as_array(reference)
    check_pairs(prediction, reference, "prediction", "reference")
    return acceleration(prediction - reference, fps)


def acceleration(joints: Array, fps: float) -> float:
    """Mean acceleration of joints (frames, joints, 3), m/s² for meters; 0 for clips below three frames."""
    if len(joints) < 3:
        return 0.0
    return float(np.linalg.norm(np.diff(as_array(joints), n=2, axis=0), axis=-1).mean() * fps**2)


def foot_sliding(joints: Array, skeleton, height: float = CONTACT_HEIGHT) -> float:
    """Mean speed over the ground, meters per second, of toes that are lower than `height` meters twice in a row.

    0 for a motion whose toes never stand.
    """
    toes = [skeleton.left_foot[1], skeleton.right_foot[1]]
    toes = as_array(joints)[:, toes]  # (frames, 2, 3)
    standing = toes[..., 1] < height
    standing = standing[1:] & standing[:-1]
    speeds = np.linalg.norm(np.diff(toes[..., [0, 2]], axis=0), axis=-1) * skeleton.fps
    return float(speeds[standing].mean()) if standing.any() else 0.0


def ground_penetration(joints: Array) -> float:
    """Mean over the frames of the lowest joint's depth below y = 0, in meters; 0 where it is above."""
    return float(np.maximum(0, -as_array(joints)[..., 1].min(-1)).mean())
