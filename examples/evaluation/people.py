# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Text to motion, asked in sentences that people write, and for what it never learned."""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from tm2t_hf.coverage import embed_texts, load_coverage

from .models import Checkpoint


@dataclass(frozen=True)
class Request:
    """A sentence and what it asks for: any of some actions, and a style where it names one."""

    sentence: str
    actions: tuple[str, ...]
    style: str | None

    def is_met_by(self, verdict: Sequence[str]) -> bool:
        """Whether the judge saw an action that was asked for."""
        return verdict[0] in self.actions


def read_requests(path: str) -> list[Request]:
    """Sentences with what they ask for, from a JSON list of `{"sentence", "action", "style"}`.

    `action` is a label or a list of those that would all be right; `style` may be missing.
    """
    requests = []
    for row in read_rows("people", path):
        actions = row.get("action") or []
        actions = (actions,) if isinstance(actions, str) else tuple(actions)
        if not actions:
            raise SystemExit(f"--people {path}: {row['sentence']!r} has no action.")
        requests.append(Request(row["sentence"], actions, row.get("style")))
    return requests


def read_unknown(path: str) -> dict[str, str]:
    """Sentence -> of which kind it is, from a JSON list of strings or of `{"sentence", "kind"}`."""
    return {row["sentence"]: row.get("kind", "unknown") for row in read_rows("unknown", path)}


def read_rows(option: str, path: str) -> list[dict]:
    """The rows of a JSON list; another file ends the program."""
    try:
        rows = json.loads(Path(path).read_text(encoding="utf-8"))
        rows = [{"sentence": row} if isinstance(row, str) else row for row in rows]
        if not rows or not all(isinstance(row["sentence"], str) for row in rows):
            raise ValueError("there is no sentence in it")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SystemExit(f"--{option} {path} is not a JSON list of sentences ({error}).") from error
    return rows


def judged(requests: list[Request], actions: Collection[str]) -> list[Request]:
    """The requests for actions that the judge knows."""
    return [request for request in requests if set(request.actions) <= set(actions)]


def people_scores(verdicts: Sequence, requests: list[Request]) -> dict[str, float]:
    """Share of right actions over sentences and as mean over actions, and of right styles where one is named."""
    right = [request.is_met_by(verdict) for verdict, request in zip(verdicts, requests, strict=True)]
    by_action = defaultdict(list)
    for request, is_right in zip(requests, right, strict=True):
        by_action[request.actions[0]].append(is_right)
    styles = [verdict[1] == r.style for verdict, r in zip(verdicts, requests, strict=True) if r.style]
    scores = {"action": np.mean(right), "action_by_action": np.mean([np.mean(rows) for rows in by_action.values()])}
    return scores | ({"style": np.mean(styles)} if styles else {})


def action_rows(replications: Sequence, requests: list[Request]) -> dict[str, dict]:
    """Action -> how many sentences ask for it, the share of right motions, and what was most often seen instead."""
    right, wrong, sentences = defaultdict(list), defaultdict(Counter), Counter()
    for request in requests:
        sentences[request.actions[0]] += 1
    for verdicts in replications:
        for verdict, request in zip(verdicts, requests, strict=True):
            right[request.actions[0]].append(request.is_met_by(verdict))
            if not right[request.actions[0]][-1]:
                wrong[request.actions[0]][verdict[0]] += 1
    return {
        action: {
            "sentences": sentences[action],
            "action": float(np.mean(right[action])),
            "instead": ", ".join(seen for seen, _ in wrong[action].most_common(2)),
        }
        for action in sorted(right)
    }


def sentence_rows(replications: Sequence, requests: list[Request]) -> list[dict]:
    """Every sentence with the share of right motions and what the judge saw how often, for the report in full."""
    rows = []
    for index, request in enumerate(requests):
        seen = [tuple(verdicts[index]) for verdicts in replications]
        rows.append({"sentence": request.sentence, "action": " or ".join(request.actions), "style": request.style})
        rows[-1]["right"] = float(np.mean([request.is_met_by(verdict) for verdict in seen]))
        rows[-1]["seen"] = {" ".join(verdict): count for verdict, count in Counter(seen).most_common()}
    return rows


@torch.no_grad()
def request_scores(t2m: Checkpoint, sentences: list[str], device: str) -> tuple[list[float], float] | None:
    """The score of each request and the threshold below which the model warns; None for a model that has none."""
    coverage = load_coverage(t2m.folder, "text")
    if coverage is None:
        return None
    inputs = t2m.processor(text=sentences, return_tensors="pt").to(device)
    features = t2m.model.get_text_features(inputs["input_ids"], inputs["attention_mask"])  # (sentences, words, dim)
    embeddings = embed_texts(features, inputs["attention_mask"]).cpu()
    return [request.score for request in coverage.judge(sentences, embeddings)], coverage.threshold


def request_rows(scores: dict[str, float], kinds: dict[str, str], threshold: float) -> dict[str, dict]:
    """Known requests (those without a kind) against all others and, if there are several, against each kind.

    Args:
        scores: of every request.
        kinds: of the requests that were never learned.
        threshold: below it the model warns.
    """
    known = [score for sentence, score in scores.items() if sentence not in kinds]
    rows = {"all": warning_scores(known, [scores[sentence] for sentence in kinds], threshold)}
    for kind in sorted(set(kinds.values())) if len(set(kinds.values())) > 1 else ():
        own = [scores[sentence] for sentence in kinds if kinds[sentence] == kind]
        rows[kind] = warning_scores(known, own, threshold)
    return rows


def warning_scores(known: Sequence[float], unknown: Sequence[float], threshold: float) -> dict[str, float]:
    """How well scores tell known requests from unknown ones: the area under the ROC curve, and who is warned."""
    known, unknown = np.asarray(known), np.asarray(unknown)
    above = (known[:, None] > unknown).mean() + (known[:, None] == unknown).mean() / 2
    return {
        "known": len(known),
        "unknown": len(unknown),
        "auc": float(above),
        "threshold": threshold,
        "warned_known": float((known < threshold).mean()),
        "warned_unknown": float((unknown < threshold).mean()),
    }
