#!/usr/bin/env python3
"""Trains the demo aligner on the timed shards of synthesize.py --times while they are being made.

    train_aligner.py --recogniser models/demo-en --text TEXT --pool POOL --out OUT --seconds 450
    train_aligner.py ... --smoke     a few small steps on any machine, to see that everything fits together

Begins with the recogniser's weights, or with --resume where another run ended. OUT/ckpt/ema.pt (averaged weights) is renewed every minute and at the end; SIGTERM
ends training early but cleanly. Progress goes to standard output and OUT/train_log.txt.
"""
import argparse
import json
import math
import os
import signal
import threading
import time

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # sampler processes are forked

import torch
import torch.nn.functional as F

import aligner_batches
import aligner_eval
import augment
import decode
import train
from aligner_model import CONFIG, N_CLASSES, N_POSITION_LAYERS, Aligner, read_recogniser, start_from_recogniser
from batches import Pool
from features import Text, mel_filters, n_audio_tokens
from model import Qwen3Asr

PEAK_LEARNING_RATE, LAST_SHARE = 6e-4, 0.01
WARM_UP_STEPS, FLAT_UNTIL = 200, 0.35
WEIGHT_DECAY, BETAS, CLIP_NORM, DROPOUT = 0.02, (0.9, 0.98), 1.0, 0.03
POSITION_SHARE = 0.05  # of the learning rate, for the layers that are right from the start
EMA_DECAY, EMA_EVERY = 0.998, 4
EARLY_WEIGHT = 0.25  # of the losses of slots after each of EARLY_LAYERS
REACH = 12  # classes on each side of the true time that get a share of the target
CHECKPOINT_S, VALIDATE_S, INGEST_S = 60, 60, 4


def learning_rate(step: int, progress: float) -> float:
    share = 1.0
    if progress >= FLAT_UNTIL:
        share = LAST_SHARE + (1 - LAST_SHARE) * 0.5 * (1 + math.cos(math.pi * (progress - FLAT_UNTIL) / (1 - FLAT_UNTIL)))
    return PEAK_LEARNING_RATE * min(1.0, (step + 1) / WARM_UP_STEPS) * share


def width(progress: float) -> float:
    """Standard deviation of the targets in classes: wide at first, at last about what rounding costs."""
    return max(0.4, 2.5 * (1 - progress / 0.2))


def auxiliary_weight(progress: float) -> float:
    return 0.5 if progress < 0.2 else 0.1


def soft_cross_entropy(logits: torch.Tensor, times: torch.Tensor, deviation: float) -> torch.Tensor:
    """Mean cross-entropy against normal distributions around `times` (in classes)."""
    classes = times.round().long()[:, None] + torch.arange(-REACH, REACH + 1, device=times.device)
    target = torch.exp(-0.5 * ((classes - times[:, None]) / deviation) ** 2) * ((classes >= 0) & (classes < N_CLASSES))
    target = target / target.sum(1, keepdim=True)
    log_p = logits.float().log_softmax(-1)
    return -(target * log_p.gather(1, classes.clamp(0, N_CLASSES - 1))).sum(1).mean()


def flat_cross_entropy(logits: torch.Tensor, n_classes: torch.Tensor) -> torch.Tensor:
    """Against equal shares for classes 0 to n_classes - 1."""
    log_p = logits.float().log_softmax(-1)
    inside = torch.arange(N_CLASSES, device=logits.device)[None] < n_classes[:, None]
    return -((log_p * inside).sum(1) / n_classes).mean()


@torch.no_grad()
def recogniser_rows(recogniser: dict, clips: list, device) -> torch.Tensor:
    """What the recogniser's audio tower makes of some clips: [n, hidden]."""
    asr, filters, rows = Qwen3Asr().to(device), mel_filters().to(device), []
    asr.load_state_dict(recogniser)
    for samples, *_ in clips[:24]:
        feature = decode.clip_features(samples, filters)
        n_tokens, chunks = n_audio_tokens(feature.shape[1]), decode.padded_chunks(feature.shape[1])
        mel = torch.zeros(1, feature.shape[0], chunks * 100, device=device)
        mel[0, :, :feature.shape[1]] = feature
        rows.append(asr.encode(mel, torch.tensor([n_tokens], device=device))[0, :n_tokens].float().cpu())
    return torch.cat(rows)


