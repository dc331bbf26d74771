#!/usr/bin/env python3
"""Load on a server with OpenAI's transcription API: uploads in a closed or open loop, paced live streams, mixtures.

    bench/server.py --url http://127.0.0.1:8000 --model demo-en talk.wav more.wav --concurrency 1,4,16
    bench/server.py --url ... --rate 2 --duration 30 talk.wav          # open loop: 2 requests a second, whatever happens
    bench/server.py --url ... --live 16 speech.wav                     # 16 WebSockets at the speed of speech
    bench/server.py --bars build/release/bin/qasr                      # starts servers and prints the bars of docs/server.md

WAV files of 16 kHz, 16 bit, mono for --live. Standard library only.
"""

import argparse
import base64
import contextlib
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
                self.first_s = self.first_s or time.monotonic() - begin
                self.text += message["delta"]
            elif message["type"].endswith("transcription.completed"):
                self.delays.append(time.monotonic() - self.commit_at)
                break
        sender.join()
        self.connection.close()


def live(target, pcm, n_streams, stagger_s=0.13):
    """Paced streams; the delay is from the last audio to the complete text."""
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
    return delays, {client.text for client in clients}


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


def bars(program):
    sample = ROOT / "models/demo-en/samples/long_rms.wav"
    data, length_s = sample.read_bytes(), seconds_of(sample)
    n_files = 32
    begin = time.monotonic()
    subprocess.run([program, "transcribe", "--quiet", "-f", "jsonl", *[str(sample)] * n_files], check=True, stdout=subprocess.DEVNULL)
    cli = n_files * length_s / (time.monotonic() - begin)
    with server(program) as target:
        closed_loop(target, [(length_s, data)], 1, 2)
        one = gauge(target, "qasr_resident_memory_bytes")
        load, elapsed_s = closed_loop(target, [(length_s, data)], 16, n_files)
        many, kv = gauge(target, "qasr_resident_memory_bytes"), gauge(target, "qasr_kv_pages_used")
        rate = load.audio_s / elapsed_s
        bar("16 uploads at a time against qasr transcribe", f"{rate / cli:.2f}", ">= 0.90", rate >= 0.9 * cli)
        bar("memory with 16 clients against one", f"{many / one:.2f} ({kv:.0f} KV pages in use)", "<= 1.3", many <= 1.3 * one)

        stop, health = threading.Event(), []

        def probe():
            while not stop.is_set():
                at = time.monotonic()
                target.get("/health")
                health.append(time.monotonic() - at)
                time.sleep(0.02)
        prober = threading.Thread(target=probe)
        prober.start()
        closed_loop(target, [(length_s, data)], 16, 16)
        stop.set()
        prober.join()
        p99 = 1000 * percentile(health, .99)
        bar("health under load, p99", f"{p99:.0f} ms", "< 50 ms", p99 < 50)

        pcm = data[44:44 + 32000 * 10]
        alone, texts = live(target, pcm, 16)
        with wave.open(str(sample)) as file:
            frames = file.readframes(file.getnframes())
        long = frames * (600 * 32000 // len(frames))
        header = data[:4] + struct.pack("<I", len(long) + 36) + data[8:40] + struct.pack("<I", len(long))
        stop = threading.Event()

        def uploads():
            while not stop.is_set():  # one after the other: the demonstration model needs seconds for one
                target.transcribe(header + long)
        upload = threading.Thread(target=uploads)
        upload.start()
        time.sleep(1)
        busy, busy_texts = live(target, pcm, 16)
        stop.set()
        upload.join()
        bar("16 live streams: p95 delay beside uploads of 10 minutes",
            f"{percentile(busy, .95):.2f} s, alone {percentile(alone, .95):.2f} s", "less than 1.5 times",
            percentile(busy, .95) < 1.5 * percentile(alone, .95))
        bar("live text beside the upload is the same", str(texts == busy_texts), "True", texts == busy_texts)
    with server(program, "--max-realtime", "600") as target:
        target.get("/health")
        before = gauge(target, "qasr_resident_memory_bytes")
        idle = [LiveClient(target) for _ in range(500)]
        each = (gauge(target, "qasr_resident_memory_bytes") - before) / len(idle) / 1024
        bar("an idle WebSocket", f"{each:.1f} KB", "< 64 KB", each < 64)
        for client in idle:
            client.connection.close()


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
    arguments = parser.parse_args()
    if arguments.bars:
        return bars(arguments.bars)
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
