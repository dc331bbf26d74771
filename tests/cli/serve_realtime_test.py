"""`qasr serve`: WS /v1/realtime in both dialects over raw WebSockets, with the demonstration model."""

import struct
import unittest

from harness import OK, SAMPLE, references, sample_values
from serve_harness import Server, WebSocket, request

TEXT = references()[SAMPLE.name]
VALUES = sample_values()
PCM16K = struct.pack(f"<{len(VALUES)}h", *VALUES)
SILENCE16K = bytes(2 * 16000)


def upsampled(values, rate):
    """16 kHz -> another rate, linearly."""
    count = len(values) * rate // 16000
    result = []
    for n in range(count):
        position = n * 16000 / rate
        left = min(int(position), len(values) - 2)
        result.append(round(values[left] + (values[left + 1] - values[left]) * (position - left)))
    return result


def pcm(rate):
    values = upsampled(VALUES, rate)
    return struct.pack(f"<{len(values)}h", *values)


def mu_law(value):
    sign, magnitude = (0x80, -value) if value < 0 else (0, value)
    magnitude = min(magnitude + 132, 32767)
    exponent = max(0, magnitude.bit_length() - 8)
    return ~(sign | exponent << 4 | magnitude >> exponent + 3 & 15) & 255


def session(format=None, turn_detection=None, **transcription):
    audio = {"turn_detection": turn_detection, "transcription": {"model": "demo-en", **transcription}}
    if format:
        audio["format"] = format
    return {"type": "transcription", "audio": {"input": audio}}


PCM16 = {"type": "audio/pcm", "rate": 16000}
PREFIX = "conversation.item.input_audio_transcription."


