"""Configurations of the models that goldens are made of, and the tensors each needs.

`official_config(name)` is a config.json in the official layout (thinker_config, audio_config, text_config).
"""

# name: (n_mels, conv channels, d_model, heads, layers, ffn, output_dim, n_window, n_window_infer), then
#       (hidden, heads, kv heads, head_dim, layers, d_ff, vocab)
_SIZES = {
    "tiny_a": ((128, 12, 48, 3, 2, 80, 40, 50, 800), (40, 4, 2, 16, 3, 72, 1543)),
    "tiny_b": ((128, 7, 66, 3, 3, 130, 52, 50, 800), (52, 6, 2, 10, 2, 90, 1601)),
    "tiny_c": ((80, 20, 56, 7, 1, 33, 24, 50, 400), (24, 3, 1, 32, 2, 47, 1537)),
    "tiny_d": ((128, 9, 100, 5, 2, 144, 104, 25, 400), (104, 5, 5, 8, 4, 200, 2000)),
    "tiny_e": ((80, 25, 226, 2, 2, 353, 225, 50, 800), (225, 6, 3, 22, 3, 353, 1567)),
    "tiny_q": ((128, 8, 32, 1, 1, 64, 64, 50, 800), (64, 2, 1, 32, 1, 64, 288)),
    "miniature": ((128, 8, 128, 2, 2, 192, 96, 50, 800), (96, 4, 2, 32, 2, 160, 64)),
    "qwen3-asr-0.6b": ((128, 480, 896, 14, 18, 3584, 1024, 50, 800), (1024, 16, 8, 128, 28, 3072, 151936)),
    "qwen3-asr-1.7b": ((128, 480, 1024, 16, 24, 4096, 2048, 50, 800), (2048, 16, 8, 128, 28, 6144, 151936)),
    "tiny_aligner_a": ((128, 12, 48, 3, 2, 80, 40, 50, 800), (40, 4, 2, 16, 3, 72, 1543)),
    "tiny_aligner_b": ((80, 20, 56, 7, 1, 33, 24, 50, 400), (24, 3, 1, 32, 2, 47, 1537)),
    "tiny_aligner_c": ((128, 25, 226, 2, 2, 353, 225, 50, 800), (225, 6, 3, 22, 3, 353, 1567)),
    "qwen3-forced-aligner-0.6b": ((128, 480, 1024, 16, 24, 4096, 1024, 50, 800), (1024, 16, 8, 128, 28, 3072, 152064)),
}
_CLASSES = {"tiny_aligner_a": 61, "tiny_aligner_b": 375, "tiny_aligner_c": 130, "qwen3-forced-aligner-0.6b": 5000}
TINY = ("tiny_a", "tiny_b", "tiny_c", "tiny_d", "tiny_e-spiky")
TINY_ALIGNERS = ("tiny_aligner_a", "tiny_aligner_b", "tiny_aligner_c-spiky")
# audio_token_id, eos_token_id
_IDS = {"tiny_q": (277, [272, 274]), "miniature": (63, [62]), "qwen3-asr-0.6b": (151676, [151643, 151645]),
        "qwen3-asr-1.7b": (151676, [151643, 151645]), "qwen3-forced-aligner-0.6b": (151676, [151643, 151645])}
_TINY_IDS = (1533, [1528, 1530])
# audio_start, audio_end, timestamp of forced aligners
_ALIGNER_IDS = {"qwen3-forced-aligner-0.6b": (151669, 151670, 151705)}
_TINY_ALIGNER_IDS = (1531, 1532, 1535)
SPIKY_SUFFIX = "-spiky"  # the same sizes with the weights of the spiky rule


def conv_out_length(length: int, n_convs: int = 3) -> int:
    for _ in range(n_convs):
        length = (length - 1) // 2 + 1 if length > 0 else 0
    return length


