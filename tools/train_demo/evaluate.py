#!/usr/bin/env python3
"""Word error rates of an exported model with transformers' Qwen3ASRForConditionalGeneration: f32, greedy, batched.

    evaluate.py --model MODEL --held HELD [--out RESULTS] [--device cuda] [--limit 8]

HELD is the folder of make_held_out.py, or one clip shard of synthesize.py given by its name without extension. Writes
RESULTS.json (rates per set, with and without case and punctuation) and RESULTS.tsv (set, reference, output).
"""
import argparse
import collections
import json
import os

import numpy as np
import torch

import decode
import reference
from features import Text, mel_filters, n_audio_tokens
from voices import read_wav


def load_held(folder: str) -> list[tuple[np.ndarray, str, str]]:
    """(f32 samples, text, set) of a manifest, or of a shard."""
    if not os.path.isdir(folder):
        return decode.load_shard(folder)
    rows = [line.rstrip("\n").split("\t") for line in open(f"{folder}/manifest.tsv")][1:]
    return [(read_wav(f"{folder}/{file}")[0] / 32768, text, name) for name, file, text in rows]


@torch.no_grad()
def transcribe(model, text: Text, clips: list[np.ndarray], device: str, batch_size: int) -> list[str]:
    """Raw decoded answers, in the order of clips; neighbours in length share a batch."""
    filters, answers = mel_filters().to(device), [""] * len(clips)
    order = sorted(range(len(clips)), key=lambda clip: len(clips[clip]))
    for first in range(0, len(order), batch_size):
        group = order[first:first + batch_size]
        features = [decode.clip_features(clips[clip], filters).cpu() for clip in group]
        prompts = [text.prompt(n_audio_tokens(feature.shape[1])) for feature in features]
        inputs = {name: value.to(device) for name, value in reference.batch_inputs(features, prompts, text.pad).items()}
        generated = model.generate(**inputs, max_new_tokens=decode.MAX_TOKENS, do_sample=False,
                                   eos_token_id=[text.pad, text.end], pad_token_id=text.pad)
        for clip, ids in zip(group, generated[:, inputs["input_ids"].shape[1]:].tolist()):
            answers[clip] = text.decode(ids[:ids.index(text.end)] if text.end in ids else ids)
    return answers


def rates(pairs: list[tuple[str, str]]) -> dict:
    exact = [(reference_text.split(), other.split()) for reference_text, other in pairs]
    n_words = sum(len(left) for left, _ in exact)
    return {"wer": round(decode.error_rate(pairs), 2),
            "wer_case_punctuation": round(100 * sum(decode.edits(a, b) for a, b in exact) / max(1, n_words), 2),
            "words": n_words, "clips": len(pairs)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="output folder of export.py")
    parser.add_argument("--held", required=True)
    parser.add_argument("--out", help="name of the result files without extension")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--limit", type=int, default=0, help="clips per set, 0 for all")
    arguments = parser.parse_args()
    clips, taken = [], collections.Counter()
    for clip in load_held(arguments.held):
        taken[clip[2]] += 1
        if not arguments.limit or taken[clip[2]] <= arguments.limit:
            clips.append(clip)
    if not clips:
        raise SystemExit(f"evaluate: no clips in {arguments.held}")
    text = Text(arguments.model)
    model = reference.load(arguments.model).to(arguments.device)
    raw = transcribe(model, text, [samples for samples, _, _ in clips], arguments.device, arguments.batch_size)
    by_set = collections.defaultdict(list)
    for (_, spoken, name), answer in zip(clips, raw):
        pair = (spoken, answer.split("<asr_text>", 1)[-1].strip())
        groups = [name, "all"] + [group for group in ("seen", "new") if name.startswith(group + "_")]
        for group in groups:
            by_set[group].append(pair)
    results = {name: rates(pairs) for name, pairs in sorted(by_set.items())}
    for name, row in results.items():
        print(f"{name:24} WER {row['wer']:6.2f} %  with case and punctuation {row['wer_case_punctuation']:6.2f} %  "
              f"{row['clips']} clips, {row['words']} words")
    if arguments.out:
        with open(f"{arguments.out}.json", "w") as file:
            json.dump(results, file, indent=2)
        with open(f"{arguments.out}.tsv", "w") as file:
            file.writelines(f"{name}\t{spoken}\t{answer}\n" for (_, spoken, name), answer in zip(clips, raw))


if __name__ == "__main__":
    main()
