# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Inverse alignment: numbers of the original, where the gradients go, the rules of sampling, bad input."""

import copy

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from tm2t_hf.alignment import (
    frozen,
    gumbel_rollout,
    inverse_alignment_loss,
    teacher_forced_samples,
    translation_source,
)
from tm2t_hf.configuration_motion_to_text import MotionToTextConfig
from tm2t_hf.configuration_text_to_motion import TextToMotionConfig
from tm2t_hf.configuration_text_to_motion_transformer import TextToMotionTransformerConfig
from tm2t_hf.conversion import (
    MIX_HALVES,
    MIX_WEIGHT,
    convert_motion_to_text,
    convert_text_to_motion,
    text_to_motion_names,
)
from tm2t_hf.modeling_motion_to_text import MotionToTextModel
from tm2t_hf.modeling_text_to_motion import TextToMotionModel
from tm2t_hf.modeling_text_to_motion_transformer import TextToMotionTransformer

ATTENTIONS = ["early", "late"]
CODES, BOM, EOM, PAD = 12, 12, 13, 14


@pytest.fixture(params=[*ATTENTIONS, "transformer"])
def t2m(request):
    torch.manual_seed(0)
    sizes = {"codebook_size": CODES, "text_vocab_size": 20}
    if request.param == "transformer":
        sizes |= dict.fromkeys(("encoder_layers", "decoder_layers"), 1)
        sizes |= dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 2)
        sizes |= dict.fromkeys(("encoder_ffn_dim", "decoder_ffn_dim", "d_model"), 16)
        model = TextToMotionTransformer(TextToMotionTransformerConfig(**sizes)).eval()
    else:
        sizes |= {"text_embedding_size": 10, "text_hidden_size": 6, "motion_hidden_size": 8}
        model = TextToMotionModel(TextToMotionConfig(attention=request.param, **sizes)).eval()
    with torch.no_grad():
        model.lm_head.weight[EOM] = 0  # no motion ends at once
    return model


def inner_weight(model) -> torch.nn.Parameter:
    """A weight before the logits."""
    return model.decoder.layers[0].fc1.weight if hasattr(model.decoder, "layers") else model.decoder.mix.weight


@pytest.fixture
def m2t():
    torch.manual_seed(1)
    config = MotionToTextConfig(
        codebook_size=CODES,
        vocab_size=20,
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        dropout=0.3,
    )
    return MotionToTextModel(config).eval()


@pytest.fixture
def text():
    """Two captions as the text-to-motion model reads them: the second is shorter."""
    return {
        "input_ids": torch.tensor([[1, 5, 6, 7, 2], [1, 8, 2, 0, 0]]),
        "attention_mask": torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]),
    }


LABELS = torch.tensor([[5, 6, 7, 2], [8, 2, -100, -100]])


# ---- the original's numbers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_golden_rollout_loss_and_all_gradients(golden_dir, attention):
    weights, io, grads = (
        load_file(golden_dir / f"t2m_small_{attention}.{part}.safetensors") for part in ("weights", "io", "grads")
    )
    inputs = load_file(golden_dir / "t2m_small.inputs.safetensors")
    t2m = convert_text_to_motion({"t2m_model": {name.partition(".")[2]: w for name, w in weights.items()}})
    m2t = convert_motion_to_text(torch.load(golden_dir / "m2t_small.finest.tar", weights_only=True), num_heads=2)
    labels = inputs["word_tokens"][:, 1:]
    labels = labels.masked_fill(labels == m2t.config.pad_token_id, -100)
    output = inverse_alignment_loss(
        t2m,
        m2t,
        labels,
        attention_mask=(torch.arange(22) < inputs["cap_lens"][:, None]).long(),
        inputs_embeds=inputs["word_emb"],
        noise=io["gumbel_noise"],
        append_eom=False,
    )
    torch.testing.assert_close(output.samples.probs, io["gumbel_out"], atol=1e-6, rtol=0)
    assert torch.equal(output.samples.probs.argmax(-1), io["gumbel_tokens"])
    assert torch.equal(output.samples.lengths, io["gumbel_len_map"].squeeze(1))
    counted = labels != -100
    assert int(counted.sum()) == int(io["cycle_n_word"])
    torch.testing.assert_close(output.logits[counted], io["cycle_logits"][counted], atol=2e-5, rtol=0)
    torch.testing.assert_close(output.loss, io["cycle_loss_sum"], atol=0, rtol=1e-6)
    torch.testing.assert_close(output.nll.sum(), output.loss)

    output.loss.backward()
    ours = dict(t2m.named_parameters())
    names = text_to_motion_names(1, attention == "late")
    gradients = {theirs: ours[name].grad for theirs, name in names.items() if name in ours}
    gradients[MIX_WEIGHT] = torch.cat([ours[name].grad for name in MIX_HALVES], dim=1)
    prefix = "cycle.grad."
    expected = {name.replace(prefix, "t2m_model."): g for name, g in grads.items() if name.startswith(prefix)}
    assert gradients.keys() == expected.keys()
    for name, gradient in expected.items():
        assert (gradients[name] - gradient).abs().max() <= 3e-5 * gradient.abs().max(), name


