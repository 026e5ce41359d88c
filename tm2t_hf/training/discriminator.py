# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The discriminator that the released motion VQs were trained against, and the two hinge losses of that game.

Only training needs it (`examples/train_vq.py --adversarial_weight`), so it is an ordinary module, saved nowhere.
"""

from torch import Tensor, nn
from torch.nn import functional as F


class MotionVQDiscriminator(nn.Module):
    """Tells real from reconstructed motion: (batch, frames, features) -> logits (batch, frames // 2**num_layers).

    Args:
        feature_size: features per frame.
        hidden_size: width of the first convolution; each further one is half as wide as the one before.
        num_layers: strided convolutions, each followed by a batch norm.
    """

    def __init__(self, feature_size: int, hidden_size: int = 512, num_layers: int = 2):
        super().__init__()
        sizes = [feature_size, *(hidden_size // 2**layer for layer in range(num_layers))]
        if sizes[-1] < 1:
            raise ValueError(f"hidden_size={hidden_size} cannot be halved for {num_layers} layers.")
        self.convs = nn.ModuleList(
            nn.Conv1d(sizes[layer], sizes[layer + 1], 4, stride=2, padding=1) for layer in range(num_layers)
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(size) for size in sizes[1:])
        self.output = nn.Conv1d(sizes[-1], 1, 3, padding=1)
        for conv in (*self.convs, self.output):
            nn.init.xavier_normal_(conv.weight)
            nn.init.zeros_(conv.bias)

    def forward(self, motion_values: Tensor) -> Tensor:
        """Logits (batch, frames // 2**num_layers) of motion (batch, frames, features)."""
        hidden = motion_values.transpose(1, 2)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            hidden = F.leaky_relu(norm(conv(hidden)), 0.2)  # (batch, size, frames // 2)
        return self.output(hidden).squeeze(1)


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Hinge loss of the discriminator: real logits should be above 1, fake ones below -1."""
    return 0.5 * (F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean())


def generator_loss(fake_logits: Tensor) -> Tensor:
    """Loss of the motion VQ: its reconstructions should pass for real."""
    return -fake_logits.mean()


__all__ = ["MotionVQDiscriminator", "discriminator_loss", "generator_loss"]
