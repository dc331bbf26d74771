"""Qwen3-ASR as a training model: parameter names and arithmetic of the official checkpoints, at the demo's size.

    waveform -> log-mel [128, T] -> audio tower (convolutions per 1 s chunk, attention per 8 s window) -> 13 tokens a second
    -> spliced into the prompt's embeddings -> decoder -> logits

Source: Qwen3ASR modelling code in Hugging Face transformers 5.17; check_parity.py compares the two.
"""
import math
from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F

from features import CHUNK_FRAMES, CHUNK_TOKENS, N_MELS

WINDOW_CHUNKS = 8  # n_window_infer / (2 * n_window): attention windows of 104 tokens


@dataclass(frozen=True)
class Config:
    d_model: int = 256
    encoder_heads: int = 4
    encoder_ffn: int = 1024
    encoder_layers: int = 8
    conv_channels: int = 96
    hidden: int = 256
    d_ff: int = 768
    decoder_layers: int = 6
    n_heads: int = 4
    n_kv_heads: int = 2
    head_dim: int = 64
    vocab: int = 1536
    rope_theta: float = 1e6
    rms_norm_eps: float = 1e-6


class RmsNorm(nn.Module):
    def __init__(self, width: int, eps: float):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(width)), eps

    def forward(self, x):
        y = x.float()
        y = y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + self.eps)
        return self.weight.to(x.dtype) * y.to(x.dtype)


