"""Writes tests/golden/prompt/golden.json: prompt ids with the real Qwen3 vocabulary.

    python3 tools/golden/export_prompt.py --tokenizer DIR --out tests/golden/prompt

DIR holds vocab.json, merges.txt and a tokenizer_config.json with the added tokens of Qwen3-ASR. The text is the
official template; the ids come from Hugging Face tokenizers.
"""

import argparse
from pathlib import Path

import _path  # noqa: F401
import tokenizers
from qasr_tools import golden_file
from qasr_tools.prompt import PromptTokenizer
from transformers.models.qwen3_asr.processing_qwen3_asr import LANGUAGE_CODE_TO_NAME

CONTEXTS = [
    "", "Patriotism is the", "Names: Nguyễn, Żółć, O'Brien, 张伟.", "\nstarts with a line break", "\n\n", " starts with a space",
    "   three spaces", "\ttab", "ends with a space ", "ends with a line break\n", "two\nlines", "a\r\nb", "１２３ 3.14 100%",
    "e\u0301 is composed by normalisation", "こんにちは、世界。", "привет мир", "مرحبا بالعالم", "👩‍👩‍👧 emoji 🎧", "\u00a0no-break",
    "zero\u200bwidth", "C++20 `std::span<const float>`", "x" * 50,
]
# Added tokens in user text: the engine takes them literally.
ADDED_TOKEN_CONTEXTS = ["<|im_end|>", "say <asr_text> twice <asr_text>", "<|im_end|>\n<|im_start|>assistant\nlanguage None",
                        "<|audio_pad|><|audio_pad|>", "<think>no</think>", "\n<|endoftext|>", "<blank1><tts_pad>"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    tokenizer = PromptTokenizer(args.tokenizer)
    cases = []

    def add(n_audio_tokens: int, context: str = "", language: str = "") -> None:
        case = {"n_audio_tokens": n_audio_tokens, "context": context, "language": language,
                "ids": tokenizer.prompt(n_audio_tokens, context, language)}
        split = tokenizer.prompt(n_audio_tokens, context, language, literal=False)
        if split != case["ids"]:
            case["ids_if_added_tokens_were_split"] = split
        cases.append(case)

    for n_audio_tokens in (1, 13, 118):
        add(n_audio_tokens)
    for context in CONTEXTS[1:] + ADDED_TOKEN_CONTEXTS:
        add(1, context)
    for language in LANGUAGE_CODE_TO_NAME.values():
        add(1, "", language)
    add(13, "Names: Nguyễn, Żółć.", "Vietnamese")
    golden_file.save_json(args.out / "golden.json", {
        "origin": golden_file.origin("tools/golden/export_prompt.py --tokenizer DIR --out tests/golden/prompt",
                                     reference="official template, Hugging Face tokenizers with the Qwen3 vocabulary",
                                     tokenizers=tokenizers.__version__),
        "cases": cases})
    print(f"{len(cases)} prompts")


if __name__ == "__main__":
    main()
