# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Train the motion VQ-VAE, the first stage of TM2T (arXiv 2207.01696, section 3.1).

    tm2t-hf prepare DATA
    accelerate launch examples/train_vq.py examples/configs/small.json --data_dir DATA --output_dir tm2t-vq

The best model by validation loss is written to `output_dir` with its feature extractor and card;
`--resume_from_checkpoint latest` resumes from `output_dir/last`. Every value of the JSON can be given as a flag too,
which then wins.
"""

from pathlib import Path

import torch

from tm2t_hf import MotionFeatureExtractor, MotionVQConfig, MotionVQModel, load_skeleton
from tm2t_hf.data import VQCollator, load_motion_dataset, statistics_folder
from tm2t_hf.loading import check_fits, load_processor, load_whole
from tm2t_hf.training import (
    NUM_SAMPLES,
    Loss,
    MotionVQDiscriminator,
    Sample,
    VQArguments,
    check_same_skeleton,
    discriminator_loss,
    fit,
    foot_sliding,
    generator_loss,
    parse_arguments,
    run,
    start,
    training_loader,
    validation_loader,
    write_model_card,
)


def main():
    """Train the motion VQ."""
    arguments = parse_arguments(VQArguments, "vq")
    accelerator = start(arguments)
    if arguments.adversarial_weight and accelerator.num_processes > 1:
        raise ValueError("--adversarial_weight works in one process.")
    skeleton = load_skeleton(arguments.skeleton)

    if arguments.init_from:
        changes = dict(arguments.model_config)
        num_decoder_blocks = changes.pop("num_decoder_blocks", None)
        model = load_whole(MotionVQModel, arguments.init_from, **changes)
        check_same_skeleton(model, skeleton, arguments.init_from)
        if num_decoder_blocks is not None:
            model.deepen_decoder(num_decoder_blocks)
        if arguments.freeze_codes:
            model.freeze_codes()
    else:
        data = {"feature_size": skeleton.feature_size, "fps": skeleton.fps}
        model = MotionVQModel(MotionVQConfig(**data, **arguments.model_config))

    with accelerator.main_process_first():
        train_set = load_motion_dataset(
            arguments.data_dir, "train", skeleton, **arguments.variants, **arguments.limits
        )
        val_set = load_motion_dataset(arguments.data_dir, "val", skeleton, **arguments.limits)

    config = model.config
    if arguments.init_from:  # its statistics, which give its weights their meaning
        feature_extractor = load_processor(MotionFeatureExtractor, arguments.init_from)
    else:
        folder = statistics_folder(arguments.data_dir)
        feature_extractor = MotionFeatureExtractor.from_data_dir(
            folder, skeleton, unit_length=config.unit_length, feat_bias=arguments.feat_bias
        )
    check_fits(model, feature_extractor)

    train_loader = training_loader(
        accelerator,
        arguments,
        train_set,
        VQCollator(feature_extractor, window=arguments.window or None, seed=arguments.seed),
    )
    val_loader = validation_loader(
        accelerator, arguments, val_set, VQCollator(feature_extractor, window=None, random=False)
    )

    extra = {}
    if arguments.adversarial_weight:
        discriminator = MotionVQDiscriminator(config.feature_size, config.hidden_size // 2).to(accelerator.device)
        discriminator_optimizer = torch.optim.Adam(discriminator.parameters(), lr=arguments.learning_rate)
        extra = {"discriminator": discriminator, "discriminator_optimizer": discriminator_optimizer}

    # as the model itself sums them up
    weights = {
        "reconstruction_loss": 1.0,
        "codebook_loss": 1.0,
        "commitment_loss": config.commitment_weight,
        "position_loss": config.position_loss_weight,
        "drift_loss": config.drift_loss_weight,
    }
    # how far the latents are from the codebook depends on their scale, and says nothing about the motion
    validation_weights = weights | {"codebook_loss": 0.0, "commitment_loss": 0.0}

    def counts(batch):
        tokens = (batch["attention_mask"].sum(-1) // config.unit_length).sum()
        return dict.fromkeys((*weights, "perplexity"), tokens)

    def losses_of(output, batch, weights):
        weights = weights | {"perplexity": 0}
        return {
            name: Loss(output[name], count, weights[name]) for name, count in counts(batch).items() if name in output
        }

    def foot_loss(batch, output):
        frames = output.reconstruction.shape[1]
        real, made = (
            feature_extractor.denormalize(values.float())
            for values in (batch["motion_values"][:, :frames], output.reconstruction)
        )
        value, contacts = foot_sliding(made, real, batch["attention_mask"][:, :frames].bool(), skeleton)
        return {"foot_loss": Loss(value, contacts, arguments.foot_weight)}

    def adversarial_losses(real, fake):
        """The discriminator moves first, as in the original."""
        judged = discriminator_loss(discriminator(real), discriminator(fake.detach()))
        discriminator_optimizer.zero_grad()
        judged.backward()
        discriminator_optimizer.step()
        return {
            "adversarial_loss": Loss(generator_loss(discriminator(fake)), len(fake), arguments.adversarial_weight),
            "discriminator_loss": Loss(judged, len(fake), weight=0),
        }

    def training_losses(model, batch, moment):
        output = model(**batch)
        losses = losses_of(output, batch, weights)
        if arguments.foot_weight:
            losses |= foot_loss(batch, output)
        if arguments.adversarial_weight and moment.epoch >= arguments.adversarial_start_epoch:
            fake = output.reconstruction
            losses |= adversarial_losses(batch["motion_values"][:, : fake.shape[1]], fake)
        yield losses

    def validation_losses(model, batch):
        output = model(**batch)
        losses = losses_of(output, batch, validation_weights)
        return losses | foot_loss(batch, output) if arguments.foot_weight else losses

    def samples(model):
        for number in range(min(NUM_SAMPLES, len(val_set))):
            row = val_set[number]
            values = torch.from_numpy(feature_extractor.normalize(row["features"]))[None].to(accelerator.device)
            (joints,) = feature_extractor.post_process(model.decode(model.encode(values).codes))
            yield Sample(f"clip {number + 1}", row["captions"][0], joints)

    def save(model, folder: Path, scores: dict):
        model.save_pretrained(folder)
        feature_extractor.save_pretrained(folder)
        write_model_card(folder, stage="vq", arguments=arguments, scores=scores)

    fit(
        accelerator,
        arguments,
        model,
        train_loader,
        val_loader,
        training_losses,
        validation_losses,
        save,
        extra,
        counts,
        samples=samples,
        processor=feature_extractor,
    )


if __name__ == "__main__":
    run(main)
