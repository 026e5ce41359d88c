# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The command line: what each command writes and prints, and one sentence for what the user can mend."""

import shutil

import numpy as np
import pytest
from transformers import AutoModel, AutoProcessor, GenerationConfig

from tm2t_hf import pipelines, quickstart
from tm2t_hf.cli import main

Image = pytest.importorskip("PIL.Image")


@pytest.fixture
def checkpoints(processor, vq_model, t2m_model, m2t_model, tmp_path_factory):
    """A folder of tiny checkpoints laid out as the package's own."""
    root = tmp_path_factory.mktemp("checkpoints")
    for name, model in (("tm2t-vq", vq_model), ("tm2t-m2t", m2t_model), ("tm2t-t2m", t2m_model)):
        model.save_pretrained(root / name)
        processor.save_pretrained(root / name)
    return root


@pytest.fixture(autouse=True)
def shipped(checkpoints, tmp_path, monkeypatch):
    """The tiny checkpoints ship with the package, and the test runs in an empty folder."""
    monkeypatch.setattr(pipelines, "CHECKPOINTS", checkpoints)
    monkeypatch.chdir(tmp_path)
    return tmp_path


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


def test_generate_takes_sampling_options_and_a_model(checkpoints):
    command = ["generate", "a person waves", "--output", "a.npy", "--model", str(checkpoints / "tm2t-t2m"), *LENGTHS]
    assert main([*command, "--top_k", "1", "--temperature", "0.5"]) == 0
    likeliest = np.load("a.npy")
    assert main([*command, "--greedy"]) == 0
    np.testing.assert_allclose(np.load("a.npy"), likeliest, atol=1e-5)


def test_generate_says_that_a_motion_is_empty(shipped, checkpoints, capsys):
    shutil.copytree(checkpoints / "tm2t-t2m", "silent")
    config = GenerationConfig.from_pretrained("silent")
    config.sequence_bias = [[[AutoModel.from_pretrained("silent").config.eos_token_id], 1e4]]
    config.save_pretrained("silent")
    assert main(["generate", "a person waves", "--model", "silent"]) == 2
    assert "The model ended a motion at once; pass --min_seconds 1" in capsys.readouterr().err
    assert not list(shipped.glob("*.gif"))


def test_caption_prints_a_line_a_caption(capsys, checkpoints):
    np.save("a.npy", np.random.default_rng(0).normal(size=(24, 263)).astype(np.float32))
    assert main(["caption", "a.npy", "--num_beams", "3"]) == 0
    (one,) = capsys.readouterr().out.split("\n")[:-1]
    model = str(checkpoints / "tm2t-m2t")
    assert main(["caption", "a.npy", "a.npy", "--num_beams", "3", "--num_captions", "2", "--model", model]) == 0
    lines = capsys.readouterr().out.split("\n")[:-1]
    assert len(lines) == 4 and lines[0] == f"a.npy: {one}" and lines[:2] == lines[2:]


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
    out = capsys.readouterr().out
    assert "quickstart/index.html" in out and "a person waves" in out
    assert "tm2t-vq is there already and stays as it is" in out
    assert (shipped / "tm2t-vq" / "config.json").read_text() == "the user's own"
    assert main(["caption", "quickstart/a-person-waves.npy"]) == 0


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["generate", ""], "has no words"),
        (["generate", "a person", "--output", "a.mp4"], "--output a.mp4 must end in .gif or .npy"),
        (["generate", "a person", "--output", "no/a.gif"], "lies in a folder that does not exist"),
        (["generate", "a person", "--max_seconds", "-1"], "max_seconds"),
        (["generate", "a person", "--model", "tm2t-m2t-copy"], "tm2t-m2t; use it with pipeline('motion-to-text')"),
        (["caption", "nowhere.npy"], "There is no file nowhere.npy"),
        (["caption", "short.npy"], "short.npy has 3 frames, which is shorter than one motion token"),
        (["prepare", "nowhere"], "nowhere"),
        (["toy", "full"], "full is not empty"),
        (["toy", "few", "--num_clips", "3"], "at least 10 clips"),
    ],
)
def test_what_the_user_can_mend_is_one_sentence(command, message, shipped, checkpoints, capsys):
    np.save("short.npy", np.zeros((3, 263)))
    (shipped / "full").mkdir()
    (shipped / "full" / "file").write_text("")
    shutil.copytree(checkpoints / "tm2t-m2t", "tm2t-m2t-copy")
    assert main(command) == 2
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if line.startswith("tm2t-hf: ")]
    assert len(lines) == 1 and message in lines[0]
    assert "Traceback" not in captured.err and not list(shipped.glob("*.gif"))


def test_a_package_without_checkpoints_says_so(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(pipelines, "CHECKPOINTS", tmp_path / "none")
    for command in (["generate", "a person"], ["caption", "a.npy"], ["quickstart"]):
        assert main(command) == 2
        assert "This installation has no checkpoint" in capsys.readouterr().err


@pytest.mark.parametrize("command", [[], ["dance"], ["generate"], ["generate", "a", "--num_samples", "0"]])
def test_a_wrong_command_line_shows_the_usage(command, capsys):
    with pytest.raises(SystemExit) as exit:
        main(command)
    assert exit.value.code == 2
    assert "usage: tm2t-hf" in capsys.readouterr().err
