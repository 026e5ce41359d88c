# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The training scripts, launched as a user launches them, on a toy set with tiny models."""

import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from conftest import EXAMPLES
from safetensors.torch import load_file
from transformers import (
    AutoFeatureExtractor,
    AutoModel,
    AutoModelForSeq2SeqLM,
    AutoProcessor,
    pipeline,
)

from tm2t_hf import MotionToTextConfig, MotionVQConfig, MotionVQModel, TextToMotionConfig
from tm2t_hf.motion import SKELETONS
from tm2t_hf.toy import make_toy_dataset
from tm2t_hf.training import parse_arguments

LAUNCH = ("-m", "accelerate.commands.launch", "--main_process_port", "0")

TINY = {
    "epochs": 2,
    "batch_size": 4,
    "learning_rate": 1e-3,
    "min_frames": 20,
    "licence": "mit",
    "vq": {"window": 32, "model_config": {"hidden_size": 16, "codebook_size": 16, "num_decoder_blocks": 1}},
    "m2t": {
        "text_vocab_size": 300,
        "model_config": {
            **{"d_model": 16, "encoder_layers": 1, "decoder_layers": 1},
            **{"encoder_attention_heads": 2, "decoder_attention_heads": 2},
            **{"encoder_ffn_dim": 32, "decoder_ffn_dim": 32},
        },
    },
    "t2m": {
        "alignment_weight": 0.5,
        "alignment_start_epoch": 1,
        "max_tokens": 8,
        "model_config": {"text_embedding_size": 12, "text_hidden_size": 8, "motion_hidden_size": 16, "dropout": 0.1},
    },
}


