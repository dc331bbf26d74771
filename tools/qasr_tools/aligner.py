"""Running Qwen3ASRForTokenClassification, the forced aligner of transformers, as the official package feeds it.

    audio_start, audio_pad x n, audio_end, word 1, timestamp, timestamp, word 2, timestamp, timestamp, ...

The class of a slot is its time in steps of 80 ms; labels are not shifted. Batches are padded on the left.
"""

import numpy as np
import torch

from .configs import conv_out_length

SEGMENT_MS = 80


def n_audio_tokens(n_frames: int, n_window: int = 50) -> int:
    chunk = 2 * n_window
    return (n_frames // chunk) * conv_out_length(chunk) + conv_out_length(n_frames % chunk)


def input_ids(config: dict, n_tokens: int, words: list[list[int]]) -> list[int]:
    """`words` are the token ids of each word, tokenised on its own."""
    thinker, slot = config["thinker_config"], config["timestamp_token_id"]
    ids = [thinker["audio_start_token_id"]] + [thinker["audio_token_id"]] * n_tokens + [thinker["audio_end_token_id"]]
    for word in words:
        ids += [*word, slot, slot]
    return ids


def _batch(config: dict, mels: list[np.ndarray], ids: list[list[int]], chunk_frames: int, device) -> dict:
    frames = -(-max(mel.shape[1] for mel in mels) // chunk_frames) * chunk_frames
    length, pad = max(map(len, ids)), config["thinker_config"]["eos_token_id"][0]
    features = torch.zeros(len(mels), mels[0].shape[0], frames)
    mask, attention = torch.zeros(len(mels), frames, dtype=torch.long), torch.zeros(len(mels), length, dtype=torch.long)
    padded = torch.full((len(mels), length), pad)
    for row, (mel, sequence) in enumerate(zip(mels, ids)):
        features[row, :, :mel.shape[1]], mask[row, :mel.shape[1]] = torch.from_numpy(mel), 1
        padded[row, length - len(sequence):], attention[row, length - len(sequence):] = torch.tensor(sequence), 1
    return {name: value.to(device) for name, value in (("input_ids", padded), ("attention_mask", attention),
                                                       ("input_features", features), ("input_features_mask", mask))}


@torch.no_grad()
def slot_logits(config: dict, model, mels: list[np.ndarray], ids: list[list[int]]) -> list[torch.Tensor]:
    """One call of the class for the whole batch -> per item [n_slots, n_classes] f32 on the CPU."""
    chunk_frames = 2 * config["thinker_config"]["audio_config"]["n_window"]
    inputs = _batch(config, mels, ids, chunk_frames, model.device)
    logits = model(**inputs).logits.float().cpu()
    slots = inputs["input_ids"].cpu() == config["timestamp_token_id"]
    return [logits[row][slots[row]] for row in range(len(mels))]


def relative_error(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found.double() - expected.double()).norm() / expected.double().norm())


def single_and_batched(config: dict, model, mels: list[np.ndarray], ids: list[list[int]]) -> tuple[list[torch.Tensor], float]:
    """Logits of every item run alone, and the largest relative error of the left-padded batch against them."""
    alone = [slot_logits(config, model, [mel], [sequence])[0] for mel, sequence in zip(mels, ids)]
    batched = slot_logits(config, model, mels, ids)
    return alone, max(relative_error(found, expected) for found, expected in zip(batched, alone))


def classes_and_gaps(logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The best class of every slot and by how much its logit leads the second best."""
    values, classes = torch.topk(logits, 2)
    return classes[:, 0], values[:, 0] - values[:, 1]