# ---- the rollout ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end_rule", ["argmax", "sample"])
def test_rollout_is_what_the_model_says(t2m, text, end_rule):
    """Teacher forcing on the drawn ids gives the logits, and the ids are the argmax of these with the noise."""
    torch.manual_seed(3)
    noise = -torch.empty(9, 2, 15).exponential_().log()
    samples = gumbel_rollout(t2m, **text, max_tokens=9, end_rule=end_rule, noise=noise)
    again = t2m(**text, decoder_input_ids=samples.read_ids).logits
    torch.testing.assert_close(samples.logits, again, atol=1e-5, rtol=1e-5)
    ids = samples.probs.argmax(-1)
    steps = ids.shape[1] - 1
    assert torch.equal(ids[:, :-1], samples.read_ids) and (ids[:, 0] == BOM).all()
    never = [BOM, EOM] if end_rule == "argmax" else [BOM, PAD]
    scores = again.index_fill(-1, torch.tensor(never), -torch.inf) + noise[:steps].transpose(0, 1)
    assert torch.equal(ids[:, 1:], scores.argmax(-1))
    ends = again.argmax(-1) == EOM if end_rule == "argmax" else ids[:, 1:] == EOM
    lengths = torch.where(ends.any(1), ends.int().argmax(1), 9)
    assert torch.equal(samples.lengths, lengths)
    assert steps == min(9, int(lengths.max()) + 1)


def test_rollout_draws_from_the_distribution(t2m, text):
    """The first token, drawn 4,000 times, follows the softmax of its logits (without what is never drawn)."""
    one = {name: value[:1].expand(4000, -1) for name, value in text.items()}
    torch.manual_seed(0)
    with torch.no_grad():
        samples = gumbel_rollout(t2m, **one, max_tokens=1, end_rule="sample")
    logits = samples.logits[0, 0].index_fill(0, torch.tensor([BOM, PAD]), -torch.inf)
    found = samples.probs[:, 1].mean(0)
    assert (found - logits.softmax(-1)).abs().max() < 0.03


def test_rollout_stops_when_all_have_ended(t2m, text):
    t2m.lm_head.register_forward_hook(lambda module, args, out: out.index_fill(-1, torch.tensor([EOM]), 99.0))
    for end_rule in ("argmax", "sample"):
        samples = gumbel_rollout(t2m, **text, max_tokens=40, end_rule=end_rule)
        assert samples.probs.shape[1] == 2 and samples.lengths.tolist() == [0, 0]
        for append_eom in (True, False):
            probs, mask = translation_source(samples, t2m.config, append_eom)
            assert probs.argmax(-1).tolist() == [[BOM, EOM][: 1 + append_eom]] * 2 and mask.all()


