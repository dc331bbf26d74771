"""From the model's answer to a transcript, and word error rates."""

from transformers.models.qwen3_asr.processing_qwen3_asr import _detect_and_fix_repetitions

from word_error_rate import plain_words as words, word_edits  # noqa: F401  (part of this module's interface)


def transcript(raw: str, forced: bool) -> str:
    """The text of "language X<asr_text>text"; the whole answer if the language was forced."""
    text = _detect_and_fix_repetitions(raw.strip()) if raw.strip() else ""
    if forced or "<asr_text>" not in text:
        return text.strip()
    return text.split("<asr_text>", 1)[1].strip()
