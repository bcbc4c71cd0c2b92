"""Drives a Chromium by its own protocol, over the WebSocket client that JupyterLab brings: no driver to install."""

import contextlib
import itertools
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import websocket

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
KEYS = {"ArrowRight": 39, "ArrowLeft": 37, "Escape": 27}


class Page:
    """One tab: loads addresses, evaluates JavaScript, presses keys, and keeps what went to the console as an error."""

    def __init__(self, address: str):
        self._socket = websocket.create_connection(address, timeout=60, suppress_origin=True)
        self._number = itertools.count(1)
        self.errors: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._send(f"{domain}.enable")
        self._send("Emulation.setFocusEmulationEnabled", enabled=True)  # a headless tab has no focus of its own

    def _send(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._number)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
            self._note(message)

    def _note(self, event: dict[str, Any]) -> None:
        method, params = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] == "error":
            self.errors.append(" ".join(str(part.get("value", part.get("description"))) for part in params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.errors.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")

    def open(self, address: str) -> None:
        """Loads a page and waits until it is complete."""
        self._send("Page.navigate", url=address)
        self.wait("document.readyState === 'complete'")

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression; promises are awaited."""
        found = self._send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"].get("exception", {}).get("description", str(found)))
        return found["result"].get("value")

    def wait(self, condition: str, seconds: float = 60) -> None:
        """Waits until a JavaScript condition holds."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with contextlib.suppress(RuntimeError):  # a page that is being replaced has no context for a moment
                if self.run(f"Boolean({condition})"):
                    return
            time.sleep(0.2)
        raise TimeoutError(f"after {seconds:g} s not true: {condition}; errors so far: {self.errors}")

    def press(self, key: str) -> None:
        """A key goes to the element that has the focus."""
        code = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS[key]}
        self._send("Input.dispatchKeyEvent", type="rawKeyDown", **code)
        self._send("Input.dispatchKeyEvent", type="keyUp", **code)

    def close(self) -> None:
        self._socket.close()


@contextlib.contextmanager
def chromium(folder: Path) -> Iterator[Page]:
    """A headless Chromium with a profile of its own below ``folder``, and its tab."""
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
    profile = folder / "chromium"
    command = [CHROMIUM, *options, "--window-size=1400,1000", "--remote-debugging-port=0", f"--user-data-dir={profile}"]
    with subprocess.Popen([*command, "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            port_file = profile / "DevToolsActivePort"
            _until(lambda: port_file.is_file() and len(port_file.read_text().split()) == 2, "Chromium's port")
            port = port_file.read_text().split()[0]
            with urlopen(f"http://127.0.0.1:{port}/json") as answer:
                tabs = [tab for tab in json.load(answer) if tab["type"] == "page"]
            with contextlib.closing(Page(tabs[0]["webSocketDebuggerUrl"])) as page:
                yield page
        finally:
            process.terminate()


@contextlib.contextmanager
def jupyterlab(python: str, notebooks: Path, environment: dict[str, str]) -> Iterator[str]:
    """JupyterLab on a folder of notebooks; gives the address of its workspace."""
    runtime = notebooks / "runtime"
    options = [
        "--no-browser", "--ServerApp.port=0", "--ServerApp.token=", "--ServerApp.password=", "--allow-root",
        "--LabApp.expose_app_in_browser=True", "--LabApp.news_url=", "--LabApp.check_for_updates_class="
        "jupyterlab.handlers.announcements.NeverCheckForUpdate", f"--ServerApp.root_dir={notebooks}",
    ]  # fmt: skip
    environment = environment | {"JUPYTER_RUNTIME_DIR": str(runtime), "JUPYTER_CONFIG_DIR": str(notebooks / "config")}
    command = [python, "-m", "jupyterlab", *options]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _until(lambda: list(runtime.glob("jpserver-*.json")), "JupyterLab's server file")
            (server,) = runtime.glob("jpserver-*.json")
            yield json.loads(server.read_text())["url"].rstrip("/") + "/lab"
        finally:
            process.terminate()


def _until(condition, what: str, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(f"{what} did not come in {seconds:g} s")
        time.sleep(0.2)