class Trainer:
    def __init__(self, model: Aligner, device: str, resumed: bool):
        self.device, self.resumed = device, resumed
        self.model = model.to(device)
        self.auxiliary = torch.nn.Sequential(torch.nn.LayerNorm(CONFIG.hidden), torch.nn.Linear(CONFIG.hidden, N_CLASSES)).to(device)
        self.ema = Aligner().to(device)
        self.ema.load_state_dict(self.model.state_dict())
        self.ema.eval().requires_grad_(False)
        decoder_layers = self.model.thinker.model.layers
        self.position = [*decoder_layers[:N_POSITION_LAYERS].parameters()]
        chosen = {id(p) for p in self.position}
        self.rest = [p for p in (*self.model.parameters(), *self.auxiliary.parameters()) if id(p) not in chosen]
        groups = [{"params": [p for p in self.rest if p.dim() > 1], "weight_decay": WEIGHT_DECAY, "share": 1.0},
                  {"params": [p for p in self.rest if p.dim() <= 1], "weight_decay": 0.0, "share": 1.0},
                  {"params": self.position, "weight_decay": 0.0, "share": POSITION_SHARE}]
        self.optimizer = torch.optim.AdamW(groups, lr=1e-4, betas=BETAS, fused=device == "cuda")
        self.augment = augment.Augmenter(device)
        self.step_number = 0
        self.sums = torch.zeros(4, device=device)  # losses of slots, audio tokens and other texts, gradient norm

    def step(self, pool: torch.Tensor, batch: dict, progress: float):
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step_number, progress) * group["share"]
        with torch.no_grad():
            mel = self.augment(augment.place(pool, batch), batch["n_samples"])
        with torch.autocast("cuda", torch.bfloat16, enabled=self.device == "cuda"):
            audio = self.model.encode(mel, batch["n_tokens"], DROPOUT)
            middle, early, hidden = self.model.hidden_states(audio, batch["ids"], batch["audio_index"], DROPOUT)
            hidden = hidden.flatten(0, 1)
            slot_logits = self.model.thinker.lm_head(hidden[batch["slot_at"]])
            early_logits = [self.model.thinker.lm_head(states.flatten(0, 1)[batch["slot_at"]]) for states in early]
            audio_logits = self.auxiliary(middle.flatten(0, 1)[batch["audio_at"]])
            other_logits = self.model.thinker.lm_head(hidden[batch["other_at"]])
        deviation = width(1.0 if self.resumed else progress)
        slots = soft_cross_entropy(slot_logits, batch["slot_times"], deviation)
        audio_loss = soft_cross_entropy(audio_logits, batch["audio_times"], deviation)
        early_loss = sum(soft_cross_entropy(logits, batch["slot_times"], deviation) for logits in early_logits)
        other = flat_cross_entropy(other_logits, batch["other_n"]) if len(batch["other_at"]) else slots.new_zeros(())
        self.optimizer.zero_grad(set_to_none=True)
        (slots + EARLY_WEIGHT * early_loss + auxiliary_weight(progress) * audio_loss + 0.05 * other).backward()
        norm = torch.nn.utils.clip_grad_norm_(self.rest, CLIP_NORM)
        torch.nn.utils.clip_grad_norm_(self.position, CLIP_NORM)
        self.optimizer.step()
        self.step_number += 1
        if self.step_number % EMA_EVERY == 0:
            decay = min(EMA_DECAY, self.step_number / (self.step_number + 40)) ** EMA_EVERY
            torch._foreach_lerp_(list(self.ema.parameters()), list(self.model.parameters()), 1 - decay)
        self.sums += torch.stack([slots.detach(), audio_loss.detach(), other.detach(), norm.detach().float()])

    save = train.Trainer.save


def wait_for_validation(arguments, stop: threading.Event) -> list:
    while not stop.is_set():
        clips = aligner_eval.load_timed(f"{arguments.pool}/validation")
        if clips:
            return clips
        time.sleep(0.3)
    raise SystemExit("train_aligner: stopped before there was any speech")


