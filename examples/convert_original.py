# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Convert the checkpoints that the TM2T authors released, for HumanML3D or KIT-ML, into Hugging Face folders.

    python examples/convert_original.py --checkpoints checkpoints/t2m --glove glove --output_dir converted

`--checkpoints` is the unpacked download (github.com/EricGuo5513/TM2T), one folder per network, each with
`model/finest.tar` and, where it has statistics of its own, `meta/mean.npy` and `meta/std.npy`. Which network a folder
holds is read off its checkpoint, not its name. `--glove` is the authors' folder of word vectors.

Writes `tm2t-vq`, `tm2t-m2t`, `tm2t-t2m` and `tm2t-matcher` with processor and card, as far as there are checkpoints.
"""

import logging
from dataclasses import dataclass, field
from pathlib import Path

from huggingface_hub import ModelCard
from transformers import HfArgumentParser

from tm2t_hf import (
    SKELETONS,
    MotionFeatureExtractor,
    MotionTextMatcherProcessor,
    MotionTokenizer,
    TM2TProcessor,
    WordTokenizer,
)
from tm2t_hf.conversion import (
    convert_matcher,
    convert_motion_to_text,
    convert_motion_vq,
    convert_text_to_motion,
    load_checkpoint,
    load_vocabulary,
)
from tm2t_hf.files import load_statistics, written_beside
from tm2t_hf.hub import HubFolder
from tm2t_hf.training import run
from tm2t_hf.training.checkpoints import settle
from tm2t_hf.training.model_card import model_card

logger = logging.getLogger("convert_original")

# Stage -> a part that only checkpoints of this stage have.
PARTS = {"vq": "vq_encoder", "m2t": "m2t_transformer", "t2m": "t2m_model", "matcher": "movement_encoder"}


@dataclass
class Arguments:
    """What to convert, and where to."""

    checkpoints: str = field(metadata={"help": "The authors' folder of one data set, such as checkpoints/t2m."})
    glove: str = field(metadata={"help": "The authors' folder with our_vab_data.npy and our_vab_idx.pkl."})
    output_dir: str = field(metadata={"help": "The folders tm2t-vq, tm2t-m2t, … are made in here."})
    vq: str = field(default="", metadata={"help": "Name of the motion VQ's folder, where there are several."})
    m2t: str = field(default="", metadata={"help": "The same for motion-to-text."})
    t2m: str = field(default="", metadata={"help": "The same for text-to-motion."})
    matcher: str = field(default="", metadata={"help": "The same for the evaluator of texts and motions."})
    num_heads: int = field(default=8, metadata={"help": "Attention heads of motion-to-text; no shape tells them."})
    train_text_embedding: bool = field(default=False, metadata={"help": "Let later training change word vectors."})
    push_to_hub: bool = field(default=False, metadata={"help": "Upload each model to a repository on the Hub."})
    hub_model_id: str = field(
        default="tm2t", metadata={"help": "What the repositories are called, owner/name, before -vq, -m2t, ..."}
    )
    hub_private_repo: bool = field(default=False, metadata={"help": "Make new repositories private."})
    hub_revision: str = field(default="", metadata={"help": "Branch to upload to; the main one if left out."})


def main():
    """Convert every network that the folder holds."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    arguments = HfArgumentParser(Arguments).parse_args_into_dataclasses()[0]
    folders = find_checkpoints(arguments)
    if "vq" not in folders:
        raise FileNotFoundError(f"{arguments.checkpoints} holds no motion VQ; all models but the matcher need it.")
    words, vectors = load_vocabulary(arguments.glove)
    embedding = {"word_vectors": vectors, "train_text_embedding": arguments.train_text_embedding}

    vq = convert_motion_vq(checkpoint_of(folders["vq"]))
    feature_extractor = feature_extractor_of(vq.config, folders["vq"] / "meta")
    processor = TM2TProcessor(
        feature_extractor=feature_extractor,
        tokenizer=WordTokenizer.from_words(words),
        motion_tokenizer=MotionTokenizer(codebook_size=vq.config.codebook_size),
    )
    save(arguments, "vq", folders["vq"], vq, feature_extractor)
    if "m2t" in folders:
        model = convert_motion_to_text(checkpoint_of(folders["m2t"]), arguments.num_heads, vq=vq)
        if model.config.vocab_size != len(processor.tokenizer):
            raise ValueError(
                f"{folders['m2t']} has a vocabulary of {model.config.vocab_size} words, {arguments.glove} one of "
                f"{len(processor.tokenizer)} (each with the padding): give the folder it was trained with."
            )
        save(arguments, "m2t", folders["m2t"], model, processor)
    if "t2m" in folders:
        model = convert_text_to_motion(checkpoint_of(folders["t2m"]), vq=vq, **embedding)
        save(arguments, "t2m", folders["t2m"], model, processor)
    if "matcher" in folders:
        model = convert_matcher(checkpoint_of(folders["matcher"]), **embedding)
        # its statistics lie with the generator that the authors released with it
        metas = [folders["matcher"] / "meta", *sorted(Path(arguments.checkpoints).glob("Comp_v6*/meta"))]
        meta = next((meta for meta in metas if (meta / "mean.npy").is_file()), metas[-1])
        processor = MotionTextMatcherProcessor(
            feature_extractor=feature_extractor_of(model.config, meta),
            tokenizer=WordTokenizer.from_words(words, return_pos_ids=True),
        )
        save(arguments, "matcher", folders["matcher"], model, processor)


