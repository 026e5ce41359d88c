# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The command line: what each command writes and prints, and one sentence for what the user can fix."""

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from bandai_namco.labels import ACTION_RULES
from conftest import ROOT
from transformers import AutoModel, AutoProcessor, GenerationConfig

import tm2t_hf_cli
from tm2t_hf import pipelines, quickstart
from tm2t_hf.bodies import METRES_PER_UNIT, body_height
from tm2t_hf.cli import build_parser, folders, main
from tm2t_hf.cli.common import quality
from tm2t_hf.coverage import Calibration, MotionCoverage, TextCoverage
from tm2t_hf.feature_extraction_motion import FASTEST_FPS, SLOWEST_FPS
from tm2t_hf.formats import MOTION_SUFFIXES, read_motion, save_motion
from tm2t_hf.formats.axes import TURNS
from tm2t_hf.skeletons import HUMANML3D, SKELETONS
from tm2t_hf.toy import make_toy_clip

Image = pytest.importorskip("PIL.Image")


@pytest.fixture(autouse=True)
def shipped(checkpoints, tmp_path, monkeypatch):
    """The tiny checkpoints ship with the package, and the test runs in an empty folder."""
    monkeypatch.setattr(pipelines, "CHECKPOINTS", checkpoints)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def walk(shipped):
    """The toy walk in walk.bvh, in centimeters; returns its joints."""
    joints, _ = make_toy_clip("walk", np.random.default_rng(0))
    save_motion(joints, "walk.bvh")
    return joints


LENGTHS = ["--min_seconds", "1", "--max_seconds", "1"]


def test_generate_writes_a_gif_and_joints(shipped, capsys):
    assert main(["generate", "a person waves", "--output", "wave.gif", "wave.npy", *LENGTHS]) == 0
    joints = np.load("wave.npy")
    assert joints.shape == (20, 22, 3) and joints.dtype == np.float32
    with Image.open("wave.gif") as gif:
        assert gif.n_frames == 20
    assert capsys.readouterr().out == "wave.gif: 1.0 s\nwave.npy: 1.0 s\n"


def test_generate_repeats_a_seed_and_numbers_samples(shipped):
    command = ["generate", "a person waves", "--num_samples", "2", *LENGTHS]
    for seed, name in (("1", "a.npy"), ("1", "b.npy"), ("2", "c.npy")):
        assert main([*command, "--output", name, "--seed", seed]) == 0
    names = sorted(path.name for path in shipped.glob("*.npy"))
    assert names == ["a-1.npy", "a-2.npy", "b-1.npy", "b-2.npy", "c-1.npy", "c-2.npy"]
    np.testing.assert_array_equal(np.load("a-1.npy"), np.load("b-1.npy"))
    assert np.abs(np.load("a-1.npy") - np.load("a-2.npy")).max() > 0
    assert np.abs(np.load("a-1.npy") - np.load("c-1.npy")).max() > 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            "--temperature 0",
            "--temperature must be above 0; got 0. For the likeliest token at each step, pass --greedy",
        ),
        ("--temperature nan", "--temperature must be above 0; got nan"),
        ("--greedy --temperature 0.5", "--temperature is for sampling: leave it out, or leave out --greedy"),
        ("--greedy --top_k 5", "--top_k is for sampling: leave it out, or leave out --greedy"),
        ("--height 175", "--height must be from 0.3 to 3 meters; got 175"),
        ("--height nan", "--height must be from 0.3 to 3 meters; got nan"),
        ("--max_seconds 0", "--max_seconds must be a number of seconds above 0; got 0"),
        ("--min_seconds 1200", "pass --max_seconds 1200 or more"),
        ("--min_seconds 3 --max_seconds 2", "longer than the longest motion of 2 s: pass --max_seconds 3 or more"),
    ],
)
def test_generate_names_the_flags_of_a_mistake(shipped, capsys, flags, message):
    assert main(["generate", "a person waves", *flags.split()]) == 2
    assert message in capsys.readouterr().err
    assert not list(shipped.glob("*.gif"))


