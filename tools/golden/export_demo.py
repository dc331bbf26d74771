"""Writes tests/golden/demo: what the reference makes of the demonstration model's sample recordings.

    python3 tools/golden/export_demo.py --model models/demo-en --samples models/demo-en/samples --out tests/golden/demo

Every recording is transcribed; the first two also with a forced language and with context. The encoder's stages are
there at the same frame counts as for the tiny models.
"""

import argparse
import hashlib
from pathlib import Path

import _path  # noqa: F401
import numpy as np
import soundfile
from qasr_tools import answer, checkpoint, encoder_golden, features, golden_file, reference
from qasr_tools.configs import conv_out_length
from qasr_tools.prompt import PromptTokenizer

MAX_TOKENS = 256
N_EXTRA = 2  # recordings that are also run with a forced language and with context
SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")


class Demo:
    def __init__(self, model_dir: Path):
        self.config, self.model = checkpoint.load_model(model_dir)
        self.tokenizer = PromptTokenizer(model_dir)
        eos = self.config["thinker_config"]["eos_token_id"]
        self.eos = tuple(eos) if isinstance(eos, (list, tuple)) else (eos,)

    def encode(self, path: Path) -> tuple[np.ndarray, dict]:
        """(log-mel, encoder stages) of a 16 kHz mono recording."""
        samples, rate = soundfile.read(path, dtype="float32")
        if rate != 16000 or samples.ndim != 1:
            raise ValueError(f"{path}: {rate} Hz, shape {samples.shape}; expected 16000 Hz mono")
        mel = features.log_mel(features.pad_short(samples))
        return mel, reference.encoder_stages(self.model, mel)

    def transcribe(self, audio, context: str = "", language: str = "") -> dict:
        """One entry of golden.json, with `first_logits` in it for the caller to take out."""
        prompt = self.tokenizer.prompt(audio.shape[0], context, language)
        result = reference.greedy(self.model, prompt, audio, MAX_TOKENS, self.eos)
        raw = self.tokenizer.decode(result["ids"])
        return {"context": context, "language": language, "n_audio_tokens": audio.shape[0], "prompt_ids": prompt,
                "output_ids": result["ids"], "raw": raw, "transcript": answer.transcript(raw, bool(language)),
                "min_gap": min(result["gaps"]), "first_logits": result["prompt_logits"][-1]}


def sample_entries(demo: Demo, path: Path, extra: bool) -> tuple[list[dict], dict]:
    mel, stages = demo.encode(path)
    bounds = reference.window_boundaries(mel.shape[1], demo.model.config.audio_config).tolist()
    rows = golden_file.chosen_rows(bounds[-1], golden_file.window_edges(bounds, conv_out_length(100)))
    frames = golden_file.chosen_rows(mel.shape[1], [100, mel.shape[1] // 2])
    arrays = {f"{path.name}.rows": rows, f"{path.name}.ln_post": stages["ln_post"][rows],
              f"{path.name}.output": stages["output"][rows], f"{path.name}.mel_frames": frames,
              f"{path.name}.log_mel": mel[:, frames].T}
    plain = demo.transcribe(stages["output"])
    entries = [plain]
    if extra:
        entries.append(demo.transcribe(stages["output"], language="English"))
        entries.append(demo.transcribe(stages["output"], context=" ".join(plain["transcript"].split()[:3])))
    for index, entry in enumerate(entries):
        arrays[f"{path.name}.{index}.first_logits"] = entry.pop("first_logits")
        entry |= {"file": path.name, "arrays": f"{path.name}.{index}", "n_frames": mel.shape[1],
                  "audio_sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        print(f"{path.name}: gap {entry['min_gap']:.4f} {entry['raw']}")
    return entries, arrays


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--samples", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    golden_file.exact_f32()
    demo = Demo(args.model)
    recordings = sorted(path for path in args.samples.iterdir() if path.suffix in SUFFIXES)
    if not recordings:
        raise FileNotFoundError(f"no recordings in {args.samples}")
    entries, arrays = [], {}
    for index, path in enumerate(recordings):
        more_entries, more_arrays = sample_entries(demo, path, extra=index < N_EXTRA)
        entries += more_entries
        arrays |= more_arrays
    tensors = checkpoint.read_tensors(args.model)
    stages, agreement = encoder_golden.encoder_arrays("demo", demo.config, demo.model, tensors)
    sha256 = golden_file.save_arrays(args.out / "demo.safetensors", arrays | stages)
    weights = {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
               for path in sorted(args.model.glob("*.safetensors"))}
    golden_file.save_json(args.out / "golden.json", {
        "origin": golden_file.origin(f"tools/golden/export_demo.py --model {args.model} --samples {args.samples} "
                                     f"--out {args.out}"),
        "weights_sha256": weights, "file": "demo.safetensors", "sha256": sha256,
        "agreement_of_two_encoders": agreement, "encoder_frames": list(encoder_golden.FRAMES), "cases": entries})


if __name__ == "__main__":
    main()