def test_hard_samples_are_one_hots_with_soft_gradients(t2m, text):
    noise = -torch.empty(6, 2, 15).exponential_().log()
    weight = torch.randn(2, 7, 15)
    gradients = []
    for hard in (True, False):
        samples = gumbel_rollout(t2m, **text, max_tokens=6, tau=0.7, hard=hard, noise=noise)
        size = samples.probs.shape[1]
        assert torch.allclose(samples.probs.sum(-1), torch.ones(2, size))
        assert torch.equal((samples.probs == 0) | (samples.probs == 1), torch.ones(2, size, 15).bool()) == hard
        t2m.zero_grad()
        (samples.probs * weight[:, :size]).sum().backward()
        gradients.append(inner_weight(t2m).grad.clone())
    assert gradients[0].abs().max() > 0
    torch.testing.assert_close(*gradients)


def test_top_k_draws_only_the_likeliest(t2m, text):
    samples = gumbel_rollout(t2m, **text, max_tokens=20, top_k=5)
    ids, likeliest = samples.probs.argmax(-1)[:, 1:], samples.logits.topk(5).indices
    in_reach = (likeliest == ids.unsqueeze(-1)).any(-1)
    kept = ((likeliest != BOM) & (likeliest != EOM)).any(-1)
    assert in_reach[kept].all()


def test_text_may_be_encoded_before(t2m, text):
    noise = -torch.empty(6, 2, 15).exponential_().log()
    encoded = t2m.encoder(**text)
    torch.testing.assert_close(
        gumbel_rollout(t2m, encoder_outputs=encoded, max_tokens=6, noise=noise).probs,
        gumbel_rollout(t2m, **text, max_tokens=6, noise=noise).probs,
    )


