# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Text-to-motion model: invariances, loss, generation, saving and loading, bad input."""

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch.nn import functional as F
from transformers import GenerationConfig, LogitsProcessorList, SuppressTokensLogitsProcessor, TopKLogitsWarper

from tm2t_hf.configuration_text_to_motion import TextToMotionConfig
from tm2t_hf.modeling_text_to_motion import EndOfMotionByArgmax, TextEncoderOutput, TextToMotionModel

VQ = {"feature_size": 23, "codebook_size": 12, "hidden_size": 8, "unit_length": 4, "fps": 20.0}
SIZES = {"text_vocab_size": 30, "text_embedding_size": 10, "text_hidden_size": 6, "motion_hidden_size": 8}
ATTENTIONS = ["early", "late"]
BOM, EOM, PAD = 12, 13, 14


def tiny_model(seed=0, **fields) -> TextToMotionModel:
    torch.manual_seed(seed)
    config = TextToMotionConfig(**{"vq_config": VQ, **SIZES, **fields})
    return TextToMotionModel(config).eval()


def tiny_text(lengths, seed=0):
    """Text ids and their mask, padded with 0 on the right."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return torch.randint(1, 30, mask.shape, generator=generator) * mask, mask.long()


@pytest.fixture(params=ATTENTIONS)
def model(request):
    return tiny_model(attention=request.param)


# ---- invariances ----------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    extra=st.integers(0, 4),
    attention=st.sampled_from(ATTENTIONS),
    seed=st.integers(0, 5),
)
def test_padding_and_batch_change_nothing(lengths, extra, attention, seed):
    model = tiny_model(seed, attention=attention)
    ids, mask = tiny_text(lengths, seed)
    motion = torch.randint(0, 12, (len(lengths), 7), generator=torch.Generator().manual_seed(seed))
    ids, mask = F.pad(ids, (0, extra), value=5), F.pad(mask, (0, extra))  # what is masked may hold anything
    together = model(ids, mask, motion).logits
    for i, length in enumerate(lengths):
        alone = model(ids[i : i + 1, :length], decoder_input_ids=motion[i : i + 1]).logits
        torch.testing.assert_close(together[i : i + 1], alone, atol=1e-5, rtol=1e-5)


def test_the_original_options_do_depend_on_the_batch():
    model = tiny_model(mask_padding=False)
    ids, mask = tiny_text([3, 8])
    motion = torch.full((2, 1), BOM)
    alone = model(ids[:1, :3], decoder_input_ids=motion[:1]).logits
    assert (model(ids, mask, motion).logits[:1] - alone).abs().max() > 1e-3


def test_mask_is_made_of_the_padding_ids(model):
    ids, mask = tiny_text([3, 8])
    motion = torch.full((2, 3), BOM)
    torch.testing.assert_close(model(ids, None, motion).logits, model(ids, mask, motion).logits)


def test_projected_attention_is_attention():
    """What is projected once per text gives softmax(W_q h · W_k x / sqrt(size)) W_v x, projected."""
    attention = tiny_model().encoder.attention
    torch.nn.init.normal_(attention.query.bias)
    torch.nn.init.normal_(attention.value.bias)
    words, states = torch.randn(2, 5, 12), torch.randn(2, 3, 8)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]]).bool()
    got, weights = attention(states, TextEncoderOutput(**attention.project(words, mask)))
    scores = attention.query(states) @ attention.key(words).transpose(1, 2) / math.sqrt(8)
    expected_weights = scores.masked_fill(~mask[:, None], -torch.inf).softmax(-1)
    expected = attention.output(expected_weights @ attention.value(words))
    torch.testing.assert_close(weights, expected_weights)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("num_layers", [1, 3])
def test_steps_with_cache_equal_one_call(num_layers):
    for attention in ATTENTIONS:
        model = tiny_model(attention=attention, num_layers=num_layers)
        ids, mask = tiny_text([4, 6])
        motion = torch.randint(0, 12, (2, 6))
        whole = model(ids, mask, motion)
        cache, pieces = None, []
        for piece in (motion[:, :3], motion[:, 3:4], motion[:, 4:]):
            output = model(ids, mask, piece, past_key_values=cache)
            cache = output.past_key_values
            pieces.append(output.logits)
        torch.testing.assert_close(torch.cat(pieces, dim=1), whole.logits, atol=1e-5, rtol=1e-5)
        assert cache.get_seq_length() == 6
        torch.testing.assert_close(cache.state, whole.past_key_values.state, atol=1e-5, rtol=1e-5)
        assert model(ids, mask, motion, use_cache=False).past_key_values is None


@pytest.mark.parametrize("num_layers", [1, 2])
def test_bfloat16_training_and_generation(num_layers):
    for attention in ATTENTIONS:
        model = tiny_model(attention=attention, num_layers=num_layers)
        ids, mask = tiny_text([5, 2])
        labels = torch.randint(0, 12, (2, 6))
        exact = model(ids, mask, labels=labels)
        with torch.autocast("cpu", torch.bfloat16):
            output = model(ids, mask, labels=labels)
        torch.testing.assert_close(output.loss, exact.loss, atol=0.1, rtol=0.1)
        output.loss.backward()
        assert all(p.grad.isfinite().all() for name, p in model.named_parameters() if not name.startswith("vq."))
        model.to(torch.bfloat16)
        torch.testing.assert_close(model(ids, mask, labels=labels).loss.float(), exact.loss, atol=0.1, rtol=0.1)
        assert model.generate(ids, attention_mask=mask, num_beams=2, max_new_tokens=5).shape[0] == 2


# ---- loss -----------------------------------------------------------------------------------------------------------


def test_loss_ignores_padding_and_reduces_as_told(model):
    ids, mask = tiny_text([4, 2])
    labels = torch.tensor([[3, 4, 5, EOM], [7, EOM, -100, -100]])
    output = model(ids, mask, labels=labels)
    shifted = torch.tensor([[BOM, 3, 4, 5], [BOM, 7, EOM, PAD]])
    torch.testing.assert_close(output.logits, model(ids, mask, shifted).logits)
    counted = labels != -100
    expected = F.cross_entropy(output.logits[counted], labels[counted], reduction="none")
    torch.testing.assert_close(output.loss, expected.mean())
    model.config.loss_reduction = "sum"
    torch.testing.assert_close(model(ids, mask, labels=labels).loss, expected.sum())
    model.config.label_smoothing = 0.2
    log_probs = output.logits[counted].log_softmax(-1)
    others = log_probs.sum(-1) + expected
    smoothed = 0.8 * expected - 0.2 / 14 * others
    torch.testing.assert_close(model(ids, mask, labels=labels).loss, smoothed.sum())


def test_training_learns_and_freezes_what_it_is_told(model):
    ids, mask = tiny_text([4, 4])
    labels = torch.tensor([[3, 4, 5, EOM], [7, 1, 2, EOM]])
    model = tiny_model(attention=model.config.attention, train_text_embedding=False, dropout=0.1).train()
    before = model.encoder.embed_tokens.weight.clone()
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.02)
    for step in range(120):
        output = model(ids, mask, labels=labels, teacher_forcing=step % 4 != 3)
        output.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert torch.equal(before, model.encoder.embed_tokens.weight)
    motion = model.eval().generate(ids, attention_mask=mask)
    assert motion.tolist() == F.pad(labels, (1, 0), value=BOM).tolist()


def test_free_running_feeds_its_own_ids(model):
    ids, mask = tiny_text([4, 4])
    read = torch.full((2, 1), BOM)
    for _ in range(5):
        read = torch.cat([read, model(ids, mask, read).logits[:, -1:].argmax(-1)], dim=1)
    forced = model(ids, mask, read[:, :5])
    free = model(ids, mask, F.pad(read[:, :1], (0, 4), value=3), teacher_forcing=False)
    torch.testing.assert_close(free.logits, forced.logits, atol=1e-5, rtol=1e-5)


# ---- generation -----------------------------------------------------------------------------------------------------


def next_log_probs(model, ids, mask, motion):
    log_probs = model(ids, mask, motion).logits[:, -1].log_softmax(-1)
    log_probs[:, [BOM, PAD]] = -torch.inf
    return log_probs


def greedy_by_hand(model, ids, mask, steps):
    motion = torch.full((1, 1), BOM)
    while motion.shape[1] <= steps and motion[0, -1] != EOM:
        motion = torch.cat([motion, next_log_probs(model, ids, mask, motion).argmax(-1, keepdim=True)], dim=1)
    return motion[0].tolist()


def beams_by_hand(model, ids, mask, beams, steps):
    """Beam search of one caption with the length penalty 1 of generate(): the sum of log-probabilities by length."""
    running, ended = [([BOM], 0.0)], []
    for _ in range(steps):
        tried = []
        for motion, score in running:
            log_probs = next_log_probs(model, ids, mask, torch.tensor([motion]))[0].tolist()
            tried += [([*motion, i], score + p) for i, p in enumerate(log_probs)]
        tried = sorted(tried, key=lambda item: -item[1])[: 2 * beams]
        ended += [(m, s / (len(m) - 1)) for m, s in tried[:beams] if m[-1] == EOM]
        running = [item for item in tried if item[0][-1] != EOM][:beams]
    ended += [(m, s / (len(m) - 1)) for m, s in running]
    return max(ended, key=lambda item: item[1])[0]


def until_end(row):
    row = row.tolist()
    return row[: row.index(EOM) + 1] if EOM in row else row


@pytest.mark.parametrize("use_cache", [True, False])
def test_greedy_generation_is_the_loop_by_hand(model, use_cache):
    ids, mask = tiny_text([5, 2, 7, 3])
    motion = model.generate(ids, attention_mask=mask, max_new_tokens=9, use_cache=use_cache)
    for i in range(4):
        expected = greedy_by_hand(model, ids[i : i + 1], mask[i : i + 1], 9)
        assert until_end(motion[i]) == expected
        assert set(motion[i, len(expected) :].tolist()) <= {PAD}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_beam_search_is_the_loop_by_hand(attention, seed):
    model = tiny_model(seed, attention=attention, num_layers=2)
    ids, mask = tiny_text([5, 2, 7], seed)
    motion = model.generate(ids, attention_mask=mask, num_beams=3, max_new_tokens=6, early_stopping="never")
    for i in range(3):
        assert until_end(motion[i]) == beams_by_hand(model, ids[i : i + 1], mask[i : i + 1], 3, 6)


def test_text_is_projected_once_whatever_is_generated(model):
    calls = []
    model.encoder.attention.value.register_forward_hook(lambda *_: calls.append(1))
    ids, mask = tiny_text([5, 2])
    for kwargs in ({}, {"num_beams": 3}, {"do_sample": True, "num_return_sequences": 2}):
        calls.clear()
        model.generate(ids, attention_mask=mask, min_new_tokens=8, max_new_tokens=8, **kwargs)
        assert len(calls) == 1


def test_sampling_by_seed_and_several_samples(model):
    ids, mask = tiny_text([5, 2])

    def sample(seed):
        torch.manual_seed(seed)
        return model.generate(ids, attention_mask=mask, do_sample=True, num_return_sequences=3, min_new_tokens=10)

    assert torch.equal(sample(1), sample(1))
    assert sample(1).shape[0] == 6
    assert sample(1)[:, :11].tolist() != sample(2)[:, :11].tolist()
    assert not torch.isin(sample(3)[:, 1:11], torch.tensor([BOM, EOM, PAD])).any()


def test_samples_follow_the_text_of_their_row(model):
    """With samples and beams expanded, row i keeps the text of caption i // n."""
    ids, mask = tiny_text([6, 3])
    torch.manual_seed(0)
    output = model.generate(
        ids, attention_mask=mask, do_sample=True, num_return_sequences=2, min_new_tokens=5, max_new_tokens=5,
        output_logits=True, return_dict_in_generate=True,
    )  # fmt: skip
    again = model(ids.repeat_interleave(2, 0), mask.repeat_interleave(2, 0), output.sequences[:, :-1]).logits
    torch.testing.assert_close(torch.stack(output.logits, dim=1), again, atol=1e-5, rtol=1e-5)


