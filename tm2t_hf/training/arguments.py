# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The arguments of the training scripts: those that all of them share, and those of each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from math import isfinite
from typing import Any, ClassVar, Literal, TypedDict

from huggingface_hub.dataclasses import validate_typed_dict
from huggingface_hub.errors import StrictDataclassFieldValidationError

from ..bodies import MOST_VARIATION
from ..configuration_base import SPECIAL_IDS
from ..configuration_matcher import MotionTextMatcherConfig
from ..configuration_motion_to_text import MotionToTextConfig
from ..configuration_motion_vq import MotionVQConfig
from ..configuration_text_to_motion import TextToMotionConfig
from ..configuration_text_to_motion_transformer import TextToMotionTransformerConfig
from ..data.rows import check_speeds
from ..data.variation import MOST_JITTER, BodyVariation
from ..skeletons import load_skeleton

EXAMPLE = '{"hidden_size": 192}'


@dataclass
class LoopArguments:
    """Arguments of every training script; a script adds its own.

    Attributes:
        config_classes: of the models that the script can make.
        set_by_script: fields of their configurations that are no part of `model_config`, as they follow from the data
            or other arguments.
    """

    config_classes: ClassVar[tuple[type, ...]] = ()
    set_by_script: ClassVar[tuple[str, ...]] = ()

    data_dir: str = field(
        metadata={"help": "Folder in the HumanML3D layout, made ready by `tm2t-hf prepare`, or owner/name on the Hub."}
    )
    output_dir: str = field(metadata={"help": "Where the best model is saved; the latest checkpoint goes to `last/`."})
    overwrite_output_dir: bool = field(
        default=False, metadata={"help": "Replace the model that `output_dir` already holds."}
    )
    skeleton: str = field(
        default="humanml3d",
        metadata={"help": "Skeleton of the joints: humanml3d (22 joints), kit (21), or the path of one as JSON."},
    )
    mirror: bool = field(default=False, metadata={"help": "Also train on every clip mirrored left to right."})
    speeds: list[float] = field(
        default_factory=lambda: [1.0],
        metadata={"help": "Train on every clip at each of these speeds, from 0.5 to 2; 1 is as recorded."},
    )
    repeats: dict = field(
        default_factory=dict,
        metadata={"help": 'How many times to repeat clips whose names match, as JSON: {"bn1_*": 4}.'},
    )
    body_copies: int = field(
        default=0, metadata={"help": "Also train on every clip as if this many others had performed it."}
    )
    body_variation: float = field(
        default=0.2, metadata={"help": "Share by which their legs, arms, shoulders and spine are longer or shorter."}
    )
    jitter: float = field(default=0.0, metadata={"help": "Meters by which joints of these copies are off, at most."})
    still_frames: int = field(
        default=0, metadata={"help": "Frames that these copies stand still at their ends, at most."}
    )
    store_variants: bool = field(
        default=False,
        metadata={"help": "Keep these variants of clips on the disk, rather than make them anew in each epoch."},
    )
    streaming: bool = field(
        default=False, metadata={"help": "Stream the training split, which then may be larger than memory."}
    )
    steps_per_epoch: int = field(default=0, metadata={"help": "Updates per epoch of a stream."})
    shuffle_buffer: int = field(default=1000, metadata={"help": "Rows of a stream that are shuffled at a time."})
    min_frames: int = field(default=40, metadata={"help": "Clips that were recorded shorter are left out."})
    max_frames: int = field(default=199, metadata={"help": "Clips that were recorded longer are left out."})
    epochs: int = field(default=300, metadata={"help": "Passes over the training split."})
    batch_size: int = field(default=64, metadata={"help": "Batch size per process."})
    group_by_length: bool = field(
        default=False, metadata={"help": "Batches of clips of similar lengths, which waste little on padding."}
    )
    gradient_accumulation_steps: int = field(
        default=1, metadata={"help": "Batches per update, which count as one batch of their total size."}
    )
    learning_rate: float = field(default=2e-4, metadata={"help": "Peak learning rate of AdamW."})
    weight_decay: float = field(default=0.0, metadata={"help": "Weight decay of AdamW; 0 is Adam, as in the paper."})
    lr_schedule: Literal[
        "constant", "constant_with_warmup", "linear", "cosine", "cosine_with_restarts", "polynomial", "inverse_sqrt"
    ] = field(default="constant", metadata={"help": "Schedule of the learning rate, as transformers names them."})
    warmup_steps: int = field(default=0, metadata={"help": "Updates over which the learning rate rises from 0."})
    max_grad_norm: float = field(default=0.5, metadata={"help": "Clip gradients at this norm; 0 never clips."})
    model_config: dict = field(
        default_factory=dict, metadata={"help": f"Fields of the model's configuration, as JSON: {EXAMPLE}."}
    )
    mixed_precision: Literal["no", "auto", "bf16", "fp16"] = field(
        default="no", metadata={"help": "Mixed-precision mode; auto is bf16 where the device has instructions for it."}
    )
    fsdp: bool = field(default=False, metadata={"help": "Divide weights and optimizer among the processes (FSDP2)."})
    gradient_checkpointing: bool = field(
        default=False, metadata={"help": "Compute activations again in the backward pass, to save memory."}
    )
    fused_optimizer: bool = field(default=True, metadata={"help": "Update the weights by AdamW's fused kernels."})
    compile: bool = field(default=False, metadata={"help": "Compile the model with torch.compile."})
    num_workers: int = field(default=0, metadata={"help": "Processes per process that load data."})
    validate_every: int = field(default=1, metadata={"help": "Epochs between validations, each with a checkpoint."})
    early_stopping_patience: int = field(
        default=0, metadata={"help": "Stop after this many validations without a better one; 0 never."}
    )
    checkpointing_steps: int = field(
        default=0, metadata={"help": "Also write a checkpoint after this many updates within an epoch; 0 never."}
    )
    checkpoints_total_limit: int = field(
        default=1,
        metadata={"help": "Checkpoints to keep: `last/` and, as `checkpoint-*/`, those before it; 0 keeps all."},
    )
    report_to: Literal["none", "tensorboard", "wandb", "trackio"] = field(
        default="none", metadata={"help": "Where losses, and samples at each validation, are shown."}
    )
    license: str = field(
        default="other", metadata={"help": "License of the weights, for the model card.", "aliases": ["--licence"]}
    )
    seed: int = field(default=0, metadata={"help": "Seed of the initial weights and of all other draws."})
    resume_from_checkpoint: str = field(
        default="",
        metadata={
            "help": "`latest` resumes what `output_dir/last` holds; or the folder of another checkpoint.",
            "aliases": ["--resume"],
            "nargs": "?",
            "const": "latest",
        },
    )

    push_to_hub: bool = field(
        default=False,
        metadata={"help": "Upload the best model to the Hub whenever it is written, and at the end."},
    )
    hub_model_id: str = field(
        default="",
        metadata={"help": "Repository to upload to, owner/name; named after the output folder if left out."},
    )
    hub_private_repo: bool = field(default=False, metadata={"help": "Make a new repository private."})
    hub_revision: str = field(default="", metadata={"help": "Branch to upload to; the main one if left out."})

    def __post_init__(self):
        # `--resume` was once a switch
        self.resume_from_checkpoint = {"true": "latest", "false": ""}.get(
            str(self.resume_from_checkpoint).lower(), self.resume_from_checkpoint
        )
        load_skeleton(self.skeleton)
        check_range(self, 1, None, "min_frames", "epochs", "batch_size", "gradient_accumulation_steps")
        check_range(self, 1, None, "validate_every")
        check_range(self, 0, None, "learning_rate", "weight_decay", "warmup_steps", "max_grad_norm")
        check_range(self, 0, None, "checkpointing_steps", "checkpoints_total_limit", "early_stopping_patience")
        check_range(self, 0, None, "num_workers", "steps_per_epoch")
        check_range(self, 1, None, "shuffle_buffer")
        check_range(self, 0, None, "checkpointing_steps", "body_copies", "still_frames")
        check_range(self, 0, MOST_VARIATION, "body_variation")
        check_range(self, 0, MOST_JITTER, "jitter")
        check_range(self, 0, 2**32 - 1, "seed")
        if self.max_frames < self.min_frames:
            raise ValueError(f"--max_frames {self.max_frames} is below --min_frames {self.min_frames}.")
        check_speeds(self.speeds, "--speeds")
        if not all(type(times) is int and times >= 1 for times in self.repeats.values()):
            raise ValueError(f"--repeats must give whole numbers from 1 on; got {self.repeats}.")
        for name in ("jitter", "still_frames"):
            if getattr(self, name) and not self.body_copies:
                raise ValueError(f"--{name} is of the copies that --body_copies makes: ask for one, or set it to 0.")
        if self.config_classes:
            check_model_config(self, self.possible_configs, self.model_config, "--model_config")

    @property
    def possible_configs(self) -> tuple[type, ...]:
        """The `config_classes` that `model_config` can be for, given the other arguments."""
        return self.config_classes

    @property
    def limits(self) -> dict:
        """The clip lengths that `load_motion_dataset` keeps, for any split."""
        return {"min_frames": self.min_frames, "max_frames": self.max_frames}

    @property
    def variants(self) -> dict:
        """What `load_motion_dataset` makes of the clips of a training split, and of no other."""
        bodies = BodyVariation(self.body_copies, self.body_variation, self.jitter, self.still_frames)
        variants = {"mirror": self.mirror, "speeds": self.speeds, "repeats": self.repeats, "bodies": bodies}
        return variants | {"store_variants": self.store_variants, "streaming": self.streaming}


