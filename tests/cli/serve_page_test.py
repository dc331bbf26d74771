"""The page of `qasr serve` in headless Chromium, with a microphone that plays a recording. Skipped where there is no Chromium.

QASR_SCREENSHOT=FILE writes a picture of the page with a result.
"""

import base64
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time
import unittest

from harness import SAMPLE, references
from serve_harness import Server, WebSocket, request

TEXT = references()[SAMPLE.name]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PHONE = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
DESKTOP = {"width": 900, "height": 900, "deviceScaleFactor": 1, "mobile": False}


class Port:
    def __init__(self, port):
        self.port = port

    def connect(self, timeout=30):
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout)


class Browser:
    """Chromium with one page, by its DevTools protocol."""

    def __init__(self, url, folder):
        self.process = subprocess.Popen(
            [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-port=0",
             f"--user-data-dir={folder}", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
             f"--use-file-for-fake-audio-capture={SAMPLE}%noloop", "--autoplay-policy=no-user-gesture-required", url],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        port_file = pathlib.Path(folder) / "DevToolsActivePort"
        self.wait(lambda: port_file.exists() and port_file.read_text().count("\n") >= 1, "Chromium")
        port = Port(int(port_file.read_text().split()[0]))
        pages = lambda: [page for page in request(port, "GET", "/json/list").json() if page["type"] == "page" and url in page["url"]]
        address = self.wait(pages, "the page")[0]["webSocketDebuggerUrl"]
        self.socket = WebSocket(port, address[address.index("/devtools"):])
        self.n_calls, self.exceptions = 0, []
        self.call("Runtime.enable")

    @staticmethod
    def wait(condition, what, timeout=30):
        end = time.monotonic() + timeout
        while not (value := condition()):
            assert time.monotonic() < end, f"{what} did not come"
            time.sleep(0.05)
        return value

    def call(self, method, **parameters):
        self.n_calls += 1
        self.socket.send(id=self.n_calls, method=method, params=parameters)
        while True:
            message = self.socket.receive()
            if message.get("method") == "Runtime.exceptionThrown":
                self.exceptions.append(message["params"])
            if message.get("id") == self.n_calls:
                assert "error" not in message, message
                return message["result"]

    def evaluate(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def until(self, expression, what, timeout=30):
        return self.wait(lambda: self.evaluate(expression), what, timeout)

    def close(self):
        self.socket.close()
        self.process.terminate()
        self.process.wait()


@unittest.skipUnless(CHROMIUM, "there is no Chromium")
class PageTest(unittest.TestCase):
    def setUp(self):
        self.server = Server("--access-log", "")
        self.addCleanup(self.server.close)
        folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.addCleanup(folder.cleanup)
        self.browser = Browser(f"http://127.0.0.1:{self.server.port}/", folder.name)
        self.addCleanup(self.browser.close)
        self.browser.until('document.querySelector("#model")?.value === "demo-en"', "the model's name")

    def test_files_microphone_and_layout(self):
        browser = self.browser
        root = browser.call("DOM.getDocument")["root"]["nodeId"]
        files = browser.call("DOM.querySelector", nodeId=root, selector="#files")["nodeId"]
        browser.call("DOM.setFileInputFiles", nodeId=files, files=[str(SAMPLE)])
        browser.until('document.querySelector("article li button span") !== null', "a segment")
        self.assertEqual(browser.evaluate('document.querySelector("article li button span").textContent'), TEXT)
        self.assertEqual(browser.evaluate('document.querySelector("article h2").textContent'), SAMPLE.name)
        # A click on a segment plays it from its beginning.
        browser.evaluate('document.querySelector("article li button").click()')
        browser.until('!document.querySelector("article audio").paused', "sound")
        browser.evaluate('document.querySelector("article audio").pause()')  # else the echo canceller takes the microphone for it

        browser.evaluate('document.querySelector("#record").click()')
        browser.until('document.querySelector("#record").textContent === "Stop"', "the microphone")
        browser.until(f'document.querySelector("#committed").textContent.includes({json.dumps(TEXT.split()[1])})', "captions")
        browser.evaluate('document.querySelector("#record").click()')
        browser.until('document.querySelector("#record").getAttribute("aria-pressed") === "false"', "the end")

        for size in (PHONE, DESKTOP):
            browser.call("Emulation.setDeviceMetricsOverride", **size)
            self.assertLessEqual(browser.evaluate("document.documentElement.scrollWidth"), size["width"])
        if os.environ.get("QASR_SCREENSHOT"):
            picture = browser.call("Page.captureScreenshot", format="png")["data"]
            pathlib.Path(os.environ["QASR_SCREENSHOT"]).write_bytes(base64.b64decode(picture))
        # What screen readers say: every control has a name.
        nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
        controls = [node for node in nodes if node.get("role", {}).get("value") in ("button", "combobox", "textbox", "progressbar")]
        self.assertGreater(len(controls), 6)
        self.assertEqual([node for node in controls if not node.get("name", {}).get("value")], [])
        self.assertEqual(browser.exceptions, [])


if __name__ == "__main__":
    unittest.main()
