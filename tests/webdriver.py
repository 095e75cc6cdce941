"""Drives headless Chromium by chromedriver's own protocol, JSON over HTTP, so that no other package is needed.

with webdriver.browser(tmp_path, width=390) as page:
    page.open("file:///tmp/model.html")
    page.run("return document.title")
"""

import base64
import contextlib
import json
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

MISSING = [name for name in ("chromium", "chromedriver") if not shutil.which(name)]
"""Programs that are missing on the path; [] if a browser can be driven."""

_FLAGS = """
    headless=new no-sandbox disable-gpu disable-quic no-first-run disable-background-networking disable-component-update
    disable-sync hide-scrollbars enable-unsafe-swiftshader
""".split()
_KEYS = {"left": "\ue012", "up": "\ue013", "right": "\ue014", "down": "\ue015", "tab": "\ue004", "enter": "\ue007"}


class Browser:
    """A session of chromedriver at an address."""

    def __init__(self, address: str):
        self._address = address
        self._session = ""

    def ask(self, method: str, path: str, **body):
        """Sends a command of the session. Returns the value in the answer."""
        data = json.dumps(body).encode() if method == "POST" else None
        request = urllib.request.Request(f"{self._address}{self._session}{path}", data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from error

    def begin(self, profile: Path, width: int, height: int) -> None:
        flags = [*_FLAGS, f"user-data-dir={profile}", f"window-size={width},{height}"]
        options = {"binary": shutil.which("chromium"), "args": [f"--{flag}" for flag in flags]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        session = self.ask("POST", "/session", capabilities={"alwaysMatch": wanted})
        self._session = f"/session/{session['sessionId']}"

    def open(self, address: str) -> None:
        self.ask("POST", "/url", url=address)

    def run(self, script: str, *arguments):
        """Runs a script, the body of a function, in the page. Returns its result."""
        return self.ask("POST", "/execute/sync", script=script, args=list(arguments))

    def wait(self, script: str, seconds: float = 20):
        """Runs a script again and again until its result is true. Returns the result."""
        end = time.monotonic() + seconds
        while not (found := self.run(script)):
            assert time.monotonic() < end, f"never true: {script}"
            time.sleep(0.02)
        return found

    def click(self, selector: str) -> None:
        self.ask("POST", f"/element/{self._find(selector)}/click")

    def hover(self, selector: str) -> None:
        origin = {"element-6066-11e4-a52e-4f735466cecf": self._find(selector)}
        move = {"type": "pointerMove", "duration": 0, "x": 0, "y": 0, "origin": origin}
        pointer = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": [move]}
        self.ask("POST", "/actions", actions=[pointer])

    def press(self, *keys: str) -> None:
        """Presses keys, by name or as text, where the focus is."""
        texts = "".join(_KEYS.get(key, key) for key in keys)
        actions = [{"type": kind, "value": key} for key in texts for kind in ("keyDown", "keyUp")]
        self.ask("POST", "/actions", actions=[{"type": "key", "id": "keys", "actions": actions}])

    def type(self, selector: str, text: str) -> None:
        """Replaces the content of a field."""
        self.ask("POST", f"/element/{self._find(selector)}/clear")
        self.ask("POST", f"/element/{self._find(selector)}/value", text=text)

    def log(self, kind: str) -> list[dict]:
        """Returns the messages of a log, "browser" or "performance", since the last call."""
        return self.ask("POST", "/se/log", type=kind)

    def command(self, name: str, **parameters):
        """Sends a command of Chromium's own protocol. Returns the answer."""
        return self.ask("POST", "/goog/cdp/execute", cmd=name, params=parameters)

    def dark(self, is_dark: bool) -> None:
        value = "dark" if is_dark else "light"
        self.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": value}])

    def size(self, width: int, height: int) -> None:
        wanted = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.command("Emulation.setDeviceMetricsOverride", **wanted)

    def picture(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.ask("GET", "/screenshot")))

    def _find(self, selector: str) -> str:
        return next(iter(self.ask("POST", "/element", using="css selector", value=selector).values()))


@contextlib.contextmanager
def browser(folder: Path, width: int = 1200, height: int = 900) -> Iterator[Browser]:
    """Runs a browser during the body. Its profile is in the folder."""
    with subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, text=True) as process:
        try:
            found = (re.search(r"started successfully on port (\d+)", line) for line in process.stdout)
            driver = Browser(f"http://127.0.0.1:{next(filter(None, found))[1]}")
            driver.begin(folder / "profile", width, height)
            try:
                yield driver
            finally:
                driver.ask("DELETE", "")
        finally:
            process.terminate()
