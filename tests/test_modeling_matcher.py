# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The text-motion matcher: the original's numbers, invariances, the contrastive loss, saving, bad input."""

import numpy as np
import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch.nn import functional as F
from transformers import AutoFeatureExtractor, AutoModel, AutoProcessor

from tm2t_hf import MotionTextMatcher, MotionTextMatcherConfig, MotionTextMatcherProcessor
from tm2t_hf.conversion import convert_matcher
from tm2t_hf.metrics import frechet_distance, retrieval

FEATURES, WORDS, CLASSES = 23, 30, 5


def tiny_model(seed=0, **fields) -> MotionTextMatcher:
    torch.manual_seed(seed)
    sizes = {
        "feature_size": FEATURES,
        "movement_hidden_size": 10,
        "movement_size": 8,
        "text_vocab_size": WORDS,
        "text_embedding_size": 9,
        "text_hidden_size": 6,
        "motion_hidden_size": 7,
        "embedding_size": 4,
    }
    return MotionTextMatcher(MotionTextMatcherConfig(**(sizes | fields))).eval()


def tiny_batch(word_counts, frame_counts, seed=0) -> dict[str, torch.Tensor]:
    """Random texts and motions of these lengths, with noise in the padding."""
    generator = torch.Generator().manual_seed(seed)
    text_mask = torch.arange(max(word_counts)) < torch.tensor(word_counts)[:, None]
    motion_mask = torch.arange(max(frame_counts)) < torch.tensor(frame_counts)[:, None]
    return {
        "input_ids": torch.randint(1, WORDS, text_mask.shape, generator=generator),
        "attention_mask": text_mask.long(),
        "motion_values": torch.randn(*motion_mask.shape, FEATURES, generator=generator),
        "motion_attention_mask": motion_mask.long(),
    }


# ---- the original's numbers -----------------------------------------------------------------------------------------


@pytest.fixture
def golden(golden_dir):
    """The converted evaluator, what the original computed, and our inputs for it."""
    checkpoint = {}
    for key, weight in load_file(golden_dir / "evaluator_small.weights.safetensors").items():
        part, _, name = key.partition(".")
        checkpoint.setdefault(part, {})[name] = weight
    io = load_file(golden_dir / "evaluator_small.io.safetensors")
    inputs = {
        "inputs_embeds": io["word_embs"],
        "attention_mask": (torch.arange(io["word_embs"].shape[1]) < io["cap_lens"][:, None]).long(),
        "pos_ids": io["pos_onehot"].argmax(-1),
        "motion_values": io["motions"],
        "motion_attention_mask": (torch.arange(io["motions"].shape[1]) < io["m_lens"][:, None]).long(),
    }
    return convert_matcher(checkpoint, padded_frames=io["motions"].shape[1]), io, inputs


def test_golden_embeddings_and_distances(golden):
    model, io, inputs = golden
    output = model(**inputs)
    texts, motions = output.text_embeddings, output.motion_embeddings
    torch.testing.assert_close(texts, io["text_embedding_input_order"], atol=1e-5, rtol=0)
    order = io["align_idx"]  # the original returns everything sorted by the motions' lengths
    assert (io["m_lens"][order].diff() <= 0).all() and order.tolist() != list(range(6))
    torch.testing.assert_close(texts[order], io["text_embedding"], atol=1e-5, rtol=0)
    torch.testing.assert_close(motions[order], io["motion_embedding"], atol=1e-5, rtol=0)
    torch.testing.assert_close(output.distances[order][:, order], io["dist_mat"], atol=1e-5, rtol=0)


def test_golden_movements(golden):
    model, io, _ = golden
    whole = torch.full((6,), io["motions"].shape[1])
    torch.testing.assert_close(model.movement_encoder(io["motions"][..., :-4], whole), io["movements"])


def test_golden_embeddings_do_not_need_the_batch(golden):
    """The original's batch of 64 frames, one motion at a time and unpadded."""
    model, io, inputs = golden
    for row, length in enumerate(io["m_lens"].tolist()):
        alone = model.get_motion_embeddings(inputs["motion_values"][row : row + 1, :length])
        expected = io["motion_embedding"][io["align_idx"].tolist().index(row)]
        torch.testing.assert_close(alone[0], expected, atol=1e-5, rtol=0)


