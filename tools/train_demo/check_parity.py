#!/usr/bin/env python3
"""Compares model.py with transformers' Qwen3ASRForConditionalGeneration on random weights, and the exported folder's
tokenizer and prompt with the official classes.

    check_parity.py --text TEXT

Exports a randomly initialised model to a temporary folder, loads it there, and fails if logits of any clip differ by more
than 1e-4 or a token sequence differs.
"""
import argparse
import tempfile

import numpy as np
import torch
from transformers import Qwen2Tokenizer, WhisperFeatureExtractor

import decode
import export
import reference
from features import Text, mel_filters, n_audio_tokens
from model import Config, Qwen3Asr

TOLERANCE = 1e-4
FRAMES = [64, 100, 257, 800, 1100]  # under one chunk, one chunk, ragged, one attention window, two windows


def export_random(text_folder: str, out: str) -> Qwen3Asr:
    """Weights around the initial ones, rounded to bf16, biases not zero."""
    torch.manual_seed(3)
    model = Qwen3Asr(Config()).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02).copy_(parameter.bfloat16().float())
    torch.save({"step": 0, "state": model.state_dict()}, f"{out}/ema.pt")
    export.export(f"{out}/ema.pt", text_folder, out)
    return model


@torch.no_grad()
def compare(model: Qwen3Asr, official, text: Text) -> float:
    worst = 0.0
    for n_frames in FRAMES:
        feature = torch.randn(128, n_frames) * 0.3
        n_tokens = n_audio_tokens(n_frames)
        prompt = text.prompt(n_tokens, "a few words") + text.languages["English"] + text.encode("Hello there.")
        inputs = reference.batch_inputs([feature], [prompt], text.pad)
        theirs = official(**inputs).logits[0]
        chunks = decode.padded_chunks(n_frames)
        mel = torch.zeros(1, 128, chunks * 100)
        mel[0, :, :n_frames] = feature
        audio = model.encode(mel, torch.tensor([n_tokens]))
        ids = torch.tensor([prompt])
        index = torch.full_like(ids, -1)
        index[0, prompt.index(text.audio):][:n_tokens] = torch.arange(n_tokens)
        ours = model.logits(model.hidden(audio, ids, index))[0]
        difference = float((ours - theirs).abs().max())
        print(f"{n_frames} frames: largest logit {float(theirs.abs().max()):.2f}, largest difference {difference:.1e}")
        worst = max(worst, difference)
    return worst


def check_text(folder: str, text: Text) -> int:
    """Sentences whose ids differ between our tokenizer and Qwen2Tokenizer over the exported files."""
    official = Qwen2Tokenizer.from_pretrained(folder)
    sentences = [line.rstrip("\n").split("\t")[1] for line in open(f"{text.folder}/held.tsv")]
    sentences += ["Don't stop, 3:45 PM & $20!\n\n  ok", text.decode(text.prompt(5, "some, words"))]
    return sum(official(sentence)["input_ids"] != text.encode(sentence) for sentence in sentences)


def check_features() -> float:
    """Largest difference of the log-mel against WhisperFeatureExtractor on noise with a quiet half."""
    samples = np.random.RandomState(0).randn(48000).astype(np.float32) * 0.1
    samples[24000:] *= 1e-3
    theirs = WhisperFeatureExtractor(feature_size=128)(samples, sampling_rate=16000, padding=True, truncation=False,
                                                       return_tensors="pt")["input_features"][0]
    return float((decode.clip_features(samples, mel_filters()) - theirs[:, :300]).abs().max())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", required=True, help="output folder of prepare_text.py")
    arguments = parser.parse_args()
    text = Text(arguments.text)
    with tempfile.TemporaryDirectory() as folder:
        model = export_random(arguments.text, folder)
        worst = compare(model, reference.load(folder), text)
        wrong = check_text(folder, text)
    features = check_features()
    print(f"logits {worst:.1e}, sentences tokenized differently {wrong}, log-mel {features:.1e}")
    if worst > TOLERANCE or wrong or features > TOLERANCE:
        raise SystemExit("check_parity: failed")


if __name__ == "__main__":
    main()