def launch(folder: Path, script: str, *flags: str, launcher: tuple[str, ...] = ()) -> str:
    """Runs a script as a process of its own in `folder`; what it printed."""
    command = [sys.executable, *launcher, str(EXAMPLES / script), "tiny.json", *flags]
    path = os.pathsep.join([str(EXAMPLES.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    env = os.environ | {"ACCELERATE_USE_CPU": "true", "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    process = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=900)
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout + process.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with a toy set and the three stages trained on it, one after the other."""
    folder = tmp_path_factory.mktemp("examples")
    make_toy_dataset(folder / "toy", num_clips=12)
    (folder / "tiny.json").write_text(json.dumps(TINY | {"data_dir": "toy"}))
    two_processes = (*LAUNCH, "--multi_gpu", "--num_processes", "2")
    launch(folder, "train_vq.py", "--output_dir", "tm2t-vq", launcher=two_processes)
    launch(folder, "train_m2t.py", "--output_dir", "tm2t-m2t", launcher=LAUNCH)
    launch(folder, "train_t2m.py", "--m2t", "tm2t-m2t", "--output_dir", "tm2t-t2m")
    return folder


@pytest.fixture
def run(folder, monkeypatch):
    """`run("train_vq.py", *flags)`: a script inside this process, where starting another one would tell no more."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")

    def run(script: str, *flags: str) -> Path:
        AcceleratorState._reset_state(True)
        monkeypatch.setattr(sys, "argv", [script, "tiny.json", "--epochs", "1", "--output_dir", "out", *flags])
        shutil.rmtree(folder / "out", ignore_errors=True)
        try:
            runpy.run_path(str(EXAMPLES / script), run_name="__main__")
        finally:
            AcceleratorState._reset_state(True)
        return folder / "out"

    return run


def toy_motion(folder: Path) -> np.ndarray:
    return np.load(next((folder / "toy" / "new_joints").glob("*.npy")))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


# --------------------------------------------------------------------------------------------------- what they leave


def test_the_folders_are_whole(folder):
    for name, stage in (("tm2t-vq", "vq"), ("tm2t-m2t", "m2t"), ("tm2t-t2m", "t2m")):
        assert (folder / name / "last" / "state").is_dir()
        assert not list(folder.rglob("*.writing"))
        for each in (folder / name, folder / name / "last"):
            assert AutoModel.from_pretrained(each).config.model_type == f"tm2t-{stage}"
            card = (each / "README.md").read_text()
            assert "license: mit" in card and f"train_{stage}.py" in card and str(folder) not in card
            assert f": {name}\n" in card and f'"{name}"' in card and "writing" not in card


def test_the_motion_vq_of_two_processes(folder):
    vq = AutoModel.from_pretrained(folder / "tm2t-vq")
    extractor = AutoFeatureExtractor.from_pretrained(folder / "tm2t-vq")
    inputs = extractor(toy_motion(folder), return_tensors="pt")
    codes = vq.encode(**inputs).codes
    (joints,) = extractor.post_process(vq.decode(codes).detach())
    assert joints.shape == (codes.shape[1] * 4, 22, 3) and np.isfinite(joints).all()
    # training has placed the codes: new ones lie within 1 / 16 of zero
    assert vq.quantizer.embedding.weight.abs().max() > 2 / 16


def test_the_translations_carry_the_motion_vq(folder):
    vq = {f"vq.{name}": tensor for name, tensor in weights(folder / "tm2t-vq").items()}
    for name in ("tm2t-m2t", "tm2t-t2m"):
        inside = {key: tensor for key, tensor in weights(folder / name).items() if key.startswith("vq.")}
        assert inside.keys() == vq.keys()
        assert all(torch.equal(tensor, vq[key]) for key, tensor in inside.items())


def test_pipelines_take_the_folders(folder):
    motion = pipeline("text-to-motion", model=str(folder / "tm2t-t2m"), device="cpu")(
        "a person walks forward", min_seconds=1, max_seconds=1
    )
    assert motion["joints"].shape == (20, 22, 3)
    captions = pipeline("motion-to-text", model=str(folder / "tm2t-m2t"), device="cpu")(toy_motion(folder))
    assert isinstance(captions[0]["generated_text"], str)
    processors = [AutoProcessor.from_pretrained(folder / name) for name in ("tm2t-m2t", "tm2t-t2m")]
    vocabularies = [processor.tokenizer.get_vocab() for processor in processors]
    assert vocabularies[0] == vocabularies[1] and 100 < len(vocabularies[0]) <= 300
    assert AutoModelForSeq2SeqLM.from_pretrained(folder / "tm2t-t2m").generation_config.top_k == 100


# ------------------------------------------------------------------------------------------------------------ resume


def test_a_resumed_training_is_the_one_that_was_never_interrupted(folder):
    """Text-to-motion draws the most: order, captions, crops, dropout, teacher forcing, Gumbel noise."""
    flags = ("--m2t", "tm2t-m2t", "--output_dir", "resumed")
    launch(folder, "train_t2m.py", *flags, "--epochs", "1")
    first = weights(folder / "resumed" / "last")
    printed = launch(folder, "train_t2m.py", *flags, "--resume")
    assert "Going on after epoch 1." in printed and "alignment_loss" in printed
    for part in (".", "last"):
        straight, resumed = weights(folder / "tm2t-t2m" / part), weights(folder / "resumed" / part)
        assert straight.keys() == resumed.keys()
        assert all(torch.equal(tensor, resumed[key]) for key, tensor in straight.items())
    assert not all(torch.equal(tensor, first[key]) for key, tensor in resumed.items())


# ----------------------------------------------------------------------------------------------------------- options


def changed(folder: Path, others: Path) -> set[str]:
    """Names of the weights that differ."""
    before = weights(others)
    return {key for key, tensor in weights(folder).items() if not torch.equal(tensor, before[key])}


def test_vq_from_an_earlier_one(run, folder):
    flags = ("--learning_rate", "0", "--mixed_precision", "bf16", "--mirror")
    out = run("train_vq.py", "--init_from", "tm2t-vq", "--model_config", '{"commitment_weight": 0.5}', *flags)
    # without a learning rate only the moving averages move
    assert changed(out, folder / "tm2t-vq") == {"quantizer.embedding.weight"}
    moved = weights(out)["quantizer.embedding.weight"] - weights(folder / "tm2t-vq")["quantizer.embedding.weight"]
    assert moved.abs().max() < 0.2
    assert AutoModel.from_pretrained(out).config.commitment_weight == 0.5


@pytest.mark.parametrize(
    "flags",
    [
        ("--alignment_update", "separate", "--alignment_end_rule", "argmax", "--alignment_append_eom", "false"),
        ("--alignment_samples", "teacher_forced", "--init_from", "tm2t-t2m", "--alignment_kl_weight", "0.1"),
        ("--alignment_samples", "teacher_forced", "--alignment_update", "separate", "--token_corruption", "0.2"),
        ("--mixed_precision", "bf16", "--num_offsets", "1", "--mirror"),
    ],
    ids=["paper", "from an earlier one", "teacher forced", "bf16"],
)
def test_ways_to_align(run, folder, flags):
    out = run("train_t2m.py", "--m2t", "tm2t-m2t", "--alignment_start_epoch", "0", *flags)
    assert changed(out, folder / "tm2t-t2m")
    assert all(tensor.isfinite().all() for tensor in weights(out).values())
    assert "alignment_loss" in (out / "README.md").read_text()


def test_t2m_without_alignment(run, folder):
    out = run("train_t2m.py", "--alignment_weight", "0", "--text_vocab_size", "290")
    assert len(AutoProcessor.from_pretrained(out).tokenizer) <= 290
    assert "alignment_loss" not in (out / "README.md").read_text()
    # begun with, it brings its own tokenizer
    (folder / "begun").exists() or shutil.copytree(out, folder / "begun")
    out = run("train_t2m.py", "--alignment_weight", "0", "--init_from", "begun", "--learning_rate", "0")
    assert not changed(out, folder / "begun")
    vocabularies = [AutoProcessor.from_pretrained(each).tokenizer.get_vocab() for each in (out, folder / "begun")]
    assert vocabularies[0] == vocabularies[1]
    with pytest.raises(ValueError, match="begun has another text vocabulary; give the --m2t it was trained with"):
        run("train_t2m.py", "--m2t", "tm2t-m2t", "--init_from", "begun")


def test_motion_embeddings_from_the_codebook(m2t_model):
    """As wide as the codebook vectors here, so that all distances between codes are kept, but for one scale."""
    embedding, codebook = m2t_model.get_encoder().embed_tokens.weight, m2t_model.vq.quantizer.embedding.weight
    before = embedding.detach().clone()
    runpy.run_path(str(EXAMPLES / "train_m2t.py"))["embed_codebook"](m2t_model)
    ratios = torch.pdist(embedding[:32].detach()) / torch.pdist(codebook)
    torch.testing.assert_close(ratios, ratios[:1].expand_as(ratios), rtol=1e-4, atol=0)
    torch.testing.assert_close(embedding[:32].norm(), before[:32].norm())
    assert torch.equal(embedding[32:], before[32:])  # <bom>, <eom> and <pad>


@pytest.mark.parametrize("config", sorted((EXAMPLES / "configs").glob("*.json")), ids=lambda path: path.name)
def test_the_configurations_that_ship(config, monkeypatch):
    def arguments(section: str):
        flags = {"data_dir": "data", "output_dir": "out"} | ({"m2t": "tm2t-m2t"} if section == "t2m" else {})
        command = ["train.py", str(config), *(f"--{name}={value}" for name, value in flags.items())]
        monkeypatch.setattr(sys, "argv", command)
        script = runpy.run_path(str(EXAMPLES / f"train_{section}.py"))
        return parse_arguments(script[f"{section.upper()}Arguments"], section)

    stages = {section: arguments(section) for section in ("vq", "m2t", "t2m")}
    skeleton = SKELETONS[stages["vq"].skeleton]
    vq = MotionVQConfig(feature_size=skeleton.feature_size, fps=skeleton.fps, **stages["vq"].model_config)
    assert stages["vq"].window % vq.unit_length == 0
    m2t = MotionToTextConfig(vq_config=vq, **stages["m2t"].model_config)
    assert m2t.max_position_embeddings >= stages["m2t"].max_frames // vq.unit_length + 2
    TextToMotionConfig(vq_config=vq, **stages["t2m"].model_config)
    for arguments in stages.values():
        assert arguments.skeleton == skeleton.name


# --------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("train_vq.py --data_dir nowhere", "There is no data folder nowhere"),
        ("train_vq.py --data_dir no-split", r"no-split has no split file val.txt \(split files there: .*train.txt"),
        ("train_vq.py --skeleton kit", "kit needs .frames, 251."),
        ("train_vq.py --init_from tm2t-t2m", "tm2t-t2m is a model of type tm2t-t2m, but one of type tm2t-vq"),
        ("train_m2t.py --vq nowhere", "There is no model nowhere"),
        ("train_m2t.py --vq tm2t-t2m", "tm2t-t2m is a model of type tm2t-t2m, but one of type tm2t-vq"),
        ("train_t2m.py --m2t tm2t-vq", "tm2t-vq is a model of type tm2t-vq, but one of type tm2t-m2t"),
        ("train_t2m.py --m2t nowhere", "There is no model nowhere"),
        ("train_t2m.py --m2t tm2t-m2t --vq fewer", "tm2t-m2t was trained on the 16 codes .* which has 8"),
        ("train_t2m.py --m2t tm2t-m2t --vq others", "tm2t-m2t was trained on the 16 codes of another motion VQ"),
        ("train_t2m.py", "--alignment_weight needs --m2t"),
        ("train_t2m.py --m2t tm2t-m2t --alignment_kl_weight 1", "--alignment_kl_weight needs --init_from"),
        ("train_t2m.py --m2t tm2t-m2t --alignment_update never", "--alignment_update must be one of summed, separate"),
        ("train_vq.py --resume", "nothing to resume in out/last; leave out --resume"),
    ],
)
def test_what_a_user_gets_wrong(run, folder, command, message):
    if "no-split" in command:
        shutil.copytree(folder / "toy", folder / "no-split", ignore=shutil.ignore_patterns("val.txt"))
    for name, codes in (("fewer", 8), ("others", 16)):
        if name in command:
            shutil.copytree(folder / "tm2t-vq", folder / name)
            MotionVQModel(MotionVQConfig(hidden_size=16, codebook_size=codes)).save_pretrained(folder / name)
    script, *flags = command.split()
    with pytest.raises((ValueError, FileNotFoundError), match=message) as information:
        run(script, *flags)
    assert "\n" not in str(information.value)
