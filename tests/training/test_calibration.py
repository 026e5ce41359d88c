# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""What is found out about a trained model at the end lies in its folder, and its pipeline and card tell it."""

import logging

import numpy as np
import pytest
import torch
from transformers import pipeline

from tm2t_hf.actions import read_actions
from tm2t_hf.coverage import COVERAGE_FILE
from tm2t_hf.toy import make_toy_clip
from tm2t_hf.training import calibrate_motions, calibrate_requests
from tm2t_hf.training.calibration import actions_of_captions, actions_of_labels
from tm2t_hf.training.model_card import list_actions

SUBJECTS = ("a person", "someone", "the person", "an old man")
VERBS = ("walks forward", "waves the left hand", "kicks with the right leg", "turns left slowly")
CAPTIONS = [
    [f"{subject} {verb} {adverb}" for verb in VERBS[index % 4 :] for adverb in ("again", "slowly")]
    for index in range(8)
    for subject in SUBJECTS
]


def embed(texts):
    """A direction per verb, and a little of the subject."""
    rows = torch.tensor([[float(word in text) for word in (*VERBS, *SUBJECTS)] for text in texts])
    return torch.nn.functional.normalize(rows * torch.tensor([3.0] * 4 + [1.0] * 4), dim=-1)


@pytest.fixture
def card():
    return "---\nlicense: mit\n---\n\n# Model\n\n## Use\n\nText.\n\n## Size\n\n| | |\n\n## Citation\n\nEnd.\n"


def test_a_text_to_motion_model_is_calibrated(t2m_model, processor, tmp_path, card, caplog):
    t2m_model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    (tmp_path / "README.md").write_text(card, encoding="utf-8")
    caplog.set_level(logging.INFO)
    report = calibrate_requests(tmp_path, CAPTIONS)
    assert 0 <= report.auc <= 1 and "area under the ROC curve" in caplog.text
    animate = pipeline("text-to-motion", model=str(tmp_path), device="cpu")
    assert 0 <= animate("a person walks forward", max_seconds=1)["score"] <= 1
    assert set(animate.coverage.captions) == {caption for own in CAPTIONS for caption in own}
    actions = read_actions(tmp_path)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert all(f"| {action.action} | {action.prompt} | {action.clips} |" in text for action in actions)


def test_a_motion_to_text_model_is_calibrated(m2t_model, processor, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(logging.getLogger("tm2t_hf"), "propagate", True)
    m2t_model.generation_config.max_length = 8
    m2t_model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    motions = [
        make_toy_clip(action, np.random.default_rng(seed))[0][:40]
        for action in ("walk", "run", "bow", "squat")
        for seed in range(5)
    ]
    assert calibrate_motions(tmp_path, motions[:5]) is None and not (tmp_path / COVERAGE_FILE).exists()
    report = calibrate_motions(tmp_path, motions)
    assert 0 <= report.auc <= 1
    assert not [message for message in caplog.messages if "y up" in message]  # of those that are spoiled for it
    describe = pipeline("motion-to-text", model=str(tmp_path), device="cpu")
    assert 0 <= describe(motions[0])[0]["score"] <= 1


def test_actions_of_labels_have_their_most_typical_plain_caption():
    captions = [["a person walks forward"], ["an old man walks forward"], ["someone waves the left hand"]]
    actions = actions_of_labels(captions, ["walk", "walk", "wave"], [False, True, False], embed)
    assert actions == [("walk", "an old man walks forward", 2), ("wave", "someone waves the left hand", 1)]


def test_actions_of_captions_are_groups_of_similar_ones():
    captions = [[f"{subject} {verb}"] for number, verb in enumerate(VERBS, 1) for subject in SUBJECTS[:number]]
    actions = actions_of_captions(captions, embed)
    assert [action.clips for action in actions] == [4, 3, 2, 1]
    assert [action.action.split("-")[-1] for action in actions] == ["slowly", "leg", "hand", "forward"]
    assert all(action.prompt in {caption for own in captions for caption in own} for action in actions)


def test_the_card_lists_the_actions_once(tmp_path, card):
    list_actions(tmp_path, [])  # there is no card
    path = tmp_path / "README.md"
    path.write_text(card, encoding="utf-8")
    for prompt in ("a person walks", "someone walks"):
        list_actions(tmp_path, actions_of_labels([[prompt]], ["walk"], None, embed))
    text = path.read_text(encoding="utf-8")
    assert text.count("## What it can do") == 1 and "| walk | someone walks | 1 |" in text
    assert "a person walks" not in text
    start = text.index("## What it can do")
    end = text.index("## Size")
    assert text[:start] + text[end:] == card
