# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The checkpoints to evaluate and what they do, in batches of similar length, which saves most of the padding."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.ao.quantization import per_channel_dynamic_qconfig, quantize_dynamic
from torch.nn.utils.rnn import pad_sequence
from tqdm.auto import tqdm
from transformers import AutoModel, AutoProcessor

from tm2t_hf import MotionFeatureExtractor, WordTokenizer
from tm2t_hf.loading import check_fits, load_processor, load_whole, model_folder
from tm2t_hf.vocabulary import codes_to_ids, ids_to_codes

from .arguments import MODEL_TYPES, Arguments


@dataclass
class Checkpoint:
    """A model with its processor, and the digest of its files."""

    name: str
    folder: Path
    digest: str
    model: Any
    processor: Any

    @property
    def extractor(self) -> MotionFeatureExtractor:
        """The feature extractor in its processor."""
        return getattr(self.processor, "feature_extractor", self.processor)

    @property
    def knows_lemmas_only(self) -> bool:
        """Converted from the authors' checkpoints: its vocabulary is that of the `lemma/POS` tokens."""
        return isinstance(getattr(self.processor, "tokenizer", None), WordTokenizer)


def load_checkpoint(role: str, name: str, args: Arguments) -> Checkpoint:
    """Load one model; another type than the role needs ends the program. The matcher, a measure, stays in float32."""
    try:
        folder = model_folder(name)
        model = load_whole(AutoModel, folder).to(args.device).eval()
        if role != "matcher":
            model = model.to(getattr(torch, args.dtype))
        processor = load_processor(MotionFeatureExtractor if role == "vq" else AutoProcessor, folder)
        found = model.config.model_type
        if found not in MODEL_TYPES[role]:
            wanted = " or ".join(MODEL_TYPES[role])
            raise SystemExit(f"--{role} {name} is a model of type {found}; {wanted} is needed.")
        check_fits(model, processor)
        if args.int8 and role != "matcher":  # which measures
            model = quantize_dynamic(model, {nn.Linear: per_channel_dynamic_qconfig})
    except (OSError, ValueError) as error:
        raise SystemExit(f"--{role} {name}: {error}") from error
    digest = hashlib.sha256()
    for path in sorted([*folder.glob("*.json"), *folder.glob("*.safetensors"), *folder.glob("motion_tokenizer/*")]):
        digest.update(path.name.encode() + path.read_bytes())
    shown = folder.absolute().name if Path(name).is_dir() else name
    return Checkpoint(shown, folder, digest.hexdigest(), model, processor)


def check_checkpoints(checkpoints: dict[str, Checkpoint], args: Arguments):
    """End the program unless the models can be used together."""
    if not checkpoints:
        raise SystemExit("There is nothing to evaluate: give --vq, --m2t, --t2m or --matcher.")
    first, *others = checkpoints.values()
    for other in others:
        if (other.extractor.skeleton, other.extractor.fps) != (first.extractor.skeleton, first.extractor.fps):
            raise SystemExit(f"{first.name} and {other.name} are models of different skeletons or frame rates.")
    if "m2t" in checkpoints and "t2m" in checkpoints:
        # in half precision, in which a text-to-motion model may store its motion VQ
        books = [checkpoints[role].model.vq.quantizer.embedding.weight.half() for role in ("m2t", "t2m")]
        if books[0].shape != books[1].shape or not torch.equal(*books):
            raise SystemExit(
                f"{args.m2t} and {args.t2m} carry different motion VQs: the one cannot read the other's tokens."
            )


def by_length(items: Sequence, compute: Callable[[list], Sequence], name: str, batch_size: int) -> list:
    """`compute` gives a result for each item of a batch; all results, in the order of the items."""
    order = sorted(range(len(items)), key=lambda i: len(items[i]))
    results = [None] * len(items)
    for start in tqdm(range(0, len(order), batch_size), desc=name, leave=False):
        chosen = order[start : start + batch_size]
        for i, result in zip(chosen, compute([items[i] for i in chosen]), strict=True):
            results[i] = result
    return results


@torch.no_grad()
def embed_texts(matcher: Checkpoint, captions: list[str], args: Arguments) -> np.ndarray:
    """(captions, dim); a generated caption may have no word."""

    def compute(batch):
        inputs = matcher.processor.tokenizer(batch, padding=True, return_token_type_ids=False, return_tensors="pt").to(
            args.device
        )
        return matcher.model.get_text_embeddings(**inputs).cpu().numpy()

    return np.array(by_length(captions, compute, "texts to the matcher", args.batch_size))