def test_generate_takes_sampling_options_and_a_model(checkpoints):
    command = ["generate", "a person waves", "--output", "a.npy", "--model", str(checkpoints / "tm2t-t2m"), *LENGTHS]
    assert main([*command, "--top_k", "1", "--temperature", "0.5"]) == 0
    likeliest = np.load("a.npy")
    assert main([*command, "--greedy"]) == 0
    np.testing.assert_allclose(np.load("a.npy"), likeliest, atol=1e-5)


def test_generate_makes_figures_of_a_height(shipped):
    assert main(["generate", "a person waves", "--output", "a.npy", "--height", "1.8", *LENGTHS]) == 0
    assert body_height(np.load("a.npy"), HUMANML3D) == pytest.approx(1.8, rel=1e-4)


def test_what_a_model_did_not_learn_is_said(shipped, checkpoints, capsys, caplog):
    calibration = Calibration(torch.zeros(5, dtype=torch.double), -2.0, 0.5)  # nothing is covered
    size = AutoModel.from_pretrained(checkpoints / "tm2t-t2m").config.text_embedding_size
    TextCoverage(calibration, ["a person walks"], torch.ones(1, size), torch.zeros(0, size)).save(
        checkpoints / "tm2t-t2m"
    )
    MotionCoverage(Calibration(torch.zeros(4, dtype=torch.double), -2.0, 0.5)).save(checkpoints / "tm2t-m2t")
    assert main(["generate", "a person plays the violin", "--output", "a.npy", *LENGTHS]) == 0
    assert capsys.readouterr().out == "a.npy: 1.0 s\n"
    said = "'a person plays the violin' is unlike what this model learned (score 0.12); the closest that it knows is"
    assert f"{said} 'a person walks'." in caplog.text  # which goes to stderr
    assert main(["caption", "a.npy"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert "a.npy is unlike the motions that this model learned (score 0.12)" in caplog.text


def test_generate_says_that_a_motion_is_empty(shipped, checkpoints, capsys):
    shutil.copytree(checkpoints / "tm2t-t2m", "silent")
    config = GenerationConfig.from_pretrained("silent")
    config.sequence_bias = [[[AutoModel.from_pretrained("silent").config.eos_token_id], 1e4]]
    config.save_pretrained("silent")
    assert main(["generate", "a person waves", "--model", "silent"]) == 2
    assert "The model generated an empty motion; pass --min_seconds 1" in capsys.readouterr().err
    assert not list(shipped.glob("*.gif"))


def test_caption_prints_a_line_a_caption(capsys, checkpoints):
    np.save("a.npy", np.random.default_rng(0).normal(size=(24, 263)).astype(np.float32))
    assert main(["caption", "a.npy", "--num_beams", "3"]) == 0
    (one,) = capsys.readouterr().out.split("\n")[:-1]
    model = str(checkpoints / "tm2t-m2t")
    assert main(["caption", "a.npy", "a.npy", "--num_beams", "3", "--num_captions", "2", "--model", model]) == 0
    lines = capsys.readouterr().out.split("\n")[:-1]
    assert len(lines) == 4 and lines[0] == f"a.npy: {one}" and lines[:2] == lines[2:]
    assert main(["caption", "a.npy", "--num_captions", "7"]) == 0  # more than there are beams
    assert len(capsys.readouterr().out.split("\n")[:-1]) == 7


def test_generate_takes_sentences_from_everywhere(shipped, capsys, monkeypatch):
    (shipped / "prompts.txt").write_text("a person bows\n\nsomeone jumps\r\n", encoding="utf-8")
    monkeypatch.setattr("sys.stdin", io.StringIO("a person waves\n\na man walks\n"))
    command = ["generate", "a person runs", "-", "--prompts", "prompts.txt", "--output", "m.npy", "m.html", *LENGTHS]
    assert main(command) == 0
    texts = ["a person runs", "a person waves", "a man walks", "a person bows", "someone jumps"]
    lines = [f"m-{number}.npy: 1.0 s: {text}" for number, text in enumerate(texts, 1)]
    assert capsys.readouterr().out.splitlines() == [*lines, "m.html: 5 motions"]
    assert all(text in (shipped / "m.html").read_text(encoding="utf-8") for text in texts)
    assert len(list(shipped.glob("m-*.npy"))) == 5


def test_generate_chains_after_a_prefix(walk, capsys):
    command = ["generate", "a person bows", "a person waves", "--chain", "--prefix", "walk.bvh", *LENGTHS]
    assert main([*command, "--output", "m.npy", "--num_samples", "2"]) == 0
    captured = capsys.readouterr()
    tokens = (len(walk) - 1) // 4
    seconds = tokens * 4 / 20
    assert captured.out.splitlines() == [
        f"m-{number}.npy: {seconds + 2:.1f} s: a person bows, then a person waves" for number in (1, 2)
    ]
    assert f"0.0 to {seconds:.1f} s: walk.bvh" in captured.err
    assert f"{seconds + 1:.1f} to {seconds + 2:.1f} s: a person waves" in captured.err
    assert np.load("m-1.npy").shape == (tokens * 4 + 40, 22, 3)


def test_generate_cleans_and_resamples(shipped, capsys):
    command = ["generate", "a person bows", "--output", "m.npz", *LENGTHS]
    assert main(command) == 0
    assert capsys.readouterr().err == ""
    rough = np.load("m.npz")["joints"]
    assert main([*command, "--clean", "--fps", "40"]) == 0
    captured = capsys.readouterr()
    assert captured.out == "m.npz: 1.0 s\n"
    (line,) = [line for line in captured.err.splitlines() if line.startswith("foot sliding (m/s): ")]
    before, after = re.search(r"acceleration \(m/s²\): (\S+) -> (\S+)$", line).groups()
    assert float(after) != float(before)
    with np.load("m.npz") as clean:
        assert clean["fps"] == 40 and clean["joints"].shape == (39, 22, 3)
        assert np.abs(clean["joints"][::2] - rough).max() > 0.001


def test_caption_reads_files_of_any_tool(walk, capsys):
    np.savez("walk.npz", joints=walk, fps=20.0)
    np.save("walk.npy", walk)
    np.save("smpl.npy", np.concatenate([walk, walk[:, :2]], axis=1))
    np.save("cm.npy", walk * 100)
    captions = []
    for command in (["walk.bvh"], ["walk.npz"], ["walk.npy"], ["smpl.npy", "--smpl"], ["cm.npy", "--unit", "cm"]):
        assert main(["caption", *command, "--num_beams", "1"]) == 0
        captions.append(capsys.readouterr().out)
    assert len(set(captions[1:])) == 1 and captions[0]


def test_tokens_there_and_back(walk, checkpoints, capsys, monkeypatch):
    assert main(["tokens", "walk.bvh"]) == 0
    text = capsys.readouterr().out
    words = text.split()
    assert len(words) == (len(walk) - 1) // 4 + 2 and words[0] == "<bom>" and words[-1] == "<eom>"
    assert set(words[1:-1]) <= {f"<motion_{code}>" for code in range(32)}
    for model in ("tm2t-t2m", "tm2t-m2t"):
        assert main(["tokens", "walk.bvh", "nowhere.bvh", "walk.bvh", "--model", str(checkpoints / model)]) == 2
        captured = capsys.readouterr()
        assert captured.out == f"walk.bvh: {text}" * 2 and "nowhere.bvh" in captured.err
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert main(["tokens", "--decode", "-", "--output", "a.npy", "a.bvh"]) == 0
    assert main(["tokens", "--decode", " ".join(words[1:-1]), "--output", "b.npy"]) == 0
    assert np.load("a.npy").shape == ((len(words) - 2) * 4, 22, 3)
    np.testing.assert_array_equal(np.load("a.npy"), np.load("b.npy"))


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".bvh", ".glb", ".csv", ".html", ".gif"])
def test_convert(suffix, walk, capsys):
    assert main(["convert", "walk.bvh", f"out{suffix}"]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"out{suffix}: {len(walk) / 20:.1f} s\n"
    if suffix in (".npy", ".npz", ".bvh"):
        np.testing.assert_allclose(read_motion(f"out{suffix}"), read_motion("walk.bvh"), atol=0.001)


def test_convert_resamples_and_reads_as_told(walk):
    seconds = (len(walk) - 1) / 20
    assert main(["convert", "walk.bvh", "fast.npz", "--fps", "50"]) == 0
    with np.load("fast.npz") as fast:
        assert fast["fps"] == 50 and len(fast["joints"]) == int(seconds * 50 + 1e-6) + 1
    assert main(["convert", "fast.npz", "same.npz"]) == 0
    assert np.load("same.npz")["fps"] == 50
    np.save("tilted.npy", np.repeat(walk[..., [0, 2, 1]] * [39.37, -39.37, 39.37], 2, axis=0))
    assert main(["convert", "tilted.npy", "up.npz", "--unit", "in", "--up", "z", "--source_fps", "40"]) == 0
    with np.load("up.npz") as up:
        assert up["fps"] == 40
        np.testing.assert_allclose(up["joints"][::2], walk, atol=0.001)
    np.save("plain.npy", walk)  # at the skeleton's rate, whatever is asked of the output
    assert main(["convert", "plain.npy", "plain.npz", "--fps", "10"]) == 0
    assert len(np.load("plain.npz")["joints"]) == int(seconds * 10 + 1e-6) + 1


def test_convert_takes_a_joint_map(walk, shipped, capsys):
    names = {"left_shoulder": "Gadget", "left_elbow": "Widget", "left_wrist": "Gizmo"}
    text = (shipped / "walk.bvh").read_text()
    for old, new in zip(("LeftArm", "LeftForeArm", "LeftHand"), names.values(), strict=True):
        text = re.sub(rf"\b{old}\b", new, text)
    (shipped / "odd.bvh").write_text(text)
    assert main(["convert", "odd.bvh", "odd.npy"]) == 2
    assert "no joint is known to be left_shoulder, left_elbow, left_wrist" in capsys.readouterr().err
    (shipped / "map.json").write_text(json.dumps(names))
    assert main(["convert", "odd.bvh", "odd.npy", "--joint_map", "map.json"]) == 0
    np.testing.assert_allclose(np.load("odd.npy"), read_motion("walk.bvh"), atol=1e-5)


def test_render_draws_what_can_be_read(walk, shipped, capsys):
    np.save("short.npy", walk[:10])
    assert main(["render", "short.npy", "--output", "one.gif", "one.html"]) == 0
    assert capsys.readouterr().out == "one.gif: 0.5 s\none.html: 0.5 s\n"
    assert main(["render", "short.npy", "nowhere.bvh", "short.npy", "--output", "m.gif", "m.html"]) == 2
    captured = capsys.readouterr()
    assert captured.out == "m-1.gif: 0.5 s: short\nm-3.gif: 0.5 s: short\nm.html: 2 motions\n"
    assert [line for line in captured.err.splitlines() if "nowhere.bvh" in line] == [
        "tm2t-hf: nowhere.bvh is missing."
    ]
    with Image.open("m-3.gif") as gif:
        assert gif.n_frames == 10


def test_compare_measures_and_shows(walk, shipped, capsys):
    np.save("a.npy", walk)
    np.save("b.npy", walk[:-5] + np.float32([0.3, 0, 0.4]))
    assert main(["compare", "a.npy", "b.npy", "--output", "page.html"]) == 0
    rows = dict(re.findall(r"^(.+?)  +(.+)$", capsys.readouterr().out, re.MULTILINE))
    assert rows["length (s)"].split() == [f"{len(walk) / 20:.2f}", f"{(len(walk) - 5) / 20:.2f}"]
    assert rows["joint error (mm)"] == "500.0" and rows["joint error, root-relative (mm)"] == "0.0"
    assert len(set(rows["acceleration (m/s²)"].split())) == 2
    np.save(
        "c.npy", walk + np.linspace(0, len(walk) / 20, len(walk), dtype=np.float32)[:, None, None] * [0.5, 0, 0] + 1
    )
    assert main(["compare", "a.npy", "c.npy"]) == 0  # a floor anywhere
    sliding = re.search(r"^foot sliding \(m/s\) +(\S+) +(\S+)$", capsys.readouterr().out, re.MULTILINE)
    assert 0 <= float(sliding[1]) < 0.3 < float(sliding[2]) < 1
    page = (shipped / "page.html").read_text(encoding="utf-8")
    assert "a.npy" in page and "b.npy" in page


def test_actions_of_a_model(checkpoints, capsys):
    path = checkpoints / "tm2t-t2m" / "actions.json"
    rows = [
        {"action": "bow", "prompt": "a person bows", "clips": 11},
        {"action": "run", "prompt": "he runs", "clips": 1},
    ]
    path.write_text(json.dumps(rows))
    assert main(["actions"]) == 0
    lines = [line.split("  ") for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in lines] == ["bow", "run"] and lines[0][-1].strip().endswith("11 training clips")
    for damaged in ("{", "[]", "[3]", '[{"action": "bow"}]'):
        path.write_text(damaged)
        assert main(["actions", "--model", str(checkpoints / "tm2t-t2m")]) == 2
        assert "is not a list of objects with action, prompt and clips" in capsys.readouterr().err
    assert main(["actions", "--model", "nobody/nothing"]) == 2
    assert "--model nobody/nothing is neither a folder nor a model on the Hub" in capsys.readouterr().err


def test_the_shipped_actions_are_those_of_the_data():
    rows = json.loads((ROOT / "tm2t_hf/checkpoints/tm2t-t2m/actions.json").read_text(encoding="utf-8"))
    actions = [row["action"] for row in rows]
    assert len(set(actions)) == len(actions) and {rule[0] for rule in ACTION_RULES} < set(actions)
    assert {"backflip", "cartwheel", "ballet", "zombie-walk"} < set(actions), "of DeepMimic and CMU"
    assert len({row["prompt"] for row in rows}) == len(rows)
    assert [row["clips"] for row in rows] == sorted((row["clips"] for row in rows), reverse=True)


def test_feet_slide_at_the_frame_rate_of_the_motion():
    sliding = np.zeros((30, 22, 3)) + [0, 0.01, 0]
    sliding[..., 0] += np.arange(30)[:, None] / 30  # one meter in the second that these frames take
    assert quality(sliding, HUMANML3D, fps=30)["foot sliding (m/s)"] == "1.000"


def test_every_command_has_help(capsys):
    commands = build_parser()._subparsers._group_actions[0].choices
    assert set(commands) == {
        *("generate", "caption", "prepare", "check", "convert", "render"),
        *("tokens", "compare", "actions", "toy", "quickstart", "push", "push-data", "update", "demo"),
    }
    for name in commands:
        with pytest.raises(SystemExit) as exit:
            main([name, "--help"])
        out = capsys.readouterr().out
        assert exit.value.code == 0 and f"usage: tm2t-hf {name}" in out
        assert not re.search(r"default:\s*(\)|\(\))", out)  # nothing is left out by default, as its help says


def test_toy_prepare_and_check(shipped, capsys):
    assert main(["toy", "toy", "--num_clips", "12", "--seed", "1"]) == 0
    assert main(["check", "toy"]) == 0
    assert "toy is fine." in capsys.readouterr().out
    shutil.rmtree("toy/new_joint_vecs")
    assert main(["check", "toy"]) == 1
    assert "make them with `tm2t-hf prepare toy`" in capsys.readouterr().out
    assert main(["prepare", "toy", "--output_dir", "ready"]) == 0
    assert main(["check", "ready"]) == 0
    assert len(list((shipped / "ready" / "new_joint_vecs").iterdir())) == 12


def test_quickstart(shipped, capsys, monkeypatch):
    monkeypatch.setattr(quickstart, "PROMPTS", ("a person waves", "someone walks <fast>"))
    (shipped / "tm2t-vq").mkdir()
    (shipped / "tm2t-vq" / "config.json").write_text("the user's own")
    assert main(["quickstart"]) == 0
    files = sorted(path.name for path in (shipped / "quickstart").iterdir())
    assert files == [
        "a-person-waves.gif",
        "a-person-waves.npy",
        "index.html",
        "someone-walks-fast-.gif",
        "someone-walks-fast-.npy",
    ]
    page = (shipped / "quickstart" / "index.html").read_text(encoding="utf-8")
    assert "someone walks \\u003cfast\\u003e" in page and "someone walks <fast>" not in page
    assert page.count('"codes":[') == 2
    for name in ("tm2t-m2t", "tm2t-t2m"):
        assert AutoModel.from_pretrained(name).config.model_type == name
    AutoProcessor.from_pretrained("tm2t-t2m")
    captured = capsys.readouterr()
    assert "quickstart/index.html" in captured.out and "a person waves" in captured.out
    assert "a person waves, performed by a child" in captured.out and ", performed by a child" in page
    assert "tm2t-vq already exists and is left unchanged" in captured.err
    assert (shipped / "tm2t-vq" / "config.json").read_text() == "the user's own"
    assert main(["caption", "quickstart/a-person-waves.npy"]) == 0


def test_the_child_of_the_quickstart(walk):
    child = quickstart.as_child(walk, HUMANML3D)
    assert child.shape == walk.shape
    thighs = [np.linalg.norm(body[:, 4] - body[:, 1], axis=-1) for body in (walk, child)]
    np.testing.assert_allclose(thighs[1] / thighs[0], 2 / 3 * 0.85, rtol=1e-4)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["generate", ""], "has no words"),
        (["generate", "a person", "--output", "a.fbx"], "--output a.fbx must end in .gif or .mp4 or"),
        (["generate", "a person", "--output", "no/a.gif"], "lies in a folder that does not exist"),
        (["generate", "a person", "--max_seconds", "-1"], "max_seconds"),
        (["generate", "a person", "--model", "tm2t-m2t-copy"], "tm2t-m2t; use it with pipeline('motion-to-text')"),
        (["caption", "nowhere.npy"], "nowhere.npy is missing"),
        (["caption", "short.npy"], "short.npy has 3 frames, which is shorter than one motion token"),
        (["prepare", "nowhere"], "nowhere"),
        (["toy", "full"], "full is not empty"),
        (["toy", "few", "--num_clips", "3"], "at least 10 clips"),
        (["generate"], "There is no sentence"),
        (["generate", "a person", "--chain"], "chain joins several captions"),
        (["generate", "a person", "--prompts", "none.txt"], "none.txt is missing"),
        (["generate", "a man", "a person", "--prefix", "walk.bvh"], "prefix is for one motion"),
        (["tokens"], "Give motion files to show as tokens, or --decode"),
        (["tokens", "walk.bvh", "--decode", "<motion_1>"], "Give motion files to show as tokens, or --decode"),
        (["tokens", "--decode", "<motion_99>"], "'<motion_99>', which is no motion token of this codebook"),
        (["tokens", "--decode", "<bom> <eom>"], "--decode has no motion token"),
        (["convert", "walk.bvh", "walk.fbx"], "--output walk.fbx must end in"),
        (["convert", "nowhere.bvh", "walk.glb"], "nowhere.bvh is missing"),
        (["convert", "short.npy", "walk.glb", "--skeleton", "kit"], "short.npy has the shape (3, 263), but kit needs"),
        (["convert", "walk.bvh", "walk.glb", "--skeleton", "mine"], "skeleton 'mine' is neither a name"),
        (["convert", "walk.bvh", "walk.glb", "--joint_map", "none.json"], "none.json"),
        (["caption", "short.npy", "--joint_map", "map.json"], "a joint map is for BVH files"),
        (["render", "walk.bvh", "--output", "walk.bvh"], "--output walk.bvh must end in .gif or .mp4 or .html"),
        (["compare", "walk.bvh", "walk.bvh", "--output", "a.gif"], "--output a.gif must end in .html"),
        (["actions"], "has no actions.json"),
    ],
)
def test_what_the_user_can_fix_is_one_sentence(command, message, shipped, checkpoints, walk, capsys):
    np.save("short.npy", np.zeros((3, 263)))
    (shipped / "map.json").write_text('{"head": "Head"}')
    (shipped / "full").mkdir()
    (shipped / "full" / "file").write_text("")
    shutil.copytree(checkpoints / "tm2t-m2t", "tm2t-m2t-copy")
    assert main(command) == 2
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if line.startswith("tm2t-hf: ")]
    assert len(lines) == 1 and message in lines[0]
    assert "Traceback" not in captured.err and not list(shipped.glob("*.gif"))


