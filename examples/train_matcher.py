# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Train the text-motion matcher of Guo et al. (CVPR 2022), which text-to-motion models are evaluated with.

    accelerate launch examples/train_matcher.py examples/configs/small.json \\
        --data_dir DATA --output_dir tm2t-matcher

Captions and motions are embedded in one space by a contrastive loss: those that belong together shall be near, the
others of their batch at least `margin` away. Clips that share a caption are never pushed apart. No word vectors and no
parts of speech are needed: the text tokenizer and the word embedding are trained on the captions.

The best model by validation loss is written to `output_dir` with its processor and card; `--resume` goes on from
`output_dir/last`. Every value of the JSON can be given as a flag too, which then wins.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

from tm2t_hf import (
    SKELETONS,
    MotionFeatureExtractor,
    MotionTextMatcher,
    MotionTextMatcherConfig,
    MotionTextMatcherProcessor,
    train_text_tokenizer,
)
from tm2t_hf.data import crop_tokens, load_motion_dataset, row_generator
from tm2t_hf.metrics import GROUP_SIZE, retrieval
from tm2t_hf.training import LoopArguments, fit, parse_arguments, start, write_model_card


@dataclass
class MatcherArguments(LoopArguments):
    text_vocab_size: int = field(default=2000, metadata={"help": "Entries of the text tokenizer, at most."})
    feat_bias: float = field(default=5.0, metadata={"help": "Weight of the root's and the feet's features."})


@dataclass
class MatcherCollator:
    """Rows of `load_motion_dataset` -> what `MotionTextMatcher.forward` reads: captions, motions, groups.

    With `random` a caption and a crop to whole movements are drawn for each row, otherwise its first caption and its
    whole motion are taken. Rows that share a caption form a group.
    """

    processor: MotionTextMatcherProcessor
    random: bool = True
    seed: int = 0
    epoch: int = 0

    def __call__(self, rows: list[dict]) -> dict[str, torch.Tensor]:
        captions, motions = zip(*map(self._choose, rows), strict=True)
        inputs = self.processor(text=list(captions), motion=list(motions), return_tensors="pt")
        return {**inputs, "group_ids": torch.tensor(shared_caption_labels([row["captions"] for row in rows]))}

    def _choose(self, row: dict) -> tuple[str, np.ndarray]:
        if not self.random:
            return row["captions"][0], row["features"]
        rng = row_generator(self.seed, self.epoch, row["id"])
        caption = row["captions"][rng.integers(len(row["captions"]))]
        crop = crop_tokens(len(row["features"]), self.processor.feature_extractor.unit_length, rng)
        return caption, row["features"][crop]


def shared_caption_labels(captions: list[list[str]]) -> list[int]:
    """A label for each row's captions: that of the first row with which it shares one, or else its own index."""
    label_of = {}
    labels = []
    for index, row in enumerate(captions):
        labels.append(min(label_of.get(caption, index) for caption in row))
        for caption in row:
            label_of.setdefault(caption, labels[-1])
    return labels


def main():
    arguments = parse_arguments(MatcherArguments, "matcher")
    accelerator = start(arguments)
    skeleton = SKELETONS[arguments.skeleton]

    with accelerator.main_process_first():
        train_set = load_motion_dataset(
            arguments.data_dir, "train", skeleton, **arguments.variants, **arguments.limits
        )
        val_set = load_motion_dataset(arguments.data_dir, "val", skeleton, **arguments.limits)

    captions = [caption for captions in train_set["captions"] for caption in captions]
    tokenizer = train_text_tokenizer(captions, arguments.text_vocab_size)
    text = {"text_vocab_size": len(tokenizer), "text_pad_id": tokenizer.pad_token_id}
    config = MotionTextMatcherConfig(feature_size=skeleton.feature_size, **text, **arguments.model_config)
    model = MotionTextMatcher(config)
    feature_extractor = MotionFeatureExtractor.from_data_dir(
        arguments.data_dir, skeleton, unit_length=config.unit_length, feat_bias=arguments.feat_bias
    )
    processor = MotionTextMatcherProcessor(feature_extractor=feature_extractor, tokenizer=tokenizer)

    train_loader = DataLoader(
        train_set,
        batch_size=arguments.batch_size,
        shuffle=True,
        # a small last batch would have few mismatches, or none
        drop_last=len(train_set) > arguments.batch_size,
        collate_fn=MatcherCollator(processor, seed=arguments.seed),
    )
    # whole groups, in an order that does not put clips of one kind together, as split files do
    group_size = min(GROUP_SIZE, len(val_set))
    val_loader = DataLoader(
        val_set.shuffle(seed=0),
        batch_size=group_size,
        drop_last=True,
        collate_fn=MatcherCollator(processor, random=False),
    )

    def losses_of(model, batch):
        output = model(**batch)
        return output, {name: output[name] for name in ("loss", "matched_loss", "mismatched_loss")}

    def training_losses(model, batch, epoch):
        yield losses_of(model, batch)[1]

    def validation_losses(model, batch):
        output, losses = losses_of(model, batch)
        precision, _ = retrieval(output.text_embeddings, output.motion_embeddings, len(batch["group_ids"]))
        return losses | {f"r_precision{k}": value for k, value in enumerate(precision, 1)}

    def save(model, folder: Path, scores: dict):
        model.save_pretrained(folder)
        processor.save_pretrained(folder)
        write_model_card(folder, stage="matcher", arguments=arguments, scores=scores)

    fit(accelerator, arguments, model, train_loader, val_loader, training_losses, validation_losses, save)


if __name__ == "__main__":
    main()
