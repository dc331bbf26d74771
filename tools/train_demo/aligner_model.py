"""The forced aligner as a training model: the demo recogniser's audio tower and decoder, and a classifier of its own.

    audio_start, audio_pad x n, audio_end, word 1, timestamp, timestamp, word 2, timestamp, timestamp, ...
    -> at every timestamp 5,000 classes of 80 ms; the first of a pair is the word's start, the second its end

The recogniser never needed to know how late in a recording something was said, so its decoder gets two layers in front
that tell every audio token its place (see `PositionLayers`). Everything is trained afterwards.

Source: Qwen3ASRForTokenClassification in Hugging Face transformers 5.17.
"""
import dataclasses
import glob
import math

import torch
import torch.nn as nn
from safetensors.torch import load_file

from features import CHUNK_TOKENS
from model import Config, Qwen3Asr

N_CLASSES, CLASS_S = 5000, 0.08
N_POSITION_LAYERS = 2
CONFIG = dataclasses.replace(Config(), decoder_layers=Config.decoder_layers + N_POSITION_LAYERS)
AUXILIARY_LAYER = N_POSITION_LAYERS + 2  # its output has to know an audio token's time while training
EARLY_LAYERS = (5, 6, 7)  # slots have to know their times after these too, so that the next layers can refine them


class Aligner(Qwen3Asr):
    def __init__(self):
        super().__init__(CONFIG)
        self.thinker.lm_head = nn.Linear(CONFIG.hidden, N_CLASSES, bias=False)
        nn.init.normal_(self.thinker.lm_head.weight, 0, 0.02)

    def hidden_states(self, audio, ids, audio_index, dropout: float = 0.0):
        """-> (hidden after AUXILIARY_LAYER, list of normalised hidden after EARLY_LAYERS, final hidden); arguments as
        Qwen3Asr.hidden."""
        decoder = self.thinker.model
        embedded = decoder.embed_tokens(ids)
        spliced = audio.reshape(-1, audio.shape[-1])[audio_index.clamp_min(0)]
        x = torch.where((audio_index >= 0)[..., None], spliced.to(embedded.dtype), embedded)
        cos, sin = (table[:x.shape[1]].to(x.dtype) for table in (decoder.cos, decoder.sin))
        middle, early = x, []
        for number, layer in enumerate(decoder.layers, 1):
            x = layer(x, cos, sin, dropout)
            middle = x if number == AUXILIARY_LAYER else middle
            early += [decoder.norm(x)] if self.training and number in EARLY_LAYERS else []
        return middle, early, decoder.norm(x)