def official_config(name: str) -> dict:
    name = name.removesuffix(SPIKY_SUFFIX)
    audio, text = _SIZES[name]
    audio_token_id, eos = _IDS.get(name, _TINY_IDS)
    audio_keys = ("num_mel_bins", "downsample_hidden_size", "d_model", "encoder_attention_heads", "encoder_layers",
                  "encoder_ffn_dim", "output_dim", "n_window", "n_window_infer")
    text_keys = ("hidden_size", "num_attention_heads", "num_key_value_heads", "head_dim", "num_hidden_layers",
                 "intermediate_size", "vocab_size")
    audio_config = dict(zip(audio_keys, audio)) | {
        "activation_function": "gelu", "conv_chunksize": 500, "max_source_positions": 1500,
        "model_type": "qwen3_asr_audio_encoder", "scale_embedding": False}
    text_config = dict(zip(text_keys, text)) | {
        "hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_theta": 1000000.0, "max_position_embeddings": 65536,
        "attention_bias": False, "tie_word_embeddings": name not in _CLASSES, "model_type": "qwen3"}
    config = {"architectures": ["Qwen3ASRForConditionalGeneration"], "model_type": "qwen3_asr",
            "thinker_config": {"model_type": "qwen3_asr_thinker", "dtype": "bfloat16",
                               "audio_token_id": audio_token_id, "eos_token_id": eos,
                               "audio_config": audio_config, "text_config": text_config}}
    if name in _CLASSES:
        start, end, timestamp = _ALIGNER_IDS.get(name, _TINY_ALIGNER_IDS)
        config |= {"timestamp_token_id": timestamp, "timestamp_segment_time": 80}
        config["thinker_config"] |= {"model_type": "qwen3_forced_aligner", "classify_num": _CLASSES[name],
                                     "audio_start_token_id": start, "audio_end_token_id": end}
    return config


def expected_tensors(config: dict) -> dict[str, tuple[int, ...]]:
    """Official full names -> shapes; a recogniser's head is tied and absent, an aligner's classifier is there."""
    thinker = config["thinker_config"]
    shapes = _encoder_tensors(thinker["audio_config"]) | _decoder_tensors(thinker["text_config"])
    if "classify_num" in thinker:
        shapes["thinker.lm_head.weight"] = (thinker["classify_num"], thinker["text_config"]["hidden_size"])
    return shapes


def _encoder_tensors(audio: dict) -> dict[str, tuple[int, ...]]:
    prefix, width, channels = "thinker.audio_tower.", audio["d_model"], audio["downsample_hidden_size"]
    shapes: dict[str, tuple[int, ...]] = {}
    for conv in (1, 2, 3):
        shapes[f"{prefix}conv2d{conv}.weight"] = (channels, 1 if conv == 1 else channels, 3, 3)
        shapes[f"{prefix}conv2d{conv}.bias"] = (channels,)
    shapes[f"{prefix}conv_out.weight"] = (width, channels * conv_out_length(audio["num_mel_bins"]))

    def vector_pair(name, size):
        shapes[f"{prefix}{name}.weight"], shapes[f"{prefix}{name}.bias"] = (size,), (size,)

    def linear(name, outputs, inputs):
        shapes[f"{prefix}{name}.weight"], shapes[f"{prefix}{name}.bias"] = (outputs, inputs), (outputs,)

    for layer in range(audio["encoder_layers"]):
        base = f"layers.{layer}."
        vector_pair(base + "self_attn_layer_norm", width)
        for projection in ("q_proj", "k_proj", "v_proj", "out_proj"):
            linear(f"{base}self_attn.{projection}", width, width)
        vector_pair(base + "final_layer_norm", width)
        linear(base + "fc1", audio["encoder_ffn_dim"], width)
        linear(base + "fc2", width, audio["encoder_ffn_dim"])
    vector_pair("ln_post", width)
    linear("proj1", width, width)
    linear("proj2", audio["output_dim"], width)
    return shapes


def _decoder_tensors(text: dict) -> dict[str, tuple[int, ...]]:
    hidden, head_dim, d_ff = text["hidden_size"], text["head_dim"], text["intermediate_size"]
    q_rows, kv_rows = text["num_attention_heads"] * head_dim, text["num_key_value_heads"] * head_dim
    shapes: dict[str, tuple[int, ...]] = {"thinker.model.embed_tokens.weight": (text["vocab_size"], hidden)}
    for layer in range(text["num_hidden_layers"]):
        base = f"thinker.model.layers.{layer}."
        shapes |= {
            base + "input_layernorm.weight": (hidden,),
            base + "self_attn.q_proj.weight": (q_rows, hidden),
            base + "self_attn.k_proj.weight": (kv_rows, hidden),
            base + "self_attn.v_proj.weight": (kv_rows, hidden),
            base + "self_attn.q_norm.weight": (head_dim,),
            base + "self_attn.k_norm.weight": (head_dim,),
            base + "self_attn.o_proj.weight": (hidden, q_rows),
            base + "post_attention_layernorm.weight": (hidden,),
            base + "mlp.gate_proj.weight": (d_ff, hidden),
            base + "mlp.up_proj.weight": (d_ff, hidden),
            base + "mlp.down_proj.weight": (hidden, d_ff),
        }
    shapes["thinker.model.norm.weight"] = (hidden,)
    return shapes
