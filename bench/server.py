#!/usr/bin/env python3
"""Load on a server with OpenAI's transcription API: uploads in a closed or open loop, paced live streams, mixtures.

    bench/server.py --url http://127.0.0.1:8000 --model demo-en talk.wav more.wav --concurrency 1,4,16
    bench/server.py --url ... --rate 2 --duration 30 talk.wav          # open loop: 2 requests a second, whatever happens
    bench/server.py --url ... --live 16 speech.wav                     # 16 WebSockets at the speed of speech
    bench/server.py --bars build/release/bin/qasr                      # starts servers and prints the bars of docs/server.md
    bench/server.py --bars build/release/bin/qasr --only live          # some of: uploads, health, live, idle
    bench/server.py --bars build/release/bin/qasr --synthetic          # rows that make sense with the size of 0.6B, q8

WAV files of 16 kHz, 16 bit, mono for --live. Standard library only.
"""

import argparse
import base64
import contextlib
import difflib
import http.client
import json
import os
import pathlib
import random
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import wave

ROOT = pathlib.Path(__file__).resolve().parent.parent
BOUNDARY = "qasr-bench-boundary"
CHUNK_S = 0.1


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def seconds_of(path):
    with wave.open(str(path)) as file:
        return file.getnframes() / file.getframerate()


