# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""What `benchmark.py` measures: training steps, generation, the pipelines, and the command line from a cold start."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from transformers import pipeline

from tm2t_hf import (
    MotionToTextConfig,
    MotionToTextModel,
    MotionVQConfig,
    MotionVQModel,
    TextToMotionConfig,
    TextToMotionModel,
    inverse_alignment_loss,
)
from tm2t_hf.alignment import teacher_forced_samples
from tm2t_hf.data import load_motion_dataset
from tm2t_hf.data.lengths import motion_lengths
from tm2t_hf.toy import make_toy_clip
from tm2t_hf.training.loaders import TrainingBatches

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
CONFIG_OF_SIZE = {"tiny": "tiny.json", "small": "small.json", "paper": "humanml3d.json"}
# The lengths at which the original was measured.
TOKENS, WORDS, WINDOW, FRAMES, SAMPLED, SPOKEN = 54, 22, 64, 196, 50, 29
TEXT_VOCABULARY = 4200
UNIT_LENGTH = 4  # frames of a token
EPOCH_BATCH = 32
PROMPT = "a person walks forward and waves the left hand"


@dataclass
class Setting:
    """Where and how everything is measured.

    Args:
        device: of the models.
        dtype: float32 or bfloat16; bfloat16 is autocast in training, and the models' own type in use.
        size: "tiny", "small" or "paper": whose configuration file has the models' sizes.
        compile: compile what is trained, and the encoder of the motion VQ.
        data_dir: folder whose clips give the lengths of `EPOCHS`.
    """

    device: torch.device
    dtype: torch.dtype
    size: str
    compile: bool = False
    data_dir: str = ""

    def model_config(self, section: str) -> dict:
        """What the configuration file says of one model."""
        content = json.loads((CONFIGS / CONFIG_OF_SIZE[self.size]).read_text(encoding="utf-8"))
        return content[section]["model_config"]

    def in_use(self, model: nn.Module) -> nn.Module:
        """The model as it is used."""
        return model.to(self.device, self.dtype).eval()

    def in_training(self, model: nn.Module) -> nn.Module:
        """The model as it is trained."""
        model = model.to(self.device).train()
        if self.compile:
            model.compile(dynamic=True)
        return model

    def ids(self, vocabulary: int, *shape: int) -> Tensor:
        """Random ids, none of which is padding."""
        return torch.randint(1, vocabulary, shape, device=self.device)


def training_step(setting: Setting, model: nn.Module, loss: Callable[..., Tensor]) -> Callable[..., None]:
    """Loss, gradients, clipping and the optimizer's step. The weights stay, so that every step is the same.

    Args:
        setting: says whether under autocast.
        model: is trained.
        loss: of what the step is called with.
    """
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learned, lr=0.0, fused=True)  # as by default in training

    def step(*inputs):
        with torch.autocast(setting.device.type, torch.bfloat16, enabled=setting.dtype == torch.bfloat16):
            value = loss(*inputs)
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        optimizer.zero_grad()

    return step


def without_gradients(work: Callable[[], object]) -> Callable[[], None]:
    """Work that is not to be differentiated."""

    def run():
        with torch.no_grad():
            work()

    return run


# ---- the models -----------------------------------------------------------------------------------------------------


def new_t2m(setting: Setting) -> TextToMotionModel:
    """A text-to-motion model of random weights, whose motions do not end."""
    config = TextToMotionConfig(**setting.model_config("t2m"), text_vocab_size=TEXT_VOCABULARY)
    model = TextToMotionModel(config)
    with torch.no_grad():
        model.lm_head.weight[config.eos_token_id] = 0  # its logit is 0, which is never the largest
    model.generation_config.update(do_sample=True, top_k=100, eom_by_argmax=True)  # the original's rules
    return model


def new_m2t(setting: Setting) -> MotionToTextModel:
    """A motion-to-text model of random weights."""
    # it is given ids: nothing of a motion VQ
    own = {"vocab_size": TEXT_VOCABULARY, "read_offsets": [0], "read_residuals": False}
    sizes = setting.model_config("m2t") | own
    return MotionToTextModel(MotionToTextConfig(**sizes))


def new_vq(setting: Setting) -> MotionVQModel:
    """A motion VQ of random weights."""
    return MotionVQModel(MotionVQConfig(**setting.model_config("vq")))


# ---- training -------------------------------------------------------------------------------------------------------


def t2m_step(setting: Setting, batch: int = 64) -> Callable[[], None]:
    """A teacher-forced step of text-to-motion."""
    model = setting.in_training(new_t2m(setting))
    text, labels = setting.ids(TEXT_VOCABULARY, batch, WORDS), setting.ids(model.config.codebook_size, batch, TOKENS)
    return training_step(setting, model, lambda: model(input_ids=text, labels=labels).loss)


