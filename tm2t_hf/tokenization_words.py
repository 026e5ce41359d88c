# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The text side of models converted from the authors' checkpoints: a vocabulary of whole, lemmatised words.

The original reads captions that spaCy has tagged, `a/DET person/NOUN walk/VERB`, as the caption files of HumanML3D and
KIT-ML hold them. Such a caption is used as it is. A plain one is lemmatised and tagged here by a dictionary
(lemminflect) and the words around, close to what spaCy made of the captions, not equal to it.
"""

import re

from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BatchEncoding, PreTrainedTokenizerFast

SPECIAL_TOKENS = ("<sos>", "<eos>", "<unk>", "<pad>")
# The original's vocabulary has these three as plain words; ours must not split "drunk" at its "unk".
ORIGINAL_NAMES = {"<sos>": "sos", "<eos>": "eos", "<unk>": "unk"}

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

# Words whose tag needs no dictionary; they are never lemmatised.
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
NOMINAL = {"DET", "ADJ", "NUM", "ADP"}  # after these comes a noun sooner than a verb

TAGGED_WORD = re.compile(r"[^\s/]+/[A-Z]+")
WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
CLITIC = re.compile(r"(?<=.)(?:n't|'\w+)$")  # spaCy makes words of these, and the original drops what has a sign in it


def tag_words(caption: str) -> list[tuple[str, str]]:
    """Lemmas and universal part-of-speech tags of a caption.

    A caption of `lemma/POS` tokens is taken apart, nothing more. In a plain one hyphens are removed and words that are
    not of letters alone dropped; nouns and verbs become their lemmas, all other words, auxiliaries too, stay.

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
    # of "s" alone nothing would be left
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


class WordTokenizer(PreTrainedTokenizerFast):
    """A fast tokenizer whose entries are lemmas; the first words of a caption become `<sos> … <eos>`.

    Args:
        vocab: word -> id, with `<sos>`, `<eos>`, `<unk>` and `<pad>` in it.
        max_words: captions are cut to this many words (the original: 20).
        return_pos_ids: also return `pos_ids`, the part-of-speech class of each id, as `MotionTextMatcher` reads them.
    """

    model = models.WordLevel

    def __init__(self, vocab: dict[str, int], max_words: int = 20, return_pos_ids: bool = False, **kwargs):
        sos, eos, unk, pad = SPECIAL_TOKENS
        self._tokenizer = Tokenizer(models.WordLevel(vocab, unk_token=unk))
        self._tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        kwargs["post_processor"] = processors.TemplateProcessing(
            single=f"{sos} $A {eos}", special_tokens=[(sos, vocab[sos]), (eos, vocab[eos])]
        )
        for key in ("tokenizer_file", "bos_token", "eos_token", "unk_token", "pad_token", "padding_side"):
            kwargs.pop(key, None)
        self.max_words, self.return_pos_ids = max_words, return_pos_ids
        names = ["input_ids", "attention_mask", *(["pos_ids"] if return_pos_ids else [])]
        super().__init__(
            bos_token=sos,
            eos_token=eos,
            unk_token=unk,
            pad_token=pad,
            padding_side="right",
            max_words=max_words,
            return_pos_ids=return_pos_ids,
            **(kwargs | {"model_input_names": names}),
        )

    @classmethod
    def from_words(cls, words: dict[str, int], **kwargs) -> "WordTokenizer":
        """The tokenizer of an original vocabulary, word -> index, which gains `<pad>` as its last id.

        Raises:
            ValueError: if the indices are not 0, 1, 2, …, or `sos`, `eos` and `unk` not among the words.
        """
        if sorted(words.values()) != list(range(len(words))):
            raise ValueError("The indices of the word vocabulary are not 0, 1, 2, …: is it `our_vab_idx.pkl`?")
        for special, word in ORIGINAL_NAMES.items():
            if word not in words:
                raise ValueError(f"The word vocabulary has no {word!r}, which stands for {special}.")
        renamed = {word: special for special, word in ORIGINAL_NAMES.items()}
        vocab = {renamed.get(word, word): index for word, index in words.items()}
        return cls(vocab | {"<pad>": len(words)}, **kwargs)

    def _encode_plus(self, text, return_tensors=None, **kwargs) -> BatchEncoding:
        captions = [text] if isinstance(text, str) else text
        tagged = [tag_words(caption)[: self.max_words] for caption in captions]
        encoded = super()._encode_plus([" ".join(word for word, _ in row) for row in tagged], **kwargs)
        if self.return_pos_ids:
            encoded["pos_ids"] = [
                self._pos_ids(ids, row) for ids, row in zip(encoded["input_ids"], tagged, strict=True)
            ]
        if isinstance(text, str) and return_tensors is None:
            encoded = BatchEncoding({name: rows[0] for name, rows in encoded.items()}, encoded.encodings)
        return encoded.convert_to_tensors(return_tensors)

    def _pos_ids(self, ids: list[int], tagged: list[tuple[str, str]]) -> list[int]:
        """Class of each id; special and unknown ids are OTHER, as are tags that the original does not know."""
        other = POS_CLASSES.index("OTHER")
        words = iter(tagged)
        pos_ids = []
        for index in ids:
            name = "OTHER"
            if index not in (self.bos_token_id, self.eos_token_id, self.pad_token_id):
                word, tag = next(words)
                name = CLASS_OF_WORD.get(word, tag) if index != self.unk_token_id else "OTHER"
            pos_ids.append(POS_CLASSES.index(name) if name in POS_CLASSES else other)
        return pos_ids


__all__ = ["POS_CLASSES", "SPECIAL_TOKENS", "WordTokenizer", "tag_words"]
