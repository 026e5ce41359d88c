# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The command line: what each command writes and prints, and one sentence for what the user can fix."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from transformers import AutoModel, AutoProcessor, GenerationConfig

from tm2t_hf import cli, pipelines, quickstart
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
        (["generate", "a person", "--output", "a.fbx"], "--output a.fbx must end in .gif or .mp4 or"),
        (["generate", "a person", "--output", "no/a.gif"], "lies in a folder that does not exist"),
        (["generate", "a person", "--max_seconds", "-1"], "max_seconds"),
        (["generate", "a person", "--model", "tm2t-m2t-copy"], "tm2t-m2t; use it with pipeline('motion-to-text')"),
        (["caption", "nowhere.npy"], "nowhere.npy is missing"),
        (["caption", "short.npy"], "short.npy has 3 frames, which is shorter than one motion token"),
        (["prepare", "nowhere"], "nowhere"),
        (["toy", "full"], "full is not empty"),
        (["toy", "few", "--num_clips", "3"], "at least 10 clips"),
    ],
)
def test_what_the_user_can_fix_is_one_sentence(command, message, shipped, checkpoints, capsys):
    np.save("short.npy", np.zeros((3, 263)))
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
    "half a tokenizer": (lambda folder: truncate(folder / "tokenizer.json"), "could not be loaded"),
    "no processor": (lambda folder: (folder / "processor_config.json").unlink(), "has no processor_config.json"),
    "no configuration": (lambda folder: (folder / "config.json").unlink(), "has no config.json"),
    "half a configuration": (lambda folder: truncate(folder / "config.json"), "is not the JSON of a configuration"),
    "a list as configuration": (
        lambda folder: (folder / "config.json").write_text("[]"),
        "is not the JSON of a configuration",
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
        ("tm2t-vq-copy", "is a model of type tm2t-vq, but one of type tm2t-m2t or tm2t-t2m is needed"),
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

    monkeypatch.setattr(cli, "make_toy_dataset", interrupted)
    assert main(["toy", "toy"]) == 130
    assert capsys.readouterr().err == "tm2t-hf: interrupted.\n"


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


@pytest.mark.parametrize("command", [[], ["dance"], ["generate"], ["generate", "a", "--num_samples", "0"]])
def test_a_wrong_command_line_shows_the_usage(command, capsys):
    with pytest.raises(SystemExit) as exit:
        main(command)
    assert exit.value.code == 2
    assert "usage: tm2t-hf" in capsys.readouterr().err
