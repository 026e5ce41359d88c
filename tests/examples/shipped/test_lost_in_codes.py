# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Clips whose action is lost in the codes."""

import numpy as np
import pytest
from shipped import lost_in_codes

from tm2t_hf.toy import make_toy_dataset


@pytest.fixture
def joints(tmp_path):
    make_toy_dataset(tmp_path / "toy", num_clips=10)
    clips = sorted((tmp_path / "toy" / "new_joints").iterdir())[:3]
    return [np.load(path)[: 40 + 7 * number] for number, path in enumerate(clips)]


@pytest.fixture
def vq(vq_model, feature_extractor, tmp_path):
    """A saved motion VQ."""
    vq_model.save_pretrained(tmp_path / "vq")
    feature_extractor.save_pretrained(tmp_path / "vq")
    return str(tmp_path / "vq")


def test_many_are_rebuilt_as_each_alone(vq, joints, tmp_path):
    arguments = lost_in_codes.Arguments(data_dir=str(tmp_path), vq=vq, batch_size=2)
    together = lost_in_codes.rebuild(joints, arguments)
    for motion, made in zip(joints, together, strict=True):
        (alone,) = lost_in_codes.rebuild([motion], arguments)
        assert len(made) == (len(motion) - 1) // 4 * 4  # features are one frame fewer
        np.testing.assert_allclose(made, alone, atol=1e-4)


def test_what_is_printed(vq, joints, tmp_path, monkeypatch, capsys):
    clips = ["bn1_bow_sad_001", "bn1_kick_normal_001", "cmu_07_01_001137"]
    (tmp_path / "new_joints").mkdir()
    for clip, motion in zip(clips, joints, strict=True):
        np.save(tmp_path / "new_joints" / f"{clip}.npy", motion)
    (tmp_path / "train.txt").write_text("\n".join(clips))
    monkeypatch.setattr(lost_in_codes.ActionStyleJudge, "judge", lambda judge, seen: [("bow", "happy")] * len(seen))
    lost_in_codes.main(["--data_dir", str(tmp_path), "--vq", vq])
    assert capsys.readouterr().out == "bn1_kick_normal_001\n"
