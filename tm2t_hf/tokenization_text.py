# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The text side of new models: a byte-level BPE vocabulary trained on the captions of a data set."""

from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

SPECIAL_TOKENS = ["<pad>", "<bos>", "<eos>", "<unk>"]  # ids 0 to 3


def train_text_tokenizer(captions: Iterable[str], vocab_size: int = 2000) -> PreTrainedTokenizerFast:
    """Train the text tokenizer of a new model.

    The same captions give the same tokenizer. A caption is lower-cased, its white space made single and a full stop,
    question or exclamation mark at its end dropped, so that "A person waves." and "a person waves" are one prompt;
    it is encoded as `<bos> ... <eos>`, and decoding with `skip_special_tokens=True` gives what was normalised back.

    Args:
        captions: the captions to learn from, at least one of them not empty.
        vocab_size: number of entries, special tokens and the 256 bytes included (so at least 260); fewer
            are made when the captions hold no more pairs to merge.

    Raises:
        ValueError: for a caption that is empty or not a string, no captions, or too small a `vocab_size`.
    """
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
            normalizers.Replace(Regex(r"[\s.!?]+$"), ""),
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


def check_captions(captions: str | Iterable[str], argument: str = "text") -> list[str]:
    """Return one caption or several as a list, after checking that each is a string that says something.

    Raises:
        ValueError: names `argument`, and the caption's place in it.
    """
    example = "pass a caption such as 'a person waves the left hand', or a list of them"
    if isinstance(captions, str):
        captions = [captions]
    try:
        captions = list(captions)
    except TypeError as error:
        raise ValueError(f"{argument} is {type(captions).__name__}, not a string; {example}.") from error
    if not captions:
        raise ValueError(f"{argument} is an empty list; {example}.")
    for index, caption in enumerate(captions):
        if not isinstance(caption, str):
            raise ValueError(f"{argument}[{index}] is {type(caption).__name__}, not a string; {example}.")
        if not any(character.isalnum() for character in caption):
            raise ValueError(f"{argument}[{index}] has no words ({caption!r}); {example}.")
    return captions
