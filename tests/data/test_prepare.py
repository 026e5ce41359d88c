# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Preparing a folder (resumed, copied, retargeted), and all that `check` finds wrong with one."""

import re
import sys
from dataclasses import replace

import numpy as np
import pytest

from tm2t_hf import MotionFeatureExtractor
from tm2t_hf.bodies import known_offsets
from tm2t_hf.data import check, load_motion_dataset, prepare
from tm2t_hf.motion import HUMANML3D, KIT, bias_std, bone_offsets, feature_statistics, joints_to_features, resample
from tm2t_hf.toy import make_toy_clip

CLIPS = {"a": "walk", "b": "wave-left", "c": "bow", "d": "kick-right"}


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "data"
    for name in ("new_joints", "texts"):
        (folder / name).mkdir(parents=True)
    for number, (clip, action) in enumerate(CLIPS.items()):
        joints, captions = make_toy_clip(action, np.random.default_rng(number))
        np.save(folder / "new_joints" / f"{clip}.npy", joints * (1.1 if clip == "b" else 1.0))
        (folder / "texts" / f"{clip}.txt").write_text("".join(f"{said}#x/X#0.0#0.0\n" for said in captions))
    for split, clips in (("train", "ab"), ("val", "c"), ("test", "d"), ("all", "abcd")):
        (folder / f"{split}.txt").write_text("\n".join(clips))
    return folder


def joints_of(folder, clip):
    return np.load(folder / "new_joints" / f"{clip}.npy")


def features_of(folder, clip):
    return np.load(folder / "new_joint_vecs" / f"{clip}.npy")


def test_features_and_statistics_of_the_train_split(folder):
    assert prepare(folder) == folder
    for clip in CLIPS:
        wanted = joints_to_features(joints_of(folder, clip), HUMANML3D)
        np.testing.assert_array_equal(features_of(folder, clip), wanted)
    mean, std = feature_statistics([features_of(folder, clip) for clip in "ab"], HUMANML3D)
    np.testing.assert_array_equal(np.load(folder / "Mean.npy"), mean)
    np.testing.assert_array_equal(np.load(folder / "Std.npy"), std)
    assert check(folder) == []
    assert not list(folder.rglob(".*"))


def test_interrupted_run_goes_on(folder, monkeypatch):
    def dies_at_the_third(joints, skeleton, done=[]):  # noqa: B006
        done.append(1)
        if len(done) == 3:
            raise KeyboardInterrupt
        return joints_to_features(joints, skeleton)

    with monkeypatch.context() as context:
        context.setattr(sys.modules["tm2t_hf.data.prepare"], "joints_to_features", dies_at_the_third)
        with pytest.raises(KeyboardInterrupt):
            prepare(folder)
    assert sorted(path.name for path in (folder / "new_joint_vecs").iterdir()) == ["a.npy", "b.npy"]
    finished = (folder / "new_joint_vecs" / "a.npy").stat().st_mtime_ns
    prepare(folder)
    assert (folder / "new_joint_vecs" / "a.npy").stat().st_mtime_ns == finished
    assert check(folder) == []


def test_given_features_and_statistics_are_kept_unless_told(folder):
    prepare(folder)
    for path in (folder / "Mean.npy", folder / "new_joint_vecs" / "a.npy"):
        np.save(path, np.load(path) + 1)
    mean, features = np.load(folder / "Mean.npy"), features_of(folder, "a")
    prepare(folder)
    np.testing.assert_array_equal(np.load(folder / "Mean.npy"), mean)
    np.testing.assert_array_equal(features_of(folder, "a"), features)
    prepare(folder, overwrite=True)
    np.testing.assert_allclose(features_of(folder, "a"), features - 1, atol=1e-6)
    assert not np.allclose(np.load(folder / "Mean.npy"), mean)


def test_another_folder_is_complete(folder, tmp_path):
    (folder / "LICENSE").write_text("CC BY-NC 4.0")
    target = prepare(folder, tmp_path / "deep" / "prepared")
    assert check(target) == []
    assert not (folder / "new_joint_vecs").exists()
    assert len(load_motion_dataset(target, "all")) == 4
    assert (target / "LICENSE").read_text() == "CC BY-NC 4.0"
    np.testing.assert_array_equal(joints_of(target, "b"), joints_of(folder, "b"))