def test_generation_from_word_vectors(model):
    ids, mask = tiny_text([5, 2])
    words = model.encoder.embed_tokens(ids)
    assert torch.equal(
        model.generate(ids, attention_mask=mask, num_beams=2),
        model.generate(inputs_embeds=words, attention_mask=mask, num_beams=2),
    )
    encoded = model.encoder(ids, mask)
    torch.testing.assert_close(
        model.generate(encoder_outputs=encoded, max_new_tokens=7), model.generate(ids, max_new_tokens=7)
    )


def test_end_is_early_and_padded(model):
    ids, mask = tiny_text([5, 2])
    model.lm_head.register_forward_hook(lambda module, args, out: out.index_fill(-1, torch.tensor([EOM]), 3.0))
    motion = model.generate(ids, attention_mask=mask, do_sample=True, num_return_sequences=20)
    assert motion.shape[1] < 51
    ends = (motion == EOM).int().argmax(1)
    assert (motion == EOM).sum(1).eq(1).all()
    for row, end in zip(motion, ends.tolist(), strict=True):
        assert (row[end + 1 :] == PAD).all()


# ---- lengths --------------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(low=st.floats(0.05, 6), span=st.floats(0, 4))
def test_seconds_are_never_undercut_nor_exceeded(low, span):
    model, token = tiny_model(), 0.2
    ids, mask = tiny_text([5, 2])
    high = max(low + span, token)
    if math.ceil(low / token - 1e-6) > math.floor(high / token + 1e-6):  # no whole number of tokens in between
        with pytest.raises(ValueError, match="raise `max_seconds`"):
            model.generate(ids, attention_mask=mask, min_seconds=low, max_seconds=high)
        return
    motion = model.generate(ids, attention_mask=mask, min_seconds=low, max_seconds=high, do_sample=True)
    for features in model.decode_motion(motion):
        assert low - 1e-5 <= len(features) / 20 <= high + 1e-5