@dataclass
class CaptionArguments(LoopArguments):
    """Arguments of scripts whose models read captions; a script adds its own."""

    further_texts: list[str] = field(
        default_factory=list,
        metadata={"help": "Sub-folders of the data with further captions of the training clips, laid out as `texts`."},
    )
    even_sources: bool = field(
        default=False, metadata={"help": "Draw the captions of each of these folders, and of `texts`, equally often."}
    )

    def __post_init__(self):
        super().__post_init__()
        if self.even_sources and not self.further_texts:
            raise ValueError("--even_sources needs --further_texts: the captions of `texts` alone are one source.")


@dataclass
class VQArguments(LoopArguments):
    """Arguments of the motion VQ's training."""

    config_classes = (MotionVQConfig,)
    set_by_script = ("feature_size", "fps")

    init_from: str = field(default="", metadata={"help": "Motion VQ to start from; a new one if left out."})
    freeze_codes: bool = field(
        default=False,
        metadata={"help": "With --init_from: keep the codes of all motions and improve the decoder alone."},
    )
    window: int = field(default=64, metadata={"help": "Frames of a training window; 0 takes whole clips."})
    feat_bias: float = field(default=5.0, metadata={"help": "Weight of the root's and the feet's features."})
    foot_weight: float = field(
        default=0.0, metadata={"help": "Weight of the loss on feet that slide while they touch the ground."}
    )
    adversarial_weight: float = field(default=0.0, metadata={"help": "Weight of the adversarial loss; released: 0.5."})
    adversarial_start_epoch: int = field(default=10, metadata={"help": "Epochs without the adversarial loss."})

    def __post_init__(self):
        super().__post_init__()
        check_range(self, 0, None, "window")
        check_range(self, 0, None, "feat_bias", "foot_weight", "adversarial_weight", "adversarial_start_epoch")
        if self.freeze_codes and not self.init_from:
            raise ValueError("--freeze_codes needs --init_from, the motion VQ whose codes are kept.")
        if self.feat_bias == 0:
            raise ValueError("--feat_bias must be above 0.")
        for name in ("adversarial_weight", "foot_weight"):
            if getattr(self, name) and self.gradient_accumulation_steps > 1:
                raise ValueError(f"--{name} works without --gradient_accumulation_steps.")