def find_checkpoints(arguments: Arguments) -> dict[str, Path]:
    """Stage -> folder of its checkpoint, for every stage that has one."""
    root = Path(arguments.checkpoints)
    found = {stage: [] for stage in PARTS}
    for path in sorted(root.glob("*/model/finest.tar")):
        checkpoint = load_checkpoint(path)
        for stage, part in PARTS.items():
            if part in checkpoint:
                found[stage].append(path.parent.parent)
    if not any(found.values()):
        raise FileNotFoundError(f"{root} holds no checkpoint of TM2T: there is no */model/finest.tar with its parts.")
    chosen = {}
    for stage, folders in found.items():
        name = getattr(arguments, stage)
        if name:
            folders = [folder for folder in folders if folder.name == name]
            if not folders:
                raise FileNotFoundError(f"{root / name} holds no {stage} checkpoint (--{stage}).")
        if len(folders) > 1:
            names = ", ".join(folder.name for folder in folders)
            raise ValueError(f"{root} holds several {stage} checkpoints ({names}): choose one with --{stage}.")
        if folders:
            chosen[stage] = folders[0]
        else:
            logger.warning("%s holds no %s checkpoint: left out.", root, stage)
    return chosen


def checkpoint_of(folder: Path) -> dict:
    """The tensors of one network."""
    return load_checkpoint(folder / "model" / "finest.tar")


def feature_extractor_of(config, meta: Path) -> MotionFeatureExtractor:
    """The feature extractor of a motion VQ or a matcher, with the mean and std in a folder `meta`."""
    skeletons = [skeleton for skeleton in SKELETONS.values() if skeleton.feature_size == config.feature_size]
    if not skeletons:
        raise ValueError(f"No known skeleton has the {config.feature_size} features of this checkpoint.")
    mean, std = load_statistics(meta, skeletons[0], names=("mean.npy", "std.npy"))
    return MotionFeatureExtractor(skeletons[0], mean, std, unit_length=config.unit_length)


def save(arguments: Arguments, stage: str, source: Path, model, processor):
    """Everything a user of the model needs, in `output_dir/tm2t-<stage>`."""
    target = Path(arguments.output_dir) / f"tm2t-{stage}"
    target.parent.mkdir(parents=True, exist_ok=True)
    uploads = None
    if arguments.push_to_hub:
        name = f"{arguments.hub_model_id}-{stage}"
        uploads = HubFolder(target, name, arguments.hub_private_repo, arguments.hub_revision)
    with written_beside(target) as part:
        model.save_pretrained(part)
        processor.save_pretrained(part)
        on_hub = (uploads.repo_id, arguments.hub_revision) if uploads else (target.name,)
        card(stage, source, part, *on_hub).save(part / "README.md")
        settle(part)
    logger.info("%s -> %s (%.1f M parameters)", source, target, model.num_parameters() / 1e6)
    if uploads:
        logger.info("Uploaded: %s", uploads.upload(f"Converted from {source.name}"))


def card(stage: str, source: Path, folder: Path, name: str, revision: str = "") -> ModelCard:
    """The model card: what it is, how to use it under this name and revision, where it comes from."""
    weights = f"{source.parent.name}/{source.name}"
    note = (
        "Captions are read as the original reads them, word by word and lemmatized: as the `lemma/POS` tokens of a "
        "caption file, or plain with `pip install lemminflect`."
    )
    return model_card(
        folder,
        stage,
        name,
        revision=revision,
        license="other",
        about=f"These are the weights `{weights}` that the authors of TM2T, Guo et al., released with their code "
        "(github.com/EricGuo5513/TM2T), converted for tm2t_hf by `examples/convert_original.py`; the model computes "
        "what theirs does. Ask them, and the owners of the data, what you may do with them.",
        data_set=source.parent.name,
        note=None if stage == "vq" else note,
    )


if __name__ == "__main__":
    run(main)
