"""`qasr serve` under hostile requests: no crash, hang or leak, a proper answer or close, honest clients served meanwhile.

QASR_HOSTILE_REQUESTS=10000 makes it that many (the default keeps `make test` fast); the same seed makes the same requests.
"""

import contextlib
import json
import os
import random
import re
import threading
import time
import unittest

from harness import OK, PROGRAM, SAMPLE, references
from serve_harness import (BOUNDARY, FORM_TYPE, Server, WebSocket, form, read_answer, request, request_bytes, transcribe)

COUNT = int(os.environ.get("QASR_HOSTILE_REQUESTS", "400"))
TEXT = references()[SAMPLE.name]
SPEECH = SAMPLE.read_bytes()
PATH = "/v1/audio/transcriptions"
GOOD_FORM = form([("model", "demo-en"), ("prompt", "names")], SPEECH[:8000])
BROKEN = (BrokenPipeError, ConnectionResetError, TimeoutError)


def damaged(data, rng, places=8):
    data = bytearray(data)
    for _ in range(rng.randint(1, places)):
        at = rng.randrange(min(len(data), 600))
        kind = rng.randrange(4)
        if kind == 0:
            data[at] = rng.randrange(256)
        elif kind == 1:
            del data[at:at + rng.randint(1, 40)]
        elif kind == 2:
            data[at:at] = rng.randbytes(rng.randint(1, 40))
        else:
            data[at:at] = data[at:at + 50]
    return bytes(data)


class Hostile:
    """One method per kind of attack. Each returns raw bytes to send, or attacks by itself and returns None."""

    WHOLE = {"damaged_form", "path_tricks", "part_tricks", "many_parts", "audio_tricks"}  # well-formed HTTP: an answer comes

    def __init__(self, server, rng):
        self.server, self.rng = server, rng

    def damaged_form(self):
        return request_bytes("POST", PATH, damaged(GOOD_FORM, self.rng), FORM_TYPE)

    def damaged_head(self):
        return damaged(request_bytes("POST", PATH, GOOD_FORM, FORM_TYPE), self.rng)

    def noise(self):
        return self.rng.randbytes(self.rng.randint(1, 4000))

    def wrong_length(self):
        length = len(GOOD_FORM) + self.rng.choice((-3000, -100, -1))
        return request_bytes("POST", PATH, GOOD_FORM, {**FORM_TYPE, "Content-Length": length})

    def absurd_length(self):
        length = self.rng.choice(("-1", "1e3", "99999999999999999999999", "0x10", "5, 6", str(1 << 62)))
        return request_bytes("POST", PATH, b"x", {**FORM_TYPE, "Content-Length": length})

    def chunks(self):
        size = self.rng.choice(("ffffffffffffffffff", "-5", "zz", "7fffffffffffffff", "10"))
        return request_bytes("POST", PATH, f"{size}\r\nabc\r\n0\r\n\r\n".encode(), {**FORM_TYPE, "Transfer-Encoding": "chunked"})

    def header_flood(self):
        return request_bytes("GET", "/health", headers={f"X-{n}": "y" * self.rng.randint(1, 400) for n in range(500)})

    def path_tricks(self):
        path = self.rng.choice(("/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/v1/models/..%2f..", "/%", "/%zz", "//", "*",
                                "/v1/models/" + "a" * 5000, "/v1/audio/transcriptions%00", "http://evil.example/"))
        return request_bytes("GET", path)

    def part_tricks(self):
        name = self.rng.choice(('"file"; filename="../../x"', '"file"; filename="|rm"', '"a[b[c]]"', '"[]"', '""', '"' + "n" * 9000))
        body = f"--{BOUNDARY}\r\nContent-Disposition: form-data; name={name}\r\n\r\nx\r\n--{BOUNDARY}--\r\n".encode()
        return request_bytes("POST", PATH, body, FORM_TYPE)

    def many_parts(self):
        return request_bytes("POST", PATH, form([("keywords[]", "x")] * 2000), FORM_TYPE)

    def audio_tricks(self):
        data = self.rng.choice((
            b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\1\0\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\x20\0data\xff\xff\xff\xff" + bytes(99),
            b"#EXTM3U\nfile:///etc/passwd\n", b"ffconcat version 1.0\nfile /etc/passwd\n", bytes(30000),
            b"\x1f\x8b\x08" + self.rng.randbytes(2000), b"fLaC\0\0\0\x22" + self.rng.randbytes(3000),
            b"OggS" + self.rng.randbytes(3000), b"\x1aE\xdf\xa3" + self.rng.randbytes(3000), damaged(SPEECH, self.rng)))
        return request_bytes("POST", PATH, form([("model", "demo-en")], data), FORM_TYPE)

    def gone_early(self):
        whole = request_bytes("POST", PATH, form([("model", "demo-en"), ("stream", "true")], SPEECH), FORM_TYPE)
        with self.server.connect(5) as connection:
            connection.sendall(whole[:self.rng.randrange(len(whole) + 1)])
            time.sleep(self.rng.choice((0, 0, 0.01)))

    def slow_reader(self):
        with self.server.connect(5) as connection:
            connection.sendall(request_bytes("GET", "/") * 50)
            connection.recv(100)

    def socket_noise(self):
        with contextlib.closing(WebSocket(self.server)) as client:
            if client.answer.status == 101:
                client.connection.settimeout(1)
                client.connection.sendall(self.rng.randbytes(self.rng.randint(2, 300)))

    def socket_frames(self):
        frame = self.rng.choice((b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0", b"\x81\x05hello", b"\x01\x81\0\0\0\0x" * 50,
                                 b"\x89\xfe\x01\0\0\0\0\0" + bytes(256), b"\x88\x82\0\0\0\0\0\1", b"\xf1\x80\0\0\0\0"))
        with contextlib.closing(WebSocket(self.server)) as client:
            if client.answer.status == 101:
                client.receive()
                client.connection.sendall(frame)

    def socket_messages(self):
        with contextlib.closing(WebSocket(self.server)) as client:
            if client.answer.status != 101:
                return
            client.receive()
            for _ in range(5):
                message = {"type": self.rng.choice(("input_audio_buffer.append", "input_audio_buffer.commit", "session.update",
                                                    "input_audio_buffer.clear", "x", 7, None)),
                           "audio": self.rng.choice(("AAAA", "A", "!", 5, "A" * 60000, None)), "session": self.rng.choice(({}, [], 1))}
                text = json.dumps(message).encode()
                client.send_frame(1, damaged(text, self.rng, 1) if self.rng.random() < 0.3 else text)

    def once(self):
        kinds = [name for name in vars(Hostile) if not name.startswith("_") and name not in ("once", "WHOLE")]
        kind = self.rng.choice(kinds)
        data = getattr(self, kind)()
        if data is None:
            return None
        with self.server.connect(10) as connection, connection.makefile("rb") as stream:
            with contextlib.suppress(*BROKEN):
                connection.sendall(data)
                if kind not in self.WHOLE:
                    connection.shutdown(1)  # no more comes
            answer = read_answer(stream)
            if kind in self.WHOLE and answer is None:
                raise AssertionError(f"no answer to {kind}")
            return answer


