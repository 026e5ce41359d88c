# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Lemmas and parts of speech of captions, as the authors' checkpoints were trained on them.

The original reads captions that spaCy has tagged, `a/DET person/NOUN walk/VERB`, as the caption files of HumanML3D and
KIT-ML hold them. Such a caption is used as it is. A plain one is lemmatized and tagged here by a dictionary
(lemminflect) and the words around it: close to what spaCy made of the captions, but not equal to it.
"""

import re

# Part-of-speech classes of the original evaluator. The middle five are lists of words, which win over the tag.
POS_CLASSES = (
    *("VERB", "NOUN", "DET", "ADP", "NUM", "AUX", "PRON", "ADJ", "ADV"),
    *("Loc_VIP", "Body_VIP", "Obj_VIP", "Act_VIP", "Desc_VIP", "OTHER"),
)
WORDS_OF_CLASS = {
    "Loc_VIP": "left right clockwise counterclockwise anticlockwise forward back backward up down straight curve",
    "Body_VIP": "arm chin foot feet face hand mouth leg waist eye knee shoulder thigh",
    "Obj_VIP": "stair dumbbell chair window floor car ball handrail baseball basketball",
    "Act_VIP": "walk run swing pick bring kick put squat throw hop dance jump turn stumble stop sit lift lower raise "
    "wash stand kneel stroll rub bend balance flap jog shuffle lean rotate spin spread climb",
    "Desc_VIP": "slowly carefully fast careful slow quickly happy angry sad happily angrily sadly",
}
CLASS_OF_WORD = {word: name for name, words in WORDS_OF_CLASS.items() for word in words.split()}

# Words whose tag needs no dictionary; they are never lemmatized.
CLOSED_WORDS = {
    "DET": "a an the this that these those each every both all some any no another either neither half "
    "my your his her its our their",
    "PRON": "i you he she it we they me him us them who what which someone somebody something anyone anything "
    "everyone everything nothing himself herself itself themselves oneself myself yourself mine yours hers theirs "
    "there",
    "ADP": "in on at of with from by for above below over under across through into onto out off between behind "
    "beside beneath near towards toward against along about around like as without within before after during until "
    "upon underneath inside outside past per than via",
    "AUX": "is are was were be been being am does did can could will would shall should may might must",
    "CCONJ": "and or but nor",
    "SCONJ": "while if because although though that when where whereas whilst since unless",
    "PART": "not",
    "NUM": "one two three four five six seven eight nine ten eleven twelve hundred",
    "ADV": "then back forward forwards backward backwards again once twice away here there very just also still too "
    "almost now up down ahead together apart so straight sideways slightly clockwise counterclockwise anticlockwise",
    "ADJ": "left right other several same own",
}
TAG_OF_WORD = {word: tag for tag, words in reversed(CLOSED_WORDS.items()) for word in words.split()}
HELPERS = {"has": "have", "have": "have", "had": "have"}  # auxiliaries before a verb, verbs otherwise
NOMINAL = {"DET", "ADJ", "NUM", "ADP"}  # a noun is likelier than a verb after these

TAGGED_WORD = re.compile(r"[^\s/]+/[A-Z]+")
WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
CLITIC = re.compile(
    r"(?<=.)(?:n't|'\w+)$"
)  # spaCy splits these off, and the original drops tokens containing punctuation


def tag_words(caption: str) -> list[tuple[str, str]]:
    """Lemmas and universal part-of-speech tags of a caption.

    A caption of `lemma/POS` tokens is only split. In a plain one, hyphens are removed and words that contain anything
    but letters are dropped; nouns and verbs become their lemmas, all other words, auxiliaries too, stay.

    Raises:
        ImportError: for a plain caption where lemminflect is not installed.
    """
    tokens = caption.split()
    if tokens and all(TAGGED_WORD.fullmatch(token) for token in tokens):
        return [tuple(token.split("/")) for token in tokens]
    words = [CLITIC.sub("", word) for word in WORD.findall(caption.lower().replace("-", "").replace("’", "'"))]
    words = [word for word in words if word.isalpha()]
    forms = [_open_forms(word) for word in words]
    tagged = []
    for index, word in enumerate(words):
        before = tagged[-1][1] if tagged else None
        after = forms[index + 1] if index + 1 < len(words) else {}
        tag = _tag(word, forms[index], before, after)
        lemma = forms[index][tag] if tag in ("NOUN", "VERB") and tag in forms[index] else word
        tagged.append((lemma, tag))
    return tagged


def _open_forms(word: str) -> dict[str, str]:
    """Tag -> lemma, for the tags that a dictionary allows for a word; empty for words of a closed class."""
    if word in TAG_OF_WORD or word == "to":
        return {}
    if word in HELPERS:
        return {"VERB": HELPERS[word]}
    try:
        from lemminflect import getAllLemmas, getAllLemmasOOV
    except ImportError as error:
        raise ImportError(
            "Plain captions need lemminflect for the word vocabulary of converted models: `pip install lemminflect`, "
            "or give captions of `lemma/POS` tokens."
        ) from error
    found = getAllLemmas(word)
    if not found:
        found = {"ADV": (word,)} if word.endswith("ly") else getAllLemmasOOV(word, "NOUN")
    # the lemma of "s" alone would be empty
    forms = {tag: lemmas[0] or word for tag, lemmas in found.items() if tag in ("NOUN", "VERB", "ADJ", "ADV")}
    return forms or {"NOUN": word}


def _tag(word: str, forms: dict[str, str], before: str | None, after: dict[str, str]) -> str:
    """The tag of a word, from its own forms, the tag before it and the forms of the word after it."""
    if word == "to":
        return "PART" if "VERB" in after else "ADP"
    if not forms:
        return TAG_OF_WORD[word]
    if word in HELPERS:
        return "AUX" if "VERB" in after and "NOUN" not in after else "VERB"
    if before in NOMINAL:
        if "VERB" in forms and word.endswith("ing") and ("NOUN" not in forms or "NOUN" in after):
            return "VERB"  # "the standing person", but "the railing"
        if word.endswith("ed") and "NOUN" in after:
            return "ADJ"  # "a curved line"
        order = ["ADJ", "NOUN"] if "NOUN" in after else ["NOUN", "ADJ"]
    elif "ADJ" in forms and forms.get("VERB", word) != word and not word.endswith(("s", "ing")):
        order = ["ADJ"]  # "looks tired", "stands bent over"
    else:
        order = ["VERB"] if forms.get("VERB", word) != word or before in ("PART", "CCONJ", None) else ["ADV", "NOUN"]
    return next(tag for tag in (*order, "NOUN", "VERB", "ADV", "ADJ") if tag in forms)


__all__ = ["CLASS_OF_WORD", "POS_CLASSES", "tag_words"]
