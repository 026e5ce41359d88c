# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The text side of models converted from the authors' checkpoints: a vocabulary of whole, lemmatized words."""

from tokenizers import Encoding, Tokenizer, models, pre_tokenizers, processors
from transformers import BatchEncoding, PreTrainedTokenizerFast

from .lemmas import CLASS_OF_WORD, POS_CLASSES, tag_words
from .tokenization_text import list_captions

SPECIAL_TOKENS = ("<sos>", "<eos>", "<unk>", "<pad>")
# The original's vocabulary has these three as plain words; ours must not split "drunk" at its "unk".
ORIGINAL_NAMES = {"<sos>": "sos", "<eos>": "eos", "<unk>": "unk"}
TOKEN_NAMES = ("bos_token", "eos_token", "unk_token", "pad_token")
OTHER = POS_CLASSES.index("OTHER")
NO_CHARACTERS = "The tokens are lemmas, which have no place among the characters of the caption: there are no offsets."


class WordEncoding(BatchEncoding):
    """What `WordTokenizer` returns. Tokens are lemmas, which have no place among the characters of a caption."""

    def _no_characters(self, *args, **kwargs):
        raise ValueError(NO_CHARACTERS)

    char_to_token = char_to_word = token_to_chars = word_to_chars = _no_characters


class WordTokenizer(PreTrainedTokenizerFast):
    """A fast tokenizer whose entries are lemmas; the first words of a caption become `<sos> … <eos>`.

    Args:
        vocab: word -> id, with `<sos>`, `<eos>`, `<unk>` and `<pad>` in it.
        max_words: captions are cut to this many words (the original: 20).
        return_pos_ids: also return `pos_ids`, the part-of-speech class of each id, as `MotionTextMatcher` reads them.
        kwargs: arguments of the base class. The special tokens cannot be renamed.

    Raises:
        ValueError: for other special tokens.
    """

    model = models.WordLevel
    _auto_class = "AutoTokenizer"  # saved with its code, see auto_classes.py

    def __init__(self, vocab: dict[str, int], max_words: int = 20, return_pos_ids: bool = False, **kwargs):
        names = dict(zip(TOKEN_NAMES, SPECIAL_TOKENS, strict=True))
        for name, value in names.items():
            if (given := kwargs.pop(name, None)) is not None and str(given) != value:
                raise ValueError(f"{name}={str(given)!r} is not possible: it is {value!r} in the converted models.")
        sos, eos, unk, _ = SPECIAL_TOKENS
        self._tokenizer = Tokenizer(models.WordLevel(vocab, unk_token=unk))
        self._tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        kwargs["post_processor"] = processors.TemplateProcessing(
            single=f"{sos} $A {eos}",
            pair=f"{sos} $A {eos} $B:1 {eos}:1",
            special_tokens=[(sos, vocab[sos]), (eos, vocab[eos])],
        )
        kwargs.pop("tokenizer_file", None)
        self.max_words, self.return_pos_ids = max_words, return_pos_ids
        kwargs["model_input_names"] = ["input_ids", "attention_mask", *(["pos_ids"] if return_pos_ids else [])]
        super().__init__(max_words=max_words, return_pos_ids=return_pos_ids, **names, **kwargs)

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

    def _encode_plus(
        self,
        text,
        text_pair=None,
        is_split_into_words: bool = False,
        return_offsets_mapping: bool = False,
        return_overflowing_tokens: bool = False,
        return_tensors=None,
        **kwargs,
    ) -> WordEncoding:
        if return_offsets_mapping:
            raise ValueError(NO_CHARACTERS)
        is_single = isinstance(text, str)
        if is_split_into_words:
            is_single = all(isinstance(word, str) for word in text)
        elif text_pair is None and isinstance(text, (list, tuple)) and all(map(_is_pair, text)) and text:
            text, text_pair = zip(*text, strict=True)
        # For text and text_pair, for each caption, (lemma, tag) of its words.
        parts = [self._tag(part, is_single, is_split_into_words) for part in (text, text_pair) if part is not None]
        if len({len(part) for part in parts}) > 1:
            raise ValueError(f"text has {len(parts[0])} captions, but text_pair has {len(parts[1])}.")
        words = [[[word for word, _ in caption] for caption in part] for part in parts]
        encoded = super()._encode_plus(
            *words, is_split_into_words=True, return_overflowing_tokens=return_overflowing_tokens, **kwargs
        )
        data = dict(encoded)
        if self.return_pos_ids:
            samples = data.get("overflow_to_sample_mapping", range(len(parts[0])))
            data["pos_ids"] = [
                self._pos_ids(encoding, [part[sample] for part in parts])
                for sample, encoding in zip(samples, encoded.encodings, strict=True)
            ]
        if is_single and return_tensors is None and not return_overflowing_tokens:
            data = {name: rows[0] for name, rows in data.items()}
        return WordEncoding(data, encoded.encodings, tensor_type=return_tensors)

    def _tag(self, text, is_single: bool, is_split_into_words: bool) -> list[list[tuple[str, str]]]:
        """Lemmas and tags of each caption, cut to `max_words`."""
        if is_split_into_words:
            captions = [" ".join(words) for words in ([text] if is_single else text)]
        else:
            captions = list_captions(text)
        return [tag_words(caption)[: self.max_words] for caption in captions]

    def _pos_ids(self, encoding: Encoding, tagged: list[list[tuple[str, str]]]) -> list[int]:
        """Class of each id; special and unknown ids are OTHER, as are tags that the original does not know."""
        names = []
        for index, part, place in zip(encoding.ids, encoding.sequence_ids, encoding.word_ids, strict=True):
            if part is None or index == self.unk_token_id:
                names.append("OTHER")
            else:
                word, tag = tagged[part][place]
                names.append(CLASS_OF_WORD.get(word, tag))
        return [POS_CLASSES.index(name) if name in POS_CLASSES else OTHER for name in names]

    def _pad(self, encoded_inputs, *args, padding_side: str | None = None, **kwargs) -> dict:
        padded = super()._pad(encoded_inputs, *args, padding_side=padding_side, **kwargs)
        if "pos_ids" in padded:
            missing = [OTHER] * (len(padded["input_ids"]) - len(padded["pos_ids"]))
            pos_ids = list(padded["pos_ids"])
            padded["pos_ids"] = (
                missing + pos_ids if (padding_side or self.padding_side) == "left" else pos_ids + missing
            )
        return padded


def _is_pair(value) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 2


__all__ = ["POS_CLASSES", "SPECIAL_TOKENS", "WordTokenizer", "tag_words"]
