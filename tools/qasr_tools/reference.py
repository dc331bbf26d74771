"""Running Qwen3ASRForConditionalGeneration: encoder stages, logits and greedy search with the margin of every choice.

transformers attends within windows whatever the attention implementation: with sdpa and eager it splits queries, keys
and values at `cu_seqlens`. Its token count assumes 13 tokens per chunk, which holds for n_window = 50 only, so the
boundaries are computed here and handed over.
"""

import numpy as np
import torch

from .configs import conv_out_length
from .features import encoder_input


def window_boundaries(n_frames: int, audio_config) -> torch.Tensor:
    """Cumulative token counts of the attention windows, int32."""
    chunk_frames = 2 * audio_config.n_window
    n_tokens = (n_frames // chunk_frames) * conv_out_length(chunk_frames) + conv_out_length(n_frames % chunk_frames)
    window = conv_out_length(min(chunk_frames, n_frames)) * (audio_config.n_window_infer // chunk_frames)
    bounds = list(range(0, n_tokens, window)) + [n_tokens]
    return torch.tensor(bounds, dtype=torch.int32)


@torch.no_grad()
def encoder_stages(model, mel: np.ndarray) -> dict[str, torch.Tensor]:
    """On the CPU: stem (packed conv_out + positions), first_layer, last_layer, ln_post, output (projector)."""
    tower, device = model.model.audio_tower, model.device
    features, mask = encoder_input(mel, 2 * tower.n_window, device)
    stages: dict[str, torch.Tensor] = {}

    def keep(stage, tensor):
        stages[stage] = tensor.detach().clone().cpu()

    hooks = [tower.layers[0].register_forward_pre_hook(lambda _, args: keep("stem", args[0])),
             tower.layers[0].register_forward_hook(lambda _, __, out: keep("first_layer", out[0])),
             tower.layers[-1].register_forward_hook(lambda _, __, out: keep("last_layer", out[0]))]
    try:
        output = model.get_audio_features(features, mask,
                                          cu_seqlens=window_boundaries(mel.shape[1], tower.config).to(device))
    finally:
        for hook in hooks:
            hook.remove()
    stages["ln_post"] = output.last_hidden_state.cpu()
    stages["output"] = output.pooler_output.cpu()
    return stages


@torch.no_grad()
def prompt_embeddings(model, ids: list[int], audio: torch.Tensor | None) -> torch.Tensor:
    """[1, n_tokens, hidden]: embeddings of `ids` with the placeholders replaced, in order, by the rows of `audio`."""
    id_tensor = torch.tensor([ids], device=model.device)
    embeddings = model.get_input_embeddings()(id_tensor)
    slots = id_tensor[0] == model.config.audio_token_id
    n_rows = 0 if audio is None else audio.shape[0]
    if int(slots.sum()) != n_rows:
        raise ValueError(f"prompt: {int(slots.sum())} placeholders for {n_rows} audio rows")
    if audio is not None:
        embeddings[0, slots] = audio.to(model.device)
    return embeddings


@torch.no_grad()
def greedy(model, ids: list[int], audio: torch.Tensor | None, max_tokens: int, eos: tuple[int, ...] = ()) -> dict:
    """Prefill, then greedy decode steps with a KV cache.

    prompt_logits [n_tokens, vocab] (only the last row for vocabularies over 10,000), ids (end token included),
    gaps (top-1 minus top-2 of each choice), last_logits: the logits the last id was chosen from.
    """
    keep = 1 if model.config.text_config.vocab_size > 10000 else 0
    out = model(inputs_embeds=prompt_embeddings(model, ids, audio), use_cache=True, logits_to_keep=keep)
    prompt_logits, logits = out.logits[0].float().cpu(), out.logits[0, -1].float().cpu()
    generated, gaps = [], []
    while True:
        top = torch.topk(logits, 2).values
        generated.append(int(torch.argmax(logits)))
        gaps.append(float(top[0] - top[1]))
        if len(generated) == max_tokens or generated[-1] in eos:
            break
        out = model(input_ids=torch.tensor([[generated[-1]]], device=model.device),
                    past_key_values=out.past_key_values, use_cache=True)
        logits = out.logits[0, -1].float().cpu()
    return {"prompt_logits": prompt_logits, "ids": generated, "gaps": gaps, "last_logits": logits}