def test_captions_of_the_other_files_are_printed(shipped, capsys):
    np.save("a.npy", np.random.default_rng(0).normal(size=(24, 263)).astype(np.float32))
    (shipped / "bad.npy").write_bytes(b"PK\x03\x04")
    assert main(["caption", "a.npy", "bad.npy", "nowhere.npy", "a.npy"]) == 2
    captured = capsys.readouterr()
    first, second = captured.out.splitlines()
    assert first == second and first.startswith("a.npy: ")
    bad, nowhere = [line for line in captured.err.splitlines() if line.startswith("tm2t-hf: ")]
    assert "bad.npy is an archive of arrays (.npz)" in bad and "nowhere.npy is missing" in nowhere


@pytest.mark.parametrize("fps", ["0.001", "inf", "nan", "-20", "0"])
@pytest.mark.parametrize("command", [["caption", "a.npy"], ["prepare", "data"]])
def test_rates_are_bounded(command, fps, capsys):
    with pytest.raises(SystemExit) as exit:
        main([*command, f"--fps={fps}"])
    assert exit.value.code == 2
    assert f"argument --fps: {fps} is not between 1 and 1000 frames per second" in capsys.readouterr().err


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGE = {
    "truncated weights": (lambda folder: truncate(folder / "model.safetensors"), "is not a whole safetensors file"),
    "empty weights": (
        lambda folder: (folder / "model.safetensors").write_bytes(b""),
        "is not a whole safetensors file",
    ),
    "pointer": (
        lambda folder: (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n"),
        "is a pointer of Git LFS",
    ),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "has no model.safetensors"),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), "has no tokenizer.json"),
    "half a tokenizer": (lambda folder: truncate(folder / "tokenizer.json"), "tokenizer.json is not JSON"),
    "no processor": (lambda folder: (folder / "processor_config.json").unlink(), "has no processor_config.json"),
    "no configuration": (lambda folder: (folder / "config.json").unlink(), "has no config.json"),
    "half a configuration": (lambda folder: truncate(folder / "config.json"), "config.json is not JSON"),
    "a list as configuration": (
        lambda folder: (folder / "config.json").write_text("[]"),
        "config.json is not a JSON object but a list",
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_models_are_one_sentence(kind, checkpoints, shipped, capsys):
    damage, message = DAMAGE[kind]
    shutil.copytree(checkpoints / "tm2t-t2m", "damaged")
    damage(shipped / "damaged")
    assert main(["generate", "a person", "--model", "damaged", "--output", "a.npy"]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("tm2t-hf: ")]
    assert line.startswith("tm2t-hf: --model damaged: ") and message in line


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("tm2t-vq-copy", "is a model of type tm2t-vq, but one of type tm2t-m2t or tm2t-t2m or"),
        ("runs/typo", "is neither a folder with a config.json nor a model of the Hub within reach"),
        ("C:\\me\\t2m", "There is no folder"),
        ("./typo", "There is no folder"),
        ("/a/b/typo", "There is no folder"),
    ],
)
def test_models_that_are_none(model, message, checkpoints, capsys):
    shutil.copytree(checkpoints / "tm2t-vq", "tm2t-vq-copy")
    assert main(["generate", "a person", "--model", model, "--output", "a.npy"]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("tm2t-hf: ")]
    assert f"--model {model}" in line and message in line