def test_retargeting_gives_every_clip_the_bones_of_one(folder, tmp_path):
    with pytest.raises(ValueError, match="Retargeting changes the joints: give an output_dir"):
        prepare(folder, retarget_to="a")
    target = prepare(folder, tmp_path / "prepared", retarget_to="a")
    wanted = bone_offsets(joints_of(folder, "a"), HUMANML3D)
    assert np.abs(bone_offsets(joints_of(folder, "b"), HUMANML3D) - wanted).max() > 0.01
    for clip in CLIPS:
        np.testing.assert_allclose(bone_offsets(joints_of(target, clip), HUMANML3D), wanted, atol=1e-5)
        wanted_features = joints_to_features(joints_of(target, clip), HUMANML3D)
        np.testing.assert_allclose(features_of(target, clip), wanted_features, atol=1e-6)


def test_a_retargeted_folder_keeps_its_body(folder, tmp_path):
    target = prepare(folder, tmp_path / "prepared", retarget_to="humanml3d")
    offsets = known_offsets("humanml3d", HUMANML3D)
    np.testing.assert_array_equal(np.load(target / "Offsets.npy"), offsets)
    for clip in CLIPS:
        np.testing.assert_allclose(bone_offsets(joints_of(target, clip), HUMANML3D), offsets, atol=1e-5)
    extractor = MotionFeatureExtractor.from_data_dir(target)
    np.testing.assert_array_equal(extractor.offsets, offsets)
    values = extractor(joints_of(folder, "b"))["motion_values"][0]  # of another body
    np.testing.assert_allclose(values, extractor.normalize(features_of(target, "b")), atol=1e-2)
    assert MotionFeatureExtractor.from_data_dir(target, offsets=None).offsets is None

    again = prepare(target, tmp_path / "again")
    np.testing.assert_array_equal(np.load(again / "Offsets.npy"), offsets)
    np.save(target / "Offsets.npy", offsets[:3])
    with pytest.raises(ValueError, match=r"Offsets.npy must hold the 22 bone vectors of the humanml3d skeleton"):
        MotionFeatureExtractor.from_data_dir(target)


