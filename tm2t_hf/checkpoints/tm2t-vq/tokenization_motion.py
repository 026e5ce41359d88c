# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Motion tokens as a vocabulary: codes (0 to K-1) <-> ids <-> the text `<bom> <motion_17> <motion_4> <eom>`."""

from collections.abc import Sequence
from numbers import Real
from os import PathLike
from typing import Any

from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from transformers import BatchEncoding, PreTrainedConfig, PreTrainedTokenizerFast
from transformers.models.auto.tokenization_auto import get_tokenizer_config

from .vocabulary import MAX_CODEBOOK_SIZE, SPECIAL_TOKENS

FOLDER = "motion_tokenizer"  # where a `TM2TProcessor` saves it
TOKEN_NAMES = ("bos_token", "eos_token", "pad_token")


class MotionTokenizer(PreTrainedTokenizerFast):
    """A fast tokenizer whose words are motion tokens, so that motion can be printed, stored and put in any text.

    The ids are those of the models: 0 to K-1 are the codes of the codebook, K is `<bom>`, K+1 `<eom>`, K+2 `<pad>`.
    `tokenizer("<bom> <motion_17> <eom>")` adds nothing: begin and end are part of the text form.

    Args:
        codebook_size: K, the number of codes of the motion VQ.
        kwargs: arguments of the base class. The special tokens cannot be renamed, and there is no unknown token.

    Raises:
        ValueError: for a codebook size that is not an integer from 1 to 2 ** 18, or other special tokens.
    """

    model = models.WordLevel
    _auto_class = "AutoTokenizer"  # saved with its code, see auto_classes.py

    def __init__(self, codebook_size: int = 512, **kwargs):
        if not isinstance(codebook_size, int) or codebook_size is True or not 1 <= codebook_size <= MAX_CODEBOOK_SIZE:
            raise ValueError(
                f"codebook_size={codebook_size!r} must be an integer from 1 to {MAX_CODEBOOK_SIZE:,}, the number of "
                "codes of the motion VQ."
            )
        names = dict(zip(TOKEN_NAMES, SPECIAL_TOKENS, strict=True))
        for name in (*TOKEN_NAMES, "unk_token"):
            if (given := kwargs.pop(name, None)) is not None and str(given) != names.get(name):
                raise ValueError(
                    f"{name}={str(given)!r} is not possible: the special tokens of a motion vocabulary are "
                    f"{', '.join(SPECIAL_TOKENS)}, and no word is unknown."
                )
        words = [f"<motion_{code}>" for code in range(codebook_size)] + list(SPECIAL_TOKENS)
        self._tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}))
        self._tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        self.codebook_size = codebook_size
        # The vocabulary follows from codebook_size alone; what from_pretrained reads off tokenizer.json adds nothing.
        for key in ("vocab", "tokenizer_file"):
            kwargs.pop(key, None)
        super().__init__(codebook_size=codebook_size, **names, **kwargs)

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | PathLike, *args, subfolder: str = "", **kwargs
    ) -> "MotionTokenizer":
        """Load the motion tokenizer of a folder or Hub repository.

        It may be one of: a motion tokenizer; a translation model or its processor, which keeps the motion tokenizer in
        `motion_tokenizer/`; a model without any, such as a motion VQ, whose configuration has the `codebook_size`.

        Args:
            pretrained_model_name_or_path: the folder or repository.
            args: as in every tokenizer.
            subfolder: folder in it.
            kwargs: as in every tokenizer.

        Raises:
            ValueError: if it is none of these.
            OSError: if it is not there.
        """
        for folder in (subfolder, f"{subfolder}/{FOLDER}".lstrip("/")):
            saved = get_tokenizer_config(pretrained_model_name_or_path, subfolder=folder, **kwargs)
            if "codebook_size" in saved:
                return super().from_pretrained(pretrained_model_name_or_path, *args, subfolder=folder, **kwargs)
        config, rest = PreTrainedConfig.get_config_dict(pretrained_model_name_or_path, subfolder=subfolder, **kwargs)
        if "codebook_size" not in config:
            raise ValueError(
                f"{pretrained_model_name_or_path} holds no motion tokenizer: neither there nor in {FOLDER}/ is a "
                "tokenizer_config.json with a codebook_size, and config.json has none either."
            )
        rest = {name: value for name, value in rest.items() if not name.startswith("_")}
        return cls(**{"codebook_size": config["codebook_size"]} | rest)

    def _encode_plus(self, text, text_pair=None, **kwargs) -> BatchEncoding:
        try:
            return super()._encode_plus(text, text_pair, **kwargs)
        except Exception as error:  # the backend raises nothing more special for an unknown word
            if type(error) is not Exception:
                raise
            vocabulary = self.get_vocab()
            unknown = [word for word in _words(text) + _words(text_pair) if word not in vocabulary]
            raise self._no_token(unknown[0] if unknown else str(text)) from error

    def _decode(self, token_ids: int | Sequence[int], *args, **kwargs) -> str:
        self._check_ids([token_ids] if isinstance(token_ids, int) else token_ids)
        return super()._decode(token_ids, *args, **kwargs)

    def convert_ids_to_tokens(self, ids: int | Sequence[int], skip_special_tokens: bool = False) -> str | list[str]:
        """`[17, 4]` -> `["<motion_17>", "<motion_4>"]`. Raises ValueError for an id outside the vocabulary."""
        self._check_ids([ids] if isinstance(ids, int) else ids)
        return super().convert_ids_to_tokens(ids, skip_special_tokens)

    def _check_ids(self, ids: Sequence[int]):
        for index in ids:
            if not 0 <= index < self.vocab_size:
                raise ValueError(
                    f"ids holds {index}, but this motion vocabulary has ids 0 to {self.vocab_size - 1}; use the "
                    "tokenizer saved with the motion VQ that made them."
                )

    def add_special_tokens(self, special_tokens_dict: dict, *args, **kwargs) -> int:
        """As in every tokenizer, but there is nothing to add. Raises ValueError for a token that is none of motion."""
        for value in special_tokens_dict.values():  # before any of them becomes an attribute
            self._check_known([value] if isinstance(value, str | AddedToken) else value)
        return super().add_special_tokens(special_tokens_dict, *args, **kwargs)

    def _add_tokens(self, new_tokens: Sequence[str | AddedToken], special_tokens: bool = False) -> int:
        self._check_known(new_tokens)
        return super()._add_tokens(new_tokens, special_tokens)

    def _check_known(self, tokens: Sequence[str | AddedToken]):
        vocabulary = self.get_vocab()
        for token in tokens:
            if str(token) not in vocabulary:
                raise ValueError(
                    f"{str(token)!r} cannot be added: a motion vocabulary is the codes of its codebook, "
                    f"{', '.join(SPECIAL_TOKENS)}; train a motion VQ with a larger codebook."
                )

    def _no_token(self, word: str) -> ValueError:
        return ValueError(
            f"text holds {word!r}, which is no motion token of this codebook; the words are "
            f"<motion_0> to <motion_{self.codebook_size - 1}>, {', '.join(SPECIAL_TOKENS)}."
        )

    def codes_to_ids(self, codes: Sequence[int]) -> list[int]:
        """`[17, 4]` -> `[K, 17, 4, K+1]`. Raises ValueError for a code outside the codebook."""
        codes = _integers(codes, "codes")
        for code in codes:
            if not 0 <= code < self.codebook_size:
                raise ValueError(
                    f"codes holds {code}, but the codebook has codes 0 to {self.codebook_size - 1}; "
                    "use the tokenizer saved with the motion VQ that made them."
                )
        return [self.bos_token_id, *codes, self.eos_token_id]

    def ids_to_codes(self, ids: Sequence[int]) -> list[int]:
        """The codes among `ids` up to the first `<eom>`: `[K, 17, 4, K+1, K+2]` -> `[17, 4]`.

        Raises:
            ValueError: for an id outside the vocabulary.
        """
        ids = _integers(ids, "ids")
        self._check_ids(ids)
        if self.eos_token_id in ids:
            ids = ids[: ids.index(self.eos_token_id)]
        return [index for index in ids if index < self.codebook_size]

    def codes_to_text(self, codes: Sequence[int]) -> str:
        """`[17, 4]` -> `"<bom> <motion_17> <motion_4> <eom>"`."""
        return " ".join(self.convert_ids_to_tokens(self.codes_to_ids(codes)))

    def text_to_codes(self, text: str) -> list[int]:
        """`"<bom> <motion_17> <motion_4> <eom>"` -> `[17, 4]`. Raises ValueError for any other word."""
        ids, vocabulary = [], self.get_vocab()
        for word in text.split():
            index = vocabulary.get(word)
            if index is None:
                raise self._no_token(word)
            ids.append(index)
        return self.ids_to_codes(ids)


def _words(text: Any) -> list[str]:
    """The words of a text, or of lists of texts."""
    return (
        (text or "").split() if isinstance(text, str) or text is None else [w for part in text for w in _words(part)]
    )


def _integers(values, name: str) -> list[int]:
    """Plain integers of a list, an array or a tensor; 1.7 and True would become other codes."""
    values = [value.item() if hasattr(value, "item") else value for value in values]
    if not all(isinstance(value, Real) and not isinstance(value, bool) and value % 1 == 0 for value in values):
        raise ValueError(f"{name} must hold whole numbers; got {values[:5]}.")
    return [int(value) for value in values]


__all__ = ["MotionTokenizer"]
