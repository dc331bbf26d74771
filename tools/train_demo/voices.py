"""The synthetic voices: flite, festival and espeak-ng programs from the folder that build_voices.sh packs, and what turns
their files into trimmed 16 kHz clips."""
import math
import os
import random
import subprocess
import wave
from typing import NamedTuple

import numpy as np

SAMPLE_RATE = 16000
ACCENTS = ["en-us"] * 5 + ["en-gb"] * 2 + ["en-gb-x-rp", "en-gb-scotland", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029",
                                         "en-us-nyc"]
# espeak-ng voice variants used for training. Andrea and m7 are left for the unseen test sets.
VARIANTS = (
    "m1 m2 m3 m4 m5 m6 m8 f1 f2 f3 f4 f5 adam Alex Alicia Andy Annie antonio aunty belinda benjamin boris caleb david Denis "
    "Diogo ed edward edward2 Gene Gene2 gustave Henrique Hugo iven iven2 iven3 iven4 Jacky john kaukovalta Lee linda marcelo "
    "Marco Mario max Michael michel miguel Mike Nguyen pablo paul pedro quincy rob robert sandro shelby steph steph2 steph3 "
    "travis victor zac grandma grandpa klatt klatt2 klatt3 klatt4 norbert anika").split()


class Flite(NamedTuple):
    name: str
    stretch: float = 1.0  # of the durations: above 1 is slower
    batch: int = 12  # sentences between two draws of a voice


class FestivalDiphone(NamedTuple):
    name: str  # ked or kal
    stretch: float = 1.0
    f0_mean: float = 105.0  # Hz
    f0_std: float = 15.0
    batch: int = 30


class FestivalHts(NamedTuple):
    all_pass: float = 0.55  # frequency warping constant: a longer or shorter vocal tract
    f0_shift: float = 0.0  # semitones
    rate: float = 1.0
    batch: int = 30


class Espeak(NamedTuple):
    name: str  # accent, or accent+variant
    speed: int = 160  # words a minute
    pitch: int = 50  # 0 to 99
    batch: int = 15


def random_voice(rng: random.Random):
    """Shares by call; by seconds of speech about half comes from flite's and festival's recorded voices."""
    stretch, draw = rng.uniform(0.78, 1.3), rng.random()
    if draw < 0.50:
        return Flite(rng.choice(["slt", "awb", "rms"]), stretch)
    if draw < 0.55:
        return Flite("kal16", stretch, 20)
    if draw < 0.71:
        return FestivalDiphone("ked" if draw < 0.66 else "kal", stretch, rng.uniform(85, 200), rng.uniform(8, 30))
    if draw < 0.83:
        return FestivalHts(rng.uniform(0.44, 0.62), rng.uniform(-9, 3), rng.uniform(0.8, 1.25))
    name = rng.choice(ACCENTS) + ("+" + rng.choice(VARIANTS) if rng.random() < 0.9 else "")
    return Espeak(name, rng.randint(120, 190), rng.randint(25, 75))


