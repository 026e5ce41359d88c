# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The text side of new models: a BPE vocabulary trained on captions, or the tokenizer of a pretrained text encoder."""

from collections.abc import Iterable
from os import PathLike

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from .checks import check_count
from .containers import items_of, unwrap_row

END_OF_SENTENCE = normalizers.Replace(Regex(r"[\s.!?]+$"), "")  # "a person waves." is no other request
SPECIAL_TOKENS = ["<pad>", "<bos>", "<eos>", "<unk>"]  # ids 0 to 3
EXAMPLE = "pass a caption such as 'a person waves the left hand', or a list of them"


def train_text_tokenizer(captions: Iterable[str], vocab_size: int = 2000) -> PreTrainedTokenizerFast:
    """Train the text tokenizer of a new model.

    The same captions give the same tokenizer. A caption is lower-cased, runs of white space become one space, and
    full stops, question marks and exclamation marks at its end are dropped, so that "A person waves." and "a person
    waves" are one prompt. It is encoded as `<bos> ... <eos>`; decoding with `skip_special_tokens=True` returns the
    normalized caption.

    Args:
        captions: the captions to learn from.
        vocab_size: number of entries, including the special tokens and the 256 bytes (so at least 260); there are
            fewer if the captions leave no more pairs to merge.

    Returns:
        The tokenizer; its ids 0 to 3 are `<pad>`, `<bos>`, `<eos>` and `<unk>`.

    Raises:
        ValueError: for a caption that is empty or not a string, no captions, or a `vocab_size` that is too small.
    """
    check_count("vocab_size", vocab_size)
    captions = check_captions(captions, "captions")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    if vocab_size < len(SPECIAL_TOKENS) + len(alphabet):
        raise ValueError(
            f"vocab_size={vocab_size} leaves no room for {len(SPECIAL_TOKENS)} special tokens and "
            f"{len(alphabet)} bytes; pass {len(SPECIAL_TOKENS) + len(alphabet)} or more."
        )

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFC(),
            normalizers.Lowercase(),
            normalizers.Replace(Regex(r"\s+"), " "),
            END_OF_SENTENCE,
            normalizers.Strip(),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=SPECIAL_TOKENS, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(captions, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A <eos>", pair="<bos> $A <eos> $B:1 <eos>:1", special_tokens=[("<bos>", 1), ("<eos>", 2)]
    )
    pad, bos, eos, unk = SPECIAL_TOKENS
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=pad,
        bos_token=bos,
        eos_token=eos,
        unk_token=unk,
        clean_up_tokenization_spaces=False,
        padding_side="right",
        model_input_names=["input_ids", "attention_mask"],
    )


def text_encoder_tokenizer(name: str | PathLike) -> PreTrainedTokenizerFast:
    """The tokenizer of a pretrained text encoder, which drops full stops and the like at a caption's end too.

    Args:
        name: the encoder's folder, or its id on the Hub.

    Raises:
        ValueError: if it is not a fast tokenizer, or has no padding.
    """
    given = AutoTokenizer.from_pretrained(name)
    if not given.is_fast or given.pad_token is None:
        raise ValueError(f"The tokenizer of {name} must be a fast one with a padding token.")
    tokenizer = Tokenizer.from_str(given.backend_tokenizer.to_str())
    own = [tokenizer.normalizer] if tokenizer.normalizer is not None else []
    tokenizer.normalizer = normalizers.Sequence([END_OF_SENTENCE, *own])
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        **given.special_tokens_map,
        clean_up_tokenization_spaces=False,
        padding_side="right",
        model_max_length=given.model_max_length,
        model_input_names=["input_ids", "attention_mask"],
    )


def check_captions(captions: str | Iterable[str], argument: str = "text") -> list[str]:
    """Return one caption or several as a list, after checking that each is a string with at least one word.

    Args:
        captions: as `list_captions` takes them.
        argument: its name for messages.

    Raises:
        ValueError: names `argument`, and the caption's place in it.
    """
    captions = list_captions(captions, argument)
    for index, caption in enumerate(captions):
        if not any(character.isalnum() for character in caption):
            raise ValueError(f"{argument}[{index}] has no words ({caption!r}); {EXAMPLE}.")
        if any("\ud800" <= character <= "\udfff" for character in caption):  # half of one, of bytes that were cut
            raise ValueError(f"{argument}[{index}] is not text that can be encoded ({caption!r}); {EXAMPLE}.")
    return captions


def list_captions(captions: str | Iterable[str], argument: str = "text") -> list[str]:
    """Return one caption or several as a list of strings, without the byte order mark that Windows puts into files.

    Args:
        captions: a string, or anything that holds strings in an order: a list, a tuple, an array, a column of a data
            set or data frame, a generator. Rows with a `"text"` stand for that text.
        argument: its name for messages.

    Raises:
        ValueError: for an empty container, or one that holds anything else; names `argument` and the place in it.
    """
    captions = unwrap_row(captions, "text", argument)
    if isinstance(captions, str):
        captions = [captions]
    if isinstance(captions, (set, frozenset)):
        raise ValueError(f"{argument} is a set, which has no order; pass a list.")
    items = items_of(captions)
    if items is None:
        raise ValueError(f"{argument} is {type(captions).__name__}, not a string; {EXAMPLE}.")
    captions = [unwrap_row(caption, "text", f"{argument}[{index}]") for index, caption in enumerate(items)]
    if not captions:
        raise ValueError(f"{argument} is an empty list; {EXAMPLE}.")
    for index, caption in enumerate(captions):
        if not isinstance(caption, str):
            raise ValueError(f"{argument}[{index}] is {type(caption).__name__}, not a string; {EXAMPLE}.")
    return [caption.removeprefix("\ufeff") for caption in captions]


__all__ = ["SPECIAL_TOKENS", "check_captions", "list_captions", "text_encoder_tokenizer", "train_text_tokenizer"]
