#!/usr/bin/env python3
"""True word times of recordings that make_held_out.py wrote: speaks their sentences again and compares the samples.

    make_word_times.py --voices VOICES --held tests/data/heldout --samples models/demo-en/samples --text TEXT

Writes HELD/word_times.json and SAMPLES/word_times.json: file -> [[word, start, end], ...], seconds, words as the forced aligner
cuts them; null where the synthesiser does not tell (see word_times.py). Fails if a recording is not, sample for sample,
what is spoken now.
"""
import argparse
import json
import math
import tempfile

import numpy as np
import soundfile

from aligner_words import aligner_words
from make_held_out import PAUSE_SAMPLES, SAMPLES, SETS, read_sentences
from voices import SAMPLE_RATE, Espeak, Flite
from word_times import TimedSynthesizer


def decoded(path: str) -> np.ndarray:
    return soundfile.read(path, dtype="int16")[0]


def rows_of(text: str, times: np.ndarray) -> list:
    number = lambda second: None if math.isnan(second) else round(float(second), 3)
    return [[word, number(start), number(end)] for word, (start, end) in zip(aligner_words(text), times) if word]


def check(path: str, samples: np.ndarray):
    if not np.array_equal(decoded(path), samples):
        raise SystemExit(f"make_word_times: {path} is not what the synthesiser says now")


def speak(synthesizer: TimedSynthesizer, voice, texts: list[str]) -> list:
    """As make_held_out.py does: festival speaks all of them in one process, the others each in its own. That matters to the
    noise in their speech."""
    if isinstance(voice, (Flite, Espeak)):
        return [synthesizer.speak_timed(voice, [text])[0] for text in texts]
    return synthesizer.speak_timed(voice, texts)


def held_out(synthesizer: TimedSynthesizer, folder: str, sentences: list[str]) -> dict:
    committed = {line.split("\t")[1] for line in open(f"{folder}/manifest.tsv")}
    result, first = {}, 0
    for name, (voice, count) in SETS.items():
        texts = sentences[first:first + count]
        first += count
        names = [f"{name}_{index:03d}.flac" for index in range(count)]
        if isinstance(voice, (Flite, Espeak)):
            names, texts = zip(*[(file, text) for file, text in zip(names, texts) if file in committed])
        for file, text, clip in zip(names, texts, speak(synthesizer, voice, list(texts))):
            if file not in committed:
                continue
            if clip is None:
                print(f"{file}: no times")
                continue
            check(f"{folder}/{file}", clip[0])
            result[file] = rows_of(text, clip[1])
    return result


def samples(synthesizer: TimedSynthesizer, folder: str, sentences: list[str]) -> dict:
    result = {}
    for name, (voice, chosen) in SAMPLES.items():
        clips, rows, position = speak(synthesizer, voice, [sentences[index] for index in chosen]), [], 0
        if None in clips:
            print(f"{name}.wav: no times")
            continue
        for index, (clip, times) in zip(chosen, clips):
            rows += rows_of(sentences[index], times + position / SAMPLE_RATE)
            position += len(clip) + PAUSE_SAMPLES
        pause = np.zeros(PAUSE_SAMPLES, np.int16)
        check(f"{folder}/{name}.wav", np.concatenate([part for clip, _ in clips for part in (clip, pause)][:-1]))
        result[f"{name}.wav"] = rows
    return result


def write(path: str, result: dict):
    """A line for each recording."""
    lines = [f"{json.dumps(file)}: {json.dumps(rows)}" for file, rows in result.items()]
    with open(path, "w") as file:
        file.write("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"{path}: {len(result)} recordings, {sum(len(rows) for rows in result.values())} words")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voices", required=True, help="unpacked folder of build_voices.sh")
    parser.add_argument("--held", required=True)
    parser.add_argument("--samples", required=True)
    parser.add_argument("--text", required=True, help="output folder of prepare_text.py")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="qasr_voices_") as folder:
        synthesizer = TimedSynthesizer(arguments.voices, folder)
        sentences, demo = read_sentences(f"{arguments.text}/held.tsv")
        write(f"{arguments.held}/word_times.json", held_out(synthesizer, arguments.held, sentences))
        write(f"{arguments.samples}/word_times.json", samples(synthesizer, arguments.samples, demo))


if __name__ == "__main__":
    main()
