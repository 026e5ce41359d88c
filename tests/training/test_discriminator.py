# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The discriminator of the motion VQ: the original's numbers, and its training steps with and without it."""

import json
import runpy
import sys

import pytest
import torch
from accelerate.state import AcceleratorState
from conftest import EXAMPLES
from safetensors.torch import load_file

from tm2t_hf import MotionVQModel
from tm2t_hf.conversion import convert_motion_vq, motion_vq_names
from tm2t_hf.toy import make_toy_dataset
from tm2t_hf.training import MotionVQDiscriminator, discriminator_loss, generator_loss

DISCRIMINATOR_NAMES = {
    "main.0": "convs.0", "main.1": "norms.0", "main.3": "convs.1", "main.4": "norms.1", "out_net": "output"
}  # fmt: skip


@pytest.fixture
def discriminator(golden_dir) -> MotionVQDiscriminator:
    weights = load_file(golden_dir / "vq_small.weights.safetensors")
    prefix = "discriminator."
    model = MotionVQDiscriminator(263, hidden_size=64, num_layers=2)
    model.load_state_dict(
        {
            discriminator_name(name.removeprefix(prefix)): tensor
            for name, tensor in weights.items()
            if name.startswith(prefix)
        }
    )
    return model


def discriminator_name(original: str) -> str:
    layer, _, kind = original.rpartition(".")
    return f"{DISCRIMINATOR_NAMES[layer]}.{kind}"


def test_golden_discriminator(discriminator, golden_dir):
    io = load_file(golden_dir / "vq_small.io.safetensors")
    with torch.no_grad():
        logits = discriminator.eval()(io["input"])
        torch.testing.assert_close(logits, io["disc_eval_logits"].squeeze(-1), atol=2e-5, rtol=0)
        logits = discriminator.train()(io["input"])
        torch.testing.assert_close(logits, io["disc_train_logits"].squeeze(-1), atol=2e-5, rtol=0)
    buffers = dict(discriminator.named_buffers())
    for name, expected in io.items():
        if name.startswith("disc_after_train_fwd."):
            got = buffers[discriminator_name(name.removeprefix("disc_after_train_fwd."))]
            torch.testing.assert_close(got, expected, atol=2e-5, rtol=0)


@pytest.fixture
def vq(golden_dir) -> MotionVQModel:
    return convert_motion_vq(torch.load(golden_dir / "vq_small.finest.tar", weights_only=True))


def test_golden_training_steps(vq, discriminator, golden_dir):
    """Three steps on the VQ's own loss, two with the discriminator, which is updated first."""
    golden = load_file(golden_dir / "vq_small.train5.safetensors")
    values, logs = golden["input"], golden["train_logs"]
    optimizers = [torch.optim.Adam(model.parameters(), lr=1e-4) for model in (vq, discriminator)]
    vq.train()
    discriminator.train()
    for step, (loss, reconstruction, distance, perplexity, adversarial, judged) in enumerate(logs.tolist()):
        output = vq(values)
        total, weight = output.loss, 0.5
        if step >= 3:
            game = weight * discriminator_loss(discriminator(values), discriminator(output.reconstruction.detach()))
            optimizers[1].zero_grad()
            game.backward()
            optimizers[1].step()
            fooled = generator_loss(discriminator(output.reconstruction))
            total = total + weight * fooled
            assert game.item() == pytest.approx(judged, rel=1e-5)
            assert fooled.item() == pytest.approx(adversarial, rel=1e-5)
        optimizers[0].zero_grad()
        total.backward()
        optimizers[0].step()
        assert total.item() == pytest.approx(loss, rel=1e-5)
        assert output.reconstruction_loss.item() == pytest.approx(reconstruction, rel=1e-5)
        assert (output.codebook_loss + output.commitment_loss).item() == pytest.approx(distance, rel=1e-5)
        assert output.perplexity.item() == pytest.approx(perplexity, rel=1e-5)

    names = motion_vq_names(num_stages=2, num_encoder_blocks=1, num_decoder_blocks=3)
    after, judge, errors = vq.state_dict(), discriminator.state_dict(), []
    for name, expected in golden.items():
        if name.startswith("after5."):
            original = name.removeprefix("after5.")
            part, _, rest = original.partition(".")
            got = judge[discriminator_name(rest)] if part == "discriminator" else after[names[original]]
            errors.append((got - expected).abs().flatten().float())
    errors = torch.cat(errors)
    assert len(errors) > 400_000
    assert (errors <= 1e-6).float().mean() >= 0.999 and errors.max() <= 2e-4


def test_losses_are_the_hinge():
    real, fake = torch.tensor([[2.0, 0.5]]), torch.tensor([[-3.0, 0.0]])
    torch.testing.assert_close(discriminator_loss(real, fake), torch.tensor((0.5 / 2 + 1 / 2) / 2))
    torch.testing.assert_close(generator_loss(fake), torch.tensor(1.5))


@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_one_logit_for_so_many_frames(num_layers):
    model = MotionVQDiscriminator(23, hidden_size=8, num_layers=num_layers)
    assert model(torch.randn(3, 32, 23)).shape == (3, 32 // 2**num_layers)


def test_too_many_layers():
    with pytest.raises(ValueError, match="hidden_size=8 cannot be halved for 5 layers"):
        MotionVQDiscriminator(23, hidden_size=8, num_layers=5)


def test_it_learns_to_tell_motions_apart():
    model = MotionVQDiscriminator(5, hidden_size=8)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    real, fake = torch.randn(4, 16, 5).cumsum(1), torch.randn(4, 16, 5)
    for _ in range(80):
        loss = discriminator_loss(model(real), model(fake))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert model(real).mean() > 0.5 and model(fake).mean() < -0.5


def test_training_script_plays_and_resumes_the_game(tmp_path, monkeypatch):
    """`--adversarial_weight` changes the weights from its start on, and a resumed run ends where a whole one does."""
    make_toy_dataset(tmp_path / "toy", num_clips=10)
    sizes = {"hidden_size": 8, "codebook_size": 8, "num_decoder_blocks": 1}
    flags = {"data_dir": "toy", "epochs": 2, "batch_size": 4, "min_frames": 20, "window": 32}
    flags |= {"adversarial_weight": 0.5, "adversarial_start_epoch": 1, "model_config": json.dumps(sizes)}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")

    def weights(**more) -> torch.Tensor:
        command = [part for name, value in (flags | more).items() for part in (f"--{name}", str(value))]
        monkeypatch.setattr(sys, "argv", ["train_vq.py", *command])
        AcceleratorState._reset_state(True)
        try:
            runpy.run_path(str(EXAMPLES / "train_vq.py"), run_name="__main__")
        finally:
            AcceleratorState._reset_state(True)
        state = load_file(tmp_path / more["output_dir"] / "last" / "model.safetensors")
        return torch.cat([tensor.flatten() for _, tensor in sorted(state.items())])

    calm = weights(output_dir="calm", adversarial_start_epoch=2)  # never
    whole = weights(output_dir="whole")
    assert not torch.allclose(calm, whole, atol=1e-6)
    weights(output_dir="parts", epochs=1)
    assert torch.equal(weights(output_dir="parts", resume=True), whole)
