# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Scores of generated captions.

Captions are split at white space and otherwise left as they are: no lower-casing, no removed punctuation.
"""

import math
from collections import Counter
from collections.abc import Iterable

from .arrays import mean


def caption_scores(predictions: Iterable[str], references: Iterable[Iterable[str]]) -> dict[str, float]:
    """BLEU-1 to BLEU-4, ROUGE-L and CIDEr-D of generated captions, as the COCO caption scorers give them.

    Args:
        predictions: one caption a case; may be empty strings, which score zero.
        references: one or more captions a case. Every case is scored against exactly three, as published results are:
            the first three, two as A, B, A, and one as A, A, A.

    Returns:
        `{"bleu1", "bleu2", "bleu3", "bleu4", "rougeL", "cider"}`, floats; CIDEr up to 10, the others up to 1.

    Raises:
        ValueError: where the numbers of predictions and references differ or a case has no reference.
    """
    predictions, references = list(predictions), [list(captions) for captions in references]
    _check_cases(predictions, references)
    targets = [(captions * 3)[:3] for captions in references]
    words = [prediction.split() for prediction in predictions]
    target_words = [[caption.split() for caption in captions] for captions in targets]
    return {
        **{f"bleu{order}": score for order, score in enumerate(_bleu(words, target_words), 1)},
        "rougeL": mean(_rouge_l(*case) for case in zip(predictions, targets, strict=True)),
        "cider": _cider(words, target_words),
    }


def bert_score(
    predictions: Iterable[str],
    references: Iterable[Iterable[str]],
    model: str = "roberta-large",
    layers: int | None = None,
    rescale: bool = True,
) -> float:
    """Mean BERTScore F1 (Zhang et al., ICLR 2020), the best reference per case, with idf as in the original.

    Args:
        predictions: as in `caption_scores`.
        references: as in `caption_scores`.
        model: Hub id or folder of the encoder.
        layers: the layer to use, for an encoder that bert-score does not know.
        rescale: subtract the published baseline of the model, as published scores do.

    Raises:
        ImportError: without the package bert-score.
    """
    predictions, references = list(predictions), [list(captions) for captions in references]
    _check_cases(predictions, references)
    try:
        from bert_score import score
    except ImportError as error:
        raise ImportError("BERTScore needs the package bert-score: `pip install bert-score`.") from error
    options = {"model_type": model, "num_layers": layers, "lang": "en", "idf": True, "rescale_with_baseline": rescale}
    _, _, f1 = score(predictions, references, **options)
    return f1.mean().item()


def _check_cases(predictions, references):
    if len(predictions) != len(references):
        raise ValueError(f"{len(predictions)} predictions, {len(references)} lists of references: give one list each.")
    if not predictions:
        raise ValueError("there is no prediction to score.")
    for case, captions in enumerate(references):
        if not captions:
            raise ValueError(f"case {case} has no reference caption.")


def _ngrams(words, order):
    return Counter(tuple(words[i : i + order]) for i in range(len(words) - order + 1))


def _bleu(words, targets, max_order=4):
    """Corpus BLEU-1 to 4 (Papineni et al., 2002): clipped precisions, closest reference length, no smoothing."""
    length = sum(len(prediction) for prediction in words)
    reference_length = 0
    for prediction, captions in zip(words, targets, strict=True):
        reference_length += min((abs(len(caption) - len(prediction)), len(caption)) for caption in captions)[1]
    brevity = math.exp(min(0.0, 1 - reference_length / length)) if length else 0.0

    scores, log_precision = [], 0.0
    for order in range(1, max_order + 1):
        matches = total = 0
        for prediction, captions in zip(words, targets, strict=True):
            grams = _ngrams(prediction, order)
            allowed = Counter()
            for caption in captions:
                allowed |= _ngrams(caption, order)
            matches += (grams & allowed).total()
            total += grams.total()
        log_precision += math.log(matches / total) if matches else -math.inf
        scores.append(brevity * math.exp(log_precision / order))
    return scores


def _rouge_l(prediction, captions, beta=1.2):
    """ROUGE-L of one case: F of the best precision and the best recall over the references.

    Split at every single space: the COCO scorer counts the empty word between two of them.
    """
    prediction, captions = prediction.split(" "), [caption.split(" ") for caption in captions]
    common = [_longest_common_subsequence(prediction, caption) for caption in captions]
    if not max(common):
        return 0.0
    precision = max(common) / len(prediction)
    recall = max(length / len(caption) for length, caption in zip(common, captions, strict=True))
    return (1 + beta**2) * precision * recall / (recall + beta**2 * precision)


def _longest_common_subsequence(first, second):
    row = [0] * (len(second) + 1)
    for a in first:
        previous = row
        row = [0]
        for j, b in enumerate(second):
            row.append(previous[j] + 1 if a == b else max(previous[j + 1], row[j]))
    return row[-1]


def _cider(words, targets, max_order=4, sigma=6.0):
    """Mean CIDEr-D (Vedantam et al., 2015); document frequencies are those of the given references.

    The length that the Gaussian penalty compares is the number of bigrams, as in the COCO scorer.
    """
    frequency = Counter()
    for captions in targets:
        frequency.update({gram for c in captions for order in range(1, max_order + 1) for gram in _ngrams(c, order)})
    log_cases = math.log(len(targets))

    def weigh(caption):
        grams = [_ngrams(caption, order) for order in range(1, max_order + 1)]
        vectors = [
            {gram: count * (log_cases - math.log(max(1, frequency[gram]))) for gram, count in counts.items()}
            for counts in grams
        ]
        return vectors, [math.hypot(*vector.values()) for vector in vectors], grams[1].total()

    def similarity(prediction, reference):
        vectors, norms, length = prediction
        other_vectors, other_norms, other_length = reference
        penalty = math.exp(-((length - other_length) ** 2) / (2 * sigma**2))
        total = 0.0
        for vector, other, norm, other_norm in zip(vectors, other_vectors, norms, other_norms, strict=True):
            clipped = sum(min(value, other.get(gram, 0.0)) * other.get(gram, 0.0) for gram, value in vector.items())
            total += clipped / (norm * other_norm) if norm and other_norm else 0.0
        return 10 * penalty * total / max_order

    return mean(
        mean(similarity(prediction, weigh(caption)) for caption in captions)
        for prediction, captions in zip(map(weigh, words), targets, strict=True)
    )