@dataclass
class M2TArguments(LoopArguments):
    """Arguments of motion-to-text's training."""

    config_classes = (MotionToTextConfig,)
    set_by_script = ("vq_config", "codebook_size", "vocab_size", *SPECIAL_IDS)

    vq: str = field(default="tm2t-vq", metadata={"help": "Folder or Hub id of the motion VQ, from train_vq.py."})
    text_vocab_size: int = field(default=2000, metadata={"help": "Entries of the text tokenizer, at most."})
    codebook_embeddings: bool = field(
        default=False,
        metadata={"help": "Start from the VQ's codebook as motion embedding, which has similar codes nearby."},
    )
    token_corruption: float = field(default=0.0, metadata={"help": "Share of the codes read that are replaced."})
    corruption_neighbors: int = field(
        default=8,
        metadata={"help": "Each by one of this many most similar codes.", "aliases": ["--corruption_neighbours"]},
    )
    shortest_crop: float = field(
        default=1.0, metadata={"help": "Every second clip is cropped to a random part of at least this share of it."}
    )
    num_beams: int = field(default=2, metadata={"help": "Saved with the model: generate() searches with these."})
    num_offsets: int = field(
        default=0,
        metadata={"help": "Token sequences per clip, each starting a frame later; 0: one per frame of a token."},
    )

    def __post_init__(self):
        super().__post_init__()
        check_range(self, 1, None, "text_vocab_size", "corruption_neighbors", "num_beams")
        check_range(self, 0, None, "num_offsets")
        check_range(self, 0, 1, "token_corruption", "shortest_crop")