def test_round_numbers_of_seconds(model):
    ids, mask = tiny_text([5, 2])
    for seconds, tokens in ((0.6, 3), (1.4, 7), (2.0, 10)):
        motion = model.generate(ids, attention_mask=mask, min_seconds=seconds, max_seconds=seconds)
        assert [len(features) for features in model.decode_motion(motion)] == [4 * tokens] * 2


def test_default_length_gives_way_to_the_caller(model):
    ids, mask = tiny_text([5, 2])
    endless = {"attention_mask": mask, "suppress_tokens": [BOM, EOM, PAD]}
    assert model.generate(ids, **endless).shape[1] == 51
    assert model.generate(ids, **endless, max_length=8).shape[1] == 8
    assert model.generate(ids, **endless, max_new_tokens=8).shape[1] == 9
    assert model.generate(ids, GenerationConfig(max_length=8), **endless).shape[1] == 8
    assert model.generate(ids, GenerationConfig(max_new_tokens=8), **endless).shape[1] == 9
    assert model.generate(ids, GenerationConfig(num_beams=2), **endless).shape[1] == 51
    assert model.generate(ids, GenerationConfig(max_new_tokens=8), **endless, max_seconds=1).shape[1] == 6


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ({"max_seconds": 1, "max_new_tokens": 5}, "`max_seconds` or `max_new_tokens`, not both"),
        ({"max_seconds": 1, "max_length": 5}, "`max_seconds` or `max_length`, not both"),
        ({"min_seconds": 1, "min_new_tokens": 5}, "`min_seconds` or `min_new_tokens`, not both"),
        ({"min_seconds": 2, "max_seconds": 1}, "10 motion tokens, but at most 5"),
        ({"min_seconds": 2, "max_new_tokens": 4}, "10 motion tokens, but at most 4"),
        ({"min_seconds": 11}, r"55 motion tokens, but at most 50 are allowed \(10 s\)"),
        ({"max_seconds": 0}, "positive number of seconds, got 0"),
        ({"min_seconds": -1}, "positive number of seconds, got -1"),
        ({"max_seconds": math.nan}, "positive number of seconds, got nan"),
        ({"max_seconds": 0.1}, "shorter than one motion token"),
    ],
)
def test_contradicting_lengths(lengths, message):
    with pytest.raises(ValueError, match=message):
        tiny_model().generate(tiny_text([3])[0], **lengths)


