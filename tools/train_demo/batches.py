"""Training batches: which clips are joined into which example, and the token sequences that belong to them.

The trainer keeps all speech in one tensor on the GPU (Pool). Sampler processes see only lengths and texts; a batch they
put together says where each piece of speech lies and where it goes, and augment.py does the rest on the GPU.
"""
import bisect
import glob
import json
import os
import random
import time
from typing import NamedTuple

import numpy as np
import torch

from features import CHUNK_FRAMES, CHUNK_TOKENS, HOP, SAMPLE_RATE, Text, n_audio_tokens


class Bucket(NamedTuple):
    """Examples of one batch are lo_s to hi_s long and padded to `chunks` seconds."""
    lo_s: float
    hi_s: float
    chunks: int
    weight: float


BUCKETS = [Bucket(0.3, 1, 1, 0.02), Bucket(0.5, 2, 2, 0.05), Bucket(2, 4, 4, 0.16), Bucket(4, 6, 6, 0.20), Bucket(6, 8, 8, 0.20),
           Bucket(8, 16, 16, 0.21), Bucket(16, 24, 24, 0.11), Bucket(24, 29.5, 32, 0.05)]
# (part of the training time, longest example in seconds, part of the full batch): short and small batches first, since
# the decoder must find out by many steps that the audio matters at all.
CURRICULUM = [(0.025, 4, 0.5), (0.07, 8, 0.5), (0.12, 16, 0.6), (1.01, 30, 1.0)]
MAX_JOINED = 5
P_SILENT, P_CONTEXT, P_FORCED_LANGUAGE = 0.03, 0.13, 0.08
MAX_BATCH = 640


class Pool:
    """All speech so far, int16 on the device; shards are taken over as synthesize.py finishes them."""

    def __init__(self, folder: str, manifest: str, capacity: int, device: str):
        self.folder, self.manifest, self.fill, self.taken = folder, manifest, 0, set()
        self.samples = torch.empty(capacity, dtype=torch.int16, device=device)
        open(manifest, "w").close()

    @property
    def hours(self) -> float:
        return self.fill / SAMPLE_RATE / 3600

    def ingest(self, most: int):
        """Takes over at most `most` new shards and deletes their samples on disk."""
        names = sorted(set(glob.glob(f"{self.folder}/[0-9]*.json")) - self.taken, key=os.path.getmtime)[:most]
        for name in names:
            clip = torch.from_numpy(np.fromfile(name[:-5] + ".i16", np.int16))
            if self.fill + len(clip) + 1 > len(self.samples):
                return
            self.samples[self.fill:self.fill + len(clip)].copy_(clip)
            with open(self.manifest, "a") as file:
                file.write(f"{name}\t{self.fill}\n")
            self.fill += len(clip)
            self.taken.add(name)
            os.remove(name[:-5] + ".i16")


