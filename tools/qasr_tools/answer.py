"""From the model's answer to a transcript, and word error rates."""

import re

from transformers.models.qwen3_asr.processing_qwen3_asr import _detect_and_fix_repetitions


def transcript(raw: str, forced: bool) -> str:
    """The text of "language X<asr_text>text"; the whole answer if the language was forced."""
    text = _detect_and_fix_repetitions(raw.strip()) if raw.strip() else ""
    if forced or "<asr_text>" not in text:
        return text.strip()
    return text.split("<asr_text>", 1)[1].strip()


def words(text: str) -> list[str]:
    """Lower case, without punctuation; apostrophes inside words stay."""
    text = re.sub(r"[^a-z0-9' ]", " ", text.lower().replace("-", " "))
    return re.sub(r"(?<![a-z0-9])'|'(?![a-z0-9])", " ", text).split()


def word_edits(expected: list[str], found: list[str]) -> int:
    """Levenshtein distance over words."""
    row = list(range(len(found) + 1))
    for i, word in enumerate(expected, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(found, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (word != other))
    return row[-1]