def test_seconds_need_a_vq_model():
    model = tiny_model(vq_config=None, codebook_size=12)
    with pytest.raises(ValueError, match="needs a model with `vq_config`"):
        model.generate(tiny_text([3])[0], max_seconds=2)
    with pytest.raises(ValueError, match="no VQ model to decode with"):
        model.decode_motion(torch.tensor([[BOM, 3, EOM]]))


# ---- the end by argmax ----------------------------------------------------------------------------------------------


def original_rule(logits, top_k):
    """The original's distribution of the next id, and whether the row ends: written after its description."""
    kept = logits.clone()
    kept[logits < logits.topk(top_k).values[:, -1:]] = -torch.inf
    probs = kept.softmax(-1)
    ends = probs.argmax(-1) == EOM
    probs[:, [BOM, EOM, PAD]] = 0
    return probs / probs.sum(-1, keepdim=True), ends


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), top_k=st.integers(4, 15), temperature=st.sampled_from([0.7, 1.0, 1.5]))
def test_argmax_rule_is_the_original_distribution(seed, top_k, temperature):
    """Through every processor that generate() applies; with all but the specials in the top k (k > 3)."""
    model = tiny_model()
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(4, 15, generator=generator)
    logits[0, EOM] = 20.0
    logits[1, BOM] = 20.0
    config = GenerationConfig(do_sample=True, top_k=top_k, temperature=temperature, eom_by_argmax=True)
    config.suppress_tokens = [BOM, PAD]
    processors = model._get_logits_processor(config, input_ids_seq_length=1)
    probs = processors(torch.full((4, 1), BOM), logits.clone()).softmax(-1)
    expected, ends = original_rule(logits, top_k)
    expected = expected ** (1 / temperature)
    expected = expected / expected.sum(-1, keepdim=True)
    assert ends[0] and not ends[1]
    for row, should, end in zip(probs, expected, ends, strict=True):
        torch.testing.assert_close(row, F.one_hot(torch.tensor(EOM), 15).float() if end else should)