def test_unusable_folders(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere has no joints"):
        prepare(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="has no split file dev.txt"):
        prepare(folder, train_split="dev")
    with pytest.raises(FileNotFoundError, match="e.npy is missing"):
        prepare(folder, tmp_path / "out", retarget_to="e")
    with pytest.raises(
        ValueError,
        match=r"a.npy has shape \(\d+, 22, 3\), but joints of the kit .* \(frames, 21, 3\)",
    ):
        prepare(folder, skeleton=KIT)
    np.save(folder / "new_joints" / "c.npy", np.full((30, 22, 3), np.nan))
    with pytest.raises(ValueError, match="c.npy holds NaN or infinite values"):
        prepare(folder)
    np.save(folder / "new_joints" / "c.npy", np.zeros((30, 22, 3)))
    with pytest.raises(ValueError, match="c.npy has bones without length, first in frame 0"):
        prepare(folder)
    np.save(folder / "new_joints" / "c.npy", make_toy_clip("bow", np.random.default_rng(0))[0][:1])
    with pytest.raises(ValueError, match="c.npy has 1 frame, but features need two"):
        prepare(folder)
    (folder / "new_joints" / "b.npy").unlink()
    with pytest.raises(FileNotFoundError, match="b.npy is missing, but train.txt names it"):
        prepare(folder)


def test_check_says_everything_at_once(folder):
    prepare(folder)
    vecs = folder / "new_joint_vecs"
    features = features_of(folder, "a")
    np.save(vecs / "a.npy", np.where(features > 1, np.inf, features))
    np.save(vecs / "b.npy", features_of(folder, "b")[:3])
    np.save(vecs / "c.npy", np.zeros((50, 251)))
    (vecs / "d.npy").write_bytes(b"no array")
    (folder / "texts" / "a.txt").write_text(" #x/X#0.0#0.0\n")
    (folder / "texts" / "b.txt").unlink()
    (folder / "texts" / "c.txt").write_text("bows#x/X#3.0#1.0\n")
    (folder / "texts" / "d.txt").write_bytes(b"\xff\xfe#x/X#0.0#0.0\n")
    (folder / "val.txt").write_text("a\nc\nz\n")
    (folder / "test.txt").unlink()
    np.save(folder / "Mean.npy", np.zeros(251))
    problems = check(folder)
    expected = [
        "has no split file test.txt",
        "1 clip is in both train.txt and val.txt: a.",
        "NaN or infinite features: a.",
        "Shorter than one motion token (4 frames): b.",
        "Features of shape (frames, 251), but humanml3d needs (frames, 263): c.",
        "Not a readable .npy file of numbers in new_joint_vecs: d.",
        "No file in new_joint_vecs for clips of the split files: z.",
        "No file in new_joints for clips of the split files: z.",
        "Features of another length than the joints: b.",
        "line 1: the caption '' has no words",
        "No text file: b, z.",
        "start and end tags name no part of the clip: c.",
        "d.txt is not UTF-8 text",
        "Mean.npy has shape (251,), but the humanml3d skeleton has 263 features",
    ]
    for sentence in expected:
        assert sum(sentence in problem for problem in problems) == 1, (sentence, problems)
    assert len(problems) == len(expected) - 1, "both text files that cannot be used are in one sentence"


def test_check_sees_joints_of_another_world(folder):
    for path in (folder / "new_joints").glob("*.npy"):
        np.save(path, 100 * np.load(path)[..., [0, 2, 1]])
    problems = check(folder)
    assert any("apart along z, not y" in problem for problem in problems)
    assert any("of the wrong size: humanml3d joints are in meters" in problem for problem in problems)
    assert any("make them with `tm2t-hf prepare" in problem for problem in problems)
    assert len(problems) == 3
    for path in (folder / "new_joints").glob("*.npy"):
        np.save(path, np.load(path)[:, :21])
    assert any("new_joints has shape (frames, 21, 3)" in problem for problem in check(folder))


def test_check_of_nothing(tmp_path):
    assert check(tmp_path / "nowhere") == [f"There is no data folder {tmp_path / 'nowhere'}."]
    problems = check(tmp_path)
    assert len(problems) == 6
    assert any("no joints in new_joints to make features from" in problem for problem in problems)


def test_many_clips_with_one_problem_share_a_sentence(folder):
    for path in (folder / "texts").glob("*.txt"):
        path.unlink()
    assert "No text file: a, b, c and 1 more." in check(folder)


CHANGES = {
    "y down": (lambda w: w * [1, -1, -1], "has its head below its feet"),
    "z up": (lambda w: w[..., [0, 2, 1]] * [1, -1, 1], "apart along z, not y"),
    "shuffled": (lambda w: w[:, np.random.default_rng(0).permutation(22)], "another order"),
    "hundredths": (lambda w: w / 100, "multiply them by 100"),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_prepare_and_check_find_the_same(folder, kind, caplog):
    change, message = CHANGES[kind]
    for path in (folder / "new_joints").glob("*.npy"):
        np.save(path, change(np.load(path)))
    with caplog.at_level("WARNING", logger="tm2t_hf.data"):
        prepare(folder)
    (problem,) = check(folder)
    assert message in problem and problem.endswith(": a, b, c and 1 more.")
    assert caplog.messages == [problem]


def test_one_person_who_lies_down_is_no_problem(folder):
    for number in range(20):
        np.save(folder / "new_joints" / f"more{number}.npy", joints_of(folder, "a"))
    np.save(folder / "new_joints" / "d.npy", joints_of(folder, "d")[..., [0, 2, 1]] * [1, -1, 1])
    prepare(folder)
    assert check(folder) == []


def test_check_judges_features_where_there_are_no_joints(folder):
    prepare(folder)
    mean, std = np.load(folder / "Mean.npy"), np.load(folder / "Std.npy")
    for clip in CLIPS:
        np.save(folder / "new_joint_vecs" / f"{clip}.npy", (features_of(folder, clip) - mean) / (std / 5))
    assert any("new_joint_vecs has foot contacts that are far from 0 and 1" in problem for problem in check(folder))


def test_sub_folders_and_names_with_spaces(folder, tmp_path):
    for name in ("new_joints", "texts"):
        (folder / name / "s1").mkdir()
        for path in (folder / name).glob("*.*"):
            path.rename(path.with_name("s1") / f"long {path.name}")
    for split, clips in (("train", "ab"), ("val", "c"), ("test", "d"), ("all", "abcd")):
        (folder / f"{split}.txt").write_text("".join(f"s1/long {clip}\n" for clip in clips))
    for target in (tmp_path / "elsewhere", None):
        prepared = prepare(folder, target)
        assert check(prepared) == []
        assert list(load_motion_dataset(prepared, "train", min_frames=4)["id"]) == ["s1/long a", "s1/long b"]


def test_joints_at_another_rate_are_resampled(folder, tmp_path):
    slow = {clip: features_of(prepare(folder), clip) for clip in CLIPS}
    for clip in CLIPS:
        np.save(folder / "new_joints" / f"{clip}.npy", resample(joints_of(folder, clip), 20, 60))
    with pytest.raises(ValueError, match="Resampling changes the joints: give an output_dir"):
        prepare(folder, fps=60)
    target = prepare(folder, tmp_path / "prepared", fps=60)
    for clip in CLIPS:
        np.testing.assert_allclose(features_of(target, clip), slow[clip], atol=1e-4)
    with pytest.raises(ValueError, match="prepared was prepared with fps 60.*, now it is 20"):
        prepare(folder, target)
    for fps in (0.001, float("inf"), float("nan"), -20):
        with pytest.raises(ValueError, match="must be a number from 1 to 1000"):
            prepare(folder, tmp_path / "other", fps=fps)


def test_statistics_that_came_with_the_data_are_kept(folder):
    for name, value in (("Mean.npy", 0.25), ("Std.npy", 2.0)):
        np.save(folder / name, np.full(263, value, dtype=np.float32))
    prepare(folder)
    (folder / "new_joint_vecs" / "a.npy").unlink()
    prepare(folder)
    assert np.load(folder / "Mean.npy").max() == 0.25 and np.load(folder / "Std.npy").max() == 2
    prepare(folder, overwrite=True)
    assert np.load(folder / "Mean.npy").max() != 0.25


@pytest.mark.parametrize("killed_in", ["feature_statistics", "save_array", "_write_record"])
def test_a_run_killed_before_the_statistics_leaves_no_stale_ones(folder, killed_in, monkeypatch):
    prepare(folder)
    fresh = np.load(folder / "Mean.npy")
    joints = joints_of(folder, "a")
    np.save(folder / "new_joints" / "a.npy", joints * 1.05)
    (folder / "new_joint_vecs" / "a.npy").unlink()
    module = sys.modules["tm2t_hf.data.prepare"]
    original = getattr(module, killed_in)

    def dies(*args):
        late = killed_in != "_write_record" or (folder / "new_joint_vecs" / "a.npy").exists()
        if late and (killed_in != "save_array" or args[0].name == "Mean.npy"):
            raise KeyboardInterrupt
        return original(*args)

    with monkeypatch.context() as context:
        context.setattr(module, killed_in, dies)
        with pytest.raises(KeyboardInterrupt):
            prepare(folder)
    prepare(folder)
    wanted, _ = feature_statistics([features_of(folder, clip) for clip in "ab"], HUMANML3D)
    np.testing.assert_array_equal(np.load(folder / "Mean.npy"), wanted)
    assert not np.array_equal(wanted, fresh)


def test_own_statistics_follow_the_train_split(folder):
    prepare(folder)
    (folder / "train.txt").write_text("a\nb\nc\n")
    (folder / "val.txt").write_text("d\n")
    prepare(folder)
    wanted, _ = feature_statistics([features_of(folder, clip) for clip in "abc"], HUMANML3D)
    np.testing.assert_array_equal(np.load(folder / "Mean.npy"), wanted)


def test_more_joints_than_the_skeleton_has(folder):
    for path in (folder / "new_joints").glob("*.npy"):
        joints = np.load(path)
        np.save(path, np.concatenate([joints, joints[:, :2]], axis=1))
    with pytest.raises(ValueError, match=r"take the first 22: joints\[:, :22\]"):
        prepare(folder)
    assert any("take the first 22" in problem for problem in check(folder))


def test_check_survives_every_kind_of_file(folder):
    prepare(folder)
    joints = folder / "new_joints"
    with open(joints / "a.npy", "wb") as file:
        np.savez(file, joints_of(folder, "b"))
    np.save(joints / "b.npy", np.full((30, 22, 3), "x"))
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 22, 3), }"
    (joints / "c.npy").write_bytes(b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little") + header.ljust(117) + b"\n")
    np.save(joints / "d.npy", joints_to_features(make_toy_clip("bow", np.random.default_rng(0))[0], HUMANML3D) * 1j)
    (folder / "new_joint_vecs" / "a.npy").write_bytes(b"")
    (folder / "Std.npy").write_bytes(b"")
    (folder / "texts" / "b.txt").write_text("bows#x/X#0.0#inf\n")
    (folder / "texts" / "c.txt").write_text("?!#x/X#0.0#0.0\n")
    problems = check(folder)
    for expected in (
        "Not a readable .npy file of numbers in new_joints: a, b, c and 1 more.",
        "Not a readable .npy file of numbers in new_joint_vecs: a.",
        "Std.npy is not a whole .npy file",
        "start and end are seconds, not infinite",
        "the caption '?!' has no words",
    ):
        assert sum(expected in problem for problem in problems) == 1, problems


def test_the_first_joints_of_smpl_where_asked(folder, tmp_path):
    expected = {clip: joints_of(folder, clip) for clip in CLIPS}
    for clip, joints in expected.items():
        np.save(folder / "new_joints" / f"{clip}.npy", np.concatenate([joints, joints[:, 20:] + 0.1], axis=1))
    with pytest.raises(ValueError, match=r"has shape \(\d+, 24, 3\)"):
        prepare(folder)
    with pytest.raises(ValueError, match="Leaving joints out changes the joints: give an output_dir"):
        prepare(folder, smpl_order=True)
    with pytest.raises(ValueError, match="The first joints of SMPL are those of humanml3d, not of kit"):
        prepare(folder, tmp_path / "kit", skeleton=KIT, smpl_order=True)
    target = prepare(folder, tmp_path / "prepared", smpl_order=True, retarget_to=None)
    assert check(target) == []
    for clip, joints in expected.items():
        np.testing.assert_array_equal(joints_of(target, clip), joints)


@pytest.mark.parametrize("elsewhere", [False, True])
def test_features_of_joints_that_changed_are_made_again(folder, tmp_path, elsewhere, caplog):
    """Another motion of the same length, which nothing but its content tells from the first."""
    target = prepare(folder, tmp_path / "prepared" if elsewhere else None)
    old, times = features_of(target, "a"), {}
    for clip in CLIPS:
        times[clip] = (target / "new_joint_vecs" / f"{clip}.npy").stat().st_mtime_ns
    path = folder / "new_joints" / "a.npy"
    np.save(path, joints_of(folder, "a")[::-1].copy())
    if not elsewhere:
        (problem,) = check(folder)
        assert problem.startswith("Features that were not made from the joints in new_joints;")
        assert problem.endswith(f"and run `tm2t-hf prepare {folder}`: a.")
    with caplog.at_level("WARNING", logger="tm2t_hf.data"):
        prepare(folder, target)
    assert caplog.messages == [
        f"{target / 'new_joint_vecs' / 'a.npy'} belong to joints that have changed since, and are made again."
    ]
    assert check(target, thorough=True) == []
    np.testing.assert_array_equal(features_of(target, "a"), joints_to_features(joints_of(target, "a"), HUMANML3D))
    assert np.abs(features_of(target, "a") - old).max() > 0.01
    for clip in "bcd":
        assert (target / "new_joint_vecs" / f"{clip}.npy").stat().st_mtime_ns == times[clip]
    mean, _ = feature_statistics([features_of(target, clip) for clip in "ab"], HUMANML3D)
    np.testing.assert_array_equal(np.load(target / "Mean.npy"), mean)
    caplog.clear()
    prepare(folder, target)
    assert not caplog.messages


def test_all_features_follow_the_body_that_they_are_retargeted_to(folder, tmp_path, caplog):
    target = prepare(folder, tmp_path / "prepared", retarget_to="a")
    np.save(folder / "new_joints" / "a.npy", 1.1 * joints_of(folder, "a"))
    prepare(folder, target, retarget_to="a")
    assert "a.npy and 3 more belong to joints that have changed since" in caplog.messages[0]
    wanted = bone_offsets(joints_of(folder, "a"), HUMANML3D)
    for clip in CLIPS:
        np.testing.assert_allclose(bone_offsets(joints_of(target, clip), HUMANML3D), wanted, atol=1e-5)
    assert check(target) == []


@pytest.mark.parametrize("killed_in", ["_write_record", "save_array"])
def test_a_run_killed_amid_changed_joints_leaves_no_stale_features(folder, killed_in, monkeypatch):
    prepare(folder)
    for clip in "ac":
        np.save(folder / "new_joints" / f"{clip}.npy", joints_of(folder, clip)[::-1].copy())

    def dies(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(sys.modules["tm2t_hf.data.prepare"], killed_in, dies)
        with pytest.raises(KeyboardInterrupt):
            prepare(folder)
    prepare(folder)
    assert check(folder) == []


def test_a_file_with_the_same_joints_is_no_change(folder, caplog):
    prepare(folder)
    np.save(folder / "new_joints" / "a.npy", joints_of(folder, "a").astype(np.float64))
    before = features_of(folder, "a")
    np.save(folder / "new_joint_vecs" / "a.npy", before + 1e-5)  # the user's own, to be kept
    prepare(folder)
    assert not caplog.messages
    np.testing.assert_array_equal(features_of(folder, "a"), before + np.float32(1e-5))


def test_check_compares_some_clips_and_all_if_asked(folder):
    for number in range(60):
        np.save(folder / "new_joints" / f"more{number:02}.npy", joints_of(folder, "a"))
        (folder / "texts" / f"more{number:02}.txt").write_text("a person walks#x/X#0.0#0.0\n")
    (folder / "all.txt").write_text("".join(f"{path.stem}\n" for path in (folder / "new_joints").iterdir()))
    prepare(folder)
    np.save(folder / "new_joints" / "more03.npy", joints_of(folder, "a")[::-1].copy())  # not one of the 50
    assert check(folder) == []
    (problem,) = check(folder, thorough=True)
    assert problem.endswith(": more03.")


def test_features_of_the_authors_belong_to_their_joints(data_dir, tmp_path):
    """What HumanML3D keeps as joints are those recovered from its features, which its own code made."""
    sample = data_dir / "humanml3d_sample"
    (clip,) = (path.stem for path in (sample / "new_joints").glob("*.npy"))
    for name in ("new_joints", "new_joint_vecs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{clip}.npy").write_bytes((sample / name / f"{clip}.npy").read_bytes())
    for name in ("Mean.npy", "Std.npy"):
        (tmp_path / name).write_bytes((sample / name).read_bytes())
    (tmp_path / "train.txt").write_text(clip)
    problems = check(tmp_path)
    assert all("split file" in problem or "folder texts is missing" in problem for problem in problems), problems
    np.save(tmp_path / "new_joints" / f"{clip}.npy", 1.03 * np.load(tmp_path / "new_joints" / f"{clip}.npy"))
    assert any("not made from the joints" in problem for problem in check(tmp_path))


@pytest.mark.parametrize(
    ("name", "factor", "message"),
    [
        ("Mean.npy", 0, "Mean.npy is not the mean of the training features: root height is .* deviations off"),
        ("Std.npy", 1e-9, "Std.npy is 1e-09 times the standard deviation of the training features"),
        ("Std.npy", 1e3, r"Std.npy is 1e\+03 times the standard deviation of the training features"),
        ("Mean.npy", 100, "Mean.npy is not the mean of the training features"),
        ("Std.npy", 0.2, None),
        ("Std.npy", 5, None),
        ("Mean.npy", 0.99, None),
    ],
)
def test_check_sees_absurd_statistics(folder, name, factor, message):
    prepare(folder)
    np.save(folder / name, factor * np.load(folder / name))
    problems = check(folder)
    if message is None:
        assert problems == []
    else:
        (problem,) = problems
        assert re.search(message, problem) and "delete Mean.npy and Std.npy, and run `tm2t-hf prepare" in problem
        for each in ("Mean.npy", "Std.npy"):
            (folder / each).unlink()
        prepare(folder)
        assert check(folder) == []


def test_statistics_of_other_data_and_biased_ones_are_no_problem(folder, data_dir):
    prepare(folder)
    sample = data_dir / "humanml3d_sample"
    for bias in (1, 5):
        np.save(folder / "Mean.npy", np.load(sample / "Mean.npy"))
        np.save(folder / "Std.npy", bias_std(np.load(sample / "Std.npy"), HUMANML3D, bias))
        assert check(folder) == []


def test_features_of_a_skeleton_that_changed_are_not_kept(folder):
    mine = replace(HUMANML3D, name="mine", contact_threshold=0.01)
    prepare(folder, skeleton=mine)
    prepare(folder, skeleton=mine)
    changed = replace(mine, contact_threshold=0.02)
    with pytest.raises(ValueError, match="prepared with skeleton mine .*, now it is mine .*: pass overwrite"):
        prepare(folder, skeleton=changed)
    prepare(folder, skeleton=changed, overwrite=True)


def test_joints_with_other_axes_in_the_place_of_a_clip_are_found(folder):
    prepare(folder)
    joints = joints_of(folder, "b")
    np.save(folder / "new_joints" / "b.npy", joints[..., [0, 2, 1]])
    assert any("not made from the joints in new_joints" in problem and "b" in problem for problem in check(folder))


@pytest.mark.parametrize("factor", [1e-9, 1e6])
def test_one_absurd_deviation_is_found(folder, factor):
    prepare(folder)
    std = np.load(folder / "Std.npy")
    std[200] *= factor
    np.save(folder / "Std.npy", std)
    assert any("Std.npy is" in problem and "in column 200" in problem for problem in check(folder))