def test_golden_scores_of_embeddings(golden_dir):
    """What the original computes with its embeddings, by our functions."""
    io = load_file(golden_dir / "evaluator_small.io.safetensors")
    texts, motions = io["rp_emb1"], io["rp_emb2"]
    torch.testing.assert_close(torch.cdist(texts, motions), io["rp_dist"], atol=1e-5, rtol=0)
    precision, distance = retrieval(texts, motions, group_size=len(texts))
    assert [round(share * len(texts)) for share in precision] == io["rp_top3_counts"].tolist()
    assert distance * len(texts) == pytest.approx(io["matching_score_sum"].item(), abs=1e-5)
    assert frechet_distance(io["fid_actA"], io["fid_actB"]) == pytest.approx(io["fid"].item(), abs=1e-5)


# ---- invariances ----------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    counts=st.lists(st.tuples(st.integers(1, 9), st.integers(4, 30)), min_size=1, max_size=4),
    extra=st.integers(0, 9),
    padded_frames=st.sampled_from([0, 13, 40]),
    pos_size=st.sampled_from([0, CLASSES]),
    seed=st.integers(0, 5),
)
def test_neither_batch_nor_padding_changes_an_embedding(counts, extra, padded_frames, pos_size, seed):
    model = tiny_model(seed, padded_frames=padded_frames, pos_size=pos_size).double()
    word_counts, frame_counts = zip(*counts, strict=True)
    batch = tiny_batch(word_counts, frame_counts, seed)
    if pos_size:
        batch["pos_ids"] = batch["input_ids"] % pos_size
    wider = {name: F.pad(value, (0, 0, 0, extra)[2 * (value.dim() == 2) :]) for name, value in batch.items()}
    wider["motion_values"] = wider["motion_values"].double()
    together = model(**wider)
    for row, (words, frames) in enumerate(counts):
        text = {name: batch[name][row : row + 1, :words] for name in ("input_ids", "pos_ids") if name in batch}
        motion = batch["motion_values"][row : row + 1, :frames].double()
        # forward answers in single precision
        for rows, alone in (
            (together.text_embeddings, model.get_text_embeddings(**text)),
            (together.motion_embeddings, model.get_motion_embeddings(motion)),
        ):
            torch.testing.assert_close(rows[row : row + 1], alone.float(), atol=1e-6, rtol=1e-6)


def test_padded_frames_show_the_end_as_the_original_does():
    """With them a motion is what it is with zeros behind it, without them it is not."""
    motion = torch.randn(1, 16, FEATURES)
    longer, mask = F.pad(motion, (0, 0, 0, 16)), (torch.arange(32) < 16).long()[None]
    for padded_frames, agrees in ((32, True), (0, False)):
        model = tiny_model(padded_frames=padded_frames)
        for convolution in model.movement_encoder.downsamples:
            torch.nn.init.normal_(convolution.bias)  # what the padding shows to the next one
        # the movement encoder of the original knows no mask; the GRU does
        movements = model.movement_encoder(longer[..., :-4], torch.tensor([32]))
        expected = model.motion_encoder(movements, torch.tensor([4]))
        got = model.get_motion_embeddings(longer, mask)
        assert torch.allclose(got, expected, atol=1e-6) == agrees


def test_contacts_are_not_seen():
    model = tiny_model()
    motion = torch.randn(2, 12, FEATURES)
    changed = motion.clone()
    changed[..., -4:] += 1
    assert torch.equal(model.get_motion_embeddings(motion), model.get_motion_embeddings(changed))
    changed[..., -5] += 1
    assert not torch.allclose(model.get_motion_embeddings(motion), model.get_motion_embeddings(changed))


def test_text_by_ids_by_vectors_and_by_padding():
    model = tiny_model(text_pad_id=0)
    batch = tiny_batch([5, 2], [8, 8])
    ids, mask = batch["input_ids"] * batch["attention_mask"], batch["attention_mask"]
    expected = model.get_text_embeddings(ids, mask)
    torch.testing.assert_close(model.get_text_embeddings(ids), expected)
    vectors = model.embed_tokens(batch["input_ids"])
    torch.testing.assert_close(model.get_text_embeddings(inputs_embeds=vectors, attention_mask=mask), expected)
    assert not torch.allclose(model.get_text_embeddings(inputs_embeds=vectors), expected)


