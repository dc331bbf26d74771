"""Prompt ids of the official package: system turn with the context, user turn with the audio, assistant turn.

User text is taken literally here, as the engine does: `<|im_end|>` in a context becomes ordinary tokens, while a
plain Hugging Face tokenizer would make it a control token.
"""

import json
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

# Qwen2Tokenizer's pattern.
_SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")


class PromptTokenizer:
    """vocab.json + merges.txt + the added tokens of tokenizer_config.json."""

    def __init__(self, model_dir: Path):
        model_dir = Path(model_dir)
        config = json.loads((model_dir / "tokenizer_config.json").read_text(encoding="utf-8"))
        self.added = {entry["content"]: int(token_id) for token_id, entry in config["added_tokens_decoder"].items()}
        self._special = {int(token_id) for token_id, entry in config["added_tokens_decoder"].items()
                         if entry["special"]}
        self._literal = self._byte_level_bpe(model_dir)
        self._full = self._byte_level_bpe(model_dir)
        self._full.add_tokens([AddedToken(content, normalized=False, special=False)
                               for content, _ in sorted(self.added.items(), key=lambda item: item[1])])
        for content, token_id in self.added.items():
            if self._full.token_to_id(content) != token_id:
                raise ValueError(f"tokenizer: {content} has id {self._full.token_to_id(content)}, expected {token_id}")

    @staticmethod
    def _byte_level_bpe(model_dir: Path) -> Tokenizer:
        tokenizer = Tokenizer(models.BPE.from_file(str(model_dir / "vocab.json"), str(model_dir / "merges.txt")))
        tokenizer.normalizer = normalizers.NFC()
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(_SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
        tokenizer.decoder = decoders.ByteLevel()
        return tokenizer

    def encode(self, text: str, split_added_tokens: bool = True) -> list[int]:
        tokenizer = self._full if split_added_tokens else self._literal
        return tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, ids: list[int]) -> str:
        """Text without special tokens; `<asr_text>` is not special and stays."""
        return self._full.decode([token for token in ids if token not in self._special], skip_special_tokens=False)

    def prompt(self, n_audio_tokens: int, context: str = "", language: str = "", literal: bool = True) -> list[int]:
        """language: canonical name to force, or "". literal False: added tokens in the context are control tokens."""
        ids = [self.added["<|im_start|>"], *self.encode("system\n" + context, not literal), self.added["<|im_end|>"]]
        ids += self.encode("\n<|im_start|>user\n<|audio_start|>")
        ids += [self.added["<|audio_pad|>"]] * n_audio_tokens
        ids += self.encode("<|audio_end|><|im_end|>\n<|im_start|>assistant\n")
        return ids + (self.encode(f"language {language}<asr_text>") if language else [])
