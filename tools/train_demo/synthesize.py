#!/usr/bin/env python3
"""Speaks the training sentences with random voices and leaves shards for train.py until the time is over.

    synthesize.py --text TEXT --voices VOICES --out POOL --processes 11 --seconds 1100 [--times]

Every process writes POOL/NN_KKKK.i16 (int16 samples at 16 kHz, clips one after another) and then POOL/NN_KKKK.json
(lengths, texts, voices; with --times the start and end of every word); the .json appears last and whole, so it announces the shard. --validation first speaks
TEXT/validation.tsv into POOL/validation.{i16,json}.
"""
import argparse
import gzip
import json
import multiprocessing
import os
import random
import shutil
import tempfile
import time

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # one process per core already

import numpy as np

from voices import Espeak, FestivalDiphone, FestivalHts, Flite, Synthesizer, random_voice
from word_times import TimedSynthesizer

NICENESS = 10  # training comes first
FIRST_SHARDS_S, SHARD_S = 8.0, 30.0  # the first shards are small so that training can start
VALIDATION_VOICES = [Flite("slt"), Flite("awb"), Flite("rms"), Flite("kal16"), FestivalDiphone("ked"), FestivalDiphone("kal", f0_std=14),
                     FestivalHts(), Espeak("en-us")]


def write_shard(clips: list, name: str):
    """clips: (samples int16, text, voice, times [n_words, 2] or None)."""
    samples, texts, voices, times = zip(*clips)
    np.concatenate(samples).tofile(name + ".i16")
    shard = {"lengths": [len(clip) for clip in samples], "texts": texts, "voices": [repr(voice) for voice in voices]}
    if times[0] is not None:
        shard["times"] = [np.round(clip, 4).tolist() for clip in times]
    with open(name + ".tmp", "w") as file:
        json.dump(shard, file)
    os.rename(name + ".tmp", name + ".json")


def spoken(synthesizer: Synthesizer, voice, texts: list[str]) -> list:
    if isinstance(synthesizer, TimedSynthesizer):
        return [(clip[0], text, voice, clip[1]) for clip, text in zip(synthesizer.speak_timed(voice, texts), texts) if clip]
    return [(clip, text, voice, None) for clip, text in zip(synthesizer.speak(voice, texts), texts) if clip is not None]


def make_synthesizer(arguments, folder: str) -> Synthesizer:
    return (TimedSynthesizer if arguments.times else Synthesizer)(arguments.voices, folder)


def scratch_folder() -> str:
    return tempfile.mkdtemp(prefix="qasr_voices_", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)


def work(worker: int, arguments, texts: list[str], deadline: float):
    os.nice(NICENESS)
    rng = random.Random(1000 + worker)
    folder = scratch_folder()
    synthesizer = make_synthesizer(arguments, folder)
    clips, n_shards, position, flushed = [], 0, 0, time.time()
    while time.time() < deadline:
        voice = random_voice(rng)
        batch = [texts[(position + index) % len(texts)] for index in range(voice.batch)]
        position += voice.batch
        clips += spoken(synthesizer, voice, batch)
        if clips and time.time() - flushed > (FIRST_SHARDS_S if n_shards < 3 else SHARD_S):
            write_shard(clips, f"{arguments.out}/{worker:02d}_{n_shards:04d}")
            clips, n_shards, flushed = [], n_shards + 1, time.time()
    shutil.rmtree(folder, ignore_errors=True)


def speak_validation(arguments):
    os.nice(NICENESS)
    texts = [line.rstrip("\n").split("\t")[1] for line in open(f"{arguments.text}/validation.tsv")]
    folder, clips = scratch_folder(), []
    synthesizer = make_synthesizer(arguments, folder)
    for index, voice in enumerate(VALIDATION_VOICES):
        clips += spoken(synthesizer, voice, texts[index::len(VALIDATION_VOICES)])
    write_shard(clips, f"{arguments.out}/validation")
    shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", required=True, help="output folder of prepare_text.py")
    parser.add_argument("--voices", required=True, help="unpacked folder of build_voices.sh")
    parser.add_argument("--out", required=True, help="pool folder")
    parser.add_argument("--processes", type=int, default=11)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--times", action="store_true", help="also the times of the words")
    parser.add_argument("--validation", action="store_true", help="also speak validation.tsv")
    arguments = parser.parse_args()
    os.makedirs(arguments.out, exist_ok=True)
    texts = [line.rstrip("\n").split("\t")[1] for line in gzip.open(f"{arguments.text}/train.tsv.gz", "rt")]
    deadline = time.time() + arguments.seconds
    processes = [multiprocessing.Process(target=work, args=(worker, arguments, texts[worker::arguments.processes], deadline))
                 for worker in range(arguments.processes)]
    if arguments.validation:
        processes.append(multiprocessing.Process(target=speak_validation, args=(arguments,)))
    for process in processes:
        process.start()
    for process in processes:
        process.join()


if __name__ == "__main__":
    main()
