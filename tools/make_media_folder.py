#!/usr/bin/env python3
"""Makes a folder of mixed media to try `qasr transcribe --recursive` on: WAV, MP3, FLAC, Opus, M4A, WebM, and a film (MP4).

    tools/make_media_folder.py media

The sentences of models/demo-en/samples, encoded by the ffmpeg program where there is one; without it, the short recordings of
tests/data/audio take the places of the encoded ones.
"""

import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "models/demo-en/samples"
SHORT = ROOT / "tests/data/audio"
FILM = ["-f", "lavfi", "-i", "color=c=gray:s=64x48:r=5"]

# name in the folder, sentence, what stands in for it, options of ffmpeg before and after the recording
MEDIA = [
    ("meeting.wav", "meeting_rms.wav", None, [], []),
    ("calls/weather.mp3", "weather_slt.wav", "short.mp3", [], ["-b:a", "64k"]),
    ("calls/light.flac", "light_awb.wav", "short.flac", [], []),
    ("calls/museum.opus", "museum_ked.wav", "short.opus", [], ["-c:a", "libopus"]),
    ("notes/long.m4a", "long_rms.wav", "short.m4a", [], ["-c:a", "aac"]),
    ("notes/light.webm", "light_awb.wav", "short.webm", [], ["-c:a", "libopus"]),
    ("notes/film.mp4", "weather_slt.wav", "film.mp4", FILM, ["-c:v", "mpeg4", "-c:a", "aac", "-shortest"]),
]


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    ffmpeg = shutil.which("ffmpeg")
    for name, sentence, substitute, before, after in MEDIA:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if substitute is None:
            shutil.copy(SAMPLES / sentence, target)
        elif ffmpeg is None:
            shutil.copy(SHORT / substitute, target)
        else:
            command = [ffmpeg, "-nostdin", "-v", "error", "-y", *before, "-i", str(SAMPLES / sentence), *after, str(target)]
            subprocess.run(command, check=True)
    (folder / "notes/agenda.txt").write_text("Files of other kinds are passed over.\n", encoding="utf-8")
    print(f"{len(MEDIA)} recordings in {folder}" + ("" if ffmpeg else " (no ffmpeg: short ones)"))


if __name__ == "__main__":
    main()
