# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Recordings and a caption file become a data folder; what cannot be used is named and left out."""

import builtins
import json
import logging
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tm2t_hf.cli import main
from tm2t_hf.data import check, import_recordings, load_motion_dataset, prepare, read_captions, read_split
from tm2t_hf.data.folder import SPLITS
from tm2t_hf.data.recordings import SHARES, _Clip, _splits, caption_line
from tm2t_hf.formats import read_motion, save_bvh
from tm2t_hf.motion import HUMANML3D, KIT
from tm2t_hf.toy import make_toy_clip

NAMES = ("walk", "s1/wave", "s1/bow", "kick right", "squat", "jump")
ACTIONS = ("walk", "wave-left", "bow", "kick-right", "squat", "jump")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Toy motions as BVH files at 60 fps, in two folders."""
    folder = tmp_path_factory.mktemp("recordings")
    (folder / "s1").mkdir()
    for number, (name, action) in enumerate(zip(NAMES, ACTIONS, strict=True)):
        joints, _ = make_toy_clip(action, np.random.default_rng(number))
        save_bvh(joints, folder / f"{name}.bvh", fps=20)
    return folder


@pytest.fixture
def made(recordings, tmp_path):
    """`made(rows)`: what import_recordings makes of rows, or of the text of a caption file."""

    def make(rows, suffix=".jsonl", encoding="utf-8", folder=recordings, **options):
        captions = tmp_path / f"captions{suffix}"
        text = rows if isinstance(rows, str) else "".join(f"{json.dumps(row)}\n" for row in rows)
        captions.write_text(text, encoding=encoding)
        return import_recordings(folder, captions, tmp_path / "out", **options)

    return make


ROWS = [{"file": f"{name}.bvh", "caption": f"a person does {name}"} for name in NAMES]


def captions_of(result, clip):
    return [line.caption for line in read_captions(result.folder / "texts" / f"{clip}.txt")]


def joints_of(result, clip):
    return np.load(result.folder / "new_joints" / f"{clip}.npy")


def test_a_complete_folder(made, recordings):
    result = made(ROWS)
    assert result.clips == tuple(sorted(NAMES)) and result.left_out == 0 and result.problems == ()
    for name in NAMES:
        expected = read_motion(recordings / f"{name}.bvh")
        np.testing.assert_array_equal(joints_of(result, name), expected)
        assert captions_of(result, name) == [f"a person does {name}"]
    assert not list(result.folder.parent.glob(".*"))
    assert check(prepare(result.folder)) == []
    assert sum(len(load_motion_dataset(result.folder, split)) for split in ("train", "val", "test")) == 6


def test_csv_of_a_spreadsheet(made):
    text = 'File;Caption;Start;End;Split\r\nwalk.bvh;"walks; then stops";;;train\r\n\r\nwalk.bvh;a man walks;0;0;\r\n'
    text += 'jump.bvh;"[""up"", ""down""]";;;Test\r\n'
    text += "s1\\wave.bvh;a # wave;0.5;1.5;val\r\n"
    result = made(text, ".csv", "utf-8-sig")
    assert result.clips == ("jump", "s1/wave_0.5-1.5", "walk") and not result.problems
    assert captions_of(result, "jump") == ["up", "down"]
    assert captions_of(result, "walk") == ["walks; then stops", "a man walks"]
    assert captions_of(result, "s1/wave_0.5-1.5") == ["a wave"]
    assert read_split(result.folder, "train") == ["walk"] and read_split(result.folder, "val") == ["s1/wave_0.5-1.5"]


def test_parts_share_clips_by_their_times(made, recordings):
    rows = [
        {"file": "walk.bvh", "captions": ["one", "two", ""], "start": 0.5, "end": 1.5},
        {"file": "./walk.bvh", "caption": ["two", "three"], "start": "0.5", "end": 1.5},
        {"file": str(recordings / "walk.bvh"), "caption": "the rest", "start": 1},
        {"file": "walk.bvh", "caption": "the beginning", "end": 1},
        {"file": "walk.bvh", "caption": "all of it", "start": 0, "end": 0.0},
    ]
    result = made([row | {"split": "train"} for row in rows])
    whole = joints_of(result, "walk")
    seconds = round((len(whole) - 1) / 20, 2)
    assert set(result.clips) == {"walk", "walk_0-1", "walk_0.5-1.5", f"walk_1-{seconds:g}"}
    assert captions_of(result, "walk_0.5-1.5") == ["one", "two", "three"]
    np.testing.assert_array_equal(joints_of(result, "walk_0.5-1.5"), whole[10:31])
    np.testing.assert_array_equal(joints_of(result, f"walk_1-{seconds:g}"), whole[20:])


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("{", r"is not JSON: Expecting"),
        ("[1]", r"is not a JSON object"),
        ('"walk.bvh"', r"is not a JSON object"),
        ('{"caption": "x"}', r"names no file"),
        ('{"file": 3, "caption": "x"}', r"names no file"),
        ('{"file": "walk.bvh"}', r"has no caption"),
        ('{"file": "walk.bvh", "caption": " ?! "}', r"has no caption"),
        ('{"file": "walk.bvh", "captions": {"a": "b"}}', r"has captions that are neither a string nor a list"),
        ('{"file": "walk.bvh", "captions": ["a", 5]}', r"has captions that are neither a string nor a list"),
        ('{"file": "walk.bvh", "caption": "x", "start": "soon"}', r"has the start 'soon', which is not a time"),
        ('{"file": "walk.bvh", "caption": "x", "start": -1}', r"has the start -1"),
        ('{"file": "walk.bvh", "caption": "x", "end": NaN}', r"has the end nan"),
        ('{"file": "walk.bvh", "caption": "x", "end": true}', r"has the end True"),
        ('{"file": "walk.bvh", "caption": "x", "start": 2, "end": 1}', r"ends at 1 s, not after its start at 2 s"),
        ('{"file": "walk.bvh", "caption": "x", "end": 99}', r"walk.bvh is .* s long, but the part is from 0 to 99 s"),
        ('{"file": "walk.bvh", "caption": "x", "start": 99}', r"walk.bvh is .* s long, but the part is from 99 to"),
        ('{"file": "walk.bvh", "caption": "x", "end": 0.1}', r"walk_0-0.1 has 3 frames at 20 fps; a clip needs 5"),
        ('{"file": "walk.bvh", "caption": "x", "split": "dev"}', r"has the split 'dev', but it must be one of train,"),
        ('{"file": "walk.bvh", "caption": "x", "split": ["val"]}', r"has the split \['val'\]"),
        ('{"file": "jump.bvh", "caption": "x", "split": "val"}', r"puts jump.bvh into val, but line 1 into train"),
        ('{"file": "../walk.bvh", "caption": "x"}', r"names the file '../walk.bvh', which does not lie in"),
        ('{"file": "/etc/walk.bvh", "caption": "x"}', r"names the file '/etc/walk.bvh', which does not lie in"),
        ('{"file": "gone.bvh", "caption": "x"}', r"gone.bvh"),
        ('{"file": "walk.fbx", "caption": "x"}', r"walk.fbx must end in .bvh"),
        ('{"file": ".", "caption": "x"}', r"is a folder, not a file"),
    ],
)
def test_bad_rows_are_named_and_left_out(made, caplog, row, reason):
    good = json.dumps(ROWS[-1] | {"split": "train"})
    result = made(f"{good}\n\n{row}\n{json.dumps(ROWS[1])}\n")
    assert result.clips == ("jump", "s1/wave") and result.left_out == 1
    (problem,) = result.problems
    assert re.search(rf"captions\.jsonl, line 3: .*{reason}", problem) and "\n" not in problem
    assert f"Left out: {problem}" in caplog.messages


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("walk.bvh,turns, then walks,train", "line 3: has 4 cells for 3 columns; put a caption with ',' in quotes"),
        ('walk.bvh,"turns,train', r"line 5: is not CSV \(unexpected end of data\), .* is a quote left open"),
    ],
)
def test_bad_rows_of_a_csv(made, row, reason):
    result = made(f"file,caption,split\njump.bvh,x,train\n{row}\njump.bvh,y\n\n", ".csv")
    (problem,) = result.problems
    assert result.clips == ("jump",) and re.search(rf"captions\.csv, {reason}", problem)


def test_bad_recordings_are_named_and_left_out(made, recordings, tmp_path):
    folder = tmp_path / "recordings"
    folder.mkdir()
    (folder / "a.bvh").write_bytes((recordings / "walk.bvh").read_bytes())
    joints = read_motion(recordings / "walk.bvh")
    (folder / "cut.bvh").write_text("HIERARCHY")
    still = joints.copy()
    still[3, 4] = still[3, 1]
    bad = joints.copy()
    bad[2, 2] = np.nan
    for name, array in (
        ("a", joints),
        ("still", still),
        ("bad", bad),
        ("text", np.array("x")),
        ("small", joints[:, :9]),
    ):
        np.save(folder / f"{name}.npy", array)
    names = ("a.bvh", "a.npy", "cut.bvh", "still.npy", "bad.npy", "text.npy", "small.npy")
    rows = [{"file": name, "caption": "x", "split": "train"} for name in names]
    result = made([*rows, rows[2] | {"start": 1}], folder=folder)
    assert result.clips == ("a",) and result.left_out == 7
    for problem, reason in zip(
        result.problems,
        ("line 2: a.npy and a.bvh would both be the clip a", "lines 3, 8: .*cut.bvh", "line 4: still has bones",
         "line 5: .*bad.npy holds NaN", "line 6: .*text.npy", "line 7: .*small.npy has the shape"),
        strict=True,
    ):  # fmt: skip
        assert re.search(reason, problem)


def test_what_is_told_of_the_rest(made, recordings, tmp_path, caplog):
    folder = tmp_path / "recordings"
    folder.mkdir()
    joints = read_motion(recordings / "walk.bvh")
    for name in "ab":
        np.save(folder / f"{name}.npy", joints)
    result = made([{"file": "a.npy", "caption": "x", "mirrored": True}], folder=folder)
    np.testing.assert_array_equal(joints_of(result, "a"), joints)
    assert any(
        "captions.jsonl: not used are mirrored; the keys are file, caption," in each for each in caplog.messages
    )
    assert f"There is no caption for b.npy of {folder}." in caplog.messages
    assert any("do not say their frame rate: it is taken for the skeleton's" in each for each in caplog.messages)
    caplog.clear()
    slow = made([{"file": "a.npy", "caption": "x"}], folder=folder, fps=10, overwrite=True)
    assert len(joints_of(slow, "a")) == 2 * len(joints) - 1
    assert not any("frame rate" in each for each in caplog.messages)


def test_arrays_of_smpl_and_units(made, recordings, tmp_path):
    folder = tmp_path / "recordings"
    folder.mkdir()
    joints = read_motion(recordings / "walk.bvh")
    hands = np.concatenate([joints, joints[:, 20:22] + 0.1], axis=1)
    np.savez(folder / "smpl.npz", joints=hands[..., [0, 2, 1]] * [100, -100, 100], fps=20)
    with pytest.raises(ValueError, match=r"No clip could be made: .*line 1: .*smpl.npz has 24 joints"):
        made([{"file": "smpl.npz", "caption": "x"}], folder=folder)
    assert not (tmp_path / "out").exists()
    result = made([{"file": "smpl.npz", "caption": "x"}], folder=folder, smpl_order=True, unit="centimeters", up="z")
    np.testing.assert_allclose(joints_of(result, "smpl"), joints, atol=1e-5)


def test_another_skeleton_in_its_unit(made, recordings):
    result = made(ROWS, skeleton=KIT)
    for name in ("walk", "jump"):
        expected = read_motion(recordings / f"{name}.bvh", KIT, fps=12.5)
        np.testing.assert_allclose(joints_of(result, name), expected * 1000, rtol=1e-6)
    assert check(prepare(result.folder, skeleton=KIT), KIT) == []


def test_a_joint_map(made, recordings, tmp_path):
    folder = tmp_path / "recordings"
    folder.mkdir()
    text = (recordings / "walk.bvh").read_text()
    (folder / "walk.bvh").write_text(text.replace("LeftHand", "Flosse"))
    (tmp_path / "map.json").write_text('{"left_wrist": "Flosse"}')
    result = made(ROWS[:1], folder=folder, joint_map=tmp_path / "map.json")
    np.testing.assert_allclose(joints_of(result, "walk"), read_motion(recordings / "walk.bvh"), atol=1e-6)
    with pytest.raises(FileNotFoundError, match="gone.json"):
        made(ROWS[:1], folder=folder, joint_map="gone.json")


def test_splits_are_drawn_for_whole_recordings(made, tmp_path, recordings):
    folder = tmp_path / "recordings"
    folder.mkdir()
    rows = []
    for number in range(40):
        (folder / f"{number}.bvh").symlink_to(recordings / "walk.bvh")
        rows += [
            {"file": f"{number}.bvh", "caption": "x", "start": part / 2, "end": part / 2 + 0.5} for part in range(2)
        ]
    result = made(rows, folder=folder)
    splits = {split: read_split(result.folder, split) for split in ("train", "val", "test")}
    assert {split: len(ids) for split, ids in splits.items()} == {"train": 64, "val": 4, "test": 12}
    files = {split: {clip.split("_")[0] for clip in ids} for split, ids in splits.items()}
    assert sum(map(len, files.values())) == 40
    again = made(rows[::-1], folder=folder, overwrite=True)
    assert {split: read_split(again.folder, split) for split in splits} == splits
    other = made(rows, folder=folder, overwrite=True, seed=1)
    assert read_split(other.folder, "test") != splits["test"]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.sampled_from([None, None, None, *SPLITS])), min_size=1, max_size=30))
def test_drawn_splits(files):
    clips = {
        f"{number}_{part}": _Clip(f"{number}", part, None, split)
        for number, (parts, split) in enumerate(files)
        for part in range(parts)
    }
    splits = _splits(clips, seed=3)
    assert splits == _splits(dict(reversed(clips.items())), seed=3)
    of_file = {clip.file: splits[name] for name, clip in clips.items()}
    assert all(splits[name] == of_file[clip.file] == (clip.split or splits[name]) for name, clip in clips.items())
    free = sum(split is None for _, split in files)
    if free >= 3:
        assert set(splits.values()) == set(SPLITS)
    if free == len(files):
        most = max(parts for parts, _ in files)
        for split, share in SHARES.items():
            assert abs(list(splits.values()).count(split) - share * len(clips)) <= 2 * most


@pytest.mark.parametrize(("count", "there"), [(1, ["train"]), (2, ["train", "val"]), (3, ["test", "train", "val"])])
def test_every_split_gets_a_clip_where_there_are_enough(made, count, there):
    result = made(ROWS[:count])
    assert sorted(path.stem for path in result.folder.glob("*.txt")) == there


def test_given_splits_are_kept(made, caplog):
    rows = [
        row | {"split": split} for row, split in zip(ROWS, ("test", "test", "val", "train", "", None), strict=True)
    ]
    parts = [ROWS[0] | {"end": 1}, ROWS[1] | {"end": 1, "split": "train"}]
    result = made([*rows, *parts])
    assert read_split(result.folder, "test") == ["s1/wave", "walk", "walk_0-1"]
    assert read_split(result.folder, "val") == ["s1/bow"]
    assert read_split(result.folder, "train") == ["jump", "kick right", "s1/wave_0-1", "squat"]
    assert "There are parts in more than one split of s1/wave.bvh." in caplog.messages
    with pytest.raises(ValueError, match=r"captions\.jsonl gives no clip the split train"):
        made([ROWS[0] | {"split": "val"}], overwrite=True)
    assert len(read_split(result.folder, "train")) == 4


def test_nothing_is_lost_in_the_folder_to_make(made, recordings, tmp_path):
    out = tmp_path / "out"
    made(ROWS[:1])
    with pytest.raises(ValueError, match="out is not empty; give a new folder, or pass overwrite"):
        made(ROWS[:2])
    prepare(out)
    assert made(ROWS[:2], overwrite=True).clips == ("s1/wave", "walk")
    assert not (out / "new_joint_vecs").exists()
    (out / "notes.md").write_text("mine")
    with pytest.raises(ValueError, match="out holds notes.md, which overwrite would remove"):
        made(ROWS[:2], overwrite=True)
    with pytest.raises(ValueError, match="walk lies in .*out, the folder to make"):
        made(ROWS[:2], folder=_folder(out / "walk"), overwrite=True)
    with pytest.raises(ValueError, match="is a file; give a folder to make"):
        import_recordings(recordings, tmp_path / "captions.jsonl", recordings / "walk.bvh")


def _folder(path):
    path.mkdir()
    return path


@pytest.mark.parametrize(
    ("text", "suffix", "message"),
    [
        ("", ".jsonl", r"No clip could be made: .*captions.jsonl has no rows"),
        ("", ".csv", r"captions.csv has no header with the columns file and caption; its first line is ''"),
        ("walk.bvh,x", ".csv", r"captions.csv has no header .*; its first line is 'walk.bvh,x'"),
        ("x", ".txt", r"captions.txt must end in .jsonl \(one JSON object per line\) or .csv"),
        ("a\0b", ".jsonl", r"captions.jsonl is not UTF-8 text"),
    ],
)
def test_files_that_are_no_captions(made, text, suffix, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        made(text, suffix)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"captions{suffix}"]


@pytest.mark.parametrize("options", [{"unit": "ells"}, {"up": "w"}, {"fps": 0}])
def test_arguments_out_of_range_are_told_at_once(made, options):
    with pytest.raises(ValueError, match=f"{next(iter(options)).replace('fps', 'source_fps')} is"):
        made(ROWS, **options)


def test_captions_without_lemminflect(monkeypatch):
    pytest.importorskip("lemminflect")
    assert (
        caption_line("A man's walking # twice.") == "A man's walking twice.#a/DET man/NOUN walk/VERB twice/ADV#0.0#0.0"
    )
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "lemminflect":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    assert caption_line("A man walks.") == "A man walks.#a/OTHER man/OTHER walks/OTHER#0.0#0.0"


def test_the_command(recordings, tmp_path, capsys, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "captions.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in [*ROWS, {"file": "gone.bvh"}]))
    command = ["prepare", "--from_bvh", str(recordings), "--captions", "captions.jsonl", "my_data"]
    with caplog.at_level(logging.WARNING):
        assert main(command) == 0
    assert capsys.readouterr().out == "my_data is ready for training.\n6 clips made, 1 left out.\n"
    assert "Left out: captions.jsonl, line 7: has no caption." in caplog.messages
    assert main(["check", "my_data"]) == 0
    assert main(command) == 2
    assert "my_data is not empty; give a new folder, or pass overwrite" in capsys.readouterr().err
    assert main([*command, "--overwrite", "--seed", "1", "--unit", "0.01", "--up", "y"]) == 0
    (tmp_path / "captions.jsonl").write_text(json.dumps(ROWS[0]))
    assert main([*command[:-1], "one"]) == 1
    assert "one has no split file test.txt" in (out := capsys.readouterr().out) and "1 clip made, 0 left out." in out


def test_the_command_takes_a_skeleton_of_your_own(recordings, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = HUMANML3D.to_dict() | {"name": "mine", "fps": 30.0, "metres_per_unit": 0.01}
    (tmp_path / "my.json").write_text(json.dumps(values))
    (tmp_path / "captions.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
    command = ["prepare", "--from_bvh", str(recordings), "--captions", "captions.jsonl", "my_data"]
    assert main([*command, "--skeleton", "my.json"]) == 0
    assert main(["check", "my_data", "--skeleton", "my.json"]) == 0
    expected = read_motion(recordings / "walk.bvh", fps=30.0)
    np.testing.assert_allclose(np.load("my_data/new_joints/walk.npy"), expected * 100, rtol=1e-5, atol=1e-4)
    capsys.readouterr()
    assert main(["check", "my_data", "--skeleton", "horse"]) == 2
    assert "skeleton 'horse' is neither a name (humanml3d, kit) nor a JSON file" in capsys.readouterr().err


def test_the_command_names_the_units(capsys):
    with pytest.raises(SystemExit):
        main(["prepare", "--from_bvh", "a", "--captions", "a.csv", "--unit", "ells", "my_data"])
    assert "--unit: ells is none of m, cm, mm, in, ft and no length in meters" in capsys.readouterr().err


def test_the_command_takes_the_first_joints_of_smpl(recordings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = import_recordings(recordings, _captions(tmp_path, ROWS), "raw")
    for clip in result.clips:
        joints = joints_of(result, clip)
        np.save(f"raw/new_joints/{clip}.npy", np.concatenate([joints, joints[:, :30] + 0.1], axis=1)[:, :24])
    assert main(["prepare", "raw", "--smpl", "--output_dir", "ready"]) == 0
    assert np.load("ready/new_joints/walk.npy").shape[1:] == (22, 3)


def _captions(folder, rows):
    path = folder / "captions.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--from_bvh recordings", "--from_bvh needs --captions"),
        ("--captions a.csv", "--captions is for recordings: name their folder with --from_bvh"),
        ("--up z", "--up is for recordings"),
        ("--from_bvh a --captions a.csv --output_dir b", "--output_dir does not go with --from_bvh"),
        ("--from_bvh a --captions a.csv --retarget_to b", "--retarget_to does not go with --from_bvh"),
        ("--from_bvh nowhere --captions a.csv", "There is no folder nowhere with recordings"),
        ("--from_bvh . --captions a.csv", "a.csv is missing"),
    ],
)
def test_what_a_user_gets_wrong(flags, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["prepare", "my_data", *flags.split()]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "my_data").exists()
