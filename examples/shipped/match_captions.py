# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Give the training clips of the shipped models captions that people wrote for similar motions of HumanML3D.

    PYTHONPATH=examples python -m shipped.match_captions --data_dir joined --captions humanml3d_train.parquet \
        --text_encoder sentence-transformers/all-MiniLM-L6-v2

`--captions` is a table with the column `captions`, a list of strings per row: the captions of HumanML3D's training
split (validation and test captions must not be used: models are judged by them). The motions are not needed.

A caption is given to all clips of an action and a style if

- the grammar in `sentences.py` finds that it says this action, at most one style, and nothing else, and
- among the phrases in `paraphrases.json`, the one closest to it by the text encoder is one of that action or of one
  that is easily put in the same words.

A caption that says nothing about style goes to clips in the normal style alone. Captions with a left or right are also
used with both exchanged. They are written to `texts_people/<id>.txt`, apart from `texts`.

Captions: HumanML3D (Guo et al., CVPR 2022), MIT.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from bandai_namco.labels import NORMAL
from shipped.labels import NOTHING_SHOWN, Label, label_of_clip, plain_styles, styles_by_action
from shipped.sentences import FAST, MALE, PLAIN, SLOW, Meaning, meanings
from shipped.write_captions import phrases_of, spoken, write_texts
from transformers import AutoModel, AutoTokenizer, HfArgumentParser

from tm2t_hf.data import mirror_caption, read_split

logger = logging.getLogger("captions")

FOLDER = "texts_people"
# Styles whose clips are slower or faster than normal ones, by action; any other action has none.
SLOWER = {"run": {"elderly", "exhausted"}} | dict.fromkeys(
    ("walk", "walk-turn-left", "walk-turn-right", "walk-left", "walk-right", "walk-back", "raise-up-left-hand",
     "raise-up-right-hand", "raise-up-both-hands", "wave-left-hand", "wave-right-hand", "wave-both-hands"),
    {"elderly"},
)  # fmt: skip
FASTER = {action: {"active"} for action in SLOWER if action != "run"}
# Actions that sentences without a detail do not tell apart, for the check by the text encoder.
ALIKE = (
    {"walk", "walk-left", "walk-right", "walk-turn-left", "walk-turn-right", "sneak"},
    {"run", "dash"},
    {"wave-left-hand", "wave-right-hand", "wave-both-hands", "wave-one-hand", "respond", "call"},
    {"raise-up-left-hand", "raise-up-right-hand", "raise-up-both-hands", "respond"},
    {"kick", "spin-kick", "punch"},
    {"jump", "jump-spin", "hop-forward-and-back"},
    {"dance-short", "dance-spin", "ballet"},
    {"dribble", "dribble-left"},
)
LEAST_SIMILAR = 0.5  # cosine to the closest known sentence of the action
SLACK = 0.05  # by how much another action's sentence may be closer


@dataclass
class Arguments:
    """What to match with what."""

    data_dir: str = field(metadata={"help": "The folder that build.py made."})
    captions: str = field(metadata={"help": "Table (.parquet) of HumanML3D's training captions."})
    text_encoder: str = field(metadata={"help": "A sentence encoder with mean pooling: folder or name on the Hub."})
    split: str = field(default="train", metadata={"help": "Clips of this split get captions."})