def test_parts_of_speech_count():
    model = tiny_model(pos_size=CLASSES)
    ids = torch.tensor([[3, 4, 5]])
    first = model.get_text_embeddings(ids, pos_ids=torch.tensor([[0, 1, 2]]))
    assert not torch.allclose(first, model.get_text_embeddings(ids, pos_ids=torch.tensor([[0, 1, 3]])), atol=1e-3)


@pytest.mark.parametrize("unit_length", [2, 4, 8])
def test_unit_lengths(unit_length):
    model = tiny_model(unit_length=unit_length)
    movements = model.movement_encoder(torch.randn(1, 24, FEATURES - 4), torch.tensor([24]))
    assert movements.shape == (1, 24 // unit_length, 8)
    assert model.get_motion_embeddings(torch.randn(2, unit_length, FEATURES)).shape == (2, 4)


# ---- loss -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("margin", [0.5, 10.0])
def test_loss_is_the_contrastive_one(margin):
    model = tiny_model(margin=margin)
    batch = tiny_batch([5, 2, 3, 4], [9, 30, 4, 16])
    texts = model.get_text_embeddings(batch["input_ids"], batch["attention_mask"])
    motions = model.get_motion_embeddings(batch["motion_values"], batch["motion_attention_mask"])
    for labels, groups in ((None, [0, 1, 2, 3]), (torch.tensor([7, 1, 7, 2]), [7, 1, 7, 2])):
        matched, mismatched = [], []
        for i in range(4):
            for j in range(4):
                distance = (texts[i] - motions[j]).norm()
                if i == j:
                    matched.append(distance**2)
                elif groups[i] != groups[j]:
                    mismatched.append(max(margin - distance, torch.zeros(())) ** 2)
        output = model(**batch, group_ids=labels)
        torch.testing.assert_close(output.matched_loss, torch.stack(matched).mean())
        torch.testing.assert_close(output.mismatched_loss, torch.stack(mismatched).mean())
        torch.testing.assert_close(output.loss, output.matched_loss + output.mismatched_loss)
        torch.testing.assert_close(output.distances, torch.cdist(texts, motions))


def test_one_pair_has_nothing_to_mismatch():
    output = tiny_model()(**tiny_batch([3], [9]))
    assert output.mismatched_loss == 0 and output.loss == output.matched_loss
    output.loss.backward()


def test_training_brings_pairs_together():
    model = tiny_model(margin=3.0, dropout=0.1, train_text_embedding=False).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    batch = tiny_batch([5, 2, 3, 4], [9, 30, 4, 16])
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.02)
    for _ in range(100):
        loss = model(**batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    distances = model.eval()(**batch).distances
    assert distances.argmin(1).tolist() == distances.argmin(0).tolist() == [0, 1, 2, 3]
    same = [name for name, tensor in model.state_dict().items() if torch.equal(tensor, before[name])]
    assert same == ["embed_tokens.weight"]


def test_tuples_on_request():
    model, batch = tiny_model(), tiny_batch([3, 2], [9, 8])
    assert torch.equal(model(**batch, return_dict=False)[0], model(**batch).loss)


# ---- saving and loading ---------------------------------------------------------------------------------------------


def test_saved_and_loaded_with_its_processor(tmp_path, feature_extractor, text_tokenizer):
    model = tiny_model(feature_size=263, text_vocab_size=len(text_tokenizer), train_text_embedding=False)
    model.save_pretrained(tmp_path)
    MotionTextMatcherProcessor(feature_extractor, text_tokenizer).save_pretrained(tmp_path)
    again, processor = AutoModel.from_pretrained(tmp_path), AutoProcessor.from_pretrained(tmp_path)
    assert type(again) is MotionTextMatcher and type(processor) is MotionTextMatcherProcessor
    assert AutoFeatureExtractor.from_pretrained(tmp_path).mean == feature_extractor.mean
    assert not again.embed_tokens.weight.requires_grad and again.text_encoder.gru.weight_hh_l0.requires_grad
    motions = [np.random.randn(frames, 263) for frames in (9, 24)]
    batch = processor(text=["a person walks forward", "someone waves"], motion=motions, return_tensors="pt")
    torch.testing.assert_close(again(**batch).distances, model(**batch).distances)
    assert not torch.allclose(again(**batch).distances[0], again(**batch).distances[1])


def test_missing_weights_are_refused_or_initialized(tmp_path):
    model = tiny_model()
    model.save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    lacking = ["text_encoder.initial_state", "motion_encoder.gru.weight_hh_l0", "text_encoder.norm.weight"]
    save_file({name: w for name, w in state.items() if name not in lacking}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="lacks weights of its model .motion_encoder.gru.weight_hh_l0, text_encoder"):
        MotionTextMatcher.from_pretrained(tmp_path)
    loaded, report = MotionTextMatcher.from_pretrained(tmp_path, output_loading_info=True)
    assert set(report["missing_keys"]) == set(lacking)
    again = dict(loaded.named_parameters())
    for name, parameter in model.named_parameters():
        assert name in lacking or torch.equal(parameter, again[name])
    assert (again["text_encoder.norm.weight"] == 1).all()
    assert 0 < again["motion_encoder.gru.weight_hh_l0"].abs().max() <= 7**-0.5
    assert 0.2 < again["text_encoder.initial_state"].std() < 3


def test_paper_sizes_are_the_default():
    with torch.device("meta"):
        model = MotionTextMatcher(MotionTextMatcherConfig(text_vocab_size=None, pos_size=15))
    sizes = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
    assert sizes["movement_encoder"] == 1_842_688
    assert sizes["text_encoder"] + sizes["pos_projection"] == 4_100_288
    assert sizes["motion_encoder"] == 15_747_584


# ---- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"embedding_size": 0}, "`embedding_size` must be at least 1"),
        ({"margin": 0}, "`margin` must be positive"),
        ({"pos_size": -1}, "`pos_size` must not be negative"),
        ({"unit_length": 6}, "power of two from 2 on; got 6"),
        ({"contact_size": 23}, r"`contact_size` \(23\) must leave the matcher some of the 23 features"),
        ({"text_pad_id": 30}, "outside the text vocabulary of 30 ids"),
        ({"dropout": 1.0}, r"`dropout` must be in \[0, 1\)"),
        ({"embedding_size": "8"}, "embedding_size"),
    ],
)
def test_bad_configurations(fields, message):
    with pytest.raises(StrictDataclassError, match=message):
        tiny_model(**fields)


