#!/usr/bin/env python3
"""Times the reference implementation, Qwen3ASRForConditionalGeneration of Hugging Face transformers, on one GPU in bf16: the
synthetic checkpoint, clips of noise, forced numbers of tokens. What bench/gpu/bars.py compares gpu_bench with.

    tools/time_transformers.py --model qwen3-asr-0.6b --batch 128 --audio-s 30 [--runs 3]

Prints a line of JSON per batch size: audio seconds per second from log-mel values that are on the GPU already, from samples through
the reference's feature extractor computed on the GPU, and from samples with the extractor as it runs unless told otherwise, on the
CPU, after which its values are copied to the GPU.
"""

import argparse
import json
import statistics
import sys
import time

import numpy as np
import torch
import transformers
from transformers.models.qwen3_asr.feature_extraction_qwen3_asr import Qwen3ASRFeatureExtractor

sys.path.insert(0, __file__.rsplit("/", 1)[0])
from qasr_tools import checkpoint  # noqa: E402
from qasr_tools.configs import conv_out_length  # noqa: E402

TOKENS_PER_SECOND, PROMPT_TOKENS, TOKENS_BEFORE_AUDIO = 3.5, 15, 9  # as bench/gpu/workload.h
FRAMES_PER_SECOND = 100


def make_inputs(model, config, batch, audio_s):
    """What the processor would give for `batch` clips of the same length."""
    audio = config["thinker_config"]["audio_config"]
    n_frames, chunk = int(audio_s * FRAMES_PER_SECOND), 2 * audio["n_window"]
    n_audio = n_frames // chunk * conv_out_length(chunk) + conv_out_length(n_frames % chunk)
    padded = -(-n_frames // chunk) * chunk
    features = torch.randn(batch, audio["num_mel_bins"], padded, device=model.device, dtype=model.dtype) * 0.5
    mask = torch.zeros(batch, padded, dtype=torch.long, device=model.device)
    mask[:, :n_frames] = 1
    ids = torch.full((batch, PROMPT_TOKENS + n_audio), model.config.audio_token_id, device=model.device)
    for i in range(PROMPT_TOKENS):
        ids[:, i if i < TOKENS_BEFORE_AUDIO else i + n_audio] = 100 + i
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "input_features": features,
            "input_features_mask": mask}


@torch.inference_mode()
def timed_run(model, inputs, n_tokens):
    torch.cuda.synchronize()
    start = time.perf_counter()
    out = model.generate(**inputs, do_sample=False, min_new_tokens=n_tokens, max_new_tokens=n_tokens)
    torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    if out.shape[1] - inputs["input_ids"].shape[1] != n_tokens:
        raise RuntimeError(f"generate: {out.shape[1] - inputs['input_ids'].shape[1]} tokens, expected {n_tokens}")
    return seconds


@torch.inference_mode()
def timed_encoder(model, inputs):
    torch.cuda.synchronize()
    start = time.perf_counter()
    model.get_audio_features(inputs["input_features"], inputs["input_features_mask"])
    torch.cuda.synchronize()
    return time.perf_counter() - start


def timed_features(batch, audio_s, device, gpu):
    """The reference's feature extractor, computed on `device`, over noise in host memory, until its values are on the GPU."""
    samples = [np.random.default_rng(i).uniform(-0.1, 0.1, int(audio_s * 16000)).astype(np.float32) for i in range(batch)]
    extractor = Qwen3ASRFeatureExtractor()

    def once():
        torch.cuda.synchronize()
        start = time.perf_counter()
        extractor(samples, sampling_rate=16000, padding="longest", truncation=False, return_tensors="pt",
                  device=device)["input_features"].to(gpu, torch.bfloat16)
        torch.cuda.synchronize()
        return time.perf_counter() - start

    once()
    return min(once() for _ in range(2))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="qwen3-asr-0.6b")
    parser.add_argument("--batch", type=int, nargs="+", default=[128])
    parser.add_argument("--audio-s", type=float, default=30)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--device", default="cuda:0")
    arguments = parser.parse_args()
    config, model = checkpoint.synthetic_model(arguments.model, 0, arguments.device)
    model = model.to(torch.bfloat16)
    n_tokens = int(arguments.audio_s * TOKENS_PER_SECOND)
    for batch in arguments.batch:
        inputs = make_inputs(model, config, batch, arguments.audio_s)
        timed_run(model, inputs, n_tokens)  # warm-up
        timed_encoder(model, inputs)
        times = [timed_run(model, inputs, n_tokens) for _ in range(arguments.runs)]
        encoder = statistics.median(timed_encoder(model, inputs) for _ in range(arguments.runs))
        seconds = statistics.median(times)
        features_s, cpu_features_s = (timed_features(batch, arguments.audio_s, device, arguments.device)
                                      for device in (arguments.device, "cpu"))
        print(json.dumps({"model": arguments.model, "batch": batch, "audio_s": arguments.audio_s, "tokens": n_tokens,
                          "seconds": seconds, "encoder_s": encoder, "features_s": features_s, "cpu_features_s": cpu_features_s,
                          "audio_s_per_s": batch * arguments.audio_s / seconds,
                          "audio_s_per_s_from_samples": batch * arguments.audio_s / (seconds + features_s),
                          "audio_s_per_s_by_default": batch * arguments.audio_s / (seconds + cpu_features_s),
                          "cpu_threads": torch.get_num_threads(),
                          "transformers": transformers.__version__, "torch": torch.__version__,
                          "attention": model.config._attn_implementation,
                          "gpu": torch.cuda.get_device_name(arguments.device)}), flush=True)


if __name__ == "__main__":
    main()
