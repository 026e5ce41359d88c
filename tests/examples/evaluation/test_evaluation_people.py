# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""People's sentences, and requests for what was never learned."""

import json

import pytest
from evaluation import people
from evaluation.people import Request

REQUESTS = [
    Request("he jogs", ("run", "dash"), None),
    Request("she runs", ("run",), "happy"),
    Request("a nod", ("bow",), None),
    Request("a sad bow", ("bow",), "sad"),
]
FIRST = [("dash", "normal"), ("walk", "happy"), ("bow", "normal"), ("bow", "happy")]
SECOND = [("run", "normal"), ("run", "happy"), ("walk", "normal"), ("walk", "sad")]


def test_requests_are_read(tmp_path):
    path = tmp_path / "people.json"
    rows = [{"sentence": "he jogs", "action": ["run", "dash"]}]
    rows.append({"sentence": "she runs", "action": "run", "style": "happy"})
    path.write_text(json.dumps(rows))
    assert people.read_requests(str(path)) == REQUESTS[:2]
    path.write_text(json.dumps(["plays the violin", {"sentence": "swims", "kind": "near miss"}]))
    assert people.read_unknown(str(path)) == {"plays the violin": "unknown", "swims": "near miss"}
    with pytest.raises(SystemExit, match="--people .*'plays the violin' has no action"):
        people.read_requests(str(path))


@pytest.mark.parametrize("content", ["", "[]", "{}", "[1]", '[{"text": "walk"}]', '[{"sentence": 5}]'])
def test_other_files_are_named(tmp_path, content):
    path = tmp_path / "people.json"
    path.write_text(content)
    with pytest.raises(SystemExit, match="--unknown .*people.json is not a JSON list of sentences"):
        people.read_unknown(str(path))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SystemExit, match="--people .*none.json"):
        people.read_requests(str(tmp_path / "none.json"))


def test_requests_that_the_judge_does_not_know_are_not_judged():
    assert people.judged(REQUESTS, ["run", "dash"]) == REQUESTS[:2]
    assert people.judged(REQUESTS, ["run", "bow"]) == REQUESTS[1:]


def test_scores_of_sentences():
    assert people.people_scores(FIRST, REQUESTS) == {"action": 0.75, "action_by_action": 0.75, "style": 0.5}
    one_action = people.people_scores(FIRST[:3], REQUESTS[:3])  # run: 1 of 2, bow: 1 of 1
    assert one_action == pytest.approx({"action": 2 / 3, "action_by_action": 0.75, "style": 1.0})
    assert "style" not in people.people_scores(FIRST[:1], REQUESTS[:1])


def test_rows_of_actions_and_sentences():
    assert people.action_rows([FIRST, SECOND], REQUESTS) == {
        "bow": {"sentences": 2, "action": 0.5, "instead": "walk"},
        "run": {"sentences": 2, "action": 0.75, "instead": "walk"},
    }
    row = people.sentence_rows([FIRST, SECOND], REQUESTS)[1]
    assert row == {
        **{"sentence": "she runs", "action": "run", "style": "happy", "right": 0.5},
        "seen": {"walk happy": 1, "run happy": 1},
    }


def test_scores_of_warnings():
    scores = people.warning_scores([0.9, 0.8, 0.4], [0.1, 0.4, 0.2, 0.85], threshold=0.5)
    assert scores["auc"] == pytest.approx((4 + 3 + 2.5) / 12)
    assert scores["warned_known"] == pytest.approx(1 / 3) and scores["warned_unknown"] == 0.75
    assert (scores["known"], scores["unknown"], scores["threshold"]) == (3, 4, 0.5)


def test_kinds_of_unknown_requests_have_rows():
    scores = {"walk": 0.9, "run": 0.6, "violin": 0.2, "swim": 0.1, "nod": 0.7}
    kinds = {"violin": "unknown", "swim": "unknown", "nod": "near miss"}
    rows = people.request_rows(scores, kinds, threshold=0.5)
    assert list(rows) == ["all", "near miss", "unknown"]
    assert rows["unknown"]["auc"] == 1 and rows["near miss"]["auc"] == 0.5
    assert rows["all"]["warned_unknown"] == pytest.approx(2 / 3) and rows["all"]["known"] == 2
    assert list(people.request_rows(scores, dict.fromkeys(kinds, "unknown"), 0.5)) == ["all"]
