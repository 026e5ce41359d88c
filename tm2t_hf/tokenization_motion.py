# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Motion tokens as a vocabulary: codes (0 to K-1) <-> ids <-> the text `<bom> <motion_17> <motion_4> <eom>`."""

from collections.abc import Sequence

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from .vocabulary import SPECIAL_TOKENS


class MotionTokenizer(PreTrainedTokenizerFast):
    """A fast tokenizer whose words are motion tokens, so that motion can be printed, stored and put in any text.

    The ids are those of the models: 0 to K-1 are the codes of the codebook, K is `<bom>`, K+1 `<eom>`, K+2 `<pad>`.
    `tokenizer("<bom> <motion_17> <eom>")` adds nothing: begin and end are part of the text form.

    Args:
        codebook_size: K, the number of codes of the motion VQ.
    """

    model = models.WordLevel

    def __init__(self, codebook_size: int = 512, **kwargs):
        words = [f"<motion_{code}>" for code in range(codebook_size)] + list(SPECIAL_TOKENS)
        self._tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}))
        self._tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        self.codebook_size = codebook_size
        # The vocabulary follows from codebook_size alone; what from_pretrained reads off tokenizer.json adds nothing.
        for key in ("vocab", "tokenizer_file", "bos_token", "eos_token", "pad_token", "unk_token"):
            kwargs.pop(key, None)
        bom, eom, pad = SPECIAL_TOKENS
        super().__init__(codebook_size=codebook_size, bos_token=bom, eos_token=eom, pad_token=pad, **kwargs)

    def codes_to_ids(self, codes: Sequence[int]) -> list[int]:
        """`[17, 4]` -> `[K, 17, 4, K+1]`. Raises ValueError for a code outside the codebook."""
        codes = [int(code) for code in codes]
        for code in codes:
            if not 0 <= code < self.codebook_size:
                raise ValueError(
                    f"codes holds {code}, but the codebook has codes 0 to {self.codebook_size - 1}; "
                    "use the tokenizer saved with the motion VQ that made them."
                )
        return [self.bos_token_id, *codes, self.eos_token_id]

    def ids_to_codes(self, ids: Sequence[int]) -> list[int]:
        """The codes among `ids` up to the first `<eom>`: `[K, 17, 4, K+1, K+2]` -> `[17, 4]`."""
        ids = [int(index) for index in ids]
        if self.eos_token_id in ids:
            ids = ids[: ids.index(self.eos_token_id)]
        return [index for index in ids if index < self.codebook_size]

    def codes_to_text(self, codes: Sequence[int]) -> str:
        """`[17, 4]` -> `"<bom> <motion_17> <motion_4> <eom>"`."""
        return " ".join(self.convert_ids_to_tokens(self.codes_to_ids(codes)))

    def text_to_codes(self, text: str) -> list[int]:
        """`"<bom> <motion_17> <motion_4> <eom>"` -> `[17, 4]`. Raises ValueError for a word of another kind."""
        ids, vocabulary = [], self.get_vocab()
        for word in text.split():
            index = vocabulary.get(word)
            if index is None:
                raise ValueError(
                    f"text holds {word!r}, which is no motion token of this codebook; the words are "
                    f"<motion_0> to <motion_{self.codebook_size - 1}>, {', '.join(SPECIAL_TOKENS)}."
                )
            ids.append(index)
        return self.ids_to_codes(ids)