class Realtime(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--max-realtime", 3, "--realtime-idle", 20)

    @classmethod
    def tearDownClass(cls):
        assert cls.server.close() == OK

    def open(self, path="/v1/realtime?intent=transcription", **options):
        client = WebSocket(self.server, path, **options)
        self.addCleanup(client.close)
        self.assertEqual(client.answer.status, 101, client.answer.body)
        self.created = client.receive()
        self.assertEqual(self.created["type"], "session.created")
        return client

    def refusal(self, path, **options):
        client = WebSocket(self.server, path, **options)
        client.close()
        return client.answer

    def configured(self, **options):
        client = self.open()
        client.send(type="session.update", session=session(**options))
        self.assertEqual(client.receive()["type"], "session.updated")
        return client

    def text_of(self, messages):
        """Of the item that is completed last; its deltas must join to it."""
        done = messages[-1]
        deltas = "".join(m["delta"] for m in messages
                         if m["type"] == PREFIX + "delta" and m["item_id"] == done["item_id"])
        self.assertEqual(deltas, done["transcript"])
        return done["transcript"]

    def test_created(self):
        self.open()
        described = self.created["session"]
        self.assertEqual((described["object"], described["type"]), ("realtime.transcription_session", "transcription"))
        audio = described["audio"]["input"]
        self.assertEqual(audio["format"], {"type": "audio/pcm", "rate": 24000})
        self.assertEqual(audio["turn_detection"]["silence_duration_ms"], 500)

    def test_commit_by_the_client_in_every_format(self):
        values = upsampled(VALUES, 8000)
        cases = [(PCM16, PCM16K), ({"type": "audio/pcm", "rate": 24000}, pcm(24000)),
                 ({"type": "audio/pcmu"}, bytes(mu_law(value) for value in values))]
        for format, audio in cases:
            with self.subTest(format=format):
                client = self.configured(format=format)
                client.append(audio)
                client.send(type="input_audio_buffer.commit")
                messages = client.receive_until(PREFIX + "completed")
                text = self.text_of(messages)
                if format == PCM16:
                    self.assertEqual(text, TEXT)
                else:  # telephone quality costs words of a model this small
                    self.assertGreater(len(text.split()), 3)
                kinds = [m["type"] for m in messages if PREFIX not in m["type"]]
                self.assertEqual(kinds, ["input_audio_buffer.committed", "conversation.item.added",
                                         "conversation.item.done"])
                self.assertAlmostEqual(messages[-1]["usage"]["seconds"], len(VALUES) / 16000, places=1)
                client.close()

    def test_server_vad(self):
        client = self.configured(format=PCM16, turn_detection={"type": "server_vad", "silence_duration_ms": 400})
        client.append(PCM16K + SILENCE16K * 2)
        messages = client.receive_until(PREFIX + "completed")
        self.assertEqual(self.text_of(messages), TEXT)
        kinds = [m["type"] for m in messages]
        order = [kinds.index("input_audio_buffer." + name) for name in ("speech_started", "speech_stopped", "committed")]
        self.assertEqual(order, sorted(order))
        stopped = messages[order[1]]["audio_end_ms"]
        self.assertLess(abs(stopped - 1000 * len(VALUES) / 16000), 1000)
        self.assertEqual(len({m["item_id"] for m in messages if "item_id" in m}), 1)

    def test_two_items_and_logprobs(self):
        client = self.open()
        client.send(type="session.update", session={**session(format=PCM16, language="en", prompt="A meeting."),
                                                    "include": ["item.input_audio_transcription.logprobs"]})
        client.receive()
        previous = None
        for _ in range(2):
            client.append(PCM16K)
            client.send(type="input_audio_buffer.commit")
            messages = client.receive_until(PREFIX + "completed")
            (committed,) = [m for m in messages if m["type"] == "input_audio_buffer.committed"]
            self.assertEqual(committed["previous_item_id"], previous)
            previous = committed["item_id"]
            joined = b"".join(bytes(entry["bytes"]) for entry in messages[-1]["logprobs"]).decode()
            self.assertEqual(joined.strip(), self.text_of(messages))

    def test_clear_and_empty_commit(self):
        client = self.configured(format=PCM16)
        client.send(type="input_audio_buffer.commit", event_id="mine")
        error = client.receive()
        self.assertEqual((error["type"], error["error"]["code"], error["error"]["event_id"]),
                         ("error", "input_audio_buffer_commit_empty", "mine"))
        client.append(PCM16K)
        client.send(type="input_audio_buffer.clear")
        client.receive_until("input_audio_buffer.cleared")
        client.send(type="input_audio_buffer.commit")
        self.assertEqual(client.receive_until("error")[-1]["error"]["code"], "input_audio_buffer_commit_empty")
        client.append(PCM16K)
        client.send(type="input_audio_buffer.commit")
        self.assertEqual(self.text_of(client.receive_until(PREFIX + "completed")), TEXT)

    def test_vllm_dialect(self):
        client = self.open("/v1/realtime")
        self.assertIn("id", self.created)
        client.send(type="session.update", model="demo-en")
        client.send(type="input_audio_buffer.commit", final=False)
        client.append(PCM16K)
        client.send(type="input_audio_buffer.commit", final=True)
        messages = client.receive_until("transcription.done")
        self.assertEqual({m["type"] for m in messages[:-1]}, {"transcription.delta"})
        self.assertEqual("".join(m["delta"] for m in messages[:-1]), messages[-1]["text"])
        self.assertEqual(messages[-1]["text"], TEXT)
        self.assertEqual(set(messages[-1]["usage"]), {"prompt_tokens", "completion_tokens", "total_tokens"})
        client.send(type="session.update", model="other")
        error = client.receive()
        self.assertEqual((error["type"], error["code"]), ("error", "model_not_found"))

    def test_bad_messages_leave_the_session_open(self):
        client = self.configured(format=PCM16)
        for payload in (b"{", b"[]", b'"text"', b"[" * 50000, b'{"type": 5}', b'{"type": "response.create"}',
                        b'{"type": "input_audio_buffer.append"}',
                        b'{"type": "input_audio_buffer.append", "audio": "*!"}',
                        b'{"type": "session.update", "session": {"colour": 1}}',
                        b'{"type": "session.update", "session": {"audio": {"input": {"format": {"type": "audio/opus"}}}}}'):
            client.send_frame(1, payload)
            self.assertEqual(client.receive()["type"], "error", payload[:80])
        client.send_frame(2, b"\0\1")
        self.assertEqual(client.receive()["error"]["code"], "invalid_message")
        client.send(type="session.update", session=session(language="klingon"))
        self.assertEqual(client.receive()["error"]["param"], "session.audio.input.transcription.language")
        client.send_frame(9, b"ping")
        self.assertEqual(client.receive_frame(), (10, b"ping"))
        client.append(PCM16K)
        client.send(type="input_audio_buffer.commit")
        self.assertEqual(self.text_of(client.receive_until(PREFIX + "completed")), TEXT)

    def test_broken_frames_close_the_socket(self):
        for opcode, payload, mask in ((1, b"\xff\xfe", True), (3, b"x", True), (1, b"{}", False)):
            client = self.open()
            client.send_frame(opcode, payload, mask=mask)
            self.assertIsNone(client.receive())
            client.close()

    def test_who_may_connect(self):
        self.assertEqual(self.refusal("/v1/realtime?model=gpt").error()["code"], "model_not_found")
        self.assertEqual(self.refusal("/other").status, 404)
        foreign = self.refusal("/v1/realtime", headers={"Origin": "https://evil.example"})
        self.assertEqual(foreign.error()["code"], "origin_not_allowed")
        own = self.open(headers={"Origin": "http://localhost", "Sec-WebSocket-Protocol": "realtime, openai-insecure-api-key.k"})
        self.assertEqual(own.answer.headers["sec-websocket-protocol"], "realtime")
        more = [self.open() for _ in range(2)]
        self.assertEqual(self.refusal("/v1/realtime").status, 429)
        self.assertEqual(len(more), 2)

    def test_disconnect_frees_the_stream(self):
        client = self.configured(format=PCM16)
        client.append(PCM16K)
        client.close()
        for _ in range(100):
            text = request(self.server, "GET", "/metrics").text
            if "qasr_realtime_sessions 0" in text and 'qasr_engine_requests{model="demo-en"} 0' in text:
                return
        self.fail("the stream of a client that went away goes on")


class Ends(unittest.TestCase):
    def test_idle_sessions_end(self):
        server = Server("--realtime-idle", 0.3)
        self.addCleanup(server.close)
        client = WebSocket(server)
        self.addCleanup(client.close)
        client.receive()
        self.assertEqual(client.receive()["error"]["code"], "session_idle")
        self.assertIsNone(client.receive())
        self.assertEqual(client.close_code, 1000)

    def test_no_session_is_endless(self):
        server = Server("--realtime-max", 0.5)
        self.addCleanup(server.close)
        client = WebSocket(server)
        self.addCleanup(client.close)
        client.receive()
        for _ in range(4):  # busy all the time
            client.append(PCM16K[:3200])
        self.assertEqual(client.receive_until("error")[-1]["error"]["code"], "session_expired")
        self.assertIsNone(client.receive())
        self.assertEqual(client.close_code, 1000)

    def test_draining_finishes_what_was_said(self):
        server = Server()
        self.addCleanup(server.close)
        client = WebSocket(server)
        self.addCleanup(client.close)
        client.receive()
        client.send(type="session.update", session=session(format=PCM16))
        client.receive()
        client.append(PCM16K)
        client.send(type="input_audio_buffer.append", audio="")  # behind it, all audio has been taken
        client.send(type="nothing")
        client.receive_until("error")
        server.signal(15)
        messages = client.receive_until(PREFIX + "completed")
        self.assertEqual(messages[-1]["transcript"], TEXT)
        self.assertIsNone(client.receive())
        self.assertEqual(client.close_code, 1001)
        self.assertEqual(server.close(), OK)


if __name__ == "__main__":
    unittest.main()
