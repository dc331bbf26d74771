#!/usr/bin/env python3
"""Writes the model folder from a checkpoint of train.py: bf16 weights and configuration in the layout of the official
checkpoints (nested thinker_config, thinker.* tensor names, two shards with an index, vocab.json and merges.txt).

    export.py --checkpoint OUT/ckpt/ema.pt --text TEXT --out MODEL
    export.py --aligner ...         a checkpoint of train_aligner.py

Tensor names and configuration keys: Qwen3-ASR checkpoints as Qwen3ASR in Hugging Face transformers 5.17 reads them.
"""
import argparse
import json
import os
import shutil

import torch
from safetensors.torch import save_file

import aligner_model
from features import N_FFT, HOP, N_MELS, SAMPLE_RATE
from model import Config
from prepare_text import SPECIAL_TOKENS

MAX_SEGMENT_S = 29.5  # nothing longer was trained on
ALIGNER_MAX_SEGMENT_S = 40.0  # of the aligner; it loses words in recordings of a minute, though some examples were that long
# Written as the bytes they are in the chat template of the official processor.
CHAT_TEMPLATE = (
    "{% set ns = namespace(system_text='') %}{% for m in messages %}{% if m.role == 'system' %}"
    "{% if m.content is string %}{% set ns.system_text = ns.system_text + m.content %}{% else %}"
    "{% for c in m.content %}{% if c.type == 'text' %}{% set ns.system_text = ns.system_text + c.text %}{% endif %}"
    "{% endfor %}{% endif %}{% endif %}{% endfor %}<|im_start|>system\n{{ ns.system_text }}<|im_end|>\n"
    "<|im_start|>user\n<|audio_start|><|audio_pad|><|audio_end|><|im_end|>\n"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")


def audio_config(c: Config) -> dict:
    return {"activation_dropout": 0.0, "activation_function": "gelu", "attention_dropout": 0.0, "conv_chunksize": 500,
            "d_model": c.d_model, "downsample_hidden_size": c.conv_channels, "dropout": 0.0,
            "encoder_attention_heads": c.encoder_heads, "encoder_ffn_dim": c.encoder_ffn, "encoder_layers": c.encoder_layers,
            "initializer_range": 0.02, "max_source_positions": 1500, "model_type": "qwen3_asr_audio_encoder", "n_window": 50,
            "n_window_infer": 800, "num_hidden_layers": c.encoder_layers, "num_mel_bins": N_MELS, "output_dim": c.hidden,
            "scale_embedding": False}


def text_config(c: Config) -> dict:
    return {"attention_bias": False, "attention_dropout": 0.0, "head_dim": c.head_dim, "hidden_act": "silu",
            "hidden_size": c.hidden, "initializer_range": 0.02, "intermediate_size": c.d_ff, "max_position_embeddings": 65536,
            "model_type": "qwen3", "num_attention_heads": c.n_heads, "num_hidden_layers": c.decoder_layers,
            "num_key_value_heads": c.n_kv_heads, "rms_norm_eps": c.rms_norm_eps, "rope_scaling": None,
            "rope_theta": c.rope_theta, "tie_word_embeddings": True, "use_cache": True, "vocab_size": c.vocab}


def configurations(c: Config, ids: dict[str, int]) -> dict[str, dict]:
    """File name -> contents. `qasr_demo` and `qasr_max_segment_s` are hints for this engine; others ignore them."""
    stop = [ids["<|endoftext|>"], ids["<|im_end|>"]]
    thinker = {"audio_config": audio_config(c), "audio_end_token_id": ids["<|audio_end|>"],
               "audio_start_token_id": ids["<|audio_start|>"], "audio_token_id": ids["<|audio_pad|>"], "dtype": "bfloat16",
               "initializer_range": 0.02, "model_type": "qwen3_asr", "text_config": text_config(c)}
    added = {str(index): {"content": token, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False,
                          "special": token.startswith("<|")} for token, index in ids.items()}
    return {
        "config.json": {"architectures": ["Qwen3ASRForConditionalGeneration"], "model_type": "qwen3_asr", "qasr_demo": True,
                        "qasr_max_segment_s": MAX_SEGMENT_S, "support_languages": ["English"], "thinker_config": thinker},
        "generation_config.json": {"do_sample": False, "eos_token_id": stop, "pad_token_id": stop[0], "max_new_tokens": 512},
        "preprocessor_config.json": {
            "chunk_length": 30, "dither": 0.0, "feature_extractor_type": "WhisperFeatureExtractor", "feature_size": N_MELS,
            "hop_length": HOP, "n_fft": N_FFT, "n_samples": 30 * SAMPLE_RATE, "nb_max_frames": 3000, "padding_side": "right",
            "padding_value": 0.0, "processor_class": "Qwen3ASRProcessor", "return_attention_mask": True,
            "sampling_rate": SAMPLE_RATE},
        "tokenizer_config.json": {
            "add_prefix_space": False, "added_tokens_decoder": added,
            "additional_special_tokens": [token for token in SPECIAL_TOKENS if token.startswith("<|")],
            "audio_bos_token": "<|audio_start|>", "audio_eos_token": "<|audio_end|>", "audio_token": "<|audio_pad|>",
            "bos_token": None, "clean_up_tokenization_spaces": False, "eos_token": "<|im_end|>", "errors": "replace",
            "model_max_length": 131072, "pad_token": "<|endoftext|>", "split_special_tokens": False,
            "tokenizer_class": "Qwen2Tokenizer", "unk_token": None},
        "added_tokens.json": ids,
        "chat_template.json": {"chat_template": CHAT_TEMPLATE}}


def aligner_configurations(c: Config, ids: dict[str, int]) -> dict[str, dict]:
    """As the official forced aligner has them. No chat template: its input is audio, then words and slots."""
    files = configurations(c, ids)
    del files["chat_template.json"]
    root = files["config.json"]
    root |= {"qasr_max_segment_s": ALIGNER_MAX_SEGMENT_S, "timestamp_segment_time": round(1000 * aligner_model.CLASS_S),
             "timestamp_token_id": ids["<timestamp>"]}
    root["thinker_config"] |= {"classify_num": aligner_model.N_CLASSES, "model_type": "qwen3_forced_aligner"}
    root["thinker_config"]["text_config"]["tie_word_embeddings"] = False
    return files


def write_weights(state: dict[str, torch.Tensor], out: str):
    """Audio tower and decoder in a shard each. A recogniser's output head is the embedding table and not in `state`."""
    tensors = {name: tensor.to(torch.bfloat16).contiguous() for name, tensor in state.items()}
    shards = [{name: tensor for name, tensor in tensors.items() if name.startswith("thinker.audio_tower.") == is_audio}
              for is_audio in (True, False)]
    weight_map = {}
    for number, shard in enumerate(shards, 1):
        file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        save_file(shard, f"{out}/{file}", metadata={"format": "pt"})
        weight_map |= dict.fromkeys(shard, file)
    total = sum(2 * tensor.numel() for tensor in tensors.values())
    write_json(f"{out}/model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": weight_map})
    print(f"export: {len(tensors)} tensors, {total // 2} parameters, {total} bytes in {len(shards)} shards")