def test_prepare_says_what_check_finds(shipped, capsys):
    assert main(["toy", "toy", "--num_clips", "12"]) == 0
    for path in (shipped / "toy" / "new_joints").glob("*.npy"):
        np.save(path, np.load(path)[..., [0, 2, 1]] * [1, -1, 1])
    capsys.readouterr()
    assert main(["prepare", "toy", "--output_dir", "ready"]) == 1
    out = capsys.readouterr().out
    assert "apart along z, not y" in out and "is ready for training" not in out
    assert main(["check", "ready"]) == 1


def test_an_interrupt_is_one_line(monkeypatch, capsys):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(folders, "make_toy_dataset", interrupted)
    assert main(["toy", "toy"]) == 130
    assert capsys.readouterr().err == "tm2t-hf: interrupted.\n"


def test_the_command_line_knows_what_the_library_can_do():
    assert tuple(SKELETONS) == tm2t_hf_cli.SKELETONS
    assert MOTION_SUFFIXES == tm2t_hf_cli.MOTION_SUFFIXES
    assert tuple(TURNS) == tm2t_hf_cli.AXES
    assert METRES_PER_UNIT.items() >= tm2t_hf_cli.METERS_PER_UNIT.items()
    assert (SLOWEST_FPS, FASTEST_FPS) == (tm2t_hf_cli.SLOWEST_FPS, tm2t_hf_cli.FASTEST_FPS)
    assert pipelines.SHORTEST_FIGURE == tm2t_hf_cli.SHORTEST_FIGURE
    assert pipelines.TALLEST_FIGURE == tm2t_hf_cli.TALLEST_FIGURE