class EncoderAttention(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.n_heads = c.encoder_heads
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            setattr(self, name, nn.Linear(c.d_model, c.d_model))

    def forward(self, x, bias):
        """x [windows, tokens, d_model]; bias [windows, 1, tokens, tokens] is -1e4 at padding keys."""
        windows, tokens, width = x.shape
        split = lambda y: y.view(windows, tokens, self.n_heads, -1).transpose(1, 2)
        y = F.scaled_dot_product_attention(split(self.q_proj(x)), split(self.k_proj(x)), split(self.v_proj(x)), attn_mask=bias)
        return self.out_proj(y.transpose(1, 2).reshape(windows, tokens, width))


class EncoderLayer(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.self_attn = EncoderAttention(c)
        self.self_attn_layer_norm, self.final_layer_norm = nn.LayerNorm(c.d_model), nn.LayerNorm(c.d_model)
        self.fc1, self.fc2 = nn.Linear(c.d_model, c.encoder_ffn), nn.Linear(c.encoder_ffn, c.d_model)

    def forward(self, x, bias, dropout: float):
        x = x + F.dropout(self.self_attn(self.self_attn_layer_norm(x), bias), dropout)
        return x + F.dropout(self.fc2(F.gelu(self.fc1(self.final_layer_norm(x)))), dropout)


class AudioTower(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        d, channels = c.d_model, c.conv_channels
        self.conv2d1 = nn.Conv2d(1, channels, 3, 2, 1)
        self.conv2d2 = nn.Conv2d(channels, channels, 3, 2, 1)
        self.conv2d3 = nn.Conv2d(channels, channels, 3, 2, 1)
        self.conv_out = nn.Linear(channels * N_MELS // 8, d, bias=False)
        self.layers = nn.ModuleList([EncoderLayer(c) for _ in range(c.encoder_layers)])
        self.ln_post = nn.LayerNorm(d)
        self.proj1, self.proj2 = nn.Linear(d, d), nn.Linear(d, c.hidden)
        rates = torch.exp(-math.log(10000) / (d // 2 - 1) * torch.arange(d // 2).float())
        angles = torch.arange(CHUNK_TOKENS)[:, None] * rates[None]
        self.register_buffer("positions", torch.cat([angles.sin(), angles.cos()], 1), persistent=False)

    def forward(self, mel, n_tokens, dropout: float = 0.0):
        """mel [batch, 128, 100 * chunks], chunks at most 8 or a multiple of 8, zero past each clip's end;
        n_tokens [batch] valid tokens -> [batch, 13 * chunks, hidden]."""
        batch, chunks = mel.shape[0], mel.shape[2] // CHUNK_FRAMES
        tokens = chunks * CHUNK_TOKENS
        x = mel.view(batch, N_MELS, chunks, CHUNK_FRAMES).transpose(1, 2).reshape(batch * chunks, N_MELS, CHUNK_FRAMES)
        x = F.gelu(self.conv2d1(x[:, None]))
        x = F.gelu(self.conv2d3(F.gelu(self.conv2d2(x))))  # [batch * chunks, channels, 16, 13]
        x = self.conv_out(x.permute(0, 3, 1, 2).flatten(2))
        x = (x + self.positions.to(x.dtype)).view(batch, tokens, -1)
        padding = torch.arange(tokens, device=x.device)[None] >= n_tokens[:, None]
        bias = torch.zeros(batch, tokens, device=x.device, dtype=x.dtype).masked_fill_(padding, -1e4)
        if chunks > WINDOW_CHUNKS:
            window = WINDOW_CHUNKS * CHUNK_TOKENS
            x, bias = x.reshape(-1, window, x.shape[-1]), bias.view(-1, window)
        bias = bias[:, None, None, :].expand(-1, 1, x.shape[1], -1)
        for layer in self.layers:
            x = layer(x, bias, dropout)
        return self.proj2(F.gelu(self.proj1(self.ln_post(x)))).view(batch, tokens, -1)


def rotate(x, cos, sin):
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat((-second, first), -1) * sin


class DecoderAttention(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.head_dim, self.repeat = c.head_dim, c.n_heads // c.n_kv_heads
        linear = lambda inputs, outputs: nn.Linear(inputs, outputs, bias=False)
        self.q_proj, self.o_proj = linear(c.hidden, c.n_heads * c.head_dim), linear(c.n_heads * c.head_dim, c.hidden)
        self.k_proj, self.v_proj = (linear(c.hidden, c.n_kv_heads * c.head_dim) for _ in range(2))
        self.q_norm, self.k_norm = RmsNorm(c.head_dim, c.rms_norm_eps), RmsNorm(c.head_dim, c.rms_norm_eps)

    def forward(self, x, cos, sin):
        batch, tokens, _ = x.shape
        split = lambda y: y.view(batch, tokens, -1, self.head_dim)
        q = rotate(self.q_norm(split(self.q_proj(x))).transpose(1, 2), cos, sin)
        k = rotate(self.k_norm(split(self.k_proj(x))).transpose(1, 2), cos, sin).repeat_interleave(self.repeat, 1)
        v = split(self.v_proj(x)).transpose(1, 2).repeat_interleave(self.repeat, 1)
        y = F.scaled_dot_product_attention(q.to(v.dtype), k.to(v.dtype), v, is_causal=True)
        return self.o_proj(y.transpose(1, 2).reshape(batch, tokens, -1))


class Mlp(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.gate_proj, self.up_proj = (nn.Linear(c.hidden, c.d_ff, bias=False) for _ in range(2))
        self.down_proj = nn.Linear(c.d_ff, c.hidden, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class DecoderLayer(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.self_attn, self.mlp = DecoderAttention(c), Mlp(c)
        self.input_layernorm = RmsNorm(c.hidden, c.rms_norm_eps)
        self.post_attention_layernorm = RmsNorm(c.hidden, c.rms_norm_eps)

    def forward(self, x, cos, sin, dropout: float):
        x = x + F.dropout(self.self_attn(self.input_layernorm(x), cos, sin), dropout)
        return x + F.dropout(self.mlp(self.post_attention_layernorm(x)), dropout)


class Decoder(nn.Module):
    MAX_TOKENS = 4096  # of the training model only: the rotary tables

    def __init__(self, c: Config):
        super().__init__()
        self.embed_tokens = nn.Embedding(c.vocab, c.hidden)
        self.layers = nn.ModuleList([DecoderLayer(c) for _ in range(c.decoder_layers)])
        self.norm = RmsNorm(c.hidden, c.rms_norm_eps)
        rates = c.rope_theta ** -(torch.arange(0, c.head_dim, 2).float() / c.head_dim)
        angles = torch.arange(self.MAX_TOKENS).float()[:, None] * rates[None]
        angles = torch.cat([angles, angles], 1)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, x, dropout: float):
        cos, sin = (table[:x.shape[1]].to(x.dtype) for table in (self.cos, self.sin))
        for layer in self.layers:
            x = layer(x, cos, sin, dropout)
        return self.norm(x)


class Thinker(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.audio_tower, self.model = AudioTower(c), Decoder(c)


class Qwen3Asr(nn.Module):
    def __init__(self, c: Config = Config()):
        super().__init__()
        self.config, self.thinker = c, Thinker(c)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif parameter.dim() == 2:
                std = 0.05 if "embed_tokens" in name else min(0.06, parameter.shape[1] ** -0.5)
                if name.endswith(("out_proj.weight", "fc2.weight")):
                    std /= math.sqrt(2 * c.encoder_layers)
                if name.endswith(("o_proj.weight", "down_proj.weight")):
                    std /= math.sqrt(2 * c.decoder_layers)
                nn.init.normal_(parameter, 0, std)

    def encode(self, mel, n_tokens, dropout: float = 0.0):
        return self.thinker.audio_tower(mel, n_tokens, dropout)

    def hidden(self, audio, ids, audio_index, dropout: float = 0.0):
        """audio [batch, tokens, hidden]; ids [batch, length]; audio_index [batch, length] flat row of audio, -1 for text."""
        embedded = self.thinker.model.embed_tokens(ids)
        spliced = audio.reshape(-1, audio.shape[-1])[audio_index.clamp_min(0)]
        x = torch.where((audio_index >= 0)[..., None], spliced.to(embedded.dtype), embedded)
        return self.thinker.model(x, dropout)

    def logits(self, hidden):
        """The output head is the embedding table (tied)."""
        return F.linear(hidden, self.thinker.model.embed_tokens.weight.to(hidden.dtype))


def to_transformers_name(name: str) -> str:
    """Official tensor name -> that of Qwen3ASRForConditionalGeneration in transformers."""
    for ours, theirs in (("thinker.audio_tower.proj1.", "model.multi_modal_projector.linear_1."),
                         ("thinker.audio_tower.proj2.", "model.multi_modal_projector.linear_2."),
                         ("thinker.audio_tower.", "model.audio_tower."), ("thinker.model.", "model.language_model.")):
        if name.startswith(ours):
            return theirs + name[len(ours):]
    raise ValueError(f"model: no transformers name for {name}")