@pytest.mark.parametrize(
    "wrong",
    [{"max_tokens": 0}, {"max_tokens": 2.5}, {"top_k": 0}, {"tau": 0.0}, {"tau": torch.nan}, {"end_rule": "never"}],
)
def test_bad_arguments(t2m, text, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        gumbel_rollout(t2m, **text, **wrong)


# ---- samples beside a real motion -----------------------------------------------------------------------------------


def test_teacher_forced_samples_follow_real_tokens(t2m, text):
    labels = torch.tensor([[3, 4, 5, 6, EOM], [7, 1, EOM, -100, -100]])
    output = t2m(**text, labels=labels)
    noise = -torch.empty(2, 5, 15).exponential_().log()
    samples = teacher_forced_samples(t2m, output.logits, labels, noise=noise)
    assert samples.lengths.tolist() == [4, 2]
    codes = (output.logits + noise)[..., :CODES].argmax(-1)
    assert torch.equal(samples.probs.argmax(-1), F.pad(codes, (1, 0), value=BOM))
    assert samples.read_ids.tolist() == [[BOM, 3, 4, 5, 6], [BOM, 7, 1, EOM, PAD]]
    probs, mask = translation_source(samples, t2m.config)
    assert mask.tolist() == [[1] * 6, [1] * 4 + [0] * 2]
    assert probs.argmax(-1)[0, -1] == probs.argmax(-1)[1, 3] == EOM


# ---- the source of the translation back -----------------------------------------------------------------------------


def test_source_ends_each_row_in_eom(t2m, text):
    torch.manual_seed(0)
    samples = gumbel_rollout(t2m, **text, max_tokens=8)._replace(lengths=torch.tensor([3, 8]))
    drawn = samples.probs.argmax(-1)
    without, mask = translation_source(samples, t2m.config, append_eom=False)
    assert torch.equal(without, samples.probs[:, : mask.shape[1]]) and mask.sum(1).tolist() == [4, 9]
    probs, mask = translation_source(samples, t2m.config)
    assert mask.sum(1).tolist() == [5, 10]
    assert probs.argmax(-1)[0, :5].tolist() == [*drawn[0, :4].tolist(), EOM]
    assert probs.argmax(-1)[1].tolist() == [*drawn[1, :9].tolist(), EOM]


def test_a_drawn_eom_keeps_its_gradient(t2m, text):
    t2m.lm_head.register_forward_hook(lambda module, args, out: out + 4 * F.one_hot(torch.tensor(EOM), 15))
    torch.manual_seed(0)
    samples = gumbel_rollout(t2m, **text, max_tokens=8, end_rule="sample")
    assert (samples.lengths < 8).any()
    row = int((samples.lengths < 8).int().argmax())
    probs, _ = translation_source(samples, t2m.config)
    gradient = torch.autograd.grad(probs[row, samples.lengths[row] + 1, EOM], samples.logits)[0]
    assert gradient[row, samples.lengths[row], EOM] > 0


# ---- the loss -------------------------------------------------------------------------------------------------------


def test_loss_is_the_translation_of_the_samples(t2m, m2t, text):
    torch.manual_seed(0)
    output = inverse_alignment_loss(t2m, m2t, LABELS, **text, max_tokens=8)
    for i, length in enumerate(output.samples.lengths.tolist()):
        ids = output.samples.probs.argmax(-1)[i : i + 1, : length + 1]
        source = F.pad(ids, (0, 1), value=EOM)
        labels = LABELS[i : i + 1, : 4 if i == 0 else 2]
        logits = m2t(input_ids=source, attention_mask=torch.ones_like(source), labels=labels).logits
        torch.testing.assert_close(output.nll[i], F.cross_entropy(logits[0], labels[0], reduction="sum"))
    torch.testing.assert_close(output.loss, output.nll.sum() / 6)
    t2m.config.loss_reduction = "sum"
    again = inverse_alignment_loss(t2m, m2t, LABELS, **text, samples=output.samples)
    torch.testing.assert_close(again.loss, again.nll.sum())


def test_gradients_reach_the_text_to_motion_model_only(t2m, m2t, text):
    m2t.train()
    before = copy.deepcopy(m2t.state_dict())
    inverse_alignment_loss(t2m, m2t, LABELS, **text, max_tokens=8).loss.backward()
    assert all(parameter.grad is None for parameter in m2t.parameters())
    assert m2t.training and all(parameter.requires_grad for parameter in m2t.parameters())
    assert all(torch.equal(value, before[name]) for name, value in m2t.state_dict().items())
    for name, parameter in t2m.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_frozen_model_translates_in_eval_mode_unless_told(t2m, m2t, text):
    m2t.train()
    samples = gumbel_rollout(t2m, **text, max_tokens=8)

    def losses(**options):
        return [inverse_alignment_loss(t2m, m2t, LABELS, **text, samples=samples, **options).loss for _ in range(2)]

    first, second = losses()
    assert first == second
    first, second = losses(m2t_dropout=True)
    assert first != second


def test_both_models_may_learn(t2m, m2t, text):
    inverse_alignment_loss(t2m, m2t, LABELS, **text, max_tokens=8, train_m2t=True).loss.backward()
    assert m2t.lm_head.weight.grad.abs().sum() > 0
    assert inner_weight(t2m).grad.abs().sum() > 0


def test_batch_of_one(t2m, m2t, text):
    one = {name: value[1:, :3] for name, value in text.items()}
    output = inverse_alignment_loss(t2m, m2t, LABELS[1:, :2], **one, max_tokens=8)
    output.loss.backward()
    assert output.loss.isfinite() and output.nll.shape == (1,)


def test_rows_do_not_depend_on_the_batch(t2m, m2t, text):
    noise = -torch.empty(8, 2, 15).exponential_().log()
    both = inverse_alignment_loss(t2m, m2t, LABELS, **text, max_tokens=8, noise=noise)
    one = {name: value[1:, :3] for name, value in text.items()}
    alone = inverse_alignment_loss(t2m, m2t, LABELS[1:, :2], **one, max_tokens=8, noise=noise[:, 1:])
    torch.testing.assert_close(alone.nll[0], both.nll[1], atol=1e-4, rtol=1e-4)


def test_alignment_lowers_its_loss(t2m, m2t, text):
    """A few dozen updates make the samples translate back better, over fresh samples."""

    def score(model):
        torch.manual_seed(100)
        with torch.no_grad():
            losses = [inverse_alignment_loss(model, m2t, LABELS, **text, max_tokens=6).loss for _ in range(20)]
        return torch.stack(losses).mean()

    def aligned(seed):
        model = copy.deepcopy(t2m)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        torch.manual_seed(seed)
        for _ in range(60):
            inverse_alignment_loss(model, m2t, LABELS, **text, max_tokens=6).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        return model

    # without its other loss a model may learn to end at once, and then has no gradient left: not from every seed
    before = score(t2m)
    assert any(score(aligned(seed)) < before - 0.1 for seed in range(4))


def test_divergence_from_the_reference(t2m, m2t, text):
    reference = copy.deepcopy(t2m)
    same = inverse_alignment_loss(t2m, m2t, LABELS, **text, max_tokens=8, reference=reference)
    assert same.kl.abs() < 1e-5
    with torch.no_grad():
        inner_weight(t2m).add_(0.5 * torch.randn_like(inner_weight(t2m)))
    output = inverse_alignment_loss(t2m, m2t, LABELS, **text, max_tokens=8, reference=reference)
    samples = output.samples
    own = samples.logits.log_softmax(-1)
    other = reference(**text, decoder_input_ids=samples.read_ids).logits.log_softmax(-1)
    rows = [
        (own[i].exp() * (own[i] - other[i])).sum(-1)[: length + 1] for i, length in enumerate(samples.lengths.tolist())
    ]
    torch.testing.assert_close(output.kl, torch.cat(rows).mean())
    output.kl.backward()
    assert inner_weight(t2m).grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in reference.parameters())


