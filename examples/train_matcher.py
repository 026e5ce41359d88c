# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
r"""Train the text-motion matcher of Guo et al. (CVPR 2022), which text-to-motion models are evaluated with.

    accelerate launch examples/train_matcher.py examples/configs/small.json \
        --data_dir DATA --output_dir tm2t-matcher

Captions and motions are embedded in one space by a contrastive loss: those that belong together should be near, the
others of their batch at least `margin` away. Clips that share a caption are never pushed apart. No word vectors and no
parts of speech are needed: the text tokenizer and the word embedding are trained on the captions.

The best model by validation loss is written to `output_dir` with its processor and card;
`--resume_from_checkpoint latest` resumes from `output_dir/last`. Every value of the JSON can be given as a flag too,
which then wins.
"""

import zlib
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from tm2t_hf import (
    MotionFeatureExtractor,
    MotionTextMatcher,
    MotionTextMatcherConfig,
    MotionTextMatcherProcessor,
    load_skeleton,
    train_text_tokenizer,
)
from tm2t_hf.data import crop_tokens, draw_caption, load_motion_dataset, row_generator, statistics_folder
from tm2t_hf.metrics import GROUP_SIZE, retrieval
from tm2t_hf.modeling_matcher import contrastive_losses
from tm2t_hf.training import (
    Loss,
    MatcherArguments,
    fit,
    gather_rows,
    parse_arguments,
    run,
    start,
    training_loader,
    validation_loader,
    write_model_card,
)


@dataclass
class MatcherCollator:
    """Rows of `load_motion_dataset` -> what `MotionTextMatcher.forward` reads, and the rows' captions as numbers.

    With `random` a caption (see `draw_caption`) and a crop to whole movements are drawn for each row, otherwise its
    first caption and its whole motion are taken. `caption_ids` (batch, most captions) has a number for each of a row's
    captions, equal for equal ones, and -1 behind them.
    """

    processor: MotionTextMatcherProcessor
    random: bool = True
    even_sources: bool = False
    seed: int = 0
    epoch: int = 0

    def __call__(self, rows: list[dict]) -> dict[str, torch.Tensor]:
        """One batch."""
        captions, motions = zip(*map(self._choose, rows), strict=True)
        inputs = self.processor(text=list(captions), motion=list(motions), return_tensors="pt")
        numbers = [torch.tensor([zlib.crc32(caption.encode()) for caption in row["captions"]]) for row in rows]
        return {
            **inputs,
            "caption_ids": torch.nn.utils.rnn.pad_sequence(numbers, batch_first=True, padding_value=-1),
        }

    def _choose(self, row: dict) -> tuple[str, np.ndarray]:
        if not self.random:
            return row["captions"][0], row["features"]
        rng = row_generator(self.seed, self.epoch, row["id"])
        caption = draw_caption(row, rng, self.even_sources)
        crop = crop_tokens(len(row["features"]), self.processor.feature_extractor.unit_length, rng)
        return caption, row["features"][crop]


def shared_caption_groups(captions: list[list[Hashable]]) -> list[int]:
    """A label for each row's captions: that of the first row with which it shares one, or else its own index."""
    label_of = {}
    labels = []
    for index, row in enumerate(captions):
        labels.append(min(label_of.get(caption, index) for caption in row))
        for caption in row:
            label_of.setdefault(caption, labels[-1])
    return labels


def main():
    """Train the matcher."""
    arguments = parse_arguments(MatcherArguments, "matcher")
    accelerator = start(arguments)
    skeleton = load_skeleton(arguments.skeleton)

    with accelerator.main_process_first():
        train_set = load_motion_dataset(
            arguments.data_dir,
            "train",
            skeleton,
            further_texts=arguments.further_texts,
            **arguments.variants,
            **arguments.limits,
        )
        val_set = load_motion_dataset(arguments.data_dir, "val", skeleton, **arguments.limits)

    captions = [caption for captions in train_set["captions"] for caption in captions]
    tokenizer = train_text_tokenizer(captions, arguments.text_vocab_size)
    text = {"text_vocab_size": len(tokenizer), "text_pad_id": tokenizer.pad_token_id}
    config = MotionTextMatcherConfig(feature_size=skeleton.feature_size, **text, **arguments.model_config)
    model = MotionTextMatcher(config)
    feature_extractor = MotionFeatureExtractor.from_data_dir(
        statistics_folder(arguments.data_dir), skeleton, unit_length=config.unit_length, feat_bias=arguments.feat_bias
    )
    processor = MotionTextMatcherProcessor(feature_extractor=feature_extractor, tokenizer=tokenizer)

    train_loader = training_loader(
        accelerator,
        arguments,
        train_set,
        MatcherCollator(processor, even_sources=arguments.even_sources, seed=arguments.seed),
        # a small last batch would have few mismatches, or none; a stream has no last batch
        drop_last=arguments.streaming or len(train_set) > arguments.batch_size * accelerator.num_processes,
    )
    # whole groups, in an order that does not put clips of one kind together, as split files do
    group_size = min(GROUP_SIZE, len(val_set))
    val_loader = validation_loader(
        accelerator,
        arguments,
        val_set.shuffle(seed=0),
        MatcherCollator(processor, random=False),
        group_size,
        drop_last=True,
    )

    def groups_of(caption_ids):
        rows = [[number for number in row if number >= 0] for row in caption_ids.tolist()]
        return torch.tensor(shared_caption_groups(rows), device=caption_ids.device)

    def losses_of(texts, motions, group_ids):
        matched, mismatched, _ = contrastive_losses(texts, motions, group_ids, config.margin)
        pairs = (group_ids[:, None] != group_ids).sum()
        return {"matched_loss": Loss(matched, len(group_ids)), "mismatched_loss": Loss(mismatched, pairs)}

    def training_losses(model, batch, moment):
        batch = dict(batch)
        caption_ids = batch.pop("caption_ids")
        longest = int(gather_rows(accelerator, torch.tensor([caption_ids.shape[1]], device=accelerator.device)).max())
        caption_ids = torch.nn.functional.pad(caption_ids, (0, longest - caption_ids.shape[1]), value=-1)
        output = model(**batch)
        # every process computes the losses of the whole batch, which push all its rows apart
        texts, motions = (
            gather_rows(accelerator, each) for each in (output.text_embeddings, output.motion_embeddings)
        )
        yield losses_of(texts, motions, groups_of(gather_rows(accelerator, caption_ids)))

    def validation_losses(model, batch):
        batch = dict(batch)
        group_ids = groups_of(batch.pop("caption_ids"))
        output = model(**batch)
        precision, _ = retrieval(output.text_embeddings, output.motion_embeddings, len(group_ids))
        losses = losses_of(output.text_embeddings, output.motion_embeddings, group_ids)
        for k, value in enumerate(precision, 1):
            losses[f"r_precision{k}"] = Loss(torch.tensor(value), len(group_ids), weight=0)
        return losses

    def save(model, folder: Path, scores: dict):
        model.save_pretrained(folder)
        processor.save_pretrained(folder)
        write_model_card(folder, stage="matcher", arguments=arguments, scores=scores)

    losses = (training_losses, validation_losses)
    fit(accelerator, arguments, model, train_loader, val_loader, *losses, save, processor=processor)


if __name__ == "__main__":
    run(main)
