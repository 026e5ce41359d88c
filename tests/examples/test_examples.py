# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The training scripts on a toy set with tiny models; one is launched as users launch them, in two processes."""

import json
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from conftest import EXAMPLES
from forked import in_processes
from safetensors.torch import load_file, save_file
from transformers import (
    AutoFeatureExtractor,
    AutoModel,
    AutoModelForSeq2SeqLM,
    AutoProcessor,
    BertConfig,
    BertModel,
    pipeline,
)

from tm2t_hf import HUMANML3D, MotionToTextConfig, MotionVQConfig, MotionVQModel, Skeleton, TextToMotionConfig
from tm2t_hf.data import prepare, write_shards
from tm2t_hf.motion import SKELETONS
from tm2t_hf.tokenization_text import train_text_tokenizer
from tm2t_hf.toy import make_toy_dataset
from tm2t_hf.training import STAGES, parse_arguments

LAUNCH = ("-m", "accelerate.commands.launch", "--main_process_port", "0")

TINY = {
    "epochs": 2,
    "batch_size": 4,
    "learning_rate": 1e-3,
    "min_frames": 20,
    "licence": "mit",
    "vq": {
        "window": 32,
        "model_config": {"unit_length": 2, "hidden_size": 16, "codebook_size": 16, "num_decoder_blocks": 1},
    },
    "m2t": {
        "text_vocab_size": 300,
        "model_config": {
            **{"d_model": 16, "encoder_layers": 1, "decoder_layers": 1},
            **{"encoder_attention_heads": 2, "decoder_attention_heads": 2},
            **{"encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "read_residuals": True},
        },
    },
    "matcher": {
        "text_vocab_size": 300,
        "model_config": {
            **{"movement_hidden_size": 8, "movement_size": 8, "text_embedding_size": 8, "text_hidden_size": 8},
            **{"motion_hidden_size": 8, "embedding_size": 8, "dropout": 0.0},
        },
    },
    "t2m": {
        "alignment_weight": 0.5,
        "alignment_start_epoch": 1,
        "max_tokens": 8,
        "model_config": {"text_embedding_size": 12, "text_hidden_size": 8, "motion_hidden_size": 16, "dropout": 0.1},
    },
}
NO_DROPOUT = {"dropout": 0.0, "attention_dropout": 0.0, "residual_dropout": 0.0}  # of motion to text


def launch(folder: Path, script: str, *flags: str, launcher: tuple[str, ...] = ()) -> subprocess.CompletedProcess:
    """Runs a script as a process of its own in `folder`."""
    command = [sys.executable, *launcher, str(EXAMPLES / script), "tiny.json", *flags]
    path = os.pathsep.join([str(EXAMPLES.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    env = os.environ | {"ACCELERATE_USE_CPU": "true", "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=900)


def train(folder: Path, script: str, *flags: str, world: int = 1) -> int | None:
    """Runs a script in processes that are forked from this one; its exit code, None where there was none."""

    def main():
        os.chdir(folder)
        sys.argv = [str(EXAMPLES / script), "tiny.json", *map(str, flags)]
        runpy.run_path(str(EXAMPLES / script), run_name="__main__")

    codes = in_processes(main, world)
    assert len(set(codes)) == 1
    return codes[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with a toy set and the stages trained on it, one after the other."""
    folder = tmp_path_factory.mktemp("examples")
    make_toy_dataset(folder / "toy", num_clips=12)
    (folder / "tiny.json").write_text(json.dumps(TINY | {"data_dir": "toy"}))
    two_processes = (*LAUNCH, "--config_file", str(EXAMPLES / "configs" / "accelerate" / "cpu.yaml"))
    process = launch(folder, "train_vq.py", "--output_dir", "tm2t-vq", launcher=two_processes)
    assert process.returncode == 0, process.stdout + process.stderr
    assert train(folder, "train_m2t.py", "--output_dir", "tm2t-m2t") is None
    assert train(folder, "train_t2m.py", "--m2t", "tm2t-m2t", "--output_dir", "tm2t-t2m") is None
    assert train(folder, "train_matcher.py", "--output_dir", "tm2t-matcher") is None
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
            runpy.run_path(str(EXAMPLES / script))["main"]()
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
        assert not list(folder.rglob("checkpoint.*"))
        for each in (folder / name, folder / name / "last"):
            assert AutoModel.from_pretrained(each).config.model_type == f"tm2t-{stage}"
            card = (each / "README.md").read_text()
            assert "license: mit" in card and f"train_{stage}.py" in card and str(folder) not in card
            assert f": {name}\n" in card and f'"{name}"' in card and "writing" not in card
            modes = {path.name: path.stat().st_mode for path in each.iterdir() if path.is_file()}
            assert modes["model.safetensors"] == modes["config.json"]


def test_the_motion_vq_of_two_processes(folder):
    vq = AutoModel.from_pretrained(folder / "tm2t-vq")
    extractor = AutoFeatureExtractor.from_pretrained(folder / "tm2t-vq")
    inputs = extractor(toy_motion(folder), return_tensors="pt")
    codes = vq.encode(**inputs).codes
    (joints,) = extractor.post_process(vq.decode(codes).detach())
    assert joints.shape == (codes.shape[1] * vq.config.unit_length, 22, 3) and np.isfinite(joints).all()
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


def assert_same_outcome(folder: Path, others: Path):
    for part in (".", "last"):
        straight, resumed = weights(folder / part), weights(others / part)
        assert straight.keys() == resumed.keys()
        assert all(torch.equal(tensor, resumed[key]) for key, tensor in straight.items())


def test_a_resumed_training_is_the_one_that_was_never_interrupted(folder):
    """Text-to-motion draws the most: order, captions, crops, dropout, teacher forcing, Gumbel noise."""
    flags = ("--m2t", "tm2t-m2t", "--output_dir", "resumed")
    train(folder, "train_t2m.py", *flags, "--epochs", "1")
    first = weights(folder / "resumed" / "last")
    assert train(folder, "train_t2m.py", *flags, "--resume") is None
    assert_same_outcome(folder / "tm2t-t2m", folder / "resumed")
    assert not all(torch.equal(tensor, first[key]) for key, tensor in weights(folder / "resumed" / "last").items())


@pytest.mark.parametrize("stage", ["vq", "m2t", "t2m", "matcher"])
def test_sigterm_saves_within_an_epoch_and_the_resumed_training_is_the_same(folder, stage):
    """Moving averages of the codebook, order, captions, crops, dropout, teacher forcing, Gumbel noise."""
    script, flags = f"train_{stage}.py", ("--m2t", "tm2t-m2t") if stage == "t2m" else ()
    name = f"stopped-{stage}"
    straight = folder / f"tm2t-{stage}"
    if stage == "vq":  # that one was trained in two processes
        straight = folder / "straight-vq"
        assert train(folder, script, "--output_dir", straight) is None

    def strike():
        collators = sys.modules["tm2t_hf.data.collators"]
        row_generator, calls = collators.row_generator, []

        def counted(seed, epoch, row_id):
            calls.append(epoch)
            if calls.count(1) == 3:  # in the first batch of the second epoch
                os.kill(os.getpid(), signal.SIGTERM)
            return row_generator(seed, epoch, row_id)

        collators.row_generator = counted
        sys.modules["tm2t_hf.data"].row_generator = counted
        os.chdir(folder)
        sys.argv = [script, "tiny.json", "--output_dir", name, *flags]
        runpy.run_path(str(EXAMPLES / script), run_name="__main__")

    assert in_processes(strike) == [143]
    progress = json.loads((folder / name / "last" / "state" / "loop.json").read_text())
    assert (progress["epoch"], progress["step"]) == (1, 1)
    assert train(folder, script, "--output_dir", name, "--resume_from_checkpoint", "latest", *flags) is None
    assert_same_outcome(straight, folder / name)


# ------------------------------------------------------------------------------------------------- several processes


@pytest.mark.parametrize("stage", ["vq", "m2t", "t2m", "matcher"])
def test_several_processes_train_as_one_with_the_whole_batch(folder, stage):
    """Ten updates, half of them by four rows, which three processes cannot share evenly.

    Codes that are averaged and restarted, in shards of the model, too; captions and motions of different lengths;
    samples that are translated back; embeddings pushed apart.
    """
    flags = {
        # more codes than a batch has latents, so that some restart in every update
        "vq": ("--model_config", json.dumps(TINY["vq"]["model_config"] | {"codebook_size": 64})),
        "m2t": (
            "--model_config",
            json.dumps(TINY["m2t"]["model_config"] | NO_DROPOUT),
            *("--token_corruption", "0.2"),
        ),
        "t2m": (
            *("--model_config", json.dumps(TINY["t2m"]["model_config"] | {"dropout": 0.0})),
            *("--m2t", "tm2t-m2t", "--alignment_start_epoch", "0"),
            *("--token_corruption", "0.2"),
        ),
        "matcher": (),
    }[stage]
    flags += ("--epochs", "5", "--validate_every", "5")
    runs = {f"{stage}-{world}": (world, ()) for world in (1, 2, 3)}
    if stage in ("vq", "m2t"):
        runs[f"{stage}-sharded"] = (2, ("--fsdp",))
    for name, (world, sharded) in runs.items():
        options = ("--output_dir", name, "--batch_size", str(6 // world), *sharded)
        assert train(folder, f"train_{stage}.py", *options, *flags, world=world) is None
    one, *others = (weights(folder / name / "last") for name in runs)
    best, *bests = (json.loads((folder / name / "last/state/loop.json").read_text())["best"] for name in runs)
    # these have no gradient, as the softmax does not depend on them: Adam makes steps of what rounding leaves
    names = [name for name in one if not name.endswith("k_proj.bias")]
    norm = sum(one[name].double().square().sum() for name in names).sqrt()
    for several, validation in zip(others, bests, strict=True):
        error = sum((one[name] - several[name]).double().square().sum() for name in names)
        assert error.sqrt() <= 1e-5 * norm
        assert validation == pytest.approx(best, rel=1e-6)


@pytest.mark.parametrize("stage", ["vq", "m2t", "t2m"])
def test_accumulated_batches_train_as_the_whole_batch(folder, stage):
    """Codebook averages over all parts; captions and motions of different lengths; samples translated back."""
    flags = {
        "vq": (),
        "m2t": ("--model_config", json.dumps(TINY["m2t"]["model_config"] | NO_DROPOUT), "--token_corruption", "0.2"),
        "t2m": (
            *("--model_config", json.dumps(TINY["t2m"]["model_config"] | {"dropout": 0.0})),
            *("--m2t", "tm2t-m2t", "--alignment_start_epoch", "0"),
            *("--token_corruption", "0.2"),
        ),
    }[stage]
    for parts in (1, 2):
        options = ("--output_dir", f"{stage}-parts-{parts}", "--batch_size", str(4 // parts))
        code = train(folder, f"train_{stage}.py", *options, "--gradient_accumulation_steps", str(parts), *flags)
        assert code is None
    whole, in_parts = (weights(folder / f"{stage}-parts-{parts}" / "last") for parts in (1, 2))
    names = [name for name in whole if not name.endswith("k_proj.bias")]  # as above
    error = sum((whole[name] - in_parts[name]).double().square().sum() for name in names)
    assert error.sqrt() <= 1e-5 * sum(whole[name].double().square().sum() for name in names).sqrt()


@pytest.mark.parametrize("stage", ["vq", "m2t", "matcher"])
def test_training_from_a_stream(run, folder, stage):
    shards = write_shards(folder / "toy", folder / "shards", clips_per_shard=4)
    options = ("--data_dir", "shards", "--streaming", "--mirror", "--steps_per_epoch", "3", "--shuffle_buffer", "4")
    out = run(f"train_{stage}.py", *options)
    assert shards.is_dir() and all(tensor.isfinite().all() for tensor in weights(out).values())
    progress = json.loads((out / "last" / "state" / "loop.json").read_text())
    assert progress["epoch"] == 1


# ----------------------------------------------------------------------------------------------------------- options


def changed(folder: Path, others: Path) -> set[str]:
    """Names of the weights that differ."""
    before = weights(others)
    return {
        key for key, tensor in weights(folder).items() if key not in before or not torch.equal(tensor, before[key])
    }


def test_vq_from_an_earlier_one(run, folder):
    flags = ("--learning_rate", "0", "--mixed_precision", "bf16", "--mirror")
    out = run("train_vq.py", "--init_from", "tm2t-vq", "--model_config", '{"commitment_weight": 0.5}', *flags)
    # without a learning rate only the moving averages move
    assert changed(out, folder / "tm2t-vq") == {"quantizer.embedding.weight"}
    moved = weights(out)["quantizer.embedding.weight"] - weights(folder / "tm2t-vq")["quantizer.embedding.weight"]
    assert moved.abs().max() < 0.2
    assert AutoModel.from_pretrained(out).config.commitment_weight == 0.5


def test_vq_with_a_deeper_decoder(run, folder):
    flags = ("--freeze_codes", "--learning_rate", "0", "--model_config", '{"num_decoder_blocks": 2}')
    out = run("train_vq.py", "--init_from", "tm2t-vq", *flags)
    assert not changed(out, folder / "tm2t-vq") - {key for key in weights(out) if "decoder.blocks.1." in key}
    assert not weights(out)["decoder.blocks.1.conv2.weight"].any()


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
    other = ("--learning_rate", "0", "--model_config", '{"label_smoothing": 0.25}')
    out = run("train_t2m.py", "--alignment_weight", "0", "--init_from", "begun", *other)
    assert not changed(out, folder / "begun")
    assert AutoModelForSeq2SeqLM.from_pretrained(out).config.label_smoothing == 0.25
    vocabularies = [AutoProcessor.from_pretrained(each).tokenizer.get_vocab() for each in (out, folder / "begun")]
    assert vocabularies[0] == vocabularies[1]
    # which need not be that of the model that translates back
    out = run("train_t2m.py", "--m2t", "tm2t-m2t", "--init_from", "begun", "--alignment_start_epoch", "0")
    assert AutoProcessor.from_pretrained(out).tokenizer.get_vocab() == vocabularies[0]
    assert "alignment_loss" in (out / "README.md").read_text()


TRANSFORMER = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 16}
TRANSFORMER |= {"decoder_ffn_dim": 16, "d_model": 16, "encoder_layers": 1, "decoder_layers": 1}
TRANSFORMER_FLAGS = ("--architecture", "transformer", "--model_config", json.dumps(TRANSFORMER))


@pytest.fixture(scope="module")
def text_encoder(folder) -> str:
    """The folder of a tiny pretrained text encoder with its tokenizer."""
    tokenizer = train_text_tokenizer(["a person waves", "someone walks forward"], 300)
    torch.manual_seed(3)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = BertConfig(vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, **sizes)
    BertModel(config).save_pretrained(folder / "encoder")
    tokenizer.save_pretrained(folder / "encoder")
    return "encoder"


@pytest.mark.parametrize("architecture", ["gru", "transformer"])
@pytest.mark.parametrize("freeze", [True, False])
def test_a_pretrained_text_encoder(run, folder, text_encoder, architecture, freeze):
    (folder / "toy" / "texts_people").mkdir(exist_ok=True)
    clip = (folder / "toy" / "train.txt").read_text().split()[0]
    (folder / "toy" / "texts_people" / f"{clip}.txt").write_text("he does it again.\n")
    flags = TRANSFORMER_FLAGS if architecture == "transformer" else ()
    flags += () if freeze else ("--no_freeze_text_encoder", "--text_encoder_lr", "1e-3")
    out = run(
        *("train_t2m.py", "--m2t", "tm2t-m2t", "--alignment_start_epoch", "0", "--text_encoder", text_encoder),
        *("--further_texts", "texts_people", "--even_sources", *flags),
    )
    model = AutoModelForSeq2SeqLM.from_pretrained(out)
    assert model.config.model_type == ("tm2t-t2m-transformer" if architecture == "transformer" else "tm2t-t2m")
    given = BertModel.from_pretrained(folder / text_encoder).state_dict()
    stored = model.encoder.text_encoder.state_dict()
    moved = {name for name in given if not torch.allclose(given[name], stored[name], atol=1e-3)}
    assert not moved if freeze else "embeddings.word_embeddings.weight" in moved
    motion = pipeline("text-to-motion", model=str(out), device="cpu")("A person waves.", max_seconds=1, min_seconds=1)
    assert motion["joints"].shape == (20, 22, 3)
    shutil.copytree(out, folder / "with_encoder", dirs_exist_ok=True)
    # a frozen encoder can be trained on, and one that is trained stays so
    flags = ("--no_freeze_text_encoder", "--text_encoder_lr", "1e-3") if freeze else ("--text_encoder_lr", "1e-3")
    again = run("train_t2m.py", "--alignment_weight", "0", "--init_from", "with_encoder", *flags)
    again = AutoModelForSeq2SeqLM.from_pretrained(again)
    assert again.config.model_type == model.config.model_type and not again.config.freeze_text_encoder
    trained = again.encoder.text_encoder.state_dict()
    assert any(not torch.allclose(stored[name], trained[name], atol=1e-3) for name in stored)


def test_a_transformer_with_word_vectors_of_its_own(run):
    out = run("train_t2m.py", "--m2t", "tm2t-m2t", "--alignment_samples", "teacher_forced", *TRANSFORMER_FLAGS)
    model = AutoModelForSeq2SeqLM.from_pretrained(out)
    assert model.config.text_encoder_config is None
    assert model.config.text_vocab_size == len(AutoProcessor.from_pretrained(out).tokenizer)


def test_a_skeleton_of_your_own(run, folder):
    kept = [0, 1, 2, 7, 8, 10, 11, 16, 17]  # of HumanML3D: pelvis, hips, ankles, toes, shoulders
    skeleton = Skeleton(
        name="mine",
        fps=20.0,
        metres_per_unit=1.0,
        joint_names=tuple(HUMANML3D.joint_names[joint] for joint in kept),
        chains=((0, 1, 3, 5), (0, 2, 4, 6), (0, 7), (0, 8)),
        directions=tuple(HUMANML3D.directions[joint] for joint in kept),
        face_joints=(2, 1, 8, 7),
        left_foot=(3, 5),
        right_foot=(4, 6),
        leg_joints=(1, 3),
        contact_threshold=0.002,
        mirror_pairs=((1, 2), (3, 4), (5, 6), (7, 8)),
    )
    (folder / "mine.json").write_text(json.dumps(skeleton.to_dict()))
    shutil.copytree(folder / "toy", folder / "nine", ignore=shutil.ignore_patterns("*.npy", "prepared.json"))
    for path in (folder / "toy" / "new_joints").glob("*.npy"):
        np.save(folder / "nine" / "new_joints" / path.name, np.load(path)[:, kept])
    prepare(folder / "nine", skeleton=skeleton)
    out = run("train_vq.py", "--skeleton", "mine.json", "--data_dir", "nine", "--mirror", "true")
    extractor, model = AutoFeatureExtractor.from_pretrained(out), AutoModel.from_pretrained(out)
    assert extractor.skeleton == skeleton and model.config.feature_size == 12 * 9 - 1
    assert "skeleton `mine`" in (out / "README.md").read_text(encoding="utf-8")
    features = extractor(toy_motion(folder)[:, kept], fps=20.0, return_tensors="pt")
    assert model.encode(**features).codes.shape[1] > 4


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
        ("train_t2m.py --m2t tm2t-m2t --alignment_update never", "--alignment_update.*invalid choice: 'never'"),
        (
            "train_t2m.py --m2t tm2t-m2t --teacher_forcing_start 2",
            "--teacher_forcing_start must be from 0 to 1; got 2",
        ),
        (
            "train_m2t.py --vq kit",
            "kit was trained on motion of another skeleton: it has 251 features per frame, --sk",
        ),
        (
            "train_t2m.py --alignment_weight 0 --vq kit",
            "kit was trained on motion of another skeleton: it has 251 features per frame, --sk",
        ),
        ("train_vq.py --init_from kit", "kit was trained on motion of another skeleton: it has 251 features per fra"),
        ("train_m2t.py --vq broken", "broken lacks weights of its model .decoder.output.bias"),
        ("train_m2t.py --vq cut", "cut/model.safetensors is not a whole safetensors file"),
        (
            "train_vq.py --data_dir nowhere --output_dir toy/train.txt",
            "--output_dir toy/train.txt cannot be written to",
        ),
        ("train_vq.py --data_dir nowhere --validate_every 0", "--validate_every must be at least 1; got 0"),
        ("train_m2t.py --token_corruption 0.1 --corruption_neighbors 16", "16 is too many for a codebook of 16 codes"),
        (
            "train_t2m.py --alignment_weight 0 --init_from tm2t-t2m --architecture transformer",
            "--architecture transformer is for a new model, but tm2t-t2m is a GRU",
        ),
        (
            "train_t2m.py --alignment_weight 0 --init_from tm2t-t2m --no_freeze_text_encoder",
            "--no_freeze_text_encoder is given, but tm2t-t2m has no text encoder",
        ),
        ("train_vq.py --resume", "nothing to resume in out/last; leave out --resume_from"),
    ],
)
def test_what_a_user_gets_wrong(run, folder, command, message):
    if "no-split" in command:
        shutil.copytree(folder / "toy", folder / "no-split", ignore=shutil.ignore_patterns("val.txt"))
    for name, codes in (("fewer", 8), ("others", 16)):
        if name in command:
            shutil.copytree(folder / "tm2t-vq", folder / name)
            MotionVQModel(MotionVQConfig(unit_length=2, hidden_size=16, codebook_size=codes)).save_pretrained(
                folder / name
            )
    if "kit" in command and not (folder / "kit").exists():
        shutil.copytree(folder / "tm2t-vq", folder / "kit")
        MotionVQModel(
            MotionVQConfig(unit_length=2, hidden_size=16, codebook_size=16, feature_size=251)
        ).save_pretrained(folder / "kit")
    for name in ("broken", "cut"):
        if name in command:
            path = shutil.copytree(folder / "tm2t-vq", folder / name) / "model.safetensors"
            kept = {key: tensor for key, tensor in load_file(path).items() if key != "decoder.output.bias"}
            save_file(kept, path, {"format": "pt"})
            if name == "cut":
                path.write_bytes(path.read_bytes()[:-100])
    script, *flags = command.split()
    with pytest.raises((ValueError, FileNotFoundError), match=message) as information:
        run(script, *flags)
    assert "\n" not in str(information.value)


# -------------------------------------------------------------------------------------------------------- the card's


@pytest.mark.parametrize("stage", STAGES)
def test_the_code_of_the_card_runs(folder, stage, monkeypatch):
    monkeypatch.chdir(folder)
    np.save("motion.npy", toy_motion(folder))
    (code,) = re.findall(r"```python\n(.*?)```", (folder / f"tm2t-{stage}" / "README.md").read_text(), re.DOTALL)
    made = {}
    exec(code, made)
    if "joints" in made:
        assert made["joints"].shape[1:] == (22, 3)
    if stage == "matcher":
        assert made["distance"].shape == (1, 1)
