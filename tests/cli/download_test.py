"""`qasr download` and `qasr models` against a hub of our own on the loopback interface, well-behaved and otherwise."""

import email.utils
import hashlib
import http.server
import json
import os
import signal
import subprocess
import threading
import time
import unittest

from harness import DEMO_MODEL, MODEL, OK, PROGRAM, SAMPLE, USAGE, ProgramTest, run

REVISION = "0123456789abcdef0123456789abcdef01234567"
SMALL = ("config.json", "generation_config.json", "vocab.json", "merges.txt", "tokenizer_config.json", "added_tokens.json")
SHARD = "model-00002-of-00002.safetensors"


class Hub(http.server.ThreadingHTTPServer):
    """Serves the demonstration model as Qwen/Qwen3-ASR-0.6B; `misbehave` maps a file's name to a list of faults, one a request:
    a status, (429, seconds to wait), (503, the same as a date), "truncate", "stall", "no ranges" (from then on), or the address of a redirect."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {path.name: path.read_bytes() for path in DEMO_MODEL.iterdir() if path.is_file()}
        self.hashes, self.sizes, self.misbehave, self.requests, self.token = {}, {}, {}, [], None
        self.chunk_delay = 0.0
        self.n_sending, self.most_at_once = 0, 0
        self.endpoint = f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_):
        pass  # clients that leave are what some tests are about

    def siblings(self):
        listed = [{"rfilename": "samples/noise.wav", "size": 5}]
        for name, data in self.files.items():
            size = self.sizes.get(name, len(data))
            entry = {"rfilename": name, "size": size}
            if name.endswith((".safetensors", ".gguf")):
                sha = self.hashes.get(name, hashlib.sha256(data).hexdigest())
                entry["lfs"] = {"sha256": sha, "size": size, "pointerSize": 134}
            listed.append(entry)
        return listed


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        hub, path = self.server, self.path.split("?")[0]
        hub.requests.append((path, self.headers.get("Range"), self.headers.get("Authorization")))
        if path.startswith("/cdn/"):
            return self.send_file(path.rsplit("/", 1)[1])
        if hub.token and self.headers.get("Authorization") != f"Bearer {hub.token}":
            return self.reply(401, b"Invalid credentials")
        if path == "/api/models/Qwen/Qwen3-ASR-0.6B/revision/main":
            faults = hub.misbehave.get("api", [])
            if faults:
                return self.fault(faults.pop(0), b"")
            body = json.dumps({"sha": REVISION, "siblings": hub.siblings()}).encode()
            return self.reply(200, body, Content_Type="application/json")
        prefix = f"/Qwen/Qwen3-ASR-0.6B/resolve/{REVISION}/"
        if not path.startswith(prefix) or path[len(prefix):] not in hub.files:
            return self.reply(404, b"Repository not found")
        return self.reply(302, Location=f"/cdn/{path[len(prefix):]}")

    def fault(self, fault, data):
        if isinstance(fault, int):
            return self.reply(fault, b"no", **({"Retry_After": "0"} if fault in (429, 503) else {}))
        if isinstance(fault, tuple):
            status, wait = fault
            date = email.utils.formatdate(time.time() + wait, usegmt=True)
            return self.reply(status, b"no", Retry_After=date if status == 503 else str(wait))
        if "/" in fault:
            return self.reply(302, Location=fault)
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 3])
        self.wfile.flush()
        if fault == "stall":
            time.sleep(2.5)
        self.close_connection = True
        return None

    def send_file(self, name):
        hub, data = self.server, self.server.files[name]
        faults = hub.misbehave.get(name, [])
        if faults and faults[0] != "no ranges":
            return self.fault(faults.pop(0), data)
        begin, wanted = 0, self.headers.get("Range")
        if wanted and not faults:
            begin = int(wanted.removeprefix("bytes=").rstrip("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(data) - begin))
        self.end_headers()
        hub.n_sending += 1
        hub.most_at_once = max(hub.most_at_once, hub.n_sending)
        try:
            for at in range(begin, len(data), 1 << 20):
                self.wfile.write(data[at : min(len(data), at + (1 << 20))])
                if hub.chunk_delay:
                    time.sleep(hub.chunk_delay)
        finally:
            hub.n_sending -= 1
        return None


class DownloadTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.hub = Hub()
        threading.Thread(target=self.hub.serve_forever, args=(0.01,), daemon=True).start()
        self.addCleanup(self.hub.server_close)
        self.addCleanup(self.hub.shutdown)
        self.env = {"XDG_CACHE_HOME": str(self.directory), "HF_ENDPOINT": self.hub.endpoint, "HF_TOKEN": "",
                    "no_proxy": "127.0.0.1", "http_proxy": ""}
        self.models = self.directory / "qasr/models"
        self.model = self.models / "Qwen--Qwen3-ASR-0.6B"
        self.partial = self.models / "Qwen--Qwen3-ASR-0.6B.partial"

    def download(self, *arguments):
        return run("download", "0.6b", "--timeout", "1", *arguments, env=self.env)

    def assert_complete(self, result):
        self.assertEqual((result.returncode, result.stdout), (OK, f"{self.model}\n"), result.stderr)
        self.assertFalse(self.partial.exists())
        for name in (*SMALL, SHARD, "model-00001-of-00002.safetensors", "model.safetensors.index.json"):
            self.assertEqual((self.model / name).read_bytes(), self.hub.files[name], name)

    def paths(self):
        return [path for path, _, _ in self.hub.requests]

    def test_download_use_list_remove(self):
        self.hub.token = "secret"
        self.env["HF_TOKEN"] = "secret"
        result = self.download()
        self.assert_complete(result)
        self.assertRegex(result.stderr, r"100 % \[=+\] ([\d.]+) of \1 MB, [\d.]+ MB/s, 0:00 left\n$")
        self.assertFalse((self.model / "README.md").exists())
        manifest = json.loads((self.model / ".qasr-download.json").read_text())
        self.assertEqual((manifest["repository"], manifest["revision"]), ("Qwen/Qwen3-ASR-0.6B", REVISION))
        n_requests = len(self.hub.requests)
        self.assert_complete(self.download())  # nothing to fetch, so nothing is asked
        self.assertEqual(len(self.hub.requests), n_requests)
        self.hub.token = None
        used = run("transcribe", "-q", "--model", "0.6B", SAMPLE, env=self.env)
        self.assertEqual(used.stdout, "The meeting on Thursday starts at a quarter past ten.\n", used.stderr)
        listed = json.loads(run("models", "--json", env=self.env).stdout)
        self.assertEqual([(m["repository"], m["complete"], m["revision"]) for m in listed], [("Qwen/Qwen3-ASR-0.6B", True, REVISION)])
        self.assertEqual(run("models", "--remove", "0.6b", env=self.env).returncode, OK)
        self.assertFalse(self.model.exists())
        self.assertIn("no models in", run("models", env=self.env).stdout)
        self.assertEqual(len(self.hub.requests), n_requests)  # none of these asked the network

    def test_nothing_is_fetched_without_being_asked(self):
        result = run("transcribe", "-q", "--model", "0.6b", SAMPLE, env=self.env)
        self.assert_fails(result, MODEL, "Qwen/Qwen3-ASR-0.6B", "qasr download 0.6b", self.model)
        self.assertEqual(self.hub.requests, [])

    def test_goes_on_after_a_kill(self):
        self.hub.chunk_delay = 0.05
        process = subprocess.Popen([PROGRAM, "download", "-q", "0.6b"], env={**os.environ, **self.env})
        incomplete = self.partial / (SHARD + ".incomplete")
        deadline = time.monotonic() + 20
        while not (incomplete.exists() and incomplete.stat().st_size > 2_000_000) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.hub.chunk_delay = 0
        self.assertGreaterEqual(self.hub.most_at_once, 2)  # both shards
        size = incomplete.stat().st_size
        self.assertTrue(2_000_000 < size < len(self.hub.files[SHARD]))
        listed = json.loads(run("models", "--json", env=self.env).stdout)
        self.assertEqual([m["complete"] for m in listed], [False])
        self.hub.requests.clear()
        self.assert_complete(self.download())
        self.assertIn((f"/cdn/{SHARD}", f"bytes={size}-", None), self.hub.requests)

    def test_survives_what_servers_do(self):
        self.hub.misbehave = {"api": [503, 429], SHARD: ["truncate", 429, "truncate", "stall"], "vocab.json": [500]}
        result = self.download()
        self.assert_complete(result)
        self.assertIn("429", result.stderr)
        # After the first truncation every request asks for the rest only.
        ranges = [wanted for path, wanted, _ in self.hub.requests if path == f"/cdn/{SHARD}"]
        self.assertIsNone(ranges[0])
        self.assertTrue(all(ranges[1:]), ranges)

    def test_waits_as_long_as_the_server_asks(self):
        self.hub.misbehave = {"api": [(429, 1), (503, 2)]}  # dates are whole seconds: 1 to 2 from now
        begin = time.monotonic()
        result = self.download()
        self.assert_complete(result)
        self.assertGreater(time.monotonic() - begin, 1.9)
        self.assertRegex(result.stderr, r"answered 429: too many requests; again in 1 s\n.*answered 503; again in [12] s\n")

    def test_a_server_without_ranges_starts_over(self):
        self.hub.misbehave = {SHARD: ["truncate", "no ranges"]}
        self.assert_complete(self.download())

    def test_wrong_hash(self):
        self.hub.hashes[SHARD] = "0" * 64
        self.assert_fails(self.download("-q"), MODEL, SHARD, "SHA-256", "0" * 64, hashlib.sha256(self.hub.files[SHARD]).hexdigest())
        self.assertFalse(self.model.exists())
        self.assertFalse((self.partial / (SHARD + ".incomplete")).exists())
        del self.hub.hashes[SHARD]
        self.assert_complete(self.download())  # goes on with what was right

    def test_more_bytes_than_listed(self):
        size = len(self.hub.files[SHARD]) - 5
        self.hub.sizes[SHARD] = size
        self.assert_fails(self.download("-q"), MODEL, SHARD, f"more than the {size} bytes the hub lists")
        self.assertFalse(self.model.exists())

    def test_no_room(self):
        self.hub.sizes = {name: 1 << 40 for name in (*SMALL, SHARD)}
        result = self.download("-q")
        self.assert_fails(result, MODEL)
        self.assertRegex(result.stderr, rf"needs 73400\d\d MiB in {self.partial}, where \d+ MiB are free")
        self.assertFalse([path for path in self.paths() if path.startswith("/cdn/")])

    def test_redirects_that_lead_nowhere(self):
        self.hub.misbehave = {"api": ["/api/models/Qwen/Qwen3-ASR-0.6B/revision/main"] * 20}
        self.assert_fails(self.download("-q"), MODEL, "redirects")
        secret = self.write("secret", b"x")
        self.hub.misbehave = {SHARD: [f"file://{secret}"] * 20}
        self.assert_fails(self.download("-q"), MODEL, SHARD, "protocol", "file")
        self.assertEqual(len([path for path in self.paths() if path == f"/cdn/{SHARD}"]), 1)  # not tried again

    def test_refusals(self):
        self.hub.token = "secret"
        self.assert_fails(self.download("-q"), MODEL, "401", "HF_TOKEN")
        self.hub.token = None
        for status, fragment in ((403, "gated"), (404, "not found")):
            self.hub.misbehave["api"] = [status]
            self.assert_fails(self.download("-q"), MODEL, str(status), fragment)
        self.assert_fails(run("download", "-q", "some/other", env=self.env), MODEL, "404", "some/other")
        self.hub.misbehave["api"] = [200]
        self.assert_fails(self.download("-q"), MODEL, "did not answer with the files of a model")
        self.assertEqual(list(self.directory.rglob("*.safetensors")), [])

    def test_files_that_are_refused(self):
        """Hubs list gated models to everybody; the files are what they refuse."""
        for status, fragment in ((401, "HF_TOKEN"), (403, "gated"), (404, "not found")):
            self.hub.misbehave = {SHARD: [status]}
            self.assert_fails(self.download("-q"), MODEL, SHARD, str(status), fragment)
            self.assertFalse(self.model.exists())

    def test_the_token_goes_to_the_hub_only(self):
        self.env["HF_TOKEN"] = "secret"
        other = Hub()
        threading.Thread(target=other.serve_forever, args=(0.01,), daemon=True).start()
        self.addCleanup(other.server_close)
        self.addCleanup(other.shutdown)
        original = Handler.reply

        def elsewhere(handler, status, body=b"", **headers):
            if "Location" in headers and handler.server is self.hub:
                headers["Location"] = other.endpoint.replace("127.0.0.1", "localhost") + headers["Location"]
            original(handler, status, body, **headers)

        Handler.reply = elsewhere
        self.addCleanup(setattr, Handler, "reply", original)
        self.assert_complete(self.download())
        self.assertEqual({token for _, _, token in self.hub.requests}, {"Bearer secret"})
        self.assertEqual({token for _, _, token in other.requests}, {None})

    def test_hostile_names(self):
        self.hub.files = {"config.json": b"{}", "../evil.safetensors": b"x", "a/../model.safetensors": b"x"}
        self.assert_fails(self.download("-q"), MODEL, "neither *.safetensors nor")
        self.hub.files = {"..safetensors": b"x"}
        self.assert_fails(self.download("-q"), MODEL, '"..safetensors"', "refused")
        for name in ("../x/y", "a/b/c", "a", "a/..", ""):
            self.assert_fails(run("download", "-q", name, env=self.env), USAGE)

    def test_choice_of_gguf_files(self):
        self.hub.files = {f"model-{kind}.gguf": kind.encode() * 9 for kind in ("Q4_0", "Q8_0", "F16")}
        self.assert_fails(self.download("-q"), MODEL, "several GGUF files", "--file model-Q8_0.gguf")
        result = self.download("-q", "--file", "model-Q8_0.gguf")
        self.assertEqual(result.returncode, OK, result.stderr)
        self.assertEqual([p.name for p in self.model.glob("*.gguf")], ["model-Q8_0.gguf"])
        self.assert_fails(run("download", "-q", "0.6b", "--endpoint", "ftp://x", env=self.env), USAGE, "ftp://x")


if __name__ == "__main__":
    unittest.main()
