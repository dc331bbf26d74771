#!/bin/sh
# Makes tests/data/audio: one short synthetic sentence and the first 0.6 s of it in the containers and codecs that the
# decoding tests read. Needs espeak-ng and ffmpeg (with libmp3lame, libopus, libvorbis). Versions of either change bytes,
# not meaning: tests compare sound, and tests/golden/mel is exported again after this.
#
#   sh tools/make_test_audio.sh && python3 tools/golden/export_mel.py
set -eu
cd "$(dirname "$0")/../tests/data/audio"

convert() { ffmpeg -nostdin -v error -y -fflags +bitexact "$@"; }
encode() {  # encode FILE OPTIONS...
  output=$1
  shift
  convert -i short.wav "$@" -map_metadata -1 -fflags +bitexact -flags:a +bitexact "$output"
}

espeak-ng -v en-gb -s 165 -w spoken.wav "The quick brown fox jumps over the lazy dog."
convert -i spoken.wav -t 2.1 -ac 1 -ar 16000 -c:a pcm_s16le -map_metadata -1 -flags:a +bitexact speech.wav
rm spoken.wav
convert -i speech.wav -t 0.6 -c:a pcm_s16le -map_metadata -1 -flags:a +bitexact short.wav

encode short.flac -c:a flac
encode short.mp3 -c:a libmp3lame -b:a 32k
encode short.ogg -c:a libvorbis -ar 44100 -ac 2 -q:a 1
encode short.opus -c:a libopus -b:a 24k
encode short.webm -c:a libopus -b:a 24k
encode short.m4a -c:a aac -b:a 32k
encode short_faststart.m4a -c:a aac -b:a 32k -movflags +faststart
encode alaw.wav -c:a pcm_alaw -ar 8000
encode mulaw.au -c:a pcm_mulaw -ar 8000

# A film with sound, one without, and a picture.
black="color=c=black:s=32x32:r=5:d=0.6"
convert -f lavfi -i "$black" -i short.wav -c:v mpeg4 -c:a aac -b:a 32k -map_metadata -1 -fflags +bitexact \
  -flags:v +bitexact -flags:a +bitexact film.mp4
convert -f lavfi -i "$black" -c:v mpeg4 -map_metadata -1 -fflags +bitexact -flags:v +bitexact silent_film.mp4
convert -f lavfi -i "$black" -frames:v 1 -fflags +bitexact -flags:v +bitexact picture.png

# The sample rate changes in the middle: 0.6 s at 16 kHz, then the same at 48 kHz in stereo.
encode first.aac -c:a aac -b:a 32k
encode second.aac -c:a aac -b:a 48k -ar 48000 -ac 2
cat first.aac second.aac > two_rates.aac
rm first.aac second.aac