def write_json(path: str, value):
    with open(path, "w") as file:
        json.dump(value, file, indent=2, ensure_ascii=False)
        file.write("\n")


def export(checkpoint_path: str, text_folder: str, out: str, aligner: bool = False):
    os.makedirs(out, exist_ok=True)
    checkpoint = torch.load(checkpoint_path, map_location="cpu", weights_only=True)
    if not all(torch.isfinite(tensor).all() for tensor in checkpoint["state"].values()):
        raise SystemExit(f"export: {checkpoint_path} holds values that are not finite")
    write_weights(checkpoint["state"], out)
    ids = json.load(open(f"{text_folder}/added_tokens.json"))
    files = aligner_configurations(aligner_model.CONFIG, ids) if aligner else configurations(Config(), ids)
    for name, contents in files.items():
        write_json(f"{out}/{name}", contents)
    for name in ("vocab.json", "merges.txt"):
        shutil.copyfile(f"{text_folder}/{name}", f"{out}/{name}")
    print(f"export: step {checkpoint['step']} -> {out}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--text", required=True, help="output folder of prepare_text.py")
    parser.add_argument("--out", required=True)
    parser.add_argument("--aligner", action="store_true", help="the checkpoint is one of train_aligner.py")
    arguments = parser.parse_args()
    export(arguments.checkpoint, arguments.text, arguments.out, arguments.aligner)


if __name__ == "__main__":
    main()
