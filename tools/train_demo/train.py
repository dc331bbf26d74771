#!/usr/bin/env python3
"""Trains the demo model on the shards of synthesize.py while they are being made.

    train.py --text TEXT --pool POOL --out OUT --seconds 1050
    train.py ... --smoke            a few small steps on any machine, to see that everything fits together

The learning rate schedule ends when --seconds have passed, counted from the start of the program. OUT/ckpt/ema.pt (the
averaged weights, f32, and the step) is renewed every minute and at the end; SIGTERM ends training early but cleanly.
Progress goes to standard output and OUT/train_log.txt.
"""
import argparse
import json
import math
import multiprocessing
import os
import queue
import signal
import threading
import time

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # sampler processes are forked

import numpy as np
import torch
import torch.nn.functional as F

import augment
import decode
from batches import Pool, sampler_process
from features import Text
from model import Config, Qwen3Asr

PEAK_LEARNING_RATE, LAST_SHARE = 1.2e-3, 0.02
WARM_UP_STEPS, FLAT_UNTIL = 400, 0.30
WEIGHT_DECAY, BETAS, CLIP_NORM = 0.05, (0.9, 0.98), 1.0
DROPOUT, LABEL_SMOOTHING = 0.05, 0.05
EMA_DECAY, EMA_EVERY = 0.999, 4
CHECKPOINT_S, VALIDATE_S, FIRST_VALIDATION_S, INGEST_S = 60, 120, 200, 4


def ctc_weight(progress: float) -> float:
    """The encoder learns sounds from CTC first; the decoder's own loss then gets more of the say."""
    return 0.6 if progress < 0.3 else 0.3


def learning_rate(step: int, progress: float) -> float:
    share = 1.0
    if progress >= FLAT_UNTIL:
        share = LAST_SHARE + (1 - LAST_SHARE) * 0.5 * (1 + math.cos(math.pi * (progress - FLAT_UNTIL) / (1 - FLAT_UNTIL)))
    return PEAK_LEARNING_RATE * min(1.0, (step + 1) / WARM_UP_STEPS) * share


class Feeder:
    """Turns the sampler processes' arrays into pinned tensors ahead of time."""

    def __init__(self, arguments, manifest: str, start: float, device: str, sampler=sampler_process):
        self.shared = multiprocessing.Queue(8)
        self.ready = queue.Queue(3)
        self.device = device
        seconds = 16.0 if arguments.smoke else arguments.batch_seconds
        # A smoke test starts late in the curriculum, so that it sees every kind of batch.
        begin = start - (arguments.seconds if arguments.smoke else 0)
        self.processes = [multiprocessing.Process(
            target=sampler, daemon=True,
            args=(self.shared, arguments.text, manifest, seconds, 77 * index, begin, arguments.seconds))
            for index in range(arguments.samplers)]
        for process in self.processes:  # before CUDA starts
            process.start()

    def run(self):
        threading.Thread(target=self._prepare, daemon=True).start()

    def _prepare(self):
        while True:
            batch = self.shared.get()
            batch["n_copied"] = int(batch["length"].sum())
            batch["seconds"] = float(batch["n_samples"].sum()) / 16000
            for name in [name for name, value in batch.items() if isinstance(value, np.ndarray)]:
                tensor = torch.from_numpy(batch[name])
                batch[name] = tensor.pin_memory() if self.device == "cuda" else tensor
            self.ready.put(batch)

    def next(self) -> dict:
        """The lengths that a CTC loss reads on the host stay there, under *_host."""
        while True:
            try:
                batch = self.ready.get(timeout=5)
                break
            except queue.Empty:
                if not any(process.is_alive() for process in self.processes):
                    raise SystemExit("train: every sampler process has ended")
        on_device = {name: value.to(self.device, non_blocking=True) if torch.is_tensor(value) else value
                     for name, value in batch.items()}
        return on_device | {f"{name}_host": batch[name] for name in ("n_tokens", "ctc_lengths") if name in batch}