def resident_bytes(server):
    text = request(server, "GET", "/metrics").text
    return float(re.search(r"^qasr_resident_memory_bytes (\S+)$", text, re.MULTILINE).group(1))


def keeps_freed_memory():
    """AddressSanitizer does, up to 256 MB, to find later uses of it; it finds leaks by itself."""
    with open(PROGRAM, "rb") as file:
        return b"__asan_init" in file.read()


class HostileTest(unittest.TestCase):
    def honest(self, server, stop, problems):
        while not stop.is_set():
            begin = time.monotonic()
            if request(server, "GET", "/health").status != 200 or time.monotonic() - begin > 2:
                problems.append("health")
            answer = transcribe(server, SPEECH)
            if answer.status != 200 or answer.json()["text"] != TEXT:
                problems.append(answer.body)

    def attack(self, server, seed, n_requests, problems):
        hostile = Hostile(server, random.Random(seed))
        for _ in range(n_requests):
            try:
                answer = hostile.once()
                if answer is not None and (answer.status >= 500 and answer.status != 503):
                    problems.append((answer.status, answer.body))
            except BROKEN:
                pass  # the server closed first
            except Exception as error:  # pylint: disable=broad-except
                problems.append(repr(error))

    def rounds(self, server, n_requests, seed):
        problems, stop = [], threading.Event()
        honest = threading.Thread(target=self.honest, args=(server, stop, problems))
        honest.start()
        threads = [threading.Thread(target=self.attack, args=(server, seed + n, n_requests // 4, problems)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        stop.set()
        honest.join()
        self.assertEqual(problems, [])
        self.assertIsNone(server.process.poll())

    def test_hostile_requests(self):
        server = Server("--access-log", "", "--body-timeout", 2, "--idle-timeout", 2)
        self.addCleanup(server.close)
        self.rounds(server, COUNT // 2, 100)  # to fill pools and caches
        before = resident_bytes(server)
        self.rounds(server, COUNT // 2, 200)
        if not keeps_freed_memory():
            self.assertLess(resident_bytes(server), 1.05 * before + (8 << 20))

        connections = [server.connect() for _ in range(1000)]
        self.assertEqual(request(server, "GET", "/health").status, 200)
        self.assertEqual(transcribe(server, SPEECH).json()["text"], TEXT)
        for connection in connections:
            connection.close()
        for _ in range(100):
            text = request(server, "GET", "/metrics").text
            if 'qasr_engine_requests{model="demo-en"} 0' in text and "qasr_realtime_sessions 0" in text:
                break
            time.sleep(0.1)
        else:
            self.fail("work of clients that are gone goes on")
        self.assertEqual(server.close(), OK)


if __name__ == "__main__":
    unittest.main()