class Synthesizer:
    """Runs the programs. `root` is the unpacked voices folder, `folder` a private scratch folder."""

    def __init__(self, root: str, folder: str):
        self.root, self.folder = os.path.abspath(root), folder
        # Nothing else is inherited: the programs must work the same everywhere.
        self.environment = {"LD_LIBRARY_PATH": f"{self.root}/lib", "ESPEAK_DATA_PATH": self.root, "LC_ALL": "C", "HOME": folder}
        os.makedirs(folder, exist_ok=True)

    def speak(self, voice, texts: list[str]) -> list[np.ndarray | None]:
        """One int16 clip [n_samples] at 16 kHz per sentence; None where a program failed or spoke nonsense."""
        paths = [f"{self.folder}/{index}.wav" for index in range(len(texts))]
        if isinstance(voice, (FestivalDiphone, FestivalHts)):
            self._festival(voice, texts, paths)
        else:
            for text, path in zip(texts, paths):
                self._run(self._command(voice, text, path), 60)
        return [self._collect(path, text) for path, text in zip(paths, texts)]

    def _command(self, voice, text: str, path: str) -> list[str]:
        if isinstance(voice, Flite):
            return [f"{self.root}/bin/flite", "-voice", voice.name, "--setf", f"duration_stretch={voice.stretch:.3f}",
                    "-t", text, "-o", path]
        return [f"{self.root}/bin/espeak-ng", "-v", voice.name, "-s", str(voice.speed), "-p", str(voice.pitch), "-w", path, text]

    @staticmethod
    def festival_setup(voice) -> str:
        """Scheme that chooses the voice and its settings."""
        if isinstance(voice, FestivalHts):
            return ('(voice_cmu_us_slt_arctic_hts)\n(set! hts_engine_params (list (list "-m" (path-append hts_data_dir '
                     '"cmu_us_slt_arctic_hts.htsvoice")) (list "-g" 0) (list "-b" 0) (list "-u" 0.5) '
                     f'(list "-a" {voice.all_pass:.3f}) (list "-fm" {voice.f0_shift:.2f}) (list "-r" {voice.rate:.3f})))\n')
        return (f"(voice_{voice.name}_diphone)\n(set! int_lr_params '((target_f0_mean {voice.f0_mean:.0f}) "
                     f"(target_f0_std {voice.f0_std:.0f}) (model_f0_mean 170) (model_f0_std 34)))\n"
                     f"(Parameter.set 'Duration_Stretch {voice.stretch:.3f})\n")

    def _festival(self, voice, texts: list[str], paths: list[str]):
        """One process for all sentences: loading the lexicon takes about a second."""
        # Utterance is a macro, so the text must be its value already: hence eval of a built list.
        script = ("(define (speak_to text file) (unwind-protect (utt.save.wave (utt.synth (eval (list (quote Utterance) "
                  "(quote Text) text))) file (quote riff)) nil))\n" + self.festival_setup(voice))
        script += "".join(f'(speak_to "{text}" "{path}")\n' for text, path in zip(texts, paths))
        self._run_festival(script)

    def _run_festival(self, script: str, output_path: str = os.devnull):
        with open(f"{self.folder}/batch.scm", "w") as file:
            file.write(script)
        libdir = f"{self.root}/festival"
        self._run([f"{self.root}/bin/festival", "--datadir", libdir, "--libdir", libdir, "-b", f"{self.folder}/batch.scm"], 240, (), output_path)

    def _run(self, command: list[str], limit_s: float, lines: list[str] = (), output_path: str = os.devnull):
        """`lines` go to the program's standard input, what it prints to `output_path`."""
        try:
            with open(output_path, "w") as output:
                subprocess.run(command, env=self.environment, input="".join(line + "\n" for line in lines).encode(), stdout=output,
                               stderr=subprocess.DEVNULL, timeout=limit_s, check=False)
        except subprocess.TimeoutExpired:
            pass  # what was spoken before is kept

    @staticmethod
    def _collect(path: str, text: str) -> np.ndarray | None:
        clip = Synthesizer.collect_with_start(path, text)
        return None if clip is None else clip[0]

    @staticmethod
    def collect_with_start(path: str, text: str) -> tuple[np.ndarray, float] | None:
        """The clip, and the second of the recording at which it begins."""
        try:
            samples, rate = read_wav(path)
            os.unlink(path)
        except (OSError, EOFError, wave.Error):
            return None
        samples = resample(samples, rate)
        first, last = speech_bounds(samples)
        samples = samples[first:last]
        duration_s = len(samples) / SAMPLE_RATE
        peak = np.abs(samples).max(initial=0.0)
        if not 0.3 <= duration_s <= 24 or not 0.025 <= duration_s / len(text) <= max(0.22, 0.9 / len(text)) or peak < 300:
            return None
        return np.round(samples * (20000.0 / peak)).astype(np.int16), first / SAMPLE_RATE


def read_wav(path: str) -> tuple[np.ndarray, int]:
    """-> (f32 [n_samples] on the int16 scale, sample rate); 16-bit PCM, channels averaged."""
    with wave.open(path, "rb") as file:
        rate, channels = file.getframerate(), file.getnchannels()
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.float32)
    return samples.reshape(-1, channels).mean(1), rate


def write_wav(path: str, samples: np.ndarray):
    with wave.open(path, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(samples.astype("<i2").tobytes())


def resample(samples: np.ndarray, rate: int, half_width: int = 24) -> np.ndarray:
    """Polyphase windowed sinc to 16 kHz (Kaiser, beta 9); half_width zero crossings on each side."""
    if rate == SAMPLE_RATE or len(samples) == 0:
        return samples
    divisor = math.gcd(rate, SAMPLE_RATE)
    up, down = SAMPLE_RATE // divisor, rate // divisor
    cutoff = min(1.0, up / down) * 0.95
    reach = int(math.ceil(half_width / cutoff))
    offsets = np.arange(-reach, reach + 1)
    distance = offsets[None, :] - (np.arange(up) / up)[:, None]  # [phase, tap], in input samples
    taps = cutoff * np.sinc(cutoff * distance) * np.i0(9 * np.sqrt(np.clip(1 - (distance / (reach + 1)) ** 2, 0, 1))) / np.i0(9)
    taps = (taps / taps.sum(1, keepdims=True)).astype(np.float32)
    padded = np.pad(samples, (reach, reach + 1))
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1)
    position = np.arange(len(samples) * up // down) * down
    output = np.empty(len(position), np.float32)
    for phase in range(up):  # outputs phase, phase + up, ... share the fractional position phase * down mod up
        chosen = position[phase::up]
        if len(chosen):
            output[phase::up] = windows[chosen // up] @ taps[chosen[0] % up]
    return output


def speech_bounds(samples: np.ndarray, keep: int = 1600) -> tuple[int, int]:
    """[first, last) without the silence at both ends, but for `keep` samples of it."""
    n_blocks = len(samples) // 160
    if n_blocks < 10:
        return 0, len(samples)
    peak = np.abs(samples[:n_blocks * 160]).reshape(n_blocks, 160).max(1)
    loud = np.nonzero(peak > max(60.0, 0.01 * peak.max()))[0]
    if len(loud) == 0:
        return 0, 0
    return max(0, loud[0] * 160 - keep), min(len(samples), (loud[-1] + 1) * 160 + keep)