class Trainer:
    def __init__(self, device: str):
        self.device = device
        torch.manual_seed(1)
        self.model = Qwen3Asr(Config()).to(device)
        self.ctc = torch.nn.Linear(Config.hidden, Config.vocab + 1).to(device)  # the last class is CTC's blank; not shipped
        self.ema = Qwen3Asr(Config()).to(device)
        self.ema.load_state_dict(self.model.state_dict())
        self.ema.eval().requires_grad_(False)
        self.parameters = [*self.model.parameters(), *self.ctc.parameters()]
        groups = [{"params": [p for p in self.parameters if p.dim() > 1], "weight_decay": WEIGHT_DECAY},
                  {"params": [p for p in self.parameters if p.dim() <= 1], "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=1e-4, betas=BETAS, fused=device == "cuda")
        self.augment = augment.Augmenter(device)
        self.step_number = 0
        self.sums = torch.zeros(3, device=device)  # cross-entropy, CTC, gradient norm since the last report
        self.events = [torch.cuda.Event(enable_timing=True) for _ in range(4)] if device == "cuda" else None

    def mark(self, index: int):
        if self.events:
            self.events[index].record()

    def step(self, pool: torch.Tensor, batch: dict, progress: float):
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step_number, progress)
        self.mark(0)
        with torch.no_grad():
            mel = self.augment(augment.place(pool, batch), batch["n_samples"])
        self.mark(1)
        with torch.autocast("cuda", torch.bfloat16, enabled=self.device == "cuda"):
            audio = self.model.encode(mel, batch["n_tokens"], DROPOUT)
            hidden = self.model.hidden(audio, batch["ids"], batch["audio_index"], DROPOUT)
            logits = self.model.logits(hidden.flatten(0, 1)[batch["predict_at"]])
            ctc_logits = self.ctc(audio)
        cross_entropy = F.cross_entropy(logits.float(), batch["labels"], label_smoothing=LABEL_SMOOTHING)
        ctc = F.ctc_loss(ctc_logits.float().log_softmax(-1).transpose(0, 1), batch["ctc_ids"], batch["n_tokens_host"],
                         batch["ctc_lengths_host"], blank=Config.vocab, zero_infinity=True, reduction="none")
        ctc = (ctc / torch.maximum(batch["ctc_lengths"], batch["n_tokens"] / 8)).mean()
        self.mark(2)
        self.optimizer.zero_grad(set_to_none=True)
        (cross_entropy + ctc_weight(progress) * ctc).backward()
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, CLIP_NORM)
        self.optimizer.step()
        self.step_number += 1
        if self.step_number % EMA_EVERY == 0:
            decay = min(EMA_DECAY, self.step_number / (self.step_number + 40)) ** EMA_EVERY
            torch._foreach_lerp_(list(self.ema.parameters()), list(self.model.parameters()), 1 - decay)
        self.mark(3)
        self.sums += torch.stack([cross_entropy.detach(), ctc.detach(), norm.detach().float()])

    def phases(self) -> str:
        """Milliseconds of the last step's parts on the GPU: augmentation, forward, backward with update."""
        if not self.events:
            return "not timed"
        self.events[3].synchronize()
        return "/".join(f"{self.events[i].elapsed_time(self.events[i + 1]):.0f}" for i in range(3)) + " ms"

    def save(self, folder: str):
        os.makedirs(folder, exist_ok=True)
        state = {name: tensor.cpu() for name, tensor in self.ema.state_dict().items()}
        torch.save({"step": self.step_number, "state": state}, f"{folder}/ema.pt.tmp")
        os.replace(f"{folder}/ema.pt.tmp", f"{folder}/ema.pt")


class Log:
    def __init__(self, path: str, start: float):
        self.file, self.start = open(path, "a"), start

    def __call__(self, message: str):
        line = f"[{time.time() - self.start:7.1f}] {message}"
        print(line, flush=True)
        self.file.write(line + "\n")
        self.file.flush()