def alignment_step(setting: Setting, batch: int = 64, teacher_forced: bool = False) -> Callable[[], None]:
    """A step of the inverse alignment alone, with samples by rollout or after real motion tokens."""
    t2m, m2t = setting.in_training(new_t2m(setting)), new_m2t(setting).to(setting.device).eval()
    text, captions = setting.ids(TEXT_VOCABULARY, batch, WORDS), setting.ids(TEXT_VOCABULARY, batch, WORDS)
    labels = setting.ids(t2m.config.codebook_size, batch, TOKENS)

    def loss() -> Tensor:
        options = {"max_tokens": TOKENS}
        if teacher_forced:
            options = {"samples": teacher_forced_samples(t2m, t2m(input_ids=text, labels=labels).logits, labels)}
        return inverse_alignment_loss(t2m, m2t, captions, text, **options).loss

    return training_step(setting, t2m, loss)


def alignment_step_teacher_forced(setting: Setting) -> Callable[[], None]:
    """As `alignment_step`, all samples after real motion tokens, at once."""
    return alignment_step(setting, teacher_forced=True)


def m2t_step(setting: Setting, batch: int = 64) -> Callable[[], None]:
    """A step of motion-to-text."""
    model = setting.in_training(new_m2t(setting))
    motion, labels = setting.ids(model.config.codebook_size, batch, TOKENS), setting.ids(TEXT_VOCABULARY, batch, WORDS)
    return training_step(setting, model, lambda: model(input_ids=motion, labels=labels).loss)


def vq_step(setting: Setting, batch: int = 128) -> Callable[[], None]:
    """A step of the motion VQ."""
    model = setting.in_training(new_vq(setting))
    motion = torch.randn(batch, WINDOW, model.config.feature_size, device=setting.device)
    return training_step(setting, model, lambda: model(motion).loss)


# ---- epochs, in which lengths vary ----------------------------------------------------------------------------------