def test_models_of_different_codes(t2m, text):
    other = MotionToTextModel(
        MotionToTextConfig(codebook_size=9, vocab_size=20, d_model=8, encoder_layers=1, decoder_layers=1,
                           encoder_attention_heads=1, decoder_attention_heads=1, encoder_ffn_dim=8, decoder_ffn_dim=8)
    )  # fmt: skip
    with pytest.raises(ValueError, match="trained with the same VQ model"):
        inverse_alignment_loss(t2m, other, LABELS, **text)


def test_frozen_restores_everything(m2t):
    m2t.train()
    m2t.model.encoder.eval()
    m2t.lm_head.weight.requires_grad_(False)
    with frozen(m2t) as inside:
        assert inside is m2t and not m2t.training
        assert not any(parameter.requires_grad for parameter in m2t.parameters())
    assert m2t.training and not m2t.model.encoder.training and m2t.model.decoder.training
    assert not m2t.lm_head.weight.requires_grad and m2t.model.encoder.embed_tokens.weight.requires_grad


class Shifted(torch.nn.Embedding):
    """An embedding with something to learn on top of it, as adapters have."""

    def __init__(self, table):
        super().__init__(table.num_embeddings, table.embedding_dim)
        self.weight, self.shift = table.weight, torch.nn.Parameter(torch.ones(table.embedding_dim))

    def forward(self, ids):
        return super().forward(ids) + self.shift


def test_a_rollout_calls_embeddings_that_are_more_than_a_table(t2m, text):
    t2m.decoder.embed_tokens = Shifted(t2m.decoder.embed_tokens)
    torch.manual_seed(0)
    learning = gumbel_rollout(t2m, **text, max_tokens=5).logits
    with torch.no_grad():
        torch.manual_seed(0)
        torch.testing.assert_close(gumbel_rollout(t2m, **text, max_tokens=5).logits, learning)
    learning.sum().backward()
    assert t2m.decoder.embed_tokens.shift.grad.abs().sum() > 0


def test_a_bias_of_the_head_learns_and_logits_may_be_changed(t2m, text):
    weight = t2m.lm_head.weight
    t2m.lm_head = torch.nn.Linear(*weight.shape[::-1])
    logits = gumbel_rollout(t2m, **text, max_tokens=5).logits
    logits.mul_(2)
    logits.sum().backward()
    assert (t2m.lm_head.bias.grad == 2 * logits.shape[:2].numel()).all()
