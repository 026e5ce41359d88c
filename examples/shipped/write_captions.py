# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Give the training clips of the shipped models further captions, made of the phrases in `paraphrases.json`.

    PYTHONPATH=examples python -m shipped.write_captions --data_dir joined

`paraphrases.json` holds sentences of our own, without subject, for every action, and words for every style. A clip's
captions are all phrases of its action, each twice: with a subject and, unless the style is normal, with words for the
style. Which ones is drawn for each action and style, so clips that show the same share their captions. They are
written to `texts_written/<id>.txt`, apart from the captions in `texts` and from those of people in `texts_people`.
"""

import json
import logging
import random
import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from bandai_namco.labels import NORMAL
from shipped.labels import NOTHING_SHOWN, Label, label_of_clip, plain_styles, styles_by_action
from transformers import HfArgumentParser

from tm2t_hf.data import read_split
from tm2t_hf.data.recordings import caption_line
from tm2t_hf.files import written_beside

logger = logging.getLogger("captions")

HERE = Path(__file__).parent
FOLDER = "texts_written"
DRAWS = 2  # of a subject and words about style, for each phrase
PRONOUNS = {
    "he": ("he", "his", "him", "himself"),
    "she": ("she", "her", "her", "herself"),
    "they": ("they", "their", "them", "themselves"),
    "you": ("you", "your", "you", "yourself"),
}
FEMALE = re.compile(r"\b(she|woman|girl|lady|sister|grandmother)\b")
MALE = re.compile(r"\b(he|man|boy|guy|gentleman|brother|grandfather|giant|ogre|thug|gangster)\b")
ENDING = re.compile(r"\[(e?s)\]")  # walk[s]: "walks" after a subject, "walk" as a request


@dataclass
class Arguments:
    """What to write captions for."""

    data_dir: str = field(metadata={"help": "The folder that build.py made."})
    split: str = field(default="train", metadata={"help": "Clips of this split get captions."})


def main(args: list[str] | None = None):
    """Write `texts_written`."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    arguments = HfArgumentParser(Arguments).parse_args_into_dataclasses(args)[0]
    clips = read_split(arguments.data_dir, arguments.split)
    labels = {clip: label_of_clip(clip) for clip in clips if clip not in NOTHING_SHOWN}
    styles = styles_by_action(labels.values())
    captions = {label: captions_of(label, styles[label.action]) for label in set(labels.values())}
    write_texts(arguments.data_dir, FOLDER, {clip: captions[label] for clip, label in labels.items()})
    distinct = {caption for each in captions.values() for caption in each}
    logger.info(f"{len(distinct)} captions of our own for {len(labels)} clips in {arguments.data_dir}/{FOLDER}.")


def write_texts(data_dir: str, folder: str, captions: dict[str, list[str]]):
    """Write `<data_dir>/<folder>/<clip>.txt`, one line per caption; the folder is replaced as a whole."""
    line_of = lru_cache(None)(caption_line)
    with written_beside(Path(data_dir) / folder) as part:
        part.mkdir()
        for clip, sentences in captions.items():
            text = "".join(f"{line_of(sentence)}\n" for sentence in sentences)
            (part / f"{clip}.txt").write_text(text, encoding="utf-8")


@lru_cache(None)
def paraphrases() -> dict[str, dict[str, list[str]]]:
    """The content of paraphrases.json."""
    return json.loads((HERE / "paraphrases.json").read_text(encoding="utf-8"))


def phrases_of(label: Label) -> list[str]:
    """The phrases of the label's action and of all its details, with the side filled in."""
    found = []
    for key, phrases in paraphrases()["actions"].items():
        for side in ("left", "right") if "{side}" in key else ("",):
            action, *details = key.replace("{side}", side).split()
            if action == label.action and label.details.issuperset(details):
                found += [phrase.replace("{side}", side) for phrase in phrases]
    return found


def captions_of(label: Label, styles: set[str]) -> list[str]:
    """All captions of a clip.

    Args:
        label: what the clip shows.
        styles: those of all clips of its action. If none is normal, captions without a word about style are added.

    Raises:
        ValueError: there are no phrases for its action, or no words for its style.
    """
    phrases, words = phrases_of(label), paraphrases()["styles"].get(label.style, [])
    if not phrases or not (words or label.style == NORMAL):
        raise ValueError(f"paraphrases.json has nothing for {label.action} and {label.style}.")
    found = set()
    for style in {label.style, NORMAL} if label.style in plain_styles(styles) else {label.style}:
        rng = random.Random(f"{label.action} {style}")
        for _ in range(DRAWS):
            found |= {_caption(phrase, style, rng) for phrase in phrases}
    return sorted(found)


def _caption(phrase: str, style: str, rng: random.Random) -> str:
    if style == NORMAL and ENDING.search(phrase) and rng.random() < 0.15:
        return spoken(ENDING.sub("", phrase), "you")
    subjects, words = paraphrases()["subjects"], paraphrases()["styles"].get(style, [])
    own = subjects.get(style, [])
    if own and rng.random() < 0.4:  # the subject says the style: "an old man"
        subject, words = rng.choice(own), words if rng.random() < 0.2 else []
    else:
        subject = rng.choice([each for each in subjects["anybody"] if style != "feminine" or each != "he"])
    ending = rng.choice(words) if words else ""
    person = "she" if FEMALE.search(subject) else "he" if MALE.search(subject) else "they"
    return spoken(f"{subject} {phrase} {ending}".strip(), person)


def spoken(phrase: str, person: str = "they") -> str:
    """A phrase with its verbs in the third person, and the pronouns of `person`."""
    phrase = ENDING.sub(r"\1", phrase)
    for name, pronoun in zip(PRONOUNS["they"], PRONOUNS[person], strict=True):
        phrase = phrase.replace(f"{{{name}}}", pronoun)
    return phrase


if __name__ == "__main__":
    main()
