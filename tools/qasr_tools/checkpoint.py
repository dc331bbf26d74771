"""Checkpoints on disk and transformers models in memory, whatever names the tensors carry.

Official names ("thinker.*") are the ones used here; `to_transformers` maps one to what
Qwen3ASRForConditionalGeneration, or for forced aligners Qwen3ASRForTokenClassification, calls it.
"""

import json
from pathlib import Path

import torch
from safetensors import safe_open
from transformers import Qwen3ASRConfig, Qwen3ASRForConditionalGeneration, Qwen3ASRForTokenClassification
from transformers.initialization import no_init_weights

from . import synthetic
from .configs import SPIKY_SUFFIX, conv_out_length, expected_tensors, official_config

# Order matters: the projector lies inside the audio tower in the official names.
_PREFIXES = (("thinker.audio_tower.proj1.", "model.multi_modal_projector.linear_1."),
             ("thinker.audio_tower.proj2.", "model.multi_modal_projector.linear_2."),
             ("thinker.audio_tower.", "model.audio_tower."),
             ("thinker.model.", "model.language_model."),
             ("thinker.lm_head.", "score."))  # only a forced aligner has a head of its own


def to_transformers(name: str) -> str:
    for official, ours in _PREFIXES:
        if name.startswith(official):
            return ours + name[len(official):]
    raise ValueError(f"checkpoint: no transformers name for tensor {name}")


def to_official(name: str) -> str:
    for official, ours in _PREFIXES:
        if name.startswith(ours):
            return official + name[len(ours):]
    return name


def read_tensors(model_dir: Path) -> dict[str, torch.Tensor]:
    """All tensors of a directory as f32 under official names; a stored tied head is left out."""
    is_tied = "classify_num" not in read_config(model_dir)["thinker_config"]
    tensors: dict[str, torch.Tensor] = {}
    shards = sorted(Path(model_dir).glob("*.safetensors"))
    if not shards:
        raise FileNotFoundError(f"checkpoint: no *.safetensors in {model_dir}")
    for shard in shards:
        with safe_open(shard, framework="pt") as file:
            for name in file.keys():
                if not (is_tied and name.endswith("lm_head.weight")):
                    tensors[to_official(name)] = file.get_tensor(name).to(torch.float32)
    return tensors


def read_config(model_dir: Path) -> dict:
    """config.json with a `thinker_config`; a transformers layout is wrapped into one."""
    config = json.loads((Path(model_dir) / "config.json").read_text())
    if "thinker_config" not in config:
        config = {"thinker_config": config}
    generation = Path(model_dir) / "generation_config.json"
    if generation.exists():
        config["thinker_config"]["eos_token_id"] = json.loads(generation.read_text())["eos_token_id"]
    return config


def transformers_config(config: dict) -> Qwen3ASRConfig:
    thinker = config["thinker_config"]
    audio_keys = ("num_mel_bins", "encoder_layers", "encoder_attention_heads", "encoder_ffn_dim", "d_model",
                  "output_dim", "n_window", "n_window_infer", "downsample_hidden_size")
    text_keys = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
                 "num_key_value_heads", "head_dim", "rms_norm_eps", "max_position_embeddings")
    audio = {key: thinker["audio_config"][key] for key in audio_keys}
    audio["max_position_embeddings"] = conv_out_length(2 * audio["n_window"])
    text = {key: thinker["text_config"][key] for key in text_keys}
    text["rope_parameters"] = {"rope_type": "default", "rope_theta": float(thinker["text_config"]["rope_theta"])}
    is_aligner = "classify_num" in thinker
    text["tie_word_embeddings"] = not is_aligner
    more = {"num_labels": thinker["classify_num"], "timestamp_token_id": config["timestamp_token_id"]} if is_aligner else {}
    return Qwen3ASRConfig(audio_config=audio, text_config=text, audio_token_id=thinker["audio_token_id"],
                          eos_token_id=thinker["eos_token_id"], pad_token_id=thinker["eos_token_id"][0],
                          tie_word_embeddings=not is_aligner, **more)


def build_model(config: dict, tensors, device="cpu"):
    """An f32 transformers model that holds `tensors`, an iterable of (official name, f32 tensor), consumed lazily: a
    Qwen3ASRForConditionalGeneration, or a Qwen3ASRForTokenClassification where the configuration has classes."""
    is_aligner = "classify_num" in config["thinker_config"]
    kind = Qwen3ASRForTokenClassification if is_aligner else Qwen3ASRForConditionalGeneration
    with no_init_weights(), torch.device(device):
        model = kind._from_config(transformers_config(config), dtype=torch.float32, attn_implementation="sdpa")
    model.model.audio_tower.positional_embedding.positional_embedding.copy_(
        model.model.audio_tower.positional_embedding.compute_default_singular_positional_embedding())
    parameters = dict(model.named_parameters())
    missing = set(parameters) - {"lm_head.weight"}
    with torch.no_grad():
        for name, value in tensors:
            mapped = to_transformers(name)
            if parameters[mapped].shape != value.shape:
                raise ValueError(f"checkpoint: {name} has shape {list(value.shape)}, expected "
                                 f"{list(parameters[mapped].shape)}")
            parameters[mapped].copy_(value)
            missing.discard(mapped)
    if missing:
        raise ValueError(f"checkpoint: tensors missing: {sorted(missing)[:5]}")
    if not is_aligner:
        model.lm_head.weight = model.model.language_model.embed_tokens.weight
    return model.eval()


def load_model(model_dir: Path, device="cpu"):
    """(config, model) of a directory in either layout."""
    config = read_config(model_dir)
    return config, build_model(config, read_tensors(model_dir).items(), device)


def synthetic_tensors(name: str, seed: int, device="cpu"):
    for tensor_name, shape in expected_tensors(official_config(name)).items():
        if name == "miniature":
            yield tensor_name, synthetic.miniature_tensor(tensor_name, shape, seed, device)
        else:
            yield tensor_name, synthetic.tensor(tensor_name, shape, seed, device, name.endswith(SPIKY_SUFFIX))


def synthetic_model(name: str, seed: int, device="cpu"):
    """(config, model) of a named configuration filled by the synthetic rule."""
    config = official_config(name)
    return config, build_model(config, synthetic_tensors(name, seed, device), device)