class Target:
    def __init__(self, url, model, key=None):
        parts = urllib.parse.urlsplit(url)
        self.host, self.port, self.model = parts.hostname, parts.port or 80, model
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}

    def get(self, path):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        try:
            connection.request("GET", path, headers=self.headers)
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def transcribe(self, data):
        """Streams one recording; (seconds to the first text, seconds in all, text). Raises RuntimeError on an error."""
        fields = "".join(f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
                         for name, value in (("model", self.model), ("stream", "true")))
        body = (fields + f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n').encode()
        body += data + f"\r\n--{BOUNDARY}--\r\n".encode()
        connection = http.client.HTTPConnection(self.host, self.port, timeout=3600)
        begin, first, text = time.monotonic(), None, ""
        try:
            connection.request("POST", "/v1/audio/transcriptions", body,
                               {**self.headers, "Content-Type": f"multipart/form-data; boundary={BOUNDARY}"})
            answer = connection.getresponse()
            if answer.status != 200:
                raise RuntimeError(f"status {answer.status}")
            for line in answer:
                if line.startswith(b"data: {"):
                    event = json.loads(line[6:])
                    first = first or time.monotonic() - begin
                    text = event.get("text", text)
                    if "error" in event:
                        raise RuntimeError(event["error"]["message"])
            return first, time.monotonic() - begin, text
        finally:
            connection.close()


class Load:
    """Counts what several threads do."""

    def __init__(self):
        self.lock, self.totals, self.firsts, self.errors, self.audio_s = threading.Lock(), [], [], [], 0.0

    def upload(self, target, recording):
        try:
            first, total, _ = target.transcribe(recording[1])
            with self.lock:
                self.firsts.append(first)
                self.totals.append(total)
                self.audio_s += recording[0]
        except (OSError, RuntimeError) as error:
            with self.lock:
                self.errors.append(str(error))

    def report(self, name, elapsed_s):
        print(f"{name:24} {len(self.totals):5} done {len(self.errors):4} errors  {self.audio_s / elapsed_s:7.2f} x real time  "
              f"first text {percentile(self.firsts, .5):6.2f} s  total p50 {percentile(self.totals, .5):6.2f}  "
              f"p95 {percentile(self.totals, .95):6.2f}  p99 {percentile(self.totals, .99):6.2f} s", flush=True)


def closed_loop(target, recordings, concurrency, n_requests):
    """So many clients, each sending its next request when it has the answer."""
    load, queue = Load(), list(range(n_requests))

    def client():
        while True:
            with load.lock:
                if not queue:
                    return
                index = queue.pop(0)
            load.upload(target, recordings[index % len(recordings)])

    begin = time.monotonic()
    threads = [threading.Thread(target=client) for _ in range(concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed_s = time.monotonic() - begin
    load.report(f"closed, {concurrency} clients", elapsed_s)
    return load, elapsed_s


def open_loop(target, recordings, rate, duration_s):
    """Requests at random times, so many a second, whether or not there are answers."""
    load, threads, rng, begin = Load(), [], random.Random(1), time.monotonic()
    at = rng.expovariate(rate)
    while at < duration_s:
        time.sleep(max(0, begin + at - time.monotonic()))
        threads.append(threading.Thread(target=load.upload, args=(target, recordings[len(threads) % len(recordings)])))
        threads[-1].start()
        at += rng.expovariate(rate)
    for thread in threads:
        thread.join()
    load.report(f"open, {rate:g} a second", time.monotonic() - begin)
    return load


class LiveClient:
    """A WebSocket that sends PCM at the speed of speech and notes when text comes."""

    def __init__(self, target):
        self.connection = socket.create_connection((target.host, target.port), timeout=120)
        self.stream = self.connection.makefile("rb")
        head = f"GET /v1/realtime?model={target.model} HTTP/1.1\r\nHost: {target.host}:{target.port}\r\nUpgrade: websocket\r\n"
        head += "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in target.headers.items())
        self.connection.sendall(head.encode() + b"\r\n")
        status = self.stream.readline()
        if b" 101 " not in status:
            raise RuntimeError(status.decode())
        while self.stream.readline() != b"\r\n":
            pass
        self.delays, self.text, self.first_s = [], "", None
        self.heard = []  # (words of a delta, seconds from the beginning when it came)

    def send(self, **message):
        data = json.dumps(message).encode()
        size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack(">H", len(data))
        self.connection.sendall(b"\x81" + size + bytes(4) + data)  # a mask of zeros

    def receive(self):
        head = self.stream.read(2)
        size = head[1] & 127
        if size == 126:
            (size,) = struct.unpack(">H", self.stream.read(2))
        elif size == 127:
            (size,) = struct.unpack(">Q", self.stream.read(8))
        return json.loads(self.stream.read(size)) if head[0] == 0x81 else None

    def speak(self, pcm, begin):
        """Sends in real time. Delay of a text: from the end of what was sent when it came back as late as if nothing waited."""
        step = int(32000 * CHUNK_S)
        for n, at in enumerate(range(0, len(pcm), step)):
            time.sleep(max(0, begin + (n + 1) * CHUNK_S - time.monotonic()))
            self.send(type="input_audio_buffer.append", audio=base64.b64encode(pcm[at:at + step]).decode())
        self.commit_at = time.monotonic()
        self.send(type="input_audio_buffer.commit")

    def run(self, pcm, begin):
        self.send(type="session.update", session={"type": "transcription", "audio": {"input": {
            "format": {"type": "audio/pcm", "rate": 16000}, "turn_detection": None}}})
        sender = threading.Thread(target=self.speak, args=(pcm, begin))
        sender.start()
        while (message := self.receive()) is not None:
            if message["type"].endswith("transcription.delta"):
                now_s = time.monotonic() - begin
                self.first_s = self.first_s or now_s
                self.text += message["delta"]
                self.heard.append((len(words(self.text)), now_s))
            elif message["type"].endswith("transcription.completed"):
                self.delays.append(time.monotonic() - self.commit_at)
                break
        sender.join()
        self.connection.close()


def words(text):
    return re.findall(r"[a-z']+", text.lower())


def word_delays(client, spoken):
    """From the end of each word's audio to its delta. spoken: (word, end in seconds), as a forced aligner says."""
    heard, come_s = words(client.text), []
    for n_words, at_s in client.heard:
        come_s += [at_s] * (n_words - len(come_s))
    matcher = difflib.SequenceMatcher(None, [word for word, _ in spoken], heard, autojunk=False)
    return [come_s[block.b + n] - spoken[block.a + n][1] for block in matcher.get_matching_blocks() for n in range(block.size)]


def live(target, pcm, n_streams, stagger_s=0.13, spoken=()):
    """Paced streams. Delays from the last audio to the complete text; texts; delays of words."""
    clients = [LiveClient(target) for _ in range(n_streams)]
    begin = time.monotonic() + 0.2
    threads = [threading.Thread(target=client.run, args=(pcm, begin + n * stagger_s)) for n, client in enumerate(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    delays = [delay for client in clients for delay in client.delays]
    firsts = [client.first_s for client in clients if client.first_s]
    print(f"live, {n_streams} streams{'':9} {len(delays):5} done {n_streams - len(delays):4} errors  final text p50 {percentile(delays, .5):.2f}  "
          f"p95 {percentile(delays, .95):.2f} s after the last audio; first text {percentile(firsts, .5):.2f} s after the first", flush=True)
    return delays, {client.text for client in clients}, [delay for client in clients for delay in word_delays(client, spoken)]


def gauge(target, name):
    return float(re.search(rf"^{name}(?:{{[^}}]*}})? (\S+)$", target.get("/metrics"), re.MULTILINE).group(1))


@contextlib.contextmanager
def server(program, *arguments):
    process = subprocess.Popen([program, "serve", "--port", "0", "--access-log", "", *arguments], stderr=subprocess.PIPE, text=True)
    try:
        for line in process.stderr:
            if found := re.search(r"listening on (http://.*:\d+)$", line.strip()):
                break
        threading.Thread(target=process.stderr.read, daemon=True).start()
        yield Target(found.group(1), "demo-en")
    finally:
        process.terminate()
        process.wait()


def bar(name, value, limit, met):
    print(f"{'ok  ' if met else 'MISS'} {name}: {value} (bar: {limit})", flush=True)


def wav(pcm):
    """16 kHz, 16 bit, mono."""
    return struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(pcm), b"WAVE", b"fmt ", 16, 1, 1, 16000, 32000, 2, 16, b"data",
                       len(pcm)) + pcm


def pcm_of(path):
    with wave.open(str(path)) as file:
        return file.readframes(file.getnframes())


def synthetic_model(program, folder):
    """The size of 0.6B with made-up weights, whose answers end: one of 24 tokens is an end token."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "qasr"
    checkpoint = cache / "synthetic-qwen3-asr-0.6b-seed-0"
    if not checkpoint.exists():
        subprocess.run([program, "bench", "--quiet", "--audio-s", "1", "--tokens", "1", "--runs", "1"], check=True,
                       stdout=subprocess.DEVNULL)
    subprocess.run([sys.executable, ROOT / "tools/unpack_qwen3_tokenizer.py", ROOT / "tests/data/qwen3-tokenizer", folder],
                   check=True)
    for file in checkpoint.iterdir():
        if not (folder / file.name).exists():
            (folder / file.name).symlink_to(file)
    (folder / "generation_config.json").unlink(missing_ok=True)
    vocab = json.loads((folder / "config.json").read_text())["thinker_config"]["text_config"]["vocab_size"]
    ends = {"do_sample": False, "eos_token_id": list(range(0, vocab, 24)), "pad_token_id": 0}
    (folder / "generation_config.json").write_text(json.dumps(ends))
    return folder


class Bars:
    """The rows, for one program and one model."""

    def __init__(self, program, model=None):
        self.program, self.model = program, model
        self.recording = ROOT / "models/demo-en/samples/long_rms.wav"
        pcm = pcm_of(self.recording)
        self.pcm = pcm if model is None else pcm[:32000 * 10]
        self.n_files = 32 if model is None else 16

    def server(self, *arguments):
        return server(self.program, *(["--model", f"demo-en={self.model}"] if self.model else []), *arguments)

    def uploads(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "speech.wav"
            file.write_bytes(wav(self.pcm))
            recording = (seconds_of(file), file.read_bytes())
            model = ["--model", str(self.model)] if self.model else []
            begin = time.monotonic()
            subprocess.run([self.program, "transcribe", "--quiet", "-f", "jsonl", *model, *[str(file)] * self.n_files], check=True,
                           stdout=subprocess.DEVNULL)
            cli = self.n_files * recording[0] / (time.monotonic() - begin)
        with self.server() as target:
            closed_loop(target, [recording], 1, 2)
            one = gauge(target, "qasr_resident_memory_bytes")
            load, elapsed_s = closed_loop(target, [recording], 16, self.n_files)
            many, kv = gauge(target, "qasr_resident_memory_bytes"), gauge(target, "qasr_kv_pages_used")
            rate = load.audio_s / elapsed_s
            bar(f"16 uploads at a time ({rate:.1f} x real time) against qasr transcribe", f"{rate / cli:.2f}", ">= 0.90",
                rate >= 0.9 * cli)
            bar("memory with 16 clients against one", f"{many / one:.2f} ({kv:.0f} KV pages in use)", "<= 1.3", many <= 1.3 * one)

    def health(self):
        with self.server() as target:
            stop, delays = threading.Event(), []

            def probe():
                while not stop.is_set():
                    at = time.monotonic()
                    target.get("/health")
                    delays.append(time.monotonic() - at)
                    time.sleep(0.02)
            prober = threading.Thread(target=probe)
            prober.start()
            closed_loop(target, [(len(self.pcm) / 32000, wav(self.pcm))], 16, 16)
            stop.set()
            prober.join()
            p99 = 1000 * percentile(delays, .99)
            bar(f"health under load, p99 of {len(delays)}", f"{p99:.0f} ms", "< 50 ms", p99 < 50)

    def word_ends(self, pcm):
        """By the program's own forced aligner."""
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            file.write(wav(pcm))
            file.flush()
            result = subprocess.run([self.program, "transcribe", "--quiet", "--words", "-f", "json", file.name], check=True,
                                    capture_output=True)
        return [(word["word"].lower(), word["end"]) for word in json.loads(result.stdout)["words"]]

    def live(self):
        """Alone and beside uploads in turn: what else the machine does meets both."""
        pcm = self.pcm[:32000 * 10]
        spoken = self.word_ends(pcm)
        long = wav(self.pcm * (600 * 32000 // len(self.pcm)))
        finals, delays, texts = {False: [], True: []}, {False: [], True: []}, {False: set(), True: set()}
        with self.server() as target, tempfile.NamedTemporaryFile(suffix=".wav") as file:
            file.write(long)
            file.flush()
            # One after the other, since the demonstration model needs seconds for one; from a process of its own, which
            # keeps no measuring thread waiting.
            uploads = [sys.executable, __file__, "--url", f"http://{target.host}:{target.port}", "--model", target.model,
                       "--concurrency", "1", "--requests", "1000", file.name]
            for busy in (False, True) * 3:
                uploader = subprocess.Popen(uploads, stdout=subprocess.DEVNULL) if busy else None
                time.sleep(2)
                final, text, word = live(target, pcm, 16, spoken=spoken)
                finals[busy] += final
                delays[busy] += word
                texts[busy] |= text
                if uploader:
                    uploader.terminate()
                    uploader.wait()
        for name, values in (("commit delay of words", delays), ("end of a stream to its complete text", finals)):
            alone, beside = (percentile(values[busy], .95) for busy in (False, True))
            bar(f"16 live streams beside uploads of 10 minutes, {name}, p95 of {len(values[True])}",
                f"{beside:.3f} s, alone {alone:.3f} s", "less than 1.5 times", beside < 1.5 * alone)
        bar("live text beside the uploads is the same", str(texts[False] == texts[True]), "True",
            texts[False] == texts[True])

    def idle(self):
        with self.server("--max-realtime", "600") as target:
            target.get("/health")
            before = gauge(target, "qasr_resident_memory_bytes")
            idle = [LiveClient(target) for _ in range(500)]
            each = (gauge(target, "qasr_resident_memory_bytes") - before) / len(idle) / 1024
            bar("an idle WebSocket", f"{each:.1f} KB", "< 64 KB", each < 64)
            for client in idle:
                client.connection.close()


def bars(program, only, synthetic):
    with tempfile.TemporaryDirectory() as folder:
        rows = Bars(program, synthetic_model(program, pathlib.Path(folder)) if synthetic else None)
        # Made-up weights say nothing of words, and sixteen live streams of that size are more than two cores can follow.
        for name in only.split(",") if only else ("uploads", "health", "idle") if synthetic else ("uploads", "health", "live", "idle"):
            getattr(rows, name)()
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=pathlib.Path)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--model", default="demo-en")
    parser.add_argument("--key", default=os.environ.get("QASR_KEY"))
    parser.add_argument("--concurrency", default="1,4,16", help="clients of the closed loop, a sweep")
    parser.add_argument("--requests", type=int, default=32, help="of each closed loop")
    parser.add_argument("--rate", type=float, help="open loop: requests a second")
    parser.add_argument("--duration", type=float, default=30, help="seconds of the open loop")
    parser.add_argument("--live", type=int, help="paced streams instead of uploads")
    parser.add_argument("--bars", metavar="PROGRAM", help="the bars of the demonstration model")
    parser.add_argument("--only", help="of the bars: uploads, health, live, idle, separated by commas")
    parser.add_argument("--synthetic", action="store_true", help="the bars with made-up weights of the size of 0.6B")
    arguments = parser.parse_args()
    if arguments.bars:
        return bars(arguments.bars, arguments.only, arguments.synthetic)
    if not arguments.files:
        parser.error("expected WAV files")
    target = Target(arguments.url, arguments.model, arguments.key)
    recordings = [(seconds_of(path), path.read_bytes()) for path in arguments.files]
    if arguments.live:
        live(target, recordings[0][1][44:], arguments.live)
    elif arguments.rate:
        open_loop(target, recordings, arguments.rate, arguments.duration)
    else:
        for concurrency in arguments.concurrency.split(","):
            closed_loop(target, recordings, int(concurrency), arguments.requests)
    return 0


if __name__ == "__main__":
    sys.exit(main())
