# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The same motion by other performers."""

import numpy as np
import pytest
from evaluation.bodies import PERFORMANCES, Performance, load_original_joints, performed

from tm2t_hf import HUMANML3D
from tm2t_hf.bodies import body_parts
from tm2t_hf.motion import bone_offsets
from tm2t_hf.toy import make_toy_clip


@pytest.fixture
def joints():
    return make_toy_clip("walk", np.random.default_rng(0))[0]


def lengths(joints):
    return np.linalg.norm(bone_offsets(joints, HUMANML3D), axis=1)


def test_parts_and_the_whole_figure_are_scaled(joints):
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(performed(joints, Performance(), HUMANML3D, rng), joints)
    taller = performed(joints, Performance(1.3), HUMANML3D, rng)
    np.testing.assert_allclose(taller, joints * 1.3)
    legs = performed(joints, Performance(parts={"legs": 1.2}), HUMANML3D, rng)
    scales = np.ones(22)
    scales[body_parts(HUMANML3D)["legs"]] = 1.2
    np.testing.assert_allclose(lengths(legs)[1:], (lengths(joints) * scales)[1:], rtol=1e-4)


def test_noise_and_standing_still(joints):
    rng = np.random.default_rng(0)
    noise = performed(joints, Performance(jitter=0.01), HUMANML3D, rng) - joints
    assert noise.std() == pytest.approx(0.01, rel=0.1)
    still = performed(joints, Performance(still_seconds=1), HUMANML3D, rng)
    assert len(still) == len(joints) + 40
    np.testing.assert_array_equal(still[20:-20], joints)
    assert (still[:20] == joints[0]).all() and (still[-20:] == joints[-1]).all()


def test_every_performance_is_another_motion(joints):
    shapes = set()
    for how in PERFORMANCES.values():
        motion = performed(joints, how, HUMANML3D, np.random.default_rng(0))
        assert np.isfinite(motion).all()
        shapes.add(motion.tobytes())
    assert len(shapes) == len(PERFORMANCES)


def test_original_joints_have_to_be_there(joints, tmp_path):
    (tmp_path / "new_joints").mkdir()
    np.save(tmp_path / "new_joints" / "a.npy", joints)
    np.save(tmp_path / "new_joints" / "b.npy", joints[:, :5])
    (found,) = load_original_joints(str(tmp_path), ["a"], HUMANML3D)
    np.testing.assert_array_equal(found, joints)
    with pytest.raises(SystemExit, match=r"--bodies .*c\.npy is missing"):
        load_original_joints(str(tmp_path), ["a", "c"], HUMANML3D)
    with pytest.raises(SystemExit, match=r"--bodies .*b\.npy has shape"):
        load_original_joints(str(tmp_path), ["b"], HUMANML3D)