def test_argmax_rule_keeps_a_code_where_only_specials_are_likely():
    logits = torch.zeros(1, 15)
    logits[0, [BOM, PAD, 4]] = torch.tensor([9.0, 8.0, 7.0])
    kept = EndOfMotionByArgmax(EOM, 1, BOM, PAD)(None, logits)
    assert kept.isfinite().nonzero().tolist() == [[0, 4]]


def test_argmax_rule_by_hand_with_the_other_processors():
    """As a `logits_processor` of any generate(): the rest of the distribution stays as it is."""
    model = tiny_model()
    ids, mask = tiny_text([5, 2])
    rule = LogitsProcessorList([EndOfMotionByArgmax(EOM)])
    torch.manual_seed(0)
    listed = model.generate(ids, attention_mask=mask, do_sample=True, logits_processor=rule, top_k=0)
    torch.manual_seed(0)
    flagged = model.generate(ids, attention_mask=mask, do_sample=True, eom_by_argmax=True, top_k=0)
    assert torch.equal(listed, flagged)
    kept = TopKLogitsWarper(2)(None, EndOfMotionByArgmax(2)(None, torch.tensor([[0.0, 1.0, 2.0, 3.0]])))
    assert kept.tolist() == [[-math.inf, 1.0, -math.inf, 3.0]]


@pytest.mark.parametrize("suppressed", [[BOM, PAD], [PAD], [3, PAD]])
def test_argmax_rule_forbids_what_it_forbids_once(model, monkeypatch, suppressed):
    """What else is forbidden stays so."""
    called = []
    suppress = SuppressTokensLogitsProcessor.__call__
    monkeypatch.setattr(
        SuppressTokensLogitsProcessor, "__call__", lambda *args: called.append(args) or suppress(*args)
    )
    ids, mask = tiny_text([5, 2])
    options = {"do_sample": True, "eom_by_argmax": True, "suppress_tokens": suppressed, "max_new_tokens": 30}
    motion = model.generate(ids, attention_mask=mask, **options, return_dict_in_generate=True).sequences
    assert bool(called) == (3 in suppressed)
    assert not torch.isin(motion[:, 1], torch.tensor([BOM, *suppressed])).any()