def epoch(setting: Setting, stage: str, group_by_length: bool) -> Callable[[], None]:
    """An epoch over random codes, or features, as long as the clips and the first captions of a data set."""
    dataset = load_motion_dataset(setting.data_dir, "train")
    frames = [int(length) for length in motion_lengths(dataset)]
    words = [len(captions[0].split()) + 2 for captions in dataset["captions"]]
    batches = TrainingBatches(len(frames), EPOCH_BATCH, seed=0, lengths=frames if group_by_length else None)
    model = setting.in_training({"vq": new_vq, "m2t": new_m2t, "t2m": new_t2m}[stage](setting))

    def padded(lengths: list[int], padding: int) -> Tensor:
        places = torch.arange(max(lengths), device=setting.device)
        is_padding = places >= torch.tensor(lengths, device=setting.device)[:, None]  # (batch, longest)
        return setting.ids(200, *is_padding.shape).masked_fill(is_padding, padding)

    def loss(rows: list[int]) -> Tensor:
        tokens, said = [frames[row] // UNIT_LENGTH for row in rows], [words[row] for row in rows]
        if stage == "t2m":
            return model(input_ids=padded(said, model.config.text_pad_id), labels=padded(tokens, -100)).loss
        if stage == "m2t":
            return model(input_ids=padded(tokens, model.config.pad_id), labels=padded(said, -100)).loss
        mask = padded([number * UNIT_LENGTH for number in tokens], 0) > 0
        motion = torch.randn(*mask.shape, model.config.feature_size, device=setting.device)
        return model(motion, attention_mask=mask.long()).loss

    step = training_step(setting, model, loss)

    def run():
        for rows in batches:
            step(rows)

    return run


# ---- use ------------------------------------------------------------------------------------------------------------


def t2m_sampling(setting: Setting, batch: int = 1, tokens: int = SAMPLED) -> Callable[[], None]:
    """Motion tokens sampled from captions."""
    model = setting.in_use(new_t2m(setting))
    text = setting.ids(TEXT_VOCABULARY, batch, WORDS)
    return without_gradients(lambda: model.generate(text, max_new_tokens=tokens))


def t2m_sampling_32(setting: Setting) -> Callable[[], None]:
    """The same for a batch."""
    return t2m_sampling(setting, batch=32)


def m2t_beams(setting: Setting, batch: int = 1) -> Callable[[], None]:
    """Captions by a beam search of width 2."""
    model = setting.in_use(new_m2t(setting))
    motion = setting.ids(model.config.codebook_size, batch, TOKENS)
    motion[:, 0] = model.config.bom_id
    lengths = {"min_new_tokens": SPOKEN, "max_new_tokens": SPOKEN}
    return without_gradients(lambda: model.generate(motion, num_beams=2, **lengths))


def m2t_beams_32(setting: Setting) -> Callable[[], None]:
    """The same for a batch."""
    return m2t_beams(setting, batch=32)


def vq_encoding(setting: Setting, batch: int = 1) -> Callable[[], None]:
    """Codes of motions."""
    model = setting.in_use(new_vq(setting))
    if setting.compile:
        model.encoder.compile()
    motion = torch.randn(batch, FRAMES, model.config.feature_size, device=setting.device)
    return without_gradients(lambda: model.encode(motion))


def vq_encoding_32(setting: Setting) -> Callable[[], None]:
    """The same for a batch."""
    return vq_encoding(setting, batch=32)


# ---- the models that ship, as users call them -----------------------------------------------------------------------


def animate_one(setting: Setting) -> Callable[[], None]:
    """One sentence through the pipeline, with the models that ship."""
    animate = pipeline("text-to-motion", device=setting.device, dtype=setting.dtype)
    return lambda: animate(PROMPT)


def animate_many(setting: Setting) -> Callable[[], None]:
    """64 sentences through the pipeline, in batches."""
    animate = pipeline("text-to-motion", device=setting.device, dtype=setting.dtype)
    return lambda: animate([PROMPT] * 64, batch_size=32)


def describe_one(setting: Setting) -> Callable[[], None]:
    """One motion of five seconds through the pipeline, with the models that ship."""
    describe = pipeline("motion-to-text", device=setting.device, dtype=setting.dtype)
    joints, _ = make_toy_clip("wave-left", np.random.default_rng(0))
    return lambda: describe(joints[:100])


def in_new_process(*command: str) -> Callable[[], None]:
    """A command of a new Python process."""
    return lambda: subprocess.run([sys.executable, *command], check=True, capture_output=True)


def import_transformers(setting: Setting) -> Callable[[], None]:
    """What a process has to import in any case."""
    return in_new_process("-c", "from transformers import AutoModel, GenerationMixin, PreTrainedModel, pipeline")


def import_tm2t_hf(setting: Setting) -> Callable[[], None]:
    """The library on top of it."""
    return in_new_process("-c", "import tm2t_hf")


def command_line(setting: Setting) -> Callable[[], None]:
    """`tm2t-hf generate` from a cold start to a GIF."""

    def run():
        with tempfile.TemporaryDirectory() as folder:
            in_new_process("-m", "tm2t_hf.cli", "generate", PROMPT, "--output", str(Path(folder) / "motion.gif"))()

    return run


STAGES = {"m2t": "M2T", "t2m": "T2M", "vq": "VQ"}


# GFLOP/s in float32 of the machine that ran the authors' code
ORIGINAL_RATES = {"product": 175.0, "convolution": 330.0}


class Work(NamedTuple):
    """A line of the table: what it says, and `prepare(setting)`, which gives what is timed.

    `original` is how many seconds it took the authors' code at the size of the paper, in float32 on two cores; `bound`
    is the kind of arithmetic that took it, one of `ORIGINAL_RATES`.
    """

    title: str
    prepare: Callable[[Setting], Callable[[], None]]
    original: float | None = None
    bound: str = "product"


WORKS = {
    "t2m_step": Work(f"T2M teacher-forced training step, 64 x {TOKENS} tokens x {WORDS} words", t2m_step, 6.82),
    "alignment_rollout": Work("T2M inverse alignment step, 64, rollout", alignment_step, 9.62),
    "alignment_teacher_forced": Work(
        "T2M inverse alignment step, 64, teacher-forced samples", alignment_step_teacher_forced, 9.62
    ),
    "t2m_sampling_1": Work(f"T2M sampling of {SAMPLED} tokens, batch 1", t2m_sampling, 0.17),
    "t2m_sampling_32": Work(f"T2M sampling of {SAMPLED} tokens, batch 32", t2m_sampling_32, 1.27),
    "m2t_beams_1": Work(f"M2T beam 2, {SPOKEN} tokens, 1 motion", m2t_beams, 0.41),
    "m2t_beams_32": Work(f"M2T beam 2, {SPOKEN} tokens, 32 motions", m2t_beams_32, 15.3),
    "m2t_step": Work(f"M2T training step, 64 x {TOKENS} tokens x {WORDS} words", m2t_step, 2.59),
    "vq_step": Work(f"VQ training step, 128 x {WINDOW} frames", vq_step, 1.83, "convolution"),
    "vq_encoding_1": Work(f"VQ encoding of {FRAMES} frames, batch 1", vq_encoding, 0.0113, "convolution"),
    "vq_encoding_32": Work(f"VQ encoding of {FRAMES} frames, batch 32", vq_encoding_32, 0.205, "convolution"),
    "animate_1": Work("text-to-motion pipeline, shipped models, 1 sentence", animate_one),
    "animate_64": Work("text-to-motion pipeline, shipped models, 64 sentences in batches of 32", animate_many),
    "describe_1": Work("motion-to-text pipeline, shipped models, 1 motion", describe_one),
    "import_transformers": Work("import of torch and transformers", import_transformers),
    "import_tm2t_hf": Work("import tm2t_hf", import_tm2t_hf),
    "command_line": Work("tm2t-hf generate, cold start, to a GIF", command_line),
}
# What needs a data set.
EPOCHS = {
    f"{stage}_epoch{'_grouped' * grouped}": Work(
        f"{title} epoch, {'batches of similar lengths' if grouped else 'random batches'}",
        partial(epoch, stage=stage, group_by_length=grouped),
    )
    for stage, title in STAGES.items()
    for grouped in (False, True)
}
