"""`qasr serve`: the REST API over raw HTTP on the loopback, with the demonstration model."""

import contextlib
import os
import re
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
import unittest

from harness import OK, SAMPLE, SAMPLES, USAGE, ProgramTest, references, run, wav_bytes
from serve_harness import (FORM_TYPE, Server, WebSocket, form, read_answer, request, request_bytes, sse_events, transcribe)

TEXT = references()[SAMPLE.name]
SPEECH = SAMPLE.read_bytes()
PATH = "/v1/audio/transcriptions"


def minutes_of_speech():
    """Enough to be under way for a while."""
    whole = (SAMPLES / "long_rms.wav").read_bytes()
    return wav_bytes(whole[44:] * 12)


def wait_until_running(server, headers=None):
    for _ in range(200):
        if "qasr_transcriptions_running 1" in request(server, "GET", "/metrics", headers=headers).text:
            return
        time.sleep(0.02)
    raise AssertionError("nothing is being transcribed")


class Routes(unittest.TestCase):
    """One server for all: nothing here changes it."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server("--alias", "whisper-1=demo-en", "--cors", "https://example.org", "--max-upload", "2",
                            "--max-audio", "60")

    @classmethod
    def tearDownClass(cls):
        assert cls.server.close() == OK

    def refused(self, answer, status, param=None, fragment="", code=None):
        self.assertEqual(answer.status, status, answer.body)
        error = answer.error()
        self.assertEqual(set(error), {"message", "type", "param", "code"})
        self.assertEqual(error["param"], param)
        self.assertIn(fragment, error["message"])
        if code:
            self.assertEqual(error["code"], code)
        self.assertRegex(answer.headers["x-request-id"], "^req_[0-9a-f]{24}$")

    # ---- formats

    def test_json(self):
        answer = transcribe(self.server, SPEECH)
        self.assertEqual(answer.status, 200, answer.body)
        document = answer.json()
        self.assertEqual(document["text"], TEXT)
        self.assertEqual(document["languages"], [{"code": "en"}])
        usage = document["usage"]
        self.assertEqual(usage["type"], "tokens")
        self.assertEqual(usage["total_tokens"], usage["input_tokens"] + usage["output_tokens"])
        details = usage["input_token_details"]
        self.assertEqual(usage["input_tokens"], details["audio_tokens"] + details["text_tokens"])
        self.assertGreater(details["audio_tokens"], 0)
        self.assertNotIn("logprobs", document)

    def test_text_srt_vtt(self):
        expected = {"text": ("text/plain", TEXT + "\n"), "srt": ("application/x-subrip", None), "vtt": ("text/vtt", None)}
        for name, (kind, body) in expected.items():
            answer = transcribe(self.server, SPEECH, ("response_format", name))
            self.assertEqual(answer.status, 200, answer.body)
            self.assertTrue(answer.headers["content-type"].startswith(kind))
            if body is None:
                command = {"srt": "srt", "vtt": "vtt"}[name]
                body = run("transcribe", "--quiet", "--words", "-f", command, SAMPLE).stdout
            self.assertEqual(answer.text, re.sub(r"<[\d:.]+>", "", body))  # the server's WebVTT is plain

    def test_verbose_json(self):
        answer = transcribe(self.server, SPEECH, ("response_format", "verbose_json"),
                            ("timestamp_granularities[]", "segment"))
        document = answer.json()
        self.assertEqual((document["task"], document["language"], document["text"]), ("transcribe", "english", TEXT))
        self.assertIsInstance(document["duration"], float)
        self.assertEqual(document["usage"], {"type": "duration", "seconds": document["duration"]})
        (segment,) = document["segments"]
        self.assertEqual(set(segment), {"id", "seek", "start", "end", "text", "tokens", "temperature", "avg_logprob",
                                        "compression_ratio", "no_speech_prob"})
        self.assertLess(segment["avg_logprob"], 0)
        self.assertGreater(len(segment["tokens"]), 3)

    def test_word_times(self):
        fields = [("response_format", "verbose_json"), ("timestamp_granularities[]", "word")]
        only_words = transcribe(self.server, SPEECH, *fields).json()
        self.assertNotIn("segments", only_words)
        both = transcribe(self.server, SPEECH, *fields, ("timestamp_granularities[]", "segment")).json()
        self.assertEqual(both["words"], only_words["words"])
        self.assertEqual(len(both["segments"]), 1)
        words = both["words"]
        self.assertEqual([word["word"] for word in words], TEXT.strip(".").split())
        self.assertTrue(all(set(word) == {"word", "start", "end"} for word in words))
        times = [time for word in words for time in (word["start"], word["end"])]
        self.assertEqual(times, sorted(times))
        self.assertLessEqual(times[-1], both["duration"] + 0.08)
        self.assertGreater(times[-1] - times[0], 0.5 * both["duration"])

    def test_logprobs(self):
        document = transcribe(self.server, SPEECH, ("include[]", "logprobs")).json()
        joined = b"".join(bytes(entry["bytes"]) for entry in document["logprobs"])
        self.assertEqual(joined.decode().strip(), TEXT)
        self.assertTrue(all(entry["logprob"] <= 0 for entry in document["logprobs"]))

    def test_stream(self):
        whole = (SAMPLES / "long_rms.wav").read_bytes()
        answer = transcribe(self.server, whole, ("stream", "true"))
        self.assertTrue(answer.headers["content-type"].startswith("text/event-stream"))
        events = sse_events(answer)
        deltas = [event["delta"] for event in events[:-1]]
        self.assertEqual({event["type"] for event in events[:-1]}, {"transcript.text.delta"})
        self.assertGreater(len(deltas), 10)
        done = events[-1]
        self.assertEqual(done["type"], "transcript.text.done")
        self.assertEqual("".join(deltas), done["text"])
        self.assertEqual(done["text"], transcribe(self.server, whole).json()["text"])
        self.assertEqual(done["usage"]["type"], "tokens")

    def test_stream_with_logprobs(self):
        events = sse_events(transcribe(self.server, SPEECH, ("stream", "true"), ("include[]", "logprobs")))
        self.assertEqual("".join(event["delta"] for event in events[:-1]), events[-1]["text"])
        self.assertEqual([e for event in events[:-1] for e in event["logprobs"]], events[-1]["logprobs"])

    def test_other_fields_and_spellings(self):
        answer = transcribe(self.server, SPEECH, ("language", "en"), ("prompt", "A meeting."), ("keywords[]", "Monday"),
                            ("keywords[0]", "Friday"), ("temperature", "0"), ("chunking_strategy", "auto"),
                            ("stream", "false"), model="whisper-1")
        self.assertEqual(answer.status, 200, answer.body)
        answer = transcribe(self.server, SPEECH, ("chunking_strategy[type]", "server_vad"), ("languages[]", "en"),
                            ("chunking_strategy[silence_duration_ms]", "400"))
        self.assertEqual(answer.status, 200, answer.body)

    def test_fields_have_an_effect(self):
        def text_tokens(*fields):
            return transcribe(self.server, SPEECH, *fields).json()["usage"]["input_token_details"]["text_tokens"]
        plain, prompt = text_tokens(), text_tokens(("prompt", "A meeting on Thursday."))
        self.assertGreater(prompt, plain + 3)
        self.assertGreater(text_tokens(("prompt", "A meeting on Thursday."), ("keywords[]", "Hopper")), prompt)
        warm = transcribe(self.server, SPEECH, ("temperature", "0.25"), ("response_format", "verbose_json")).json()
        self.assertEqual([segment["temperature"] for segment in warm["segments"]], [0.25])
        pauses = wav_bytes((SPEECH[44:] + bytes(32000)) * 3)  # a second between sentences

        def n_segments(*fields):
            return len(transcribe(self.server, pauses, ("response_format", "verbose_json"), *fields).json()["segments"])
        cut = ("chunking_strategy", '{"type": "server_vad", "silence_duration_ms": 500}')
        self.assertEqual((n_segments(), n_segments(cut)), (1, 3))

    # ---- refusals

    def test_fields_that_are_refused(self):
        cases = {"response_format": ("diarized_json", "diarisation"), "temperature": ("1.5", "0 to 1"),
                 "language": ("klingon", "expected one of"), "stream": ("perhaps", "true or false"),
                 "known_speaker_names": ("Ada", "diarisation"), "include": ("everything", "logprobs")}
        for name, (value, fragment) in cases.items():
            with self.subTest(name=name):
                self.refused(transcribe(self.server, SPEECH, (name, value)), 400, name, fragment)
        self.refused(transcribe(self.server, SPEECH, ("colour", "red")), 400, "colour", code="unknown_parameter")
        self.refused(transcribe(self.server, SPEECH, ("timestamp_granularities[]", "word")), 400,
                     "timestamp_granularities", "verbose_json")
        self.refused(transcribe(self.server, SPEECH, ("timestamp_granularities[]", "sentence"),
                                ("response_format", "verbose_json")), 400, "timestamp_granularities", "segment or word")
        self.refused(transcribe(self.server, SPEECH, ("stream", "true"), ("response_format", "srt")), 400, "stream")
        self.refused(transcribe(self.server, SPEECH, model=""), 400, "model")
        self.refused(transcribe(self.server, SPEECH, model="gpt-5"), 404, "model", "demo-en", "model_not_found")
        self.refused(transcribe(self.server, None), 400, "file")

    def test_bad_audio(self):
        for data in (b"", b"this is no recording" * 100, SPEECH[:20]):
            self.refused(transcribe(self.server, data), 400, "file", code="invalid_audio")
        long = b"RIFF\xff\xff\xff\x7fWAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x40\x1f\0\0\1\0\x08\0data\xff\xff\xff\x7f"
        self.refused(transcribe(self.server, long + bytes([128]) * 600000), 400, "file", "--max-audio", "audio_too_long")

    def test_too_large(self):
        self.refused(transcribe(self.server, bytes(4 << 20)), 413, "file", code="file_too_large")
        head = {**FORM_TYPE, "Transfer-Encoding": "chunked"}
        body = form([("model", "demo-en")], bytes(2 << 20) + b"x")
        chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        self.refused(request(self.server, "POST", PATH, chunked, head), 413, "file", code="file_too_large")

    def test_routes_and_methods(self):
        self.refused(request(self.server, "GET", "/v1/nothing"), 404, code="unknown_url")
        self.refused(request(self.server, "GET", "/../etc/passwd"), 404)
        answer = request(self.server, "DELETE", PATH)
        self.refused(answer, 405)
        self.assertEqual(answer.headers["allow"], "POST")
        self.refused(request(self.server, "POST", PATH, b"{}", {"Content-Type": "application/json"}), 415)
        self.refused(request(self.server, "POST", "/v1/audio/translations", form(), FORM_TYPE), 400, "model", "translate")
        self.refused(request(self.server, "GET", "/v1/realtime"), 426)

    def test_malformed(self):
        for body in (b"no delimiter", form([("model", "demo-en")], SPEECH)[:-8],
                     form([("model", "x")]).replace(b"form-data", b"attachment")):
            self.refused(request(self.server, "POST", PATH, body, FORM_TYPE), 400)
        for text in (b"NONSENSE\r\n\r\n", b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
                     b"GET / HTTP/1.1\r\nX: " + b"y" * 20000 + b"\r\n\r\n"):
            with self.server.connect() as connection, connection.makefile("rb") as stream:
                connection.sendall(text)
                self.assertIn(read_answer(stream).status, (400, 431))

    # ---- the rest

    def test_models(self):
        document = request(self.server, "GET", "/v1/models").json()
        self.assertEqual({model["id"] for model in document["data"]}, {"demo-en", "whisper-1"})
        self.assertEqual(request(self.server, "GET", "/v1/models/whisper-1").json()["object"], "model")
        self.refused(request(self.server, "GET", "/v1/models/x"), 404, "model")

    def test_health_page_and_head(self):
        self.assertEqual(request(self.server, "GET", "/health").json(), {"status": "ok"})
        self.assertEqual(request(self.server, "GET", "/ready").status, 200)
        page = request(self.server, "GET", "/")
        self.assertTrue(page.text.startswith("<!doctype html>"))
        self.assertNotRegex(page.text, r"(src|href)=\"https?:")
        head = request(self.server, "HEAD", "/")
        self.assertEqual((int(head.headers["content-length"]), head.body), (len(page.body), b""))

    def test_keep_alive_and_pipelining(self):
        with self.server.connect() as connection, connection.makefile("rb") as stream:
            connection.sendall(request_bytes("GET", "/health") * 3)
            self.assertEqual([read_answer(stream).status for _ in range(3)], [200] * 3)
            connection.sendall(request_bytes("POST", PATH, form([("model", "demo-en")], SPEECH), FORM_TYPE))
            connection.sendall(request_bytes("GET", "/health", headers={"Connection": "close"}))
            self.assertEqual(read_answer(stream).json()["text"], TEXT)
            self.assertEqual(read_answer(stream).headers["connection"], "close")
            self.assertEqual(stream.read(), b"")

    def test_expect_and_bytes_one_by_one(self):
        body = form([("model", "demo-en")], SPEECH)
        with self.server.connect() as connection, connection.makefile("rb") as stream:
            connection.sendall(request_bytes("POST", PATH, b"", {**FORM_TYPE, "Content-Length": len(body),
                                                                 "Expect": "100-continue"}))
            self.assertEqual(stream.readline(), b"HTTP/1.1 100 Continue\r\n")
            stream.readline()
            for begin in range(0, 400):
                connection.sendall(body[begin:begin + 1])
            connection.sendall(body[400:])
            self.assertEqual(read_answer(stream).json()["text"], TEXT)

    def test_cors(self):
        answer = request(self.server, "OPTIONS", PATH, headers={"Origin": "https://example.org",
                                                               "Access-Control-Request-Headers": "authorization"})
        self.assertEqual((answer.status, answer.headers["access-control-allow-origin"],
                          answer.headers["access-control-allow-headers"]), (204, "https://example.org", "authorization"))
        answer = request(self.server, "GET", "/v1/models", headers={"Origin": "https://other.example"})
        self.assertNotIn("access-control-allow-origin", answer.headers)

    def test_metrics(self):
        transcribe(self.server, SPEECH)
        text = request(self.server, "GET", "/metrics").text
        for name in ("qasr_http_requests_total", "qasr_audio_seconds_total", "qasr_stage_seconds_total",
                     "qasr_first_text_seconds_bucket", "qasr_kv_pages", "qasr_decode_steps", "qasr_errors_total",
                     "qasr_resident_memory_bytes"):
            self.assertIn(name, text)
        pages = [line for line in text.splitlines() if line.startswith('qasr_kv_pages{model="demo-en"}')]
        self.assertGreater(float(pages[0].split()[1]), 0)

    def test_disconnect_frees_the_work(self):
        body = form([("model", "demo-en")], (SAMPLES / "long_rms.wav").read_bytes())
        with self.server.connect() as connection:
            connection.sendall(request_bytes("POST", PATH, body, FORM_TYPE))
            time.sleep(0.02)
        for _ in range(100):
            text = request(self.server, "GET", "/metrics").text
            if "qasr_transcriptions_running 0" in text and 'qasr_engine_requests{model="demo-en"} 0' in text:
                break
            time.sleep(0.05)
        else:
            self.fail("the work of a client that went away goes on")


class Operation(ProgramTest):
    """Keys, quotas, limits, signals: a server each."""

    def start(self, *arguments, **options):
        server = Server(*arguments, **options)
        self.addCleanup(server.close)
        return server

    def new_key(self, name, options=""):
        result = run("serve", "--new-key", name)
        self.assertEqual(result.returncode, OK, result.stderr)
        return result.stdout.strip() + options + "\n", result.stderr.split()[-1]

    def test_keys_quotas_and_reload(self):
        line, key = self.new_key("ada", " audio_s_per_min=5")
        other_line, other = self.new_key("bob")
        self.assertNotIn(key, line)
        keys = self.write("keys", line.encode())
        server = self.start("--api-keys", keys)
        bearer = {"Authorization": f"Bearer {key}"}
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {key}"}):
            answer = request(server, "GET", "/v1/models", headers=headers)
            self.assertEqual((answer.status, answer.error()["type"]), (401, "authentication_error"))
        self.assertEqual(request(server, "GET", "/health").status, 200)
        self.assertEqual(transcribe(server, SPEECH, headers=bearer).status, 200)
        long = (SAMPLES / "long_rms.wav").read_bytes()
        self.assertEqual(transcribe(server, long, headers=bearer).status, 200)
        answer = transcribe(server, SPEECH, headers=bearer)
        self.assertEqual((answer.status, answer.error()["code"]), (429, "rate_limit_exceeded"))
        self.assertGreater(int(answer.headers["retry-after"]), 1)

        keys.write_text("nonsense\n")
        server.signal(signal.SIGHUP)
        server.wait_for_line("the old API keys stay")
        self.assertEqual(request(server, "GET", "/v1/models", headers=bearer).status, 200)
        keys.write_text(other_line)
        server.signal(signal.SIGHUP)
        server.wait_for_line("API keys read again")
        self.assertEqual(request(server, "GET", "/v1/models", headers=bearer).status, 401)
        self.assertEqual(request(server, "GET", "/v1/models", headers={"Authorization": f"Bearer {other}"}).status, 200)
        self.assertEqual(server.close(), OK)
        entries = server.log()
        self.assertIn(("ada", 200, "demo-en"), {(e.get("key"), e["status"], e.get("model")) for e in entries})
        self.assertNotIn(key, "".join(server.lines))

    def test_requests_of_a_key_at_a_time(self):
        line, key = self.new_key("ada", " concurrent=1")
        other_line, other = self.new_key("bob")
        server = self.start("--api-keys", self.write("keys", (line + other_line).encode()))
        bearer, of_bob = ({"Authorization": f"Bearer {k}"} for k in (key, other))
        body = form([("model", "demo-en")], minutes_of_speech())
        with server.connect() as connection, connection.makefile("rb") as stream:
            connection.sendall(request_bytes("POST", PATH, body, {**FORM_TYPE, **bearer}))
            wait_until_running(server, headers=of_bob)
            with contextlib.closing(WebSocket(server, headers=bearer)) as client:
                refused = [transcribe(server, SPEECH, headers=bearer), client.answer]
            for answer in refused:
                self.assertEqual((answer.status, answer.error()["code"]), (429, "rate_limit_exceeded"))
                self.assertGreater(int(answer.headers["retry-after"]), 0)
            self.assertEqual(transcribe(server, SPEECH, headers=of_bob).status, 200)
            self.assertEqual(read_answer(stream).status, 200)
        with contextlib.closing(WebSocket(server, headers=bearer)) as client:  # a session counts as well
            self.assertEqual(client.answer.status, 101)
            self.assertEqual(transcribe(server, SPEECH, headers=bearer).status, 429)
        for _ in range(100):
            answer = transcribe(server, SPEECH, headers=bearer)
            if answer.status == 200:
                break
            time.sleep(0.05)
        self.assertEqual(answer.status, 200, "what has ended still counts")

    def test_full_queue(self):
        server = self.start("--workers", 1, "--max-queue", 0)
        body = form([("model", "demo-en")], minutes_of_speech())
        with server.connect() as connection, connection.makefile("rb") as stream:
            connection.sendall(request_bytes("POST", PATH, body, FORM_TYPE))
            wait_until_running(server)
            answer = transcribe(server, SPEECH)
            self.assertEqual((answer.status, answer.error()["type"]), (429, "rate_limit_error"))
            self.assertGreater(int(answer.headers["retry-after"]), 0)
            self.assertEqual(read_answer(stream).status, 200)

    def test_drain(self):
        server = self.start()
        body = form([("model", "demo-en")], minutes_of_speech())
        with server.connect() as connection, connection.makefile("rb") as stream, server.connect() as other, \
                server.connect() as live:
            connection.sendall(request_bytes("POST", PATH, body, FORM_TYPE))
            wait_until_running(server)
            server.signal(signal.SIGTERM)
            server.wait_for_line("shutting down")
            with other.makefile("rb") as other_stream:
                other.sendall(request_bytes("GET", "/ready"))
                self.assertEqual(read_answer(other_stream).status, 503)
                other.sendall(request_bytes("POST", PATH, form([("model", "demo-en")], SPEECH), FORM_TYPE))
                answer = read_answer(other_stream)
                self.assertEqual((answer.status, answer.error()["code"]), (503, "shutting_down"))
                self.assertGreater(int(answer.headers["retry-after"]), 0)
            with live.makefile("rb") as live_stream:
                live.sendall(request_bytes("GET", "/v1/realtime", headers={
                    "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
                    "Sec-WebSocket-Version": 13}))
                answer = read_answer(live_stream)
                self.assertEqual((answer.status, answer.error()["code"]), (503, "shutting_down"))
                self.assertGreater(int(answer.headers["retry-after"]), 0)
            self.assertEqual(read_answer(stream).status, 200)  # what was under way is finished
        self.assertEqual(server.close(), OK)

    def test_drain_deadline_and_timeout(self):
        server = self.start("--drain-timeout", 0, "--timeout", 0.05)
        answer = transcribe(server, minutes_of_speech())
        self.assertEqual((answer.status, answer.error()["code"]), (504, "timeout"))
        self.assertEqual(server.close(), OK)

    def test_config_file_and_environment(self):
        config = self.write("qasr.toml", b'max-upload = 1\nalias = ["a=demo-en", "b=demo-en"]\nmax-audio = 30\n')
        server = self.start("--config", config, env={"QASR_MAX_AUDIO": "1"})
        answer = transcribe(server, SPEECH, model="b")
        self.assertEqual(answer.error()["code"], "audio_too_long")
        self.assertEqual(transcribe(server, bytes(3 << 20)).status, 413)
        self.assert_fails(run("serve", "--config", self.write("bad.toml", b"colour = 1\n")), USAGE, "colour")
        self.assert_fails(run("serve", "--alias", "x=y", "--port", 0), USAGE, "y")
        self.assert_fails(run("serve", "--port", server.port), USAGE, "cannot listen")
        self.assert_fails(run("serve", "--api-keys", self.directory / "none"), USAGE, "cannot read")

    def test_slow_senders_are_cut_off(self):
        server = self.start("--idle-timeout", 0.3, "--body-timeout", 0.3)
        with server.connect() as idle, server.connect() as slow, slow.makefile("rb") as stream:
            slow.sendall(request_bytes("POST", PATH, b"", {**FORM_TYPE, "Content-Length": 1000}))
            self.assertEqual(read_answer(stream).status, 408)
            self.assertEqual(idle.recv(1), b"")

    @unittest.skipUnless(shutil.which("openssl"), "there is no openssl to make a certificate")
    def test_tls(self):
        cert, key, other = (self.directory / name for name in ("cert.pem", "key.pem", "other.pem"))
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
        subprocess.run([*command, "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert], check=True,
                       capture_output=True)
        server = self.start("--tls-cert", cert, "--tls-key", key)
        server.tls = ssl.create_default_context(cafile=cert)
        self.assertEqual(transcribe(server, SPEECH).json()["text"], TEXT)
        with contextlib.closing(WebSocket(server)) as client:
            self.assertEqual(client.receive()["type"], "session.created")
        server.tls = None
        with server.connect() as connection:  # no TLS: no answer, and no harm
            connection.sendall(request_bytes("GET", "/health"))
            with contextlib.suppress(ConnectionResetError):
                self.assertNotIn(b"HTTP/1.1", connection.recv(100))
        subprocess.run([*command, "-keyout", other, "-out", self.directory / "x"], check=True, capture_output=True)
        self.assert_fails(run("serve", "--port", 0, "--tls-cert", cert, "--tls-key", other), USAGE, "cannot use the key")
        self.assert_fails(run("serve", "--port", 0, "--tls-cert", cert), USAGE, "belong together")

    def test_spooled_uploads_leave_nothing(self):
        with tempfile.TemporaryDirectory() as folder:
            server = self.start(env={"TMPDIR": folder})
            big = SPEECH + bytes(3 << 20)
            self.assertEqual(transcribe(server, big).json()["text"], TEXT)
            self.assertEqual(os.listdir(folder), [])


if __name__ == "__main__":
    unittest.main()