def run(arguments, start: float, log: train.Log, stop: threading.Event):
    device = "cuda" if torch.cuda.is_available() and not arguments.cpu else "cpu"
    manifest = f"{arguments.out}/shards.tsv"
    open(manifest, "w").close()
    feeder = train.Feeder(arguments, manifest, start, device, aligner_batches.sampler_process)
    pool, text = Pool(arguments.pool, manifest, int(arguments.pool_hours * 57.6e6), device), Text(arguments.text)
    torch.backends.cudnn.benchmark = True
    validation = wait_for_validation(arguments, stop)
    model = Aligner()
    if arguments.resume:
        model.load_state_dict(read_recogniser(arguments.resume))
    else:
        recogniser = read_recogniser(arguments.recogniser)
        start_from_recogniser(model, recogniser, recogniser_rows(recogniser, validation, device), text.special["<|audio_start|>"])
    trainer = Trainer(model, device, bool(arguments.resume))
    log(f"device {device}, {sum(p.numel() for p in trainer.model.parameters())} parameters, {len(validation)} validation clips")
    while pool.fill == 0 and not stop.is_set():
        pool.ingest(64)
        time.sleep(0.3)
    feeder.run()
    report_every, last_steps = (2, arguments.smoke_steps) if arguments.smoke else (100, 1 << 60)
    reported = ingested = saved = validated = time.time()
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
            slots, audio, other, norm = (trainer.sums / report_every).tolist()
            log(f"step {trainer.step_number} part {progress:.3f} slots {slots:.3f} audio {audio:.3f} other {other:.3f} norm {norm:.2f} "
                f"{1e3 * (time.time() - reported) / report_every:.0f} ms/step (waited {1e3 * waited_s / report_every:.0f}) "
                f"seen {seen_s / 3600:.0f} h pool {pool.hours:.1f} h "
                f"memory {torch.cuda.max_memory_allocated() / 1e9 if device == 'cuda' else 0:.0f} GB")
            trainer.sums.zero_()
            reported, waited_s = time.time(), 0.0
            if not math.isfinite(slots):
                raise SystemExit("train_aligner: the loss is no longer finite; the last checkpoint is kept")
        if now - ingested > INGEST_S:
            pool.ingest(24)
            ingested = time.time()
        if now - saved > CHECKPOINT_S:
            trainer.save(f"{arguments.out}/ckpt")
            saved = time.time()
        if now - validated > VALIDATE_S:
            log(aligner_eval.report(trainer.ema, text, validation, device))
            validated = time.time()
    trainer.save(f"{arguments.out}/ckpt")
    results = {"steps": trainer.step_number, "audio_hours_seen": seen_s / 3600, "pool_hours": pool.hours,
               "seconds": time.time() - start, "ended_early": stop.is_set(), "validation": {}}
    log(aligner_eval.report(trainer.ema, text, validation, device, results["validation"]))
    with open(f"{arguments.out}/train_summary.json", "w") as file:
        json.dump(results, file, indent=2)
    log("finished " + json.dumps(results))
    for process in feeder.processes:
        process.kill()


def main():
    start = time.time()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recogniser", required=True, help="model folder to begin with")
    parser.add_argument("--resume", help="folder of an exported aligner to go on with")
    parser.add_argument("--text", required=True, help="output folder of prepare_text.py")
    parser.add_argument("--pool", required=True, help="output folder of synthesize.py --times")
    parser.add_argument("--out", required=True)
    parser.add_argument("--seconds", type=float, default=450)
    parser.add_argument("--batch-seconds", type=float, default=640, help="speech in a full batch, padding included")
    parser.add_argument("--pool-hours", type=float, default=120, help="room for speech on the GPU (115 MB an hour)")
    parser.add_argument("--samplers", type=int, default=4)
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--smoke-steps", type=int, default=6)
    arguments = parser.parse_args()
    os.makedirs(arguments.out, exist_ok=True)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    run(arguments, start, train.Log(f"{arguments.out}/train_log.txt", start), stop)
    os._exit(0)  # the feeder thread waits for ever


if __name__ == "__main__":
    main()