@torch.no_grad()
def embed_motions(matcher: Checkpoint, features: Sequence, args: Arguments) -> np.ndarray:
    """(motions, dim) of features in the units of the data, cut to whole movements."""
    extractor, unit_length = matcher.extractor, matcher.model.config.unit_length
    # a motion that ends before its first movement does stands still for the rest of it, in the mean pose
    still = np.tile(np.asarray(extractor.mean, np.float32), (unit_length, 1))
    whole = []
    for motion in features:
        motion = np.asarray(torch.as_tensor(motion).cpu())
        cut = motion[: len(motion) // unit_length * unit_length]
        whole.append(cut if len(cut) else np.concatenate([motion, still])[:unit_length])

    def compute(batch):
        inputs = extractor(batch, return_tensors="pt").to(args.device)
        return matcher.model.get_motion_embeddings(**inputs).cpu().numpy()

    return np.array(by_length(whole, compute, "motions to the matcher", args.batch_size))


@torch.no_grad()
def reconstruct(vq: Checkpoint, features: Sequence[np.ndarray], args: Arguments) -> tuple[list, list]:
    """Codes (tokens,) and features (frames, features), not normalized, of every motion."""
    unit_length = vq.model.config.unit_length

    def compute(batch):
        inputs = vq.extractor(batch, return_tensors="pt").to(args.device)
        encoded = vq.model.encode(**inputs)
        values = vq.model.decode(**encoded)  # (batch, tokens * unit_length, features)
        features = vq.extractor.denormalize(values.float().cpu())
        cut = zip(encoded.codes.cpu(), features, encoded.attention_mask.sum(-1).tolist(), strict=True)
        return [(own[:length], motion[: length * unit_length]) for own, motion, length in cut]

    codes, values = zip(*by_length(features, compute, "VQ reconstruction", args.batch_size), strict=True)
    return list(codes), list(values)


def caption_motions(m2t: Checkpoint, motions: Sequence[np.ndarray], args: Arguments) -> list[str]:
    """One caption per motion, given as features or as joints of any body."""

    def compute(batch):
        inputs = m2t.processor(motion=batch, return_tensors="pt").to(args.device)
        ids = m2t.model.generate(**inputs, num_beams=args.num_beams, do_sample=False)
        return m2t.processor.batch_decode(ids, skip_special_tokens=True)

    return by_length(motions, compute, "motion to text", args.batch_size)


def caption_codes(m2t: Checkpoint, codes: Sequence[torch.Tensor], args: Arguments) -> list[str]:
    """Captions of code sequences; nothing for a sequence without codes."""

    def compute(batch):
        lengths = torch.tensor([len(sequence) for sequence in batch])
        padded = pad_sequence(list(batch), batch_first=True).to(args.device)  # (batch, tokens)
        mask = (torch.arange(padded.shape[1]) < lengths[:, None]).long().to(args.device)
        ids, mask = codes_to_ids(padded, mask, m2t.model.config.vq_config)
        written = m2t.model.generate(input_ids=ids, attention_mask=mask, num_beams=args.num_beams, do_sample=False)
        return m2t.processor.batch_decode(written, skip_special_tokens=True)

    there = [i for i, sequence in enumerate(codes) if len(sequence)]
    captions = [""] * len(codes)
    written = by_length([codes[i] for i in there], compute, "captioned back", args.batch_size)
    for i, caption in zip(there, written, strict=True):
        captions[i] = caption
    return captions


def generate(t2m: Checkpoint, captions: list[str], args: Arguments) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Codes (tokens,) and features (frames, features), not normalized, of a motion per caption; both may be empty."""

    def compute(batch):
        inputs = t2m.processor(text=batch, return_tensors="pt").to(args.device)
        ids = t2m.model.generate(**inputs)
        codes = ids_to_codes(ids, t2m.model.config.vq_config)
        values = t2m.model.decode_motion(ids)
        denormalize = t2m.extractor.denormalize
        return [(own.cpu(), denormalize(motion.float().cpu())) for own, motion in zip(codes, values, strict=True)]

    return by_length(captions, compute, "captions to motions", args.batch_size)
