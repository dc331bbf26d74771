"""Writes tests/golden/sampling/golden.json: logits before and after the logits processors of Hugging Face transformers.

    python tools/golden/export_sampling.py

Every case holds logits (f32), the answer so far, options, the processed logits (null: excluded) and the softmax that a
token is drawn from.
"""

import json
from pathlib import Path

import torch
import transformers
from transformers.generation.logits_process import (
    LogitsProcessorList,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

OUTPUT = Path(__file__).resolve().parents[2] / "tests/golden/sampling/golden.json"
VOCAB = 40


def processors(options):
    """In the order in which transformers' generate() applies them."""
    found = LogitsProcessorList()
    if options.get("repetition_penalty", 1.0) != 1.0:
        found.append(RepetitionPenaltyLogitsProcessor(options["repetition_penalty"]))
    if options.get("no_repeat_ngram_size", 0) > 0:
        found.append(NoRepeatNGramLogitsProcessor(options["no_repeat_ngram_size"]))
    if options.get("temperature", 0.0) > 0:
        if options["temperature"] != 1.0:
            found.append(TemperatureLogitsWarper(options["temperature"]))
        if options.get("top_k", 0) > 0:
            found.append(TopKLogitsWarper(options["top_k"]))
        if options.get("top_p", 1.0) < 1.0:
            found.append(TopPLogitsWarper(options["top_p"]))
    return found


def cases():
    loop = [5, 6, 7, 5, 6, 7, 5, 6]
    yield [], {"repetition_penalty": 1.3}
    yield loop, {"repetition_penalty": 1.3}
    yield loop, {"repetition_penalty": 0.7}
    for n in (1, 2, 3, 5, 9):
        yield loop, {"no_repeat_ngram_size": n}
    yield [5], {"no_repeat_ngram_size": 2}
    yield [1, 2, 1, 3, 1], {"no_repeat_ngram_size": 2}
    yield [], {"temperature": 0.7}
    yield loop, {"temperature": 1.0, "top_k": 1}
    yield loop, {"temperature": 1.0, "top_k": 7}
    yield loop, {"temperature": 1.0, "top_k": 100}
    for top_p in (0.05, 0.5, 0.9, 0.999):
        yield loop, {"temperature": 1.0, "top_p": top_p}
    yield loop, {"temperature": 0.4, "top_k": 9, "top_p": 0.8}
    yield loop, {"repetition_penalty": 1.2, "no_repeat_ngram_size": 3, "temperature": 1.5, "top_k": 12, "top_p": 0.95}


def logits_of(seed):
    values = torch.randn(VOCAB, generator=torch.Generator().manual_seed(seed)) * 2
    values[seed % VOCAB] = values[(seed + 3) % VOCAB]  # a tie
    return (values * 1000).round() / 1000


def main():
    written = []
    for seed, (history, options) in enumerate(cases()):
        logits = logits_of(seed)
        ids = torch.tensor([history], dtype=torch.long)
        scores = processors(options)(ids, logits[None].clone())[0]
        written.append(
            {
                "options": options,
                "history": history,
                "logits": [float(x) for x in logits],
                "processed": [None if torch.isinf(x) else float(x) for x in scores],
                "probabilities": [float(x) for x in torch.softmax(scores.double(), 0)],
                "log_probabilities": [float(x) for x in torch.log_softmax(logits.double(), 0)],
            }
        )
    document = {"transformers": transformers.__version__, "torch": torch.__version__.split("+")[0], "cases": written}
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(json.dumps(document, separators=(",", ":")).replace('},{"options"', '},\n{"options"') + "\n")


if __name__ == "__main__":
    main()
