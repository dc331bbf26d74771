"""Training batches of the forced aligner: joined clips, their words in isolation with two slots each, and the times of
those slots in steps of 80 ms.

Some words are wrong on purpose: texts that people align have words too many and too few. Slots of words that were not
spoken have no label, and where the whole text is another one, every class inside the recording is equally right.
"""
import json
import random
import time

import numpy as np
import torch

from aligner_model import CLASS_S, audio_token_times
from aligner_words import aligner_words
from batches import Bucket, Sampler
from features import CHUNK_FRAMES, CHUNK_TOKENS, HOP, SAMPLE_RATE, n_audio_tokens

BUCKETS = [Bucket(0.5, 2, 2, 0.05), Bucket(2, 4, 4, 0.08), Bucket(4, 8, 8, 0.17), Bucket(8, 16, 16, 0.27),
           Bucket(16, 32, 32, 0.30), Bucket(32, 64, 64, 0.11), Bucket(64, 120, 120, 0.02)]
MAX_JOINED = 40
P_OTHER_TEXT, P_FAULTY, P_DROP, P_INSERT, P_LOWER_CASE = 0.03, 0.15, 0.06, 0.06, 0.15
MAX_BATCH = 320


class AlignerSampler(Sampler):
    def __init__(self, text_folder: str, manifest: str, batch_seconds: float, seed: int):
        super().__init__(text_folder, manifest, batch_seconds, seed)
        self.clip_words, self.clip_times, self.word_ids, self.n_timed = [], [], {}, 0
        special = self.text.special
        self.begin, self.after, self.slot = special["<|audio_start|>"], special["<|audio_end|>"], special["<timestamp>"]

    def refresh(self):
        super().refresh()
        lines = open(self.manifest).read().splitlines()[:self.n_shards]
        for line in lines[self.n_timed:]:
            shard = json.load(open(line.split("\t")[0]))
            self.clip_words += [aligner_words(text) for text in shard["texts"]]
            self.clip_times += [np.array(times, np.float64) for times in shard["times"]]
        self.n_timed = len(lines)

    def ids_of(self, word: str) -> list[int]:
        if word not in self.word_ids:
            self.word_ids[word] = self.text.encode(word)
        return self.word_ids[word]

    def place(self, target: float, bucket: Bucket) -> list[tuple[int, int, int, float]]:
        """As place_speech: (clip, start, length after the speed change, speed), but with longer silences."""
        rng, limit = self.rng, int(bucket.hi_s * SAMPLE_RATE)
        lead = rng.choice([0, 0, 1600, rng.uniform(0, 8000), rng.uniform(0, 20000), rng.uniform(0, 100000)])
        cursor, placed = int(min(lead, target * 0.4)), []
        one_speed = self.speed() if rng.random() < 0.6 else None
        alone = bucket.hi_s <= 8 and rng.random() < 0.6
        while len(placed) < (1 if alone else MAX_JOINED):
            left = target - cursor
            if left < 6000:
                break
            clip = self.clip_between(left * (0.6 if alone else 0.15 if bucket.hi_s <= 16 else 0.0), left)
            clip = self.clip_between(0, left) if clip is None else clip
            if clip is None:
                break
            speed = one_speed or self.speed()
            length = int(self.lengths[clip] / speed)
            if cursor + length > limit:
                break
            placed.append((clip, cursor, length, speed))
            gaps = [rng.uniform(0, 1500), rng.uniform(0, 6000), rng.uniform(2000, 12000), rng.uniform(8000, 24000)]
            cursor += length + int(rng.uniform(16000, 80000) if rng.random() < 0.04 else rng.choice(gaps))
        return placed

    def spoken_words(self, placed: list) -> list[tuple[str, float, float]]:
        """(word, start, end) in classes; NaN where unknown."""
        words, lower = [], self.rng.random() < P_LOWER_CASE
        for clip, start, _, speed in placed:
            times = (self.clip_times[clip] / speed + start / SAMPLE_RATE) / CLASS_S
            words += [(word.lower() if lower else word, *span) for word, span in zip(self.clip_words[clip], times) if word]
        if self.rng.random() >= P_FAULTY:
            return words
        faulty = []
        for word in words:
            if self.rng.random() < P_INSERT:
                other = self.rng.choice(self.clip_words[self.rng.randrange(len(self.clip_words))]) or "a"
                faulty.append((other, np.nan, np.nan))
            if self.rng.random() >= P_DROP:
                faulty.append(word)
        return faulty or words

    def sequence(self, placed: list, n_tokens: int) -> tuple[list[int], list[int], list[float]]:
        """(ids, places of the slots, their times)"""
        ids = [self.begin] + [self.text.audio] * n_tokens + [self.after]
        at, times = [], []
        for word, start, end in self.spoken_words(placed):
            ids += self.ids_of(word) + [self.slot, self.slot]
            at += [len(ids) - 2, len(ids) - 1]
            times += [start, end]
        return ids, at, times

    def batch(self, progress: float) -> dict:
        rng = self.rng
        longest = 16 if progress < 0.04 else 32 if progress < 0.10 else 1000
        buckets = [bucket for bucket in BUCKETS if bucket.hi_s <= longest]
        bucket = rng.choices(buckets, [b.weight for b in buckets])[0]
        part = 0.5 if progress < 0.10 else 1.0
        size = int(min(MAX_BATCH, max(3, self.batch_seconds * part / bucket.hi_s)))
        examples = []
        while len(examples) < size:
            placed = self.place(rng.uniform(bucket.lo_s, bucket.hi_s) * SAMPLE_RATE, bucket)
            if not placed:
                continue
            end = placed[-1][1] + placed[-1][2] + int(rng.uniform(0, 16000) * (rng.random() < 0.7))
            examples.append((placed, min(max(end, 4000), int(bucket.hi_s * SAMPLE_RATE))))
        return self.collate(examples, bucket)

    def collate(self, examples: list, bucket: Bucket) -> dict:
        """source, target, length, speed [pieces] and n_samples, n_tokens [batch], ids, audio_index [batch, length] as in
        Sampler.collate; slot_at, slot_times: flat places and times (in classes) of labelled slots; other_at, other_n: slots of
        texts that were not spoken and how many classes the recording has; audio_at, audio_times: some audio tokens."""
        rng, pieces, rows = self.rng, [], []
        for row, (placed, n_samples) in enumerate(examples):
            base = row * bucket.chunks * CHUNK_FRAMES * HOP
            pieces += [(self.offsets[clip], base + start, length, speed) for clip, start, length, speed in placed]
            n_tokens, is_other = n_audio_tokens(n_samples // HOP), rng.random() < P_OTHER_TEXT
            spoken = [(rng.randrange(len(self.lengths)), 0, 0, 1.0) for _ in placed] if is_other else placed
            rows.append((*self.sequence(spoken, n_tokens), n_tokens, is_other))
        width = -(-max(len(ids) for ids, *_ in rows) // 8) * 8
        ids = np.full((len(rows), width), self.text.pad, np.int64)
        audio_index = np.full((len(rows), width), -1, np.int64)
        arrays = {name: [] for name in ("slot_at", "slot_times", "other_at", "other_n", "audio_at", "audio_times")}
        for row, (sequence, at, times, n_tokens, is_other) in enumerate(rows):
            ids[row, :len(sequence)] = sequence
            audio_index[row, 1:1 + n_tokens] = row * bucket.chunks * CHUNK_TOKENS + np.arange(n_tokens)
            flat, times = row * width + np.array(at, np.int64), np.array(times)
            if is_other:
                arrays["other_at"].append(flat)
                arrays["other_n"].append(np.full(len(flat), int(np.ceil(n_tokens / CHUNK_TOKENS / CLASS_S)) + 1))
            else:
                known = ~np.isnan(times)
                arrays["slot_at"].append(flat[known])
                arrays["slot_times"].append(times[known])
            chosen = np.array(sorted(rng.sample(range(n_tokens), max(1, n_tokens // 4))))
            arrays["audio_at"].append(row * width + 1 + chosen)
            arrays["audio_times"].append(np.array(audio_token_times(n_tokens))[chosen])
        columns, n_samples = list(zip(*pieces)), np.array([n for _, n in examples])
        joined = {name: np.concatenate(parts or [np.zeros(0)]) for name, parts in arrays.items()}
        return {"source": np.array(columns[0], np.int64), "target": np.array(columns[1], np.int64),
                "length": np.array(columns[2], np.int64), "speed": np.array(columns[3], np.float64),
                "n_samples": n_samples, "n_tokens": np.array([row[3] for row in rows]), "ids": ids, "audio_index": audio_index,
                "chunks": bucket.chunks, **{name: value.astype(np.float32 if name.endswith("times") else np.int64)
                                            for name, value in joined.items()}}


def sampler_process(queue, text_folder: str, manifest: str, batch_seconds: float, seed: int, start: float, seconds: float):
    """Fills `queue` with batches for ever; started before the GPU is touched."""
    torch.set_num_threads(1)
    sampler, refreshed = AlignerSampler(text_folder, manifest, batch_seconds, seed), 0.0
    random.seed(seed)
    while True:
        if time.time() - refreshed > 3:
            sampler.refresh()
            refreshed = time.time()
        if sampler.n_shards == 0:
            time.sleep(0.2)
            refreshed = 0.0
            continue
        queue.put(sampler.batch(min(1.0, (time.time() - start) / seconds)))