def test_bad_texts():
    model = tiny_model()
    ids = torch.tensor([[3, 4, 5], [6, 7, 8]])
    with pytest.raises(ValueError, match="A text of the batch is empty"):
        model.get_text_embeddings(ids, torch.tensor([[1, 1, 1], [0, 0, 0]]))
    with pytest.raises(ValueError, match="text must be padded on the right side only"):
        model.get_text_embeddings(ids, torch.tensor([[1, 1, 1], [0, 1, 1]]))
    with pytest.raises(ValueError, match=r"attention_mask has the shape \(2, 2\), but text \(2, 3\)"):
        model.get_text_embeddings(ids, torch.ones(2, 2))
    with pytest.raises(ValueError, match="either as `input_ids` or as `inputs_embeds`"):
        model.get_text_embeddings()
    with pytest.raises(ValueError, match=r"takes \(batch, words, 9\)"):
        model.get_text_embeddings(inputs_embeds=torch.zeros(2, 3, 8))
    with pytest.raises(ValueError, match="does not know parts of speech"):
        model.get_text_embeddings(ids, pos_ids=ids)
    with pytest.raises(ValueError, match="needs parts of speech: give `pos_ids`, classes from 0 to 4"):
        tiny_model(pos_size=CLASSES).get_text_embeddings(ids)
    with pytest.raises(ValueError, match="no word embedding"):
        tiny_model(text_vocab_size=None).get_text_embeddings(ids)


def test_bad_motions():
    model, batch = tiny_model(), tiny_batch([3, 2], [9, 8])
    with pytest.raises(ValueError, match=r"shape \(batch, frames, 23\); got \(2, 9, 22\)"):
        model.get_motion_embeddings(batch["motion_values"][..., 1:])
    with pytest.raises(ValueError, match="row 1 has 3 frames, fewer than one movement"):
        model.get_motion_embeddings(batch["motion_values"], torch.arange(9) < torch.tensor([[9], [3]]))
    with pytest.raises(ValueError, match="There are 2 texts but 1 motions"):
        model(**(batch | {name: batch[name][:1] for name in ("motion_values", "motion_attention_mask")}))
    with pytest.raises(ValueError, match="Give the texts' motions"):
        model(batch["input_ids"], batch["attention_mask"])
