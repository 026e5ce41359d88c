# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The text side of models converted from the authors' checkpoints: a vocabulary of whole, lemmatized words."""

from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BatchEncoding, PreTrainedTokenizerFast

from .lemmas import CLASS_OF_WORD, POS_CLASSES, tag_words

SPECIAL_TOKENS = ("<sos>", "<eos>", "<unk>", "<pad>")
# The original's vocabulary has these three as plain words; ours must not split "drunk" at its "unk".
ORIGINAL_NAMES = {"<sos>": "sos", "<eos>": "eos", "<unk>": "unk"}


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