FREE_FIELDS = ("dropout", "label_smoothing", "loss_reduction")  # shape no weights, in both architectures
ARCHITECTURES = {"gru": TextToMotionConfig, "transformer": TextToMotionTransformerConfig}


@dataclass
class T2MArguments(CaptionArguments):
    """Arguments of text-to-motion's training."""

    config_classes = tuple(ARCHITECTURES.values())
    set_by_script = ("vq_config", "codebook_size", "text_vocab_size", "text_pad_id")
    set_by_script += ("text_encoder_config", "freeze_text_encoder")

    vq: str = field(default="tm2t-vq", metadata={"help": "Folder or Hub id of the motion VQ, from train_vq.py."})
    m2t: str = field(
        default="",
        metadata={"help": "Motion-to-text model, from train_m2t.py; without --text_encoder, its tokenizer is used."},
    )
    architecture: Literal["gru", "transformer"] = field(default="gru", metadata={"help": "Kind of a new model."})
    text_encoder: str = field(
        default="",
        metadata={"help": "Pretrained text encoder of a new model, folder or Hub id; word vectors if left out."},
    )
    freeze_text_encoder: bool = field(
        default=True, metadata={"help": "Keep the text encoder as is, unless that of --init_from has been trained."}
    )
    text_encoder_lr: float = field(default=2e-5, metadata={"help": "Peak learning rate of one that is not frozen."})
    init_from: str = field(default="", metadata={"help": "Text-to-motion model to start from; a new one if left out."})
    text_vocab_size: int = field(default=2000, metadata={"help": "Entries of the text tokenizer made without --m2t."})
    num_offsets: int = field(
        default=0,
        metadata={"help": "Token sequences per clip, each starting a frame later; 0: one per frame of a token."},
    )
    teacher_forcing_start: float = field(
        default=0.9, metadata={"help": "Probability of teacher forcing at first (GRU)."}
    )
    teacher_forcing_end: float = field(default=0.1, metadata={"help": "The same after `teacher_forcing_epochs`."})
    teacher_forcing_epochs: int = field(default=35, metadata={"help": "Epochs over which it falls, linearly."})
    token_corruption: float = field(default=0.0, metadata={"help": "Share of the codes read that are replaced."})
    alignment_weight: float = field(default=0.0, metadata={"help": "Weight of the inverse alignment's loss."})
    alignment_start_epoch: int = field(default=0, metadata={"help": "Epochs without the inverse alignment."})
    alignment_samples: Literal["rollout", "teacher_forced"] = field(
        default="rollout",
        metadata={"help": "Samples after samples (the paper), or after real tokens."},
    )
    alignment_update: Literal["summed", "separate"] = field(
        default="summed",
        metadata={"help": "One update, or a second one (the paper)."},
    )
    alignment_tau: float = field(default=1.0, metadata={"help": "Temperature of the Gumbel-softmax."})
    alignment_end_rule: Literal["sample", "argmax"] = field(
        default="sample",
        metadata={"help": "<eom> is drawn, or taken where it is likeliest (the paper)."},
    )
    alignment_kl_weight: float = field(default=0.0, metadata={"help": "Weight of the divergence from --init_from."})
    alignment_append_eom: bool = field(default=True, metadata={"help": "Samples end in <eom>; the paper's do not."})
    sample_top_k: int = field(default=100, metadata={"help": "Saved with the model: generate() samples among these."})
    sample_temperature: float = field(default=1.0, metadata={"help": "Saved with the model, for generate()."})
    max_tokens: int = field(
        default=0,
        metadata={"help": "Longest motion sampled by the inverse alignment; 0: the longest of generate()."},
    )

    def __post_init__(self):
        super().__post_init__()
        if self.alignment_weight and not self.m2t:
            raise ValueError("--alignment_weight needs --m2t, the motion-to-text model that translates back.")
        if self.alignment_kl_weight and not self.init_from:
            raise ValueError("--alignment_kl_weight needs --init_from, the model not to diverge from.")
        if self.alignment_kl_weight and self.gradient_accumulation_steps > 1:
            raise ValueError("--alignment_kl_weight works without --gradient_accumulation_steps.")
        if self.alignment_weight and self.fsdp:
            raise ValueError("--alignment_weight works without --fsdp.")
        if self.text_encoder and self.init_from:
            raise ValueError("--init_from brings its own text encoder, if it has one; leave --text_encoder out.")
        check_range(self, 0, None, "text_encoder_lr")
        check_range(self, 1, None, "text_vocab_size")
        check_range(self, 0, 1, "teacher_forcing_start", "teacher_forcing_end", "token_corruption")
        check_range(self, 0, None, "num_offsets", "max_tokens")
        check_range(self, 0, None, "teacher_forcing_epochs", "alignment_start_epoch", "sample_top_k")
        check_range(self, 0, None, "alignment_weight", "alignment_kl_weight")
        for name in ("alignment_tau", "sample_temperature"):
            if not getattr(self, name) > 0:
                raise ValueError(f"--{name} must be above 0; got {getattr(self, name)}.")

    @property
    def changes(self) -> dict:
        """What is changed about the configuration of `init_from`; its other fields shape the weights."""
        changes = {name: self.model_config[name] for name in FREE_FIELDS if name in self.model_config}
        return changes if self.freeze_text_encoder else changes | {"freeze_text_encoder": False}

    @property
    def config_class(self) -> type:
        """Of a new model."""
        return ARCHITECTURES[self.architecture]

    @property
    def possible_configs(self) -> tuple[type, ...]:
        """Those of any architecture with `init_from`, whose model has its own."""
        return self.config_classes if self.init_from else (self.config_class,)

    def teacher_forcing(self, epoch: int) -> float:
        """Probability that a batch is teacher-forced."""
        share = min(1.0, epoch / max(1, self.teacher_forcing_epochs))
        return self.teacher_forcing_start + share * (self.teacher_forcing_end - self.teacher_forcing_start)


