# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Train the motion VQ-VAE, the first stage of TM2T (arXiv 2207.01696, section 3.1).

    tm2t-hf prepare DATA
    accelerate launch examples/train_vq.py examples/configs/small.json --data_dir DATA --output_dir tm2t-vq

The best model by validation loss is written to `output_dir` with its feature extractor and card; `--resume` goes on
from `output_dir/last`. Every value of the JSON can be given as a flag too, which then wins.
"""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from tm2t_hf import SKELETONS, MotionFeatureExtractor, MotionVQConfig, MotionVQModel
from tm2t_hf.data import VQCollator, load_motion_dataset
from tm2t_hf.training import (
    LoopArguments,
    MotionVQDiscriminator,
    discriminator_loss,
    fit,
    generator_loss,
    load_trained,
    parse_arguments,
    start,
    write_model_card,
)


@dataclass
class VQArguments(LoopArguments):
    init_from: str = field(default="", metadata={"help": "Motion VQ to begin with; new if left out."})
    window: int = field(default=64, metadata={"help": "Frames of a training window."})
    feat_bias: float = field(default=5.0, metadata={"help": "Weight of the root's and the feet's features."})
    adversarial_weight: float = field(default=0.0, metadata={"help": "Weight of the adversarial loss; released: 0.5."})
    adversarial_start_epoch: int = field(default=10, metadata={"help": "Epochs without the adversarial loss."})


def main():
    arguments = parse_arguments(VQArguments, "vq")
    accelerator = start(arguments)
    skeleton = SKELETONS[arguments.skeleton]

    with accelerator.main_process_first():
        train_set = load_motion_dataset(
            arguments.data_dir, "train", skeleton, **arguments.variants, **arguments.limits
        )
        val_set = load_motion_dataset(arguments.data_dir, "val", skeleton, **arguments.limits)

    if arguments.init_from:
        model = load_trained(MotionVQModel, arguments.init_from, **arguments.model_config)
    else:
        data = {"feature_size": skeleton.feature_size, "fps": skeleton.fps}
        model = MotionVQModel(MotionVQConfig(**data, **arguments.model_config))
    config = model.config
    feature_extractor = MotionFeatureExtractor.from_data_dir(
        arguments.data_dir, skeleton, unit_length=config.unit_length, feat_bias=arguments.feat_bias
    )

    train_loader = DataLoader(
        train_set,
        batch_size=arguments.batch_size,
        shuffle=True,
        collate_fn=VQCollator(feature_extractor, window=arguments.window, seed=arguments.seed),
    )
    val_loader = DataLoader(
        val_set, batch_size=arguments.batch_size, collate_fn=VQCollator(feature_extractor, window=None, random=False)
    )

    if arguments.adversarial_weight:
        if accelerator.num_processes > 1:
            raise ValueError("--adversarial_weight works in one process.")
        discriminator = MotionVQDiscriminator(config.feature_size, config.hidden_size // 2).to(accelerator.device)
        discriminator_optimizer = torch.optim.Adam(discriminator.parameters(), lr=arguments.learning_rate)
        accelerator.register_for_checkpointing(discriminator, discriminator_optimizer)

    def losses_of(output):
        return {name: value for name, value in output.items() if value.dim() == 0}

    def adversarial_losses(real, fake):
        """The discriminator moves first, as in the original."""
        judged = discriminator_loss(discriminator(real), discriminator(fake.detach()))
        discriminator_optimizer.zero_grad()
        judged.backward()
        discriminator_optimizer.step()
        return {"adversarial_loss": generator_loss(discriminator(fake)), "discriminator_loss": judged.detach()}

    def training_losses(model, batch, epoch):
        output = model(**batch)
        losses = losses_of(output)
        if arguments.adversarial_weight and epoch >= arguments.adversarial_start_epoch:
            fake = output.reconstruction
            losses |= adversarial_losses(batch["motion_values"][:, : fake.shape[1]], fake)
            losses["loss"] = losses["loss"] + arguments.adversarial_weight * losses["adversarial_loss"]
        yield losses

    def validation_losses(model, batch):
        losses = losses_of(model(**batch))
        # how far the latents are from the codebook depends on their scale, and says nothing of the motion
        distance = losses["codebook_loss"] + config.commitment_weight * losses["commitment_loss"]
        return losses | {"loss": losses["loss"] - distance}

    def save(model, folder: Path, scores: dict):
        model.save_pretrained(folder)
        feature_extractor.save_pretrained(folder)
        write_model_card(folder, stage="vq", arguments=arguments, scores=scores)

    fit(accelerator, arguments, model, train_loader, val_loader, training_losses, validation_losses, save)


if __name__ == "__main__":
    main()
