# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
r"""Train motion-to-text, the second stage of TM2T: a transformer from motion tokens to captions.

    accelerate launch examples/train_m2t.py examples/configs/small.json \
        --data_dir DATA --vq tm2t-vq --output_dir tm2t-m2t

Motion tokens are computed once with the VQ and cached. The best model by validation loss is written to `output_dir`
with its processor and card, the VQ inside; `--resume_from_checkpoint latest` resumes from `output_dir/last`. Every
value of the JSON can be given as a flag too, which then wins.
"""

from pathlib import Path

import torch

from tm2t_hf import (
    MotionFeatureExtractor,
    MotionTokenizer,
    MotionToTextConfig,
    MotionToTextModel,
    MotionVQModel,
    TM2TProcessor,
    load_skeleton,
    train_text_tokenizer,
)
from tm2t_hf.data import TranslationCollator, load_motion_dataset, tokenize_motions
from tm2t_hf.loading import check_fits, load_processor, load_whole
from tm2t_hf.training import (
    NUM_SAMPLES,
    Loss,
    M2TArguments,
    Sample,
    calibrate_motions,
    check_same_skeleton,
    fit,
    parse_arguments,
    run,
    start,
    training_loader,
    validation_loader,
    write_model_card,
)


@torch.no_grad()
def embed_codebook(model: MotionToTextModel):
    """Put the principal components of the codebook into the motion embedding, at the scale that this had."""
    codebook = model.vq.quantizer.embedding.weight.float()  # (codes, hidden)
    codebook = codebook - codebook.mean(0)
    components = torch.linalg.svd(codebook, full_matrices=False).Vh[: model.config.d_model]
    projected = codebook @ components.t()  # (codes, at most d_model)
    embedding = model.get_encoder().embed_tokens.weight
    scale = embedding[: len(projected)].norm() / projected.norm()
    embedding[: len(projected), : projected.shape[1]] = projected * scale


def main():
    """Train motion-to-text."""
    arguments = parse_arguments(M2TArguments, "m2t")
    accelerator = start(arguments)
    skeleton = load_skeleton(arguments.skeleton)

    vq = load_whole(MotionVQModel, arguments.vq).to(accelerator.device).eval().requires_grad_(False)
    check_same_skeleton(vq, skeleton, arguments.vq)
    feature_extractor = load_processor(MotionFeatureExtractor, arguments.vq)
    check_fits(vq, feature_extractor)
    codes = vq.config.codebook_size
    if arguments.token_corruption and arguments.corruption_neighbors >= codes:
        raise ValueError(
            f"--corruption_neighbors {arguments.corruption_neighbors} is too many for a codebook of {codes} codes."
        )

    with accelerator.main_process_first():
        train_set = load_motion_dataset(
            arguments.data_dir, "train", skeleton, **arguments.variants, **arguments.limits
        )
        val_set = load_motion_dataset(arguments.data_dir, "val", skeleton, **arguments.limits)
        val_joints = [feature_extractor.to_joints(torch.as_tensor(row["features"])).numpy() for row in val_set]
        workers = {"num_workers": arguments.num_workers}
        num_offsets = arguments.num_offsets or vq.config.unit_length
        options = {"residuals": arguments.model_config.get("read_residuals", False), **workers}
        train_set = tokenize_motions(train_set, vq, feature_extractor, num_offsets=num_offsets, **options)
        val_set = tokenize_motions(val_set, vq, feature_extractor, **options)

    captions = [caption for captions in train_set["captions"] for caption in captions]
    processor = TM2TProcessor(
        feature_extractor=feature_extractor,
        tokenizer=train_text_tokenizer(captions, arguments.text_vocab_size),
        motion_tokenizer=MotionTokenizer(codebook_size=vq.config.codebook_size),
    )
    config = MotionToTextConfig(vq_config=vq.config, vocab_size=len(processor.tokenizer), **arguments.model_config)
    model = MotionToTextModel(config)
    model.vq = vq
    if arguments.codebook_embeddings:
        embed_codebook(model)
    model.generation_config.num_beams = arguments.num_beams

    def collator(random):
        return TranslationCollator(
            processor.tokenizer,
            processor.motion_tokenizer,
            "m2t",
            random=random,
            shortest_crop=arguments.shortest_crop,
            seed=arguments.seed,
        )

    train_loader = training_loader(accelerator, arguments, train_set, collator(random=True))
    val_loader = validation_loader(accelerator, arguments, val_set, collator(random=False))

    def counts(batch):
        return {"loss": (batch["labels"] != -100).sum()}

    def losses_of(model, batch):
        return {"loss": Loss(model(**batch).loss, counts(batch)["loss"], reduction=config.loss_reduction)}

    similar = None
    if arguments.token_corruption:
        codebook = vq.quantizer.embedding.weight
        similar = torch.cdist(codebook, codebook).topk(arguments.corruption_neighbors + 1, largest=False)
        similar = similar.indices[:, 1:]  # (codes, neighbors)

    def corrupted(batch, moment):
        """Some codes replaced by similar ones, as another performance of the same movement would have them."""
        ids = batch["input_ids"]
        coins, draws = (moment.uniform(arguments.seed, ids.shape[1], kind).to(ids.device) for kind in range(2))
        chosen = coins < arguments.token_corruption  # (batch, tokens)
        codes = ids.clamp(max=len(similar) - 1)
        draws = (draws * similar.shape[1]).long()
        chosen &= ids < len(similar)
        batch = batch | {"input_ids": torch.where(chosen, similar[codes, draws], ids)}
        if "residuals" in batch:  # which are those of the true codes
            batch["residuals"] = batch["residuals"].masked_fill(chosen.unsqueeze(-1), 0)
        return batch

    def training_losses(model, batch, moment):
        if similar is not None:
            batch = corrupted(batch, moment)
        yield losses_of(model, batch)

    def samples(model):
        rows = [val_set[number] for number in range(min(NUM_SAMPLES, len(val_set)))]
        batch = {name: tensor.to(accelerator.device) for name, tensor in collator(random=False)(rows).items()}
        ids = model.generate(**{name: tensor for name, tensor in batch.items() if name != "labels"})
        captions = processor.batch_decode(ids, skip_special_tokens=True)
        for number, (row, caption) in enumerate(zip(rows, captions, strict=True), 1):
            yield Sample(f"clip {number}", f"{caption} (by a person: {row['captions'][0]})")

    def save(model, folder: Path, scores: dict):
        model.save_pretrained(folder)
        processor.save_pretrained(folder)
        write_model_card(folder, stage="m2t", arguments=arguments, scores=scores)

    fit(
        accelerator,
        arguments,
        model,
        train_loader,
        val_loader,
        training_losses,
        losses_of,
        save,
        counts=counts,
        samples=samples,
        processor=processor,
        finish=lambda folder: calibrate_motions(folder, val_joints),
    )


if __name__ == "__main__":
    run(main)