class Sampler:
    """Draws batches. All lengths are in samples, `progress` is the part of the training time that has passed."""

    def __init__(self, text_folder: str, manifest: str, batch_seconds: float, seed: int):
        self.rng, self.text, self.manifest, self.batch_seconds = random.Random(seed), Text(text_folder), manifest, batch_seconds
        self.offsets, self.lengths, self.texts, self.first_ids, self.later_ids = [], [], [], [], []
        self.n_shards, self.words = 0, []

    def refresh(self):
        """Reads the shards that the trainer has taken over since the last call."""
        lines = open(self.manifest).read().splitlines()
        for line in lines[self.n_shards:]:
            name, offset = line.split("\t")
            shard, offset = json.load(open(name)), int(offset)
            for length, text in zip(shard["lengths"], shard["texts"]):
                self.offsets.append(offset)
                self.lengths.append(length)
                self.texts.append(text)
                self.first_ids.append(self.text.encode(text))
                self.later_ids.append(self.text.encode(" " + text))
                offset += length
        if len(lines) > self.n_shards:
            self.by_length = sorted(range(len(self.lengths)), key=self.lengths.__getitem__)
            self.sorted_lengths = [self.lengths[clip] for clip in self.by_length]
            some = self.rng.sample(self.texts, min(3000, len(self.texts)))
            self.words = [word.strip(",.?!") for text in some for word in text.split()]
        self.n_shards = len(lines)

    def clip_between(self, shortest: float, longest: float) -> int | None:
        low, high = bisect.bisect_left(self.sorted_lengths, shortest), bisect.bisect_left(self.sorted_lengths, longest)
        return self.by_length[self.rng.randrange(low, high)] if high > low else None

    def speed(self) -> float:
        return 1.0 if self.rng.random() < 0.4 else self.rng.uniform(0.88, 1.14)

    def place_speech(self, target: float, bucket: Bucket) -> list[tuple[int, int, int, float]]:
        """Clips for one example of about `target` samples: (clip, start, length after the speed change, speed)."""
        rng, limit = self.rng, int(bucket.hi_s * SAMPLE_RATE)
        lead = rng.choice([0, 0, 1600, rng.uniform(0, 8000), rng.uniform(0, 20000)]) if rng.random() < 0.8 else 0
        cursor = int(min(lead, target * 0.3))
        joined = bucket.hi_s > 8 or (bucket.hi_s > 1 and rng.random() < 0.25)
        one_speed = self.speed() if rng.random() < 0.5 else None
        placed = []
        for index in range(MAX_JOINED if joined else 1):
            left = target - cursor
            if left < 4000:
                break
            if joined:
                least = min(left * 0.3, 48000) if bucket.hi_s > 8 else left * 0.3
                clip = self.clip_between(least, left * (1.0 if rng.random() < 0.5 or index == MAX_JOINED - 1 else 0.75))
                clip = self.clip_between(0, left) if clip is None else clip
            else:
                clip = self.clip_between(left * 0.7, left)
            if clip is None:
                break
            speed = one_speed or self.speed()
            length = int(self.lengths[clip] / speed)
            if cursor + length > limit:
                speed, length = 1.0, self.lengths[clip]
            if cursor + length > limit:
                break
            placed.append((clip, cursor, length, speed))
            cursor += length + int(rng.choice([rng.uniform(0, 3000), rng.uniform(2000, 12000), rng.uniform(8000, 24000)]))
        return placed

    def context(self, clips: list[int]) -> str:
        """Empty, or words of the system prompt: random ones and sometimes words that will be spoken."""
        rng = self.rng
        if rng.random() >= P_CONTEXT:
            return ""
        words = [rng.choice(self.words) for _ in range(rng.randint(1, 10))]
        if clips and rng.random() < 0.6:
            spoken = self.texts[clips[0]].split()
            words += [rng.choice(spoken).strip(",.?!") for _ in range(rng.randint(1, 3))]
            rng.shuffle(words)
        return rng.choice([" ", ", ", " "]).join(words)

    def batch(self, progress: float) -> dict:
        """Arrays of one batch; see `collate` for their shapes."""
        rng = self.rng
        longest, part = next((longest, part) for until, longest, part in CURRICULUM if progress < until)
        buckets = [bucket for bucket in BUCKETS if bucket.hi_s <= longest]
        bucket = rng.choices(buckets, [b.weight for b in buckets])[0]
        size = int(min(MAX_BATCH, max(4, self.batch_seconds * part / bucket.hi_s)))
        examples = []
        for _ in range(size):
            target = rng.uniform(bucket.lo_s, bucket.hi_s) * SAMPLE_RATE
            placed = self.place_speech(target, bucket) if rng.random() >= P_SILENT else []
            end = max((start + length for _, start, length, _ in placed), default=int(target))
            if placed and rng.random() < 0.7:
                end += int(rng.uniform(0, 9600))
            examples.append((placed, min(max(end, 4000), int(bucket.hi_s * SAMPLE_RATE))))
        return self.collate(examples, bucket)

    def collate(self, examples: list, bucket: Bucket) -> dict:
        """source, target, length, speed [pieces]: speech to copy (target counts samples of the flattened batch);
        n_samples, n_tokens [batch]; ids, audio_index [batch, length] as Qwen3Asr.hidden wants them; predict_at, labels
        [predicted tokens]: flat positions and their next tokens; ctc_ids (concatenated), ctc_lengths [batch]."""
        pieces, sequences, bodies = [], [], []
        for row, (placed, n_samples) in enumerate(examples):
            base = row * bucket.chunks * CHUNK_FRAMES * HOP
            pieces += [(self.offsets[clip], base + start, length, speed) for clip, start, length, speed in placed]
            clips = [clip for clip, *_ in placed]
            body = [token for index, clip in enumerate(clips) for token in (self.later_ids if index else self.first_ids)[clip]]
            language = self.text.languages["English" if clips else "None"]
            n_given = len(language) if clips and self.rng.random() < P_FORCED_LANGUAGE else 0
            prompt = self.text.prompt(n_audio_tokens(n_samples // HOP), self.context(clips))
            sequences.append((prompt, language + body + [self.text.end], n_given))
            bodies.append(body)
        width = -(-(max(len(prompt) + len(answer) for prompt, answer, _ in sequences) - 1) // 8) * 8
        ids = np.full((len(examples), width), self.text.pad, np.int64)
        audio_index = np.full((len(examples), width), -1, np.int64)
        predict_at, labels = [], []
        for row, (prompt, answer, n_given) in enumerate(sequences):
            sequence = np.array(prompt + answer[:-1])
            ids[row, :len(sequence)] = sequence
            slots = np.nonzero(sequence == self.text.audio)[0]
            audio_index[row, slots] = row * bucket.chunks * CHUNK_TOKENS + np.arange(len(slots))
            first = row * width + len(prompt) - 1
            predict_at.append(np.arange(first + n_given, first + len(answer)))
            labels.append(np.array(answer[n_given:]))
        columns = list(zip(*pieces)) or [()] * 4
        n_samples = np.array([n for _, n in examples])
        return {"source": np.array(columns[0], np.int64), "target": np.array(columns[1], np.int64),
                "length": np.array(columns[2], np.int64), "speed": np.array(columns[3], np.float64),
                "n_samples": n_samples, "n_tokens": np.array([n_audio_tokens(n // HOP) for n in n_samples]),
                "ids": ids, "audio_index": audio_index, "predict_at": np.concatenate(predict_at),
                "labels": np.concatenate(labels), "ctc_ids": np.array(sum(bodies, []) or [0]),
                "ctc_lengths": np.array([len(body) for body in bodies]), "chunks": bucket.chunks}


def sampler_process(queue, text_folder: str, manifest: str, batch_seconds: float, seed: int, start: float, seconds: float):
    """Fills `queue` with batches for ever; started before the GPU is touched."""
    torch.set_num_threads(1)
    sampler, refreshed = Sampler(text_folder, manifest, batch_seconds, seed), 0.0
    while True:
        if time.time() - refreshed > 3:
            sampler.refresh()
            refreshed = time.time()
        if sampler.n_shards == 0:
            time.sleep(0.2)
            refreshed = 0.0
            continue
        queue.put(sampler.batch(min(1.0, (time.time() - start) / seconds)))
