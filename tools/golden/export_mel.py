"""Writes tests/golden/mel: log-mel spectrograms of WhisperFeatureExtractor for signals that are made by rule.

    python3 tools/golden/export_mel.py [--out tests/golden/mel]

tests/golden_mel/golden_mel_test.cc makes the same signals. Long spectrograms keep every `frame_step`-th frame, plus mean
and standard deviation over all frames in golden.json.
"""

import argparse
import wave
from pathlib import Path

import _path  # noqa: F401
import numpy as np
from qasr_tools import features, golden_file
from transformers import WhisperFeatureExtractor
from transformers.audio_utils import mel_filter_bank

ROOT = Path(__file__).resolve().parents[2]
CLAMP_DECADES, ENERGY_FLOOR = 8.0, 1e-10


def speech(_: int) -> np.ndarray:
    with wave.open(str(ROOT / "tests/data/audio/speech.wav")) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768


def noise(n_samples: int) -> np.ndarray:
    """The noise u_n of the tones signal, times one half."""
    state, values = 1, np.empty(n_samples)
    for n in range(n_samples):
        state = (1664525 * state + 1013904223) & 0xFFFFFFFF
        values[n] = 0.5 * (state / 2.0**32 - 0.5)
    return values.astype(np.float32)


def square(n_samples: int) -> np.ndarray:
    """300 Hz at full scale, as a clipped recording has it."""
    half_periods = (2 * np.arange(n_samples) + 1) * 300 // 16000
    return np.where(half_periods % 2 == 0, 1.0, -1.0).astype(np.float32)


SIGNALS = {"speech": speech, "noise": noise, "square": square, "tones": features.test_signal,
           "silence": lambda n: np.zeros(n, np.float32)}

# name, signal, samples, padded with zeros to, mel bins, frame step
CASES = [
    ("speech", "speech", 33600, 0, 128, 1),
    ("noise", "noise", 16000, 0, 128, 2),
    ("silence", "silence", 3200, 0, 128, 1),
    ("square", "square", 16000, 0, 128, 2),
    ("tones_1_padded", "tones", 1, 8000, 128, 4),
    ("tones_159_padded", "tones", 159, 8000, 128, 4),
    ("tones_160_padded", "tones", 160, 8000, 128, 4),
    ("tones_160", "tones", 160, 0, 128, 1),
    ("tones_200", "tones", 200, 0, 128, 1),
    ("tones_201", "tones", 201, 0, 128, 1),
    ("tones_399", "tones", 399, 0, 128, 1),
    ("tones_400", "tones", 400, 0, 128, 1),
    ("tones_401", "tones", 401, 0, 128, 1),
    ("tones_7.03s", "tones", 112480, 0, 128, 11),
    ("noise_7.03s", "noise", 112480, 0, 128, 11),
    ("tones_30s", "tones", 480000, 0, 128, 43),
    ("tones_145000", "tones", 145000, 0, 128, 13),
    ("tones_80_mels", "tones", 16077, 0, 80, 3),
]


def log_mel_torch(samples: np.ndarray, n_mels: int) -> np.ndarray:
    return features.log_mel(samples, n_mels)


def log_mel_numpy(samples: np.ndarray, n_mels: int) -> np.ndarray:
    """The extractor's implementation for installations without torch: f64, reflects short signals repeatedly."""
    return WhisperFeatureExtractor(feature_size=n_mels)._np_extract_fbank_features(samples[None].astype(np.float64), "cpu")[0]


def log_mel_512(samples: np.ndarray) -> np.ndarray:
    """400 samples windowed, 112 zeros behind them, bins at k * 16000 / 512; everything else as above; f64."""
    extended = np.pad(samples.astype(np.float64), 200, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    frames = np.stack([extended[160 * t:160 * t + 400] * window for t in range(len(samples) // 160)])
    power = np.abs(np.fft.rfft(frames, 512)) ** 2
    filters = mel_filter_bank(257, 128, 0.0, 8000.0, 16000, norm="slaney", mel_scale="slaney")
    log = np.log10(np.maximum(filters.T @ power.T, ENERGY_FLOOR))
    return (np.maximum(log, log.max() - CLAMP_DECADES) + 4) / 4


def refusal(samples: np.ndarray) -> str:
    """What the extractor says to a signal that torch.stft cannot reflect."""
    try:
        log_mel_torch(samples, 128)
    except RuntimeError as error:
        return str(error).splitlines()[0]
    return ""


def export(name, signal, n_samples, padded, n_mels, frame_step):
    samples = SIGNALS[signal](n_samples)
    samples = np.pad(samples, (0, max(0, padded - n_samples)))
    case = {"name": name, "signal": signal, "n_samples": n_samples, "padded_samples": len(samples), "n_mels": n_mels,
            "fft_samples": 400, "frame_step": frame_step}
    exact = log_mel_numpy(samples, n_mels)
    if len(samples) > 200:
        mel = log_mel_torch(samples, n_mels)
        case |= {"implementation": "torch f32", "max_difference_to_numpy_f64": float(np.abs(mel - exact).max())}
    else:
        mel = exact.astype(np.float32)
        case |= {"implementation": "numpy f64", "torch_refuses": refusal(samples)}
    return case, mel


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "tests/golden/mel")
    args = parser.parse_args()
    cases, arrays = [], {}
    results = [export(*case) for case in CASES]
    results.append(({"name": "tones_fft_512", "signal": "tones", "n_samples": 16077, "padded_samples": 16077, "n_mels": 128,
                     "fft_samples": 512, "frame_step": 3, "implementation": "numpy f64, log_mel_512 of the exporter"},
                    log_mel_512(features.test_signal(16077)).astype(np.float32)))
    for case, mel in results:
        mel64 = mel.astype(np.float64)
        arrays[case["name"]] = mel[:, ::case["frame_step"]]
        cases.append(case | {"n_frames": mel.shape[1], "mean": float(mel64.mean()), "std": float(mel64.std())})
    sha256 = golden_file.save_arrays(args.out / "mel.safetensors", arrays)
    origin = golden_file.origin("python3 tools/golden/export_mel.py",
                                reference="transformers WhisperFeatureExtractor, padding longest, no truncation",
                                numpy=np.__version__)
    golden_file.save_json(args.out / "golden.json", {"origin": origin, "sha256": {"mel.safetensors": sha256}, "cases": cases})


if __name__ == "__main__":
    main()