def run(arguments, start: float, log: Log, stop: threading.Event):
    device = "cuda" if torch.cuda.is_available() and not arguments.cpu else "cpu"
    manifest = f"{arguments.out}/shards.tsv"
    open(manifest, "w").close()
    feeder = Feeder(arguments, manifest, start, device)
    pool = Pool(arguments.pool, manifest, int(arguments.pool_hours * 57.6e6), device)
    trainer, text = Trainer(device), Text(arguments.text)
    torch.backends.cudnn.benchmark = True
    log(f"device {device}, {sum(p.numel() for p in trainer.model.parameters())} parameters; waiting for speech")
    while pool.fill == 0 and not stop.is_set():
        pool.ingest(64)
        time.sleep(0.5)
    feeder.run()
    validation, last_steps = None, 6 if arguments.smoke else 1 << 60
    report_every = 2 if arguments.smoke else 100
    reported = ingested = saved = time.time()
    validated = time.time() + FIRST_VALIDATION_S - VALIDATE_S
    seen_s = waited_s = 0.0
    while not stop.is_set() and trainer.step_number < last_steps:
        progress = (time.time() - start) / arguments.seconds
        if progress >= 1:
            break
        before = time.time()
        batch = feeder.next()
        waited_s += time.time() - before
        trainer.step(pool.samples, batch, progress)
        seen_s += batch["seconds"]
        now = time.time()
        if trainer.step_number % report_every == 0:
            cross_entropy, ctc, norm = (trainer.sums / report_every).tolist()
            log(f"step {trainer.step_number} part {progress:.3f} ce {cross_entropy:.3f} ctc {ctc:.3f} norm {norm:.2f} "
                f"{1e3 * (time.time() - reported) / report_every:.0f} ms/step (waited {1e3 * waited_s / report_every:.0f}; last: "
                f"{trainer.phases()}) seen {seen_s / 3600:.0f} h pool {pool.hours:.1f} h "
                f"memory {torch.cuda.max_memory_allocated() / 1e9 if device == 'cuda' else 0:.0f} GB")
            trainer.sums.zero_()
            reported, waited_s = time.time(), 0.0
            if not math.isfinite(cross_entropy):
                raise SystemExit("train: the loss is no longer finite; the last checkpoint is kept")
        if now - ingested > INGEST_S:
            pool.ingest(24)
            ingested = time.time()
        if now - saved > CHECKPOINT_S:
            trainer.save(f"{arguments.out}/ckpt")
            saved = time.time()
        if now - validated > VALIDATE_S:
            validation = validation or decode.load_shard(f"{arguments.pool}/validation")
            if validation:
                log(decode.report(trainer.ema, text, validation, device))
            validated = time.time()
    trainer.save(f"{arguments.out}/ckpt")
    summary = {"steps": trainer.step_number, "audio_hours_seen": seen_s / 3600, "pool_hours": pool.hours,
               "seconds": time.time() - start, "ended_early": stop.is_set()}
    validation = validation or decode.load_shard(f"{arguments.pool}/validation")
    if validation:
        if arguments.smoke:
            validation = sorted(validation, key=lambda clip: len(clip[0]))[:2]
        log(decode.report(trainer.ema, text, validation, device, summary))
    with open(f"{arguments.out}/train_summary.json", "w") as file:
        json.dump(summary, file, indent=2)
    log("finished " + json.dumps(summary))
    for process in feeder.processes:
        process.kill()


def main():
    start = time.time()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", required=True, help="output folder of prepare_text.py")
    parser.add_argument("--pool", required=True, help="output folder of synthesize.py")
    parser.add_argument("--out", required=True)
    parser.add_argument("--seconds", type=float, default=1050)
    parser.add_argument("--batch-seconds", type=float, default=1000, help="speech in a full batch, padding included")
    parser.add_argument("--pool-hours", type=float, default=170, help="room for speech on the GPU (115 MB an hour)")
    parser.add_argument("--samplers", type=int, default=4)
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--smoke", action="store_true")
    arguments = parser.parse_args()
    os.makedirs(arguments.out, exist_ok=True)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    run(arguments, start, Log(f"{arguments.out}/train_log.txt", start), stop)
    os._exit(0)  # the feeder thread waits for ever


if __name__ == "__main__":
    main()
