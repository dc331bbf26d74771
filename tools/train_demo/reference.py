"""The exported folder in transformers' Qwen3ASRForConditionalGeneration, which reads the other (flattened) layout: names and
configuration are mapped in memory."""
import glob
import json

import torch
from safetensors.torch import load_file
from transformers import Qwen3ASRConfig, Qwen3ASRForConditionalGeneration

from model import to_transformers_name


def load(folder: str) -> Qwen3ASRForConditionalGeneration:
    """f32, evaluation mode. Fails unless every tensor finds its place and none is missing but the tied head."""
    config = json.load(open(f"{folder}/config.json"))["thinker_config"]
    audio, text = dict(config["audio_config"]), dict(config["text_config"])
    audio["model_type"] = "qwen3_asr_encoder"
    generation = json.load(open(f"{folder}/generation_config.json"))
    model = Qwen3ASRForConditionalGeneration(Qwen3ASRConfig(
        audio_config=audio, text_config=text, audio_token_id=config["audio_token_id"], eos_token_id=generation["eos_token_id"],
        pad_token_id=generation["pad_token_id"], tie_word_embeddings=True))
    state = {}
    for shard in sorted(glob.glob(f"{folder}/*.safetensors")):
        state |= {to_transformers_name(name): tensor.float() for name, tensor in load_file(shard).items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    if set(missing) - {"lm_head.weight"} or unexpected:
        raise SystemExit(f"reference: {folder}: missing {missing}, unexpected {unexpected}")
    model.tie_weights()
    return model.float().eval()


def batch_inputs(features: list[torch.Tensor], prompts: list[list[int]], pad: int) -> dict[str, torch.Tensor]:
    """features [128, frames] each. Prompts are padded on the left, features with zeros to whole 100-frame chunks."""
    frames = -(-max(feature.shape[1] for feature in features) // 100) * 100
    inputs = torch.zeros(len(features), features[0].shape[0], frames)
    mask = torch.zeros(len(features), frames, dtype=torch.long)
    length = max(map(len, prompts))
    ids = torch.full((len(prompts), length), pad)
    attention = torch.zeros_like(ids)
    for row, (feature, prompt) in enumerate(zip(features, prompts)):
        inputs[row, :, :feature.shape[1]] = feature
        mask[row, :feature.shape[1]] = 1
        ids[row, length - len(prompt):] = torch.tensor(prompt)
        attention[row, length - len(prompt):] = 1
    return {"input_ids": ids, "attention_mask": attention, "input_features": inputs, "input_features_mask": mask}