def test_argmax_rule_keeps_what_only_looks_like_suppression(model):
    class Suppress(SuppressTokensLogitsProcessor):
        def __init__(self, ids):
            self.suppress_tokens = ids

        def __call__(self, input_ids, scores):
            called.append(input_ids)
            return scores

    called = []
    options = {"do_sample": True, "eom_by_argmax": True, "suppress_tokens": None, "max_new_tokens": 3}
    ids, mask = tiny_text([5, 2])
    model.generate(ids, attention_mask=mask, **options, logits_processor=LogitsProcessorList([Suppress([BOM])]))
    assert called


def test_argmax_rule_respects_the_shortest_length(model):
    ids, mask = tiny_text([5, 2])
    # <eom> is always the likeliest
    model.lm_head.register_forward_hook(lambda module, args, out: out.index_fill(-1, torch.tensor([EOM]), 99.0))
    length = {"attention_mask": mask, "do_sample": True, "eom_by_argmax": True}
    assert model.generate(ids, **length).shape[1] == 2
    motion = model.generate(ids, **length, min_seconds=1)
    assert motion.shape[1] == 7 and (motion[:, -1] == EOM).all() and (motion[:, 1:-1] < 12).all()


# ---- decoding -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("foreign", [-1, 15])
def test_decode_motion_refuses_foreign_ids(foreign):
    with pytest.raises(ValueError, match=f"`ids` holds {foreign}, but motion ids are 0 to 14; .* <pad> "):
        tiny_model(vq_config=VQ).decode_motion(torch.tensor([[BOM, foreign, 3]]))
    with pytest.raises(ValueError, match="`ids` must hold integers, got torch.float32"):
        tiny_model(vq_config=VQ).decode_motion(torch.tensor([[12.0, 3.0]]))


def test_decode_motion_of_no_motions():
    assert tiny_model(vq_config=VQ).decode_motion(torch.zeros(0, 3, dtype=torch.long)) == []


def test_decode_motion_keeps_every_row():
    model = tiny_model()
    motion = torch.tensor([[BOM, 3, 4, 5, EOM, PAD], [BOM, EOM, PAD, PAD, PAD, PAD], [7, 1, 1, 2, 3, 4]])
    decoded = model.decode_motion(motion)
    assert [tuple(features.shape) for features in decoded] == [(12, 23), (0, 23), (24, 23)]
    torch.testing.assert_close(decoded[0], model.vq.decode(torch.tensor([[3, 4, 5]]))[0], atol=1e-5, rtol=1e-5)
    assert [tuple(features.shape) for features in model.decode_motion(motion[1:2])] == [(0, 23)]


# ---- saving and loading ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_saved_and_loaded(tmp_path, attention):
    model = tiny_model(attention=attention, train_text_embedding=False)
    ids, mask = tiny_text([5, 2])
    model.generation_config.eom_by_argmax = True
    model.save_pretrained(tmp_path)
    again = TextToMotionModel.from_pretrained(tmp_path)
    assert again.lm_head.weight is again.decoder.embed_tokens.weight
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, again.get_parameter(name)), name
    for name in set(TextToMotionConfig.__annotations__) - {"vq_config"}:
        assert getattr(again.config, name) == getattr(model.config, name)
    frozen = "encoder.embed_tokens.weight"
    assert frozen not in dict(again.named_parameters())
    assert torch.equal(again.state_dict()[frozen], model.state_dict()[frozen])
    trained = TextToMotionModel.from_pretrained(tmp_path, train_text_embedding=True)
    assert torch.equal(trained.get_parameter(frozen), model.state_dict()[frozen])
    assert again.config.vq_config.feature_size == 23
    assert again.generation_config.eom_by_argmax
    assert torch.equal(model.generate(ids, attention_mask=mask), again.generate(ids, attention_mask=mask))
    torch.testing.assert_close(again.decode_motion(ids % 12)[0], model.decode_motion(ids % 12)[0])