@dataclass
class MatcherArguments(CaptionArguments):
    """Arguments of the matcher's training."""

    config_classes = (MotionTextMatcherConfig,)
    set_by_script = ("feature_size", "text_vocab_size", "text_pad_id")

    text_vocab_size: int = field(default=2000, metadata={"help": "Entries of the text tokenizer, at most."})
    feat_bias: float = field(default=5.0, metadata={"help": "Weight of the root's and the feet's features."})

    def __post_init__(self):
        super().__post_init__()
        check_range(self, 1, None, "text_vocab_size")
        if self.gradient_accumulation_steps > 1:
            raise ValueError(
                "The matcher compares all rows of a batch, so --gradient_accumulation_steps is not for it; raise "
                "--batch_size."
            )
        if not self.feat_bias > 0:
            raise ValueError(f"--feat_bias must be above 0; got {self.feat_bias}.")


def check_range(arguments: Any, least: float, most: float | None, *names: str) -> None:
    """Raise a ValueError naming the flag unless each of these arguments is from `least` to `most` (None: no limit)."""
    for name in names:
        value = getattr(arguments, name)
        if not (isfinite(value) and least <= value and (most is None or value <= most)):
            wanted = f"at least {least}" if most is None else f"from {least} to {most}"
            raise ValueError(f"--{name} must be {wanted}; got {value}.")


def check_model_config(
    script: LoopArguments | type[LoopArguments], configs: Iterable[type], values: Mapping[str, Any], where: str
) -> None:
    """Refuse fields of a model's configuration that there are not, that have another type, or that the script sets.

    Args:
        script: the arguments of the script, or their class.
        configs: the classes of configurations of which one will get these fields.
        values: the fields.
        where: they come from, for the errors.

    Raises:
        ValueError: naming the first of them.
    """
    types = {}
    for config in configs:
        types |= {each.name: each.type for each in fields(config)}
        types |= {name: types[field] for name, field in config.attribute_map.items() if field in types}
    for name, value in values.items():
        if name in script.set_by_script:
            raise ValueError(f"{name} in {where} follows from the data or other arguments; leave it out.")
        if name not in types:
            raise ValueError(unknown_name("key", name, types, where))
        try:
            validate_typed_dict(TypedDict("Fields", {name: types[name]}, total=False), {name: value})
        except StrictDataclassFieldValidationError as error:
            raise ValueError(f"{where}: {error.__cause__}.") from None


def unknown_name(kind: str, name: str, known: Iterable[str], where: str = "") -> str:
    """The message about a name that is none of those that are known."""
    close = get_close_matches(name, list(known), n=1)
    hint = f"; did you mean {close[0]}" if close else ""
    return f"Unknown {kind} {name}{f' in {where}' if where else ''}{hint}{'?' if close else '.'}"


# The scripts, which have sections of these names in a JSON file.
SECTIONS = {"vq": VQArguments, "m2t": M2TArguments, "t2m": T2MArguments, "matcher": MatcherArguments}

__all__ = [
    "EXAMPLE",
    "SECTIONS",
    "CaptionArguments",
    "LoopArguments",
    "M2TArguments",
    "MatcherArguments",
    "T2MArguments",
    "VQArguments",
    "check_model_config",
    "check_range",
    "unknown_name",
]