def audio_token_times(n_tokens: int) -> list[float]:
    """In classes: the middle of what each audio token hears."""
    return [(token // CHUNK_TOKENS + 0.08 * (token % CHUNK_TOKENS) + 0.035) / CLASS_S for token in range(n_tokens)]


class PositionLayers:
    """Weights of the first two decoder layers by hand. A query that is the same for all audio tokens meets the key of
    <|audio_start|>: after rotation their product is cos(w p + phase) at audio token p. All other keys give a constant,
    so the share of attention that <|audio_start|> gets is a wave over p. Two phases of four frequencies, written to eight
    directions of the residual stream that neither the audio nor the words use, identify p up to 1,700 tokens. Words get a
    direction too: their queries would be zero otherwise, which normalisation does not survive."""
    PAIRS = (2, 6, 9, 13)  # rotary pairs; periods of 15, 84, 306 and 1,722 tokens
    CONSTANT_PAIR = 31  # turns by 0.002 rad over 1,700 tokens
    WAVE, FLOOR = 3.0, 5.5  # scores: +-WAVE for <|audio_start|>, -FLOOR for every other token
    SHARE = 0.35  # length of each written direction relative to an audio embedding

    def __init__(self, c: Config, audio: torch.Tensor, embeddings: torch.Tensor):
        """audio [n, hidden]: rows that the audio tower makes of speech; embeddings [vocab, hidden]."""
        self.c, self.length = c, float(audio.norm(dim=1).mean())
        rows = torch.cat([audio / audio.norm(dim=1, keepdim=True), embeddings / embeddings.norm(dim=1, keepdim=True)]).double()
        unused = torch.linalg.eigh(rows.T @ rows).eigenvectors.T.float()  # the least used directions first
        self.chosen = unused[:3 + 2 * len(self.PAIRS)]
        self.is_audio, self.is_start, self.is_word, self.waves = *self.chosen[:3], self.chosen[3:]

    def mark(self, state: dict, start_id: int):
        """Clears the chosen directions in all that is embedded, then gives audio tokens, <|audio_start|> and words one each."""
        cleared = torch.eye(self.c.hidden) - self.chosen.T @ self.chosen
        for name in ("proj2.weight", "proj2.bias"):
            state[f"thinker.audio_tower.{name}"] = cleared @ state[f"thinker.audio_tower.{name}"]
        words = state["thinker.model.embed_tokens.weight"] @ cleared
        words += self.SHARE * words.norm(dim=1, keepdim=True) * self.is_word
        words[start_id] += 2 * self.SHARE * self.length * self.is_start
        state["thinker.model.embed_tokens.weight"] = words
        state["thinker.audio_tower.proj2.bias"] += self.SHARE * self.length * self.is_audio

    def weights(self, layer: int) -> dict[str, torch.Tensor]:
        c, half = self.c, self.c.head_dim // 2
        scale = math.hypot(self.WAVE, self.FLOOR)
        query = torch.zeros(c.n_heads, c.head_dim, c.hidden)
        key, value = (torch.zeros(c.n_kv_heads, c.head_dim, c.hidden) for _ in range(2))
        out = torch.zeros(c.hidden, c.n_heads, c.head_dim)
        for group in range(c.n_kv_heads):
            pair = self.PAIRS[layer * c.n_kv_heads + group]
            key[group, pair] = self.is_start
            key[group, self.CONSTANT_PAIR] = -self.is_audio - self.is_word
            value[group, 0] = self.is_start / 8  # about 1 for <|audio_start|>
            for phase in range(2):
                head = group * (c.n_heads // c.n_kv_heads) + phase
                query[head, pair + half * phase] = self.WAVE * self.is_audio
                query[head, self.CONSTANT_PAIR] = self.FLOOR * (self.is_audio - self.is_word)
                out[:, head, 0] = self.SHARE * self.length * self.waves[2 * (layer * c.n_kv_heads + group) + phase]
        return {"self_attn.q_proj.weight": query.flatten(0, 1), "self_attn.k_proj.weight": key.flatten(0, 1),
                "self_attn.v_proj.weight": value.flatten(0, 1), "self_attn.o_proj.weight": out.flatten(1),
                "self_attn.q_norm.weight": torch.full((c.head_dim,), scale / math.sqrt(c.head_dim)),
                "self_attn.k_norm.weight": torch.ones(c.head_dim), "input_layernorm.weight": torch.ones(c.hidden),
                "post_attention_layernorm.weight": torch.ones(c.hidden),
                "mlp.gate_proj.weight": torch.randn(c.d_ff, c.hidden) / 16, "mlp.up_proj.weight": torch.randn(c.d_ff, c.hidden) / 16,
                "mlp.down_proj.weight": torch.zeros(c.hidden, c.d_ff)}


def read_recogniser(folder: str) -> dict[str, torch.Tensor]:
    state = {}
    for shard in glob.glob(f"{folder}/*.safetensors"):
        state |= {name: tensor.float() for name, tensor in load_file(shard).items()}
    return state


def start_from_recogniser(model: Aligner, recogniser: dict[str, torch.Tensor], audio: torch.Tensor, start_id: int):
    """Fills `model`. audio [n, hidden]: rows that the recogniser's audio tower makes of some speech."""
    torch.manual_seed(5)
    prefix, state = "thinker.model.layers.", {}
    for name, tensor in recogniser.items():
        if name.startswith(prefix):
            number, rest = name[len(prefix):].split(".", 1)
            name = f"{prefix}{int(number) + N_POSITION_LAYERS}.{rest}"
        state[name] = tensor.clone()
    position = PositionLayers(model.config, audio, recogniser["thinker.model.embed_tokens.weight"])
    position.mark(state, start_id)
    for layer in range(N_POSITION_LAYERS):
        state |= {f"{prefix}{layer}.{name}": tensor for name, tensor in position.weights(layer).items()}
    state["thinker.lm_head.weight"] = model.thinker.lm_head.weight.detach().cpu()
    model.load_state_dict(state)
