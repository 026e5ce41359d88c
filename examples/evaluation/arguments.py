# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""What the command line of `evaluate_tm2t.py` takes, and what the protocol fixes."""

from dataclasses import dataclass, field
from typing import Literal

import torch

from tm2t_hf.training.arguments import check_range

MODEL_TYPES = {
    "vq": ("tm2t-vq",),
    "m2t": ("tm2t-m2t",),
    "t2m": ("tm2t-t2m", "tm2t-t2m-transformer"),
    "matcher": ("tm2t-matcher",),
}
PROTOCOL = {"replications": 20, "num_beams": 2, "batch_size": 128, "dtype": "float32", "int8": False}


@dataclass
class Arguments:
    """What the command line takes."""

    data_dir: str = field(metadata={"help": "Folder in the HumanML3D layout, prepared by `tm2t-hf prepare`."})
    output_dir: str = field(metadata={"help": "Where the report is written and replications are kept."})
    vq: str | None = field(default=None, metadata={"help": "Folder or Hub id of a motion VQ."})
    m2t: str | None = field(default=None, metadata={"help": "Folder or Hub id of a motion-to-text model."})
    t2m: str | None = field(default=None, metadata={"help": "Folder or Hub id of a text-to-motion model."})
    matcher: str | None = field(default=None, metadata={"help": "Folder or Hub id of a text-motion matcher."})
    split: str = field(default="test", metadata={"help": "Name of the split file."})
    labels: str | None = field(
        default=None,
        metadata={"help": "Folder in examples/ with labels.py and judge.py, which know actions and styles."},
    )
    people: str | None = field(
        default=None,
        metadata={"help": "JSON file of sentences that people write, each with its action and maybe its style."},
    )
    unknown: str | None = field(
        default=None, metadata={"help": "JSON file of requests for what the model never learned; needs --people."}
    )
    bodies: str | None = field(
        default=None,
        metadata={"help": "Folder whose new_joints are the clips before retargeting, to show on other bodies."},
    )
    cmu: str | None = field(
        default=None, metadata={"help": "Folder with clips.jsonl and BVH files of the CMU database, to caption."}
    )
    protocol: Literal["tm2t-v2"] = field(default="tm2t-v2", metadata={"help": "What docs/evaluation.md writes down."})
    replications: int = field(default=PROTOCOL["replications"], metadata={"help": "How often everything is drawn."})
    num_beams: int = field(default=PROTOCOL["num_beams"], metadata={"help": "Beams of motion-to-text."})
    batch_size: int = field(
        default=PROTOCOL["batch_size"], metadata={"help": "Clips per batch; samples depend on it."}
    )
    int8: bool = field(
        default=PROTOCOL["int8"],
        metadata={"help": "Run the models with the weights of their linear layers in 8 bits, on a CPU."},
    )
    dtype: Literal["float32", "bfloat16"] = field(
        default=PROTOCOL["dtype"],
        metadata={"help": "Type of the models; the matcher stays in float32."},
    )
    seed: int = field(default=0, metadata={"help": "Seed of everything that is drawn."})
    bert_score: str | None = field(
        default=None, metadata={"help": "Encoder for BERTScore of captions, such as roberta-large; needs bert-score."}
    )
    write_into: list[str] = field(
        default_factory=list, metadata={"help": "Pages, such as model cards, that also get the tables."}
    )
    device: str = field(default="cuda" if torch.cuda.is_available() else "cpu")

    def __post_init__(self):
        check_range(self, 1, None, "replications", "num_beams", "batch_size")
        if self.int8 and self.device != "cpu":
            raise SystemExit("--int8 runs on CPUs only: add --device cpu.")
