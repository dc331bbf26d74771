#!/usr/bin/env python3
"""Speaks the held-out sentences: test sets with voices seen in training and with unseen settings, and sample recordings.

    make_held_out.py --text TEXT --voices VOICES --out HELD [--committed DIR] [--samples DIR]

HELD gets SET_NNN.wav (16 kHz mono s16) and manifest.tsv (set, file, reference). --committed takes about a hundred short clips
as FLAC (needs ffmpeg); --samples writes recordings for the model card with references.tsv. Deterministic.
"""
import argparse
import os
import shutil
import subprocess
import tempfile

import numpy as np

from voices import Espeak, FestivalDiphone, FestivalHts, Flite, Synthesizer, write_wav

# set -> (voice, sentences). "seen" voices have settings inside the range of random_voice, "new" ones outside.
SETS = {
    "seen_flite_slt": (Flite("slt"), 60), "seen_flite_awb": (Flite("awb"), 60), "seen_flite_rms": (Flite("rms"), 60),
    "seen_flite_kal16": (Flite("kal16"), 60), "seen_festival_ked": (FestivalDiphone("ked"), 50),
    "seen_festival_kal": (FestivalDiphone("kal", f0_std=14), 40), "seen_festival_hts": (FestivalHts(), 50),
    "seen_espeak_en_us": (Espeak("en-us"), 50), "seen_espeak_en_gb_f3": (Espeak("en-gb+f3"), 50),
    "new_espeak_andrea": (Espeak("en-us+Andrea"), 50), "new_espeak_gb_m7": (Espeak("en-gb+m7", 150, 40), 50),
    "new_rms_fast": (Flite("rms", 0.72), 40), "new_slt_slow": (Flite("slt", 1.4), 40),
    "new_hts_low": (FestivalHts(0.66, -11.0, 1.0), 40)}
# The committed subset: every sixth clip of those up to 4.2 s, which keeps it below 4 MiB.
COMMITTED_EVERY, COMMITTED_MAX_BYTES = 6, 44 + 2 * 67_200
# name -> (voice, indices of the demo sentences spoken one after another)
SAMPLES = {"weather_slt": (Flite("slt"), [0]), "meeting_rms": (Flite("rms"), [1]), "light_awb": (Flite("awb"), [2]),
           "museum_ked": (FestivalDiphone("ked"), [4]), "long_rms": (Flite("rms"), [5, 6, 7, 8])}
PAUSE_SAMPLES = 8000


def read_sentences(path: str) -> tuple[list[str], list[str]]:
    """-> (held-out sentences, demo sentences)"""
    rows = [line.rstrip("\n").split("\t") for line in open(path)]
    return [text for kind, text in rows if kind != "demo"], [text for kind, text in rows if kind == "demo"]


def speak_sets(synthesizer: Synthesizer, sentences: list[str], out: str) -> list[tuple[str, str, str]]:
    """-> manifest rows. Sets take consecutive sentences; a sentence that a voice fails to speak is left out."""
    rows, first = [], 0
    for name, (voice, count) in SETS.items():
        texts = sentences[first:first + count]
        first += count
        for index, (samples, text) in enumerate(zip(synthesizer.speak(voice, texts), texts)):
            if samples is not None:
                file = f"{name}_{index:03d}.wav"
                write_wav(f"{out}/{file}", samples)
                rows.append((name, file, text))
        print(f"{name}: {sum(row[0] == name for row in rows)} of {len(texts)}", flush=True)
    return rows


def write_manifest(path: str, header: str, rows: list):
    with open(path, "w") as file:
        file.write(header + "\n")
        file.writelines("\t".join(row) + "\n" for row in rows)


def commit_subset(rows: list, held: str, out: str):
    os.makedirs(out, exist_ok=True)
    chosen = []
    short = [row for row in rows if os.path.getsize(f"{held}/{row[1]}") <= COMMITTED_MAX_BYTES]
    for name, file, text in short[::COMMITTED_EVERY]:
        flac = file.replace(".wav", ".flac")
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", f"{held}/{file}", "-c:a", "flac", "-compression_level", "12",
                        "-map_metadata", "-1", "-fflags", "+bitexact",
                        "-metadata_header_padding", "0", f"{out}/{flac}"], check=True)
        chosen.append((name, flac, text))
    write_manifest(f"{out}/manifest.tsv", "set\tfile\treference", chosen)


def speak_samples(synthesizer: Synthesizer, sentences: list[str], out: str):
    os.makedirs(out, exist_ok=True)
    rows = []
    for name, (voice, chosen) in SAMPLES.items():
        clips = synthesizer.speak(voice, [sentences[index] for index in chosen])
        pause = np.zeros(PAUSE_SAMPLES, np.int16)
        write_wav(f"{out}/{name}.wav", np.concatenate([part for clip in clips for part in (clip, pause)][:-1]))
        rows.append((f"{name}.wav", " ".join(sentences[index] for index in chosen)))
    write_wav(f"{out}/silence.wav", np.zeros(16000, np.int16))
    noise = np.random.RandomState(1).randn(24000) * 300  # the legacy generator: its stream never changes
    write_wav(f"{out}/noise.wav", np.round(noise).astype(np.int16))
    write_manifest(f"{out}/references.tsv", "file\treference", rows + [("silence.wav", ""), ("noise.wav", "")])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", required=True, help="output folder of prepare_text.py")
    parser.add_argument("--voices", required=True, help="unpacked folder of build_voices.sh")
    parser.add_argument("--out", required=True, help="folder for the whole held-out set")
    parser.add_argument("--committed", help="folder for the subset kept with the tests")
    parser.add_argument("--samples", help="folder for the sample recordings")
    arguments = parser.parse_args()
    sentences, demo = read_sentences(f"{arguments.text}/held.tsv")
    folder = tempfile.mkdtemp(prefix="qasr_voices_")
    synthesizer = Synthesizer(arguments.voices, folder)
    os.makedirs(arguments.out, exist_ok=True)
    if arguments.samples:
        speak_samples(synthesizer, demo, arguments.samples)
    rows = speak_sets(synthesizer, sentences, arguments.out)
    write_manifest(f"{arguments.out}/manifest.tsv", "set\tfile\treference", rows)
    if arguments.committed:
        commit_subset(rows, arguments.out, arguments.committed)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