HEAVY = ("numpy", "torch", "transformers", "tm2t_hf")


@pytest.mark.parametrize(
    "command",
    [
        *(["--help"], ["generate", "--help"], ["prepare", "--help"], ["dance"], ["generate", "a", "--fps", "0"]),
        *(["generate"], ["generate", "a", "--output", "a.fbx"], ["generate", "a", "--temperature", "0"]),
        *(["tokens"], ["render", "a.npy", "--output", "a.bvh"], ["compare", "a.npy", "b.npy", "--output", "a.gif"]),
        *(
            ["convert", "a.npy", "no/a.bvh"],
            ["prepare", "data", "--captions", "a.csv"],
            ["prepare", "--from_bvh", "a"],
        ),
    ],
)
def test_help_and_mistakes_do_not_wait_for_torch(command):
    program = (
        "import sys, tm2t_hf_cli\n"
        "try:\n"
        "    status = tm2t_hf_cli.main(sys.argv[1:])\n"
        "except SystemExit as error:\n"
        "    status = error.code\n"
        f"sys.exit(99 if set({HEAVY}) & set(sys.modules) else status)"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program, *command], capture_output=True, text=True, env=environment)
    assert done.returncode == (0 if "--help" in command else 2)
    assert done.stdout if "--help" in command else done.stderr.splitlines()[-1].startswith("tm2t-hf")


