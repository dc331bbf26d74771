"""What the tests of `qasr serve` share: a server on a free port, raw HTTP, forms, WebSockets."""

import base64
import contextlib
import hashlib
import json
import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time

from harness import PROGRAM

BOUNDARY = "----boundary7MA4YWxk"


class Server:
    """The program on a free port of the loopback, until close()."""

    def __init__(self, *arguments, env=None):
        self.process = subprocess.Popen([PROGRAM, "serve", "--port", "0", "--threads", "2", *map(str, arguments)],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        env={**os.environ, **(env or {})}, text=True)
        self.lines, self.port = [], None
        self.tls = None  # an ssl.SSLContext for --tls-cert
        for line in self.process.stderr:
            self.lines.append(line)
            found = re.search(r"listening on (https?)://(.*):(\d+)$", line.strip())
            if found:
                self.port = int(found.group(3))
                break
        if self.port is None:
            self.process.wait()
            raise RuntimeError("the server did not start: " + "".join(self.lines))
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line)

    def log(self):
        """Entries of the access log so far."""
        return [json.loads(line) for line in self.lines if line.startswith("{")]

    def wait_for_line(self, fragment):
        """On standard error."""
        end = time.monotonic() + 30
        while not any(fragment in line for line in self.lines):
            assert time.monotonic() < end, f"no line with {fragment!r}"
            time.sleep(0.02)

    def connect(self, timeout=30):
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=timeout)
        return self.tls.wrap_socket(connection, server_hostname="localhost") if self.tls else connection

    def signal(self, number):
        self.process.send_signal(number)

    def close(self):
        """Ends it in order; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.reader.join(timeout=5)
        self.process.stderr.close()
        return self.process.returncode


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode("utf-8")

    def json(self):
        return json.loads(self.body)

    def error(self):
        return self.json()["error"]


def form(fields=(), file=None, filename="speech.wav", file_type="application/octet-stream"):
    """Body of a form: fields are (name, text) pairs; file is bytes."""
    parts = [f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
             for name, value in fields]
    if file is not None:
        parts.append(f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n'
                     f"Content-Type: {file_type}\r\n\r\n".encode() + file + b"\r\n")
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def request_bytes(method, path, body=b"", headers=None):
    fields = {"Host": "localhost", **(headers or {})}
    if body and "Content-Length" not in fields and "Transfer-Encoding" not in fields:
        fields["Content-Length"] = len(body)
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return head.encode("latin-1") + b"\r\n" + body


def read_answer(stream, method="GET"):
    """One response from a socket's file; None at the end of the stream."""
    line = stream.readline()
    if not line:
        return None
    status = int(line.split()[1])
    headers = {}
    for line in iter(stream.readline, b"\r\n"):
        if not line:
            break
        name, value = line.decode("latin-1").split(":", 1)
        headers[name.lower()] = value.strip()
    if status == 100:
        return read_answer(stream, method)
    body = b""
    if headers.get("transfer-encoding") == "chunked":
        while size := int(stream.readline(), 16):
            body += stream.read(size)
            stream.readline()
        stream.readline()
    elif method != "HEAD" and "content-length" in headers:
        body = stream.read(int(headers["content-length"]))
    return Answer(status, headers, body)


def request(server, method, path, body=b"", headers=None):
    with server.connect() as connection, connection.makefile("rb") as stream:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(request_bytes(method, path, body, headers))
        return read_answer(stream, method)


FORM_TYPE = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def transcribe(server, file, *fields, headers=None, model="demo-en"):
    """POST /v1/audio/transcriptions; fields are (name, text) pairs."""
    body = form([("model", model), *fields], file)
    return request(server, "POST", "/v1/audio/transcriptions", body, {**FORM_TYPE, **(headers or {})})


def sse_events(answer):
    """The JSON of every event but the closing [DONE]."""
    data = [block[6:] for block in answer.text.split("\n\n") if block.startswith("data: ")]
    assert data[-1] == "[DONE]", data[-1:]
    return [json.loads(line) for line in data[:-1]]


class WebSocket:
    """A client of /v1/realtime in the standard library: text frames, masked as RFC 6455 wants."""

    def __init__(self, server, path="/v1/realtime", headers=None):
        self.connection = server.connect()
        self.stream = self.connection.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        self.connection.sendall(request_bytes("GET", path, headers={
            "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": key, "Sec-WebSocket-Version": 13,
            **(headers or {})}))
        self.answer = read_answer(self.stream)
        if self.answer.status == 101:
            digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
            assert self.answer.headers["sec-websocket-accept"] == base64.b64encode(digest).decode()

    def send_frame(self, opcode, payload, fin=True, mask=True):
        size = len(payload)
        head = bytes([(0x80 if fin else 0) | opcode])
        bit = 0x80 if mask else 0
        if size < 126:
            head += bytes([bit | size])
        elif size < 65536:
            head += bytes([bit | 126]) + struct.pack(">H", size)
        else:
            head += bytes([bit | 127]) + struct.pack(">Q", size)
        if mask:
            key = b"\x37\xfa\x21\x3d"
            repeated = (key * (size // 4 + 1))[:size]
            value = int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")
            payload = key + value.to_bytes(size, "big")
        self.connection.sendall(head + payload)

    def send(self, **message):
        self.send_frame(1, json.dumps(message).encode())

    def append(self, pcm, chunk=32000):
        for begin in range(0, len(pcm), chunk):
            self.send(type="input_audio_buffer.append", audio=base64.b64encode(pcm[begin:begin + chunk]).decode())

    def receive_frame(self):
        head = self.stream.read(2)
        if len(head) < 2:
            return None, b""
        size = head[1] & 127
        if size == 126:
            (size,) = struct.unpack(">H", self.stream.read(2))
        elif size == 127:
            (size,) = struct.unpack(">Q", self.stream.read(8))
        return head[0] & 15, self.stream.read(size)

    def receive(self):
        """The next message; None when the server has closed, then close_code says how."""
        opcode, payload = self.receive_frame()
        if opcode == 1:
            return json.loads(payload)
        if opcode == 8:
            self.close_code = struct.unpack(">H", payload[:2])[0] if payload else None
        return None

    def receive_until(self, kind):
        """All messages up to the first of that type."""
        messages = []
        while not messages or messages[-1]["type"] != kind:
            message = self.receive()
            assert message is not None, f"closed before {kind}: {messages[-3:]}"
            messages.append(message)
        return messages

    def close(self):
        self.stream.close()
        self.connection.close()