def main(args: list[str] | None = None):
    """Write `texts_people`."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    arguments = HfArgumentParser(Arguments).parse_args_into_dataclasses(args)[0]
    data_dir = Path(arguments.data_dir)
    clips = [clip for clip in read_split(data_dir, arguments.split) if clip not in NOTHING_SHOWN]
    labels = {clip: label_of_clip(clip) for clip in clips}
    styles = styles_by_action(labels.values())
    known = defaultdict(set)
    for label in set(labels.values()):
        known[label.action] |= {f"a person {spoken(phrase)}" for phrase in phrases_of(label)}

    found = sentences_with_meanings(pd.read_parquet(arguments.captions)["captions"].explode())
    encoder = SentenceEncoder(arguments.text_encoder)
    kept = confirmed(found, known, encoder)
    refused = sum(map(len, found.values())) - sum(map(len, kept.values()))
    captions = {
        label: [sentence for sentence, said in kept.items() if any(fits(m, label, styles[label.action]) for m in said)]
        for label in set(labels.values())
    }
    write_texts(
        arguments.data_dir, FOLDER, {clip: captions[label] for clip, label in labels.items() if captions[label]}
    )
    used = {sentence for each in captions.values() for sentence in each}
    logger.info(f"{len(used)} captions of people, {refused} refused by the text encoder. By action:")
    by_action = defaultdict(set)
    for label, each in captions.items():
        by_action[label.action].update(each)
    for action, each in sorted(by_action.items()):
        logger.info(f"  {action}: {len(each)}")


def sentences_with_meanings(captions: Iterable[str]) -> dict[str, list[Meaning]]:
    """The captions that the grammar understands, and what they are with left and right exchanged."""
    sentences = {" ".join(caption.replace("#", " ").split()) for caption in captions}
    sentences |= {mirror_caption(sentence) for sentence in sentences}
    return {sentence: said for sentence in sorted(sentences) if (said := meanings(sentence))}


def fits(meaning: Meaning, label: Label, styles: set[str]) -> bool:
    """Whether a sentence of this meaning describes clips of this label; `styles` are those of the label's action."""
    action, style = meaning.action, meaning.style
    if action in ("run", "dash") and style == FAST:
        action, style = "dash", PLAIN
    if action == "jog":
        action = "run"
    if action != label.action or not label.details.issuperset(meaning.details):
        return False
    if style == SLOW:
        return label.style in SLOWER.get(action, ()) or SLOW in label.details
    if style == FAST:
        return label.style in FASTER.get(action, ()) or FAST in label.details
    if style == NORMAL:
        return label.style == NORMAL and not label.details & {SLOW, FAST}
    if style == MALE and style not in styles:
        style = PLAIN  # "a man" is anybody
    return label.style in (plain_styles(styles) if style == PLAIN else {style})


class SentenceEncoder:
    """The mean of a transformer's last hidden states, of length one."""

    def __init__(self, name: str):
        self.tokenizer = AutoTokenizer.from_pretrained(name)
        self.model = AutoModel.from_pretrained(name).eval()

    @torch.no_grad()
    def __call__(self, sentences: list[str], batch_size: int = 128) -> np.ndarray:
        """Embeddings (sentences, dim)."""
        order = sorted(range(len(sentences)), key=lambda i: len(sentences[i]))  # saves padding
        embeddings = np.empty((len(sentences), self.model.config.hidden_size), np.float32)
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            inputs = self.tokenizer([sentences[i] for i in batch], padding=True, truncation=True, return_tensors="pt")
            hidden = self.model(**inputs).last_hidden_state
            mask = inputs["attention_mask"][..., None]
            mean = (hidden * mask).sum(1) / mask.sum(1)
            embeddings[batch] = torch.nn.functional.normalize(mean, dim=-1).numpy()
        return embeddings


def confirmed(
    found: dict[str, list[Meaning]], known: dict[str, set[str]], encoder: SentenceEncoder
) -> dict[str, list[Meaning]]:
    """The meanings that the text encoder agrees with; sentences without one are left out."""
    anchors = [(action, sentence) for action, each in known.items() for sentence in sorted(each)]
    actions = np.array([action for action, _ in anchors])
    anchor_embeddings = encoder([sentence for _, sentence in anchors])
    kept = {}
    for (sentence, said), embedding in zip(found.items(), encoder(list(found)), strict=True):
        similarity = anchor_embeddings @ embedding  # (anchors,)
        own = [m for m in said if _agrees("run" if m.action == "jog" else m.action, similarity, actions)]
        if own:
            kept[sentence] = own
    return kept


def _agrees(action: str, similarity: np.ndarray, actions: np.ndarray) -> bool:
    alike = {action}.union(*(group for group in ALIKE if action in group))
    close = similarity[np.isin(actions, list(alike))].max(initial=-1)
    return close >= max(LEAST_SIMILAR, similarity.max() - SLACK)


if __name__ == "__main__":
    main()