def test_missing_weights_are_refused_or_initialized(tmp_path):
    """A caller who asks for the report of the loading gets fresh, sensible values in their place."""
    model = tiny_model()
    model.save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    lacking = ["encoder.initial_state", "encoder.gru.weight_hh_l0", "decoder.norm.weight", "decoder.gru.bias_ih_l0"]
    save_file({name: w for name, w in state.items() if name not in lacking}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="lacks weights of its model .decoder.gru.bias_ih_l0, decoder.norm.weight, "):
        TextToMotionModel.from_pretrained(tmp_path)
    loaded, report = TextToMotionModel.from_pretrained(tmp_path, output_loading_info=True)
    assert report["missing_keys"] == set(lacking)
    again = dict(loaded.named_parameters())
    for name, parameter in model.named_parameters():
        assert name in lacking or torch.equal(parameter, again[name])
    assert (again["decoder.norm.weight"] == 1).all()
    for name, bound in (("encoder.gru.weight_hh_l0", 6**-0.5), ("decoder.gru.bias_ih_l0", 8**-0.5)):
        assert 0 < again[name].abs().max() <= bound
    assert 0.2 < again["encoder.initial_state"].std() < 3


# ---- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"codebook_size": 11}, "codebook_size is 11, but the motion VQ of vq_config has 12 codes"),
        ({"num_layers": 0}, "`num_layers` must be at least 1"),
        ({"text_pad_id": 30}, "outside the text vocabulary of 30 ids"),
        ({"dropout": 1.0}, r"`dropout` must be in \[0, 1\)"),
        ({"initializer_range": 0}, "`initializer_range` must be positive"),
        ({"attention": "middle"}, "attention"),
        ({"motion_hidden_size": "8"}, "motion_hidden_size"),
    ],
)
def test_bad_configurations(fields, message):
    with pytest.raises(Exception, match=message) as error:
        TextToMotionConfig(**{"vq_config": VQ, **SIZES, **fields})
    assert "Strict" in type(error.value).__name__


def test_paper_sizes_are_the_default():
    config = TextToMotionConfig()
    assert (config.codebook_size, config.vocab_size, config.eos_token_id) == (1024, 1027, 1025)
    with torch.device("meta"):
        model = TextToMotionModel(TextToMotionConfig(text_vocab_size=None))
    assert round(model.num_parameters() / 1e6, 1) == 17.0


def test_bad_texts():
    model = tiny_model()
    ids, mask = tiny_text([5, 2])
    bom = torch.full((2, 1), BOM)
    with pytest.raises(ValueError, match="A text of the batch is empty"):
        model(ids, mask * torch.tensor([[1], [0]]), bom)
    with pytest.raises(ValueError, match="right side"):
        model(ids.flip(1), mask.flip(1), bom)
    with pytest.raises(ValueError, match=r"attention_mask has the shape \(2, 4\), but text \(2, 5\)"):
        model(ids, mask[:, :4], bom)
    with pytest.raises(ValueError, match="either as `input_ids` or as `inputs_embeds`"):
        model(decoder_input_ids=bom)
    with pytest.raises(ValueError, match=r"takes \(batch, words, 10\)"):
        model(inputs_embeds=torch.zeros(2, 5, 9), decoder_input_ids=bom)
    with pytest.raises(ValueError, match="call generate"):
        model(ids, mask)
    with pytest.raises(ValueError, match="no word embedding"):
        tiny_model(text_vocab_size=None)(ids, decoder_input_ids=bom)
    with pytest.raises(IndexError):
        model(ids + 30, mask, bom)


def test_a_configuration_that_contradicts_its_motion_vq_is_refused(t2m_model):
    config = copy.deepcopy(t2m_model.config)
    config.codebook_size = 2 * config.codebook_size
    with pytest.raises(ValueError, match="but the motion VQ of vq_config has"):
        type(t2m_model)(config)
