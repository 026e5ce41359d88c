# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Known bodies, and bodies of other proportions."""

import numpy as np
import pytest

from tm2t_hf.bodies import BODIES, body_parts, known_offsets, varied_offsets
from tm2t_hf.motion import HUMANML3D, KIT, bone_offsets, joints_to_features, retarget
from tm2t_hf.toy import make_toy_clip


def lengths(offsets):
    return np.linalg.norm(offsets, axis=-1)


def test_the_body_of_humanml3d_is_that_of_its_clip_012314(data_dir):
    joints = np.load(data_dir / "humanml3d_sample" / "new_joints" / "012314.npy")
    np.testing.assert_allclose(known_offsets("humanml3d", HUMANML3D), bone_offsets(joints, HUMANML3D), atol=1e-5)


def test_known_offsets_are_a_copy_of_a_body_of_this_skeleton():
    offsets = known_offsets("humanml3d", HUMANML3D)
    offsets += 1
    assert not np.array_equal(offsets, known_offsets("humanml3d", HUMANML3D))
    assert known_offsets("humanml3d", KIT) is None
    assert known_offsets("nobody", HUMANML3D) is None
    assert list(BODIES) == ["humanml3d"]


@pytest.mark.parametrize("skeleton", [HUMANML3D, KIT], ids=lambda skeleton: skeleton.name)
def test_every_bone_belongs_to_one_part(skeleton):
    parts = body_parts(skeleton)
    assert sorted(sum(parts.values(), [])) == list(range(1, skeleton.num_joints))
    names = {part: {skeleton.joint_names[joint] for joint in joints} for part, joints in parts.items()}
    assert {"left_elbow", "right_wrist"} <= names["arms"] and {"left_knee", "right_toe"} <= names["legs"]
    assert "head" in names["spine"] and {"left_hip", "right_hip"} <= names["spine"]
    assert "left_shoulder" in names["shoulders"]


def test_varied_bodies_stay_within_the_amount_and_parts_change_together():
    offsets = known_offsets("humanml3d", HUMANML3D)
    scales = []
    for seed in range(20):
        varied = varied_offsets(offsets, HUMANML3D, np.random.default_rng(seed), amount=0.2)
        scale = lengths(varied)[1:] / lengths(offsets)[1:]
        assert (scale > 0.8 - 1e-9).all() and (scale < 1.2 + 1e-9).all()
        for joints in body_parts(HUMANML3D).values():
            np.testing.assert_allclose(scale[np.array(joints) - 1], scale[joints[0] - 1])
        scales.append(scale)
    assert np.ptp(scales, axis=0).min() > 0.2
    same = varied_offsets(offsets, HUMANML3D, np.random.default_rng(0), amount=0, tilt=0)
    np.testing.assert_allclose(same, offsets)
    with pytest.raises(ValueError, match=r"variation of bodies is 0.6, but must be between 0 and 0.5"):
        varied_offsets(offsets, HUMANML3D, np.random.default_rng(0), amount=0.6)


def test_retargeting_takes_back_what_other_lengths_changed():
    """Whoever performs a motion, retargeted to one body it has nearly the same features."""
    joints, _ = make_toy_clip("walk", np.random.default_rng(0))
    offsets = known_offsets("humanml3d", HUMANML3D)
    wanted = joints_to_features(retarget(joints, HUMANML3D, offsets), HUMANML3D)
    other = varied_offsets(bone_offsets(joints, HUMANML3D), HUMANML3D, np.random.default_rng(1), tilt=0)
    performed = retarget(joints, HUMANML3D, other)
    assert np.abs(joints_to_features(performed, HUMANML3D) - joints_to_features(joints, HUMANML3D)).max() > 0.05
    found = joints_to_features(retarget(performed, HUMANML3D, offsets), HUMANML3D)
    np.testing.assert_allclose(found[:, 4:-4], wanted[:, 4:-4], atol=2e-3)