@pytest.mark.parametrize("seconds", [0, 0.3, 1, 2, 3])
def test_an_interrupt_at_any_moment_is_one_line(shipped, seconds):
    """Also amid the imports, which take seconds; it is one line when there is nothing to interrupt any more, too."""
    program = "import tm2t_hf_cli; print('ready', flush=True); tm2t_hf_cli.console()"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", program, "toy", "toy", "--num_clips", "5000"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stdout.readline() == "ready\n"
    time.sleep(seconds + 0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "tm2t-hf: interrupted." and "Traceback" not in errors
    assert not list(shipped.iterdir())


def test_a_reader_that_leaves_is_no_error(shipped):
    assert main(["toy", "toy", "--num_clips", "10"]) == 0
    program = "import sys; from tm2t_hf.cli import main; sys.exit(main(['check', 'toy']))"
    read, write = os.pipe()
    os.close(read)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], stdout=write, stderr=subprocess.PIPE, env=environment)
    os.close(write)
    assert done.returncode == 141
    assert b"Traceback" not in done.stderr and b"BrokenPipe" not in done.stderr


def test_the_folder_of_the_clone_is_not_the_package(shipped):
    (shipped / "tm2t_hf").mkdir()
    shutil.copy(ROOT / "__init__.py", shipped / "tm2t_hf")
    done = subprocess.run([sys.executable, "-c", "import tm2t_hf"], capture_output=True, text=True, cwd=shipped)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("ImportError: `import tm2t_hf` found the folder of the clone")


def test_a_package_without_checkpoints_says_so(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(pipelines, "CHECKPOINTS", tmp_path / "none")
    for command in (["generate", "a person"], ["caption", "a.npy"], ["quickstart"]):
        assert main(command) == 2
        assert "This installation has no checkpoint" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["dance"],
        ["render"],
        ["generate", "a", "--num_samples", "0"],
        ["convert", "a.bvh", "a.glb", "--unit", "-1"],
    ],
)
def test_a_wrong_command_line_shows_the_usage(command, capsys):
    with pytest.raises(SystemExit) as exit:
        main(command)
    assert exit.value.code == 2
    assert "usage: tm2t-hf" in capsys.readouterr().err
