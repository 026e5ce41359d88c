# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The judge of actions and styles: what it reaches on real motions, what it must not depend on, and its training."""

import sys

import bandai_namco.judge as script
import numpy as np
import pytest
import torch
from bandai_namco.judge import ActionStyleJudge, describe, disturb, pad, shares, smooth_noise, standing
from bandai_namco.labels import mirror_action

from tm2t_hf.bodies import known_offsets
from tm2t_hf.data import read_split
from tm2t_hf.motion import HUMANML3D, features_to_joints, joints_to_features, mirror_joints, retarget


@pytest.fixture(scope="module")
def judge():
    return ActionStyleJudge.from_folder()


@pytest.fixture(scope="module")
def real(data_dir):
    joints, labels = script.load(data_dir / "bandai_namco", "test")
    offsets = known_offsets("humanml3d", HUMANML3D)
    return [retarget(clip, HUMANML3D, offsets) for clip in joints], labels  # on the body that the judge knows


def walk(frames, seed=0, rate=0.3):
    """Joints of a figure that sways and goes ahead."""
    rng = np.random.default_rng(seed)
    pose = rng.normal(0, 0.3, (22, 3)) + [0, 1, 0]
    pose[[1, 16], 0], pose[[2, 17], 0] = 0.5, -0.5
    sway = np.sin(rate * np.arange(frames)[:, None, None] + rng.uniform(0, 6, (22, 3)))
    return (pose + 0.1 * sway + np.arange(frames)[:, None, None] * [0, 0, 0.03]).astype(np.float32)


def test_real_motions_are_judged_right(judge, real):
    joints, labels = real
    action, style = shares(judge.judge(joints), labels)
    assert action >= 0.97 and style >= 0.95


def test_motions_that_went_through_features_are_judged_alike(judge, real):
    joints, labels = real
    decoded = [features_to_joints(joints_to_features(clip, HUMANML3D), 22)[: len(clip) // 4 * 4] for clip in joints]
    action, style = shares(judge.judge(decoded), labels)
    assert action >= 0.97 and style >= 0.95


def test_shaken_motions_are_judged_right(judge, real):
    joints, labels = real
    rng = np.random.default_rng(0)
    action, style = shares(judge.judge([clip + smooth_noise(len(clip), 0.015, rng) for clip in joints]), labels)
    assert action >= 0.96 and style >= 0.94


def test_mirrored_motions_get_mirrored_actions(judge, real):
    joints, labels = real
    mirrored = [(mirror_action(action), style) for action, style in labels]
    action, style = shares(judge.judge([mirror_joints(clip, HUMANML3D) for clip in joints]), mirrored)
    assert action >= 0.96 and style >= 0.93


def test_motions_that_do_something_else_are_judged_wrong(judge, real):
    joints, labels = real
    frozen = [np.repeat(clip[:1], len(clip), 0) for clip in joints]
    backwards = [clip[::-1] for clip, (action, _) in zip(joints, labels, strict=True) if action in ("walk", "run")]
    assert shares(judge.judge(frozen), labels)[0] < 0.3
    assert not {"run"} & {action for action, _ in judge.judge(backwards)}


def test_place_heading_and_floor_do_not_matter(judge):
    clip = walk(60)
    cos, sin = np.cos(2.0), np.sin(2.0)
    turned = clip @ np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]], np.float32) + [3, 0.5, -2]
    (first, mask), (second, _) = pad([standing(clip)]), pad([standing(turned)])
    torch.testing.assert_close(describe(first), describe(second), atol=1e-4, rtol=0)
    for a, b in zip(judge.networks[0](first, mask), judge.networks[0](second, mask), strict=True):
        torch.testing.assert_close(a, b, atol=1e-2, rtol=0)


def test_a_clip_does_not_depend_on_its_batch(judge):
    clips = [standing(walk(frames, seed)) for seed, frames in enumerate((33, 80, 41))]
    together = judge.networks[0](*pad(clips))
    for i, clip in enumerate(clips):
        for batch, alone in zip(together, judge.networks[0](*pad([clip])), strict=True):
            torch.testing.assert_close(batch[i], alone[0], atol=1e-4, rtol=0)
    assert judge.judge(clips, batch_size=2) == [judge.judge([clip])[0] for clip in clips]
    assert judge.judge([]) == []


def test_saved_and_loaded(tmp_path):
    torch.manual_seed(0)
    fresh = ActionStyleJudge(["walk", "run"], ["sad", "happy"], networks=2).eval()
    fresh.save(tmp_path)
    clips = [walk(40, seed) for seed in range(5)]
    assert ActionStyleJudge.from_folder(tmp_path).judge(clips) == fresh.judge(clips)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["judge.safetensors", "labels.json"]


def test_the_shipped_weights_are_small():
    assert sum(path.stat().st_size for path in script.SHIPPED.iterdir()) < 3e6


@pytest.mark.parametrize(
    "joints, message",
    [
        (np.zeros((30, 21, 3)), r"\(30, 21, 3\)"),
        (np.zeros((3, 22, 3)), "4 frames or more, not 3"),
        (np.zeros((30, 263)), r"\(30, 263\)"),
        (np.full((30, 22, 3), np.nan), "NaN or infinite"),
    ],
)
def test_joints_that_do_not_fit_are_named(judge, joints, message):
    with pytest.raises(ValueError, match=message):
        judge.judge([joints])


def test_disturbed_clips_stay_near_the_clip():
    clip = walk(60, rate=0.1)
    for seed in range(20):
        disturbed = disturb(clip, np.random.default_rng(seed))
        assert disturbed.dtype == np.float32 and np.isfinite(disturbed).all()
        assert len(disturbed) % 4 == 0 and 44 <= len(disturbed) <= 64
        # the pose, at about the same moment; noise up to 20 mm, a shift of up to 4 frames of the swaying
        poses = [joints - joints[:, :1] for joints in (disturbed, clip)]
        middle = [pose[len(pose) // 2] for pose in poses]
        assert np.linalg.norm(middle[0] - middle[1], axis=-1).mean() < 0.15


def test_training_from_the_command_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "new_joints").mkdir()
    ids = {"train": [], "val": [], "test": []}
    for number in range(32):
        action, rate = (("run", 1.5), ("walk", 0.15))[number % 2]
        clip_id = f"bn2_{action}_normal_{number:03d}"
        np.save(tmp_path / "new_joints" / f"{clip_id}.npy", walk(40 + number % 5, seed=7, rate=rate))
        ids["train" if number < 24 else "val" if number < 28 else "test"].append(clip_id)
    for split, names in ids.items():
        (tmp_path / f"{split}.txt").write_text("\n".join(names) + "\n")
    out = tmp_path / "out"
    flags = f"--data_dir {tmp_path} --output_dir {out} --networks 1 --epochs 12 --batch_size 8 --learning_rate 5e-3"
    monkeypatch.setattr(sys, "argv", ["judge.py", *flags.split()])
    script.main()
    assert "real test clips: action 1.000, style 1.000" in capsys.readouterr().out
    joints, labels = script.load(tmp_path, "test")
    assert len(labels) == len(read_split(tmp_path, "test")) == 4
    assert ActionStyleJudge.from_folder(out).judge(joints) == labels
