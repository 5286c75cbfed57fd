"""A headless Chromium as a person would use it: of any width, dark or light, on paper; it tells what a page loads.

Spoken to by the protocol of its developer tools through a pair of pipes, since a window is never as narrow as a phone.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe")
PATIENCE = 300
"""Seconds for one answer: a starved machine is slow, and a browser that is gone ends the wait at once."""


def program() -> str | None:
    """The first browser there is."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class Browser:
    """One page of one browser."""

    def __init__(self, to: int, back: int) -> None:
        self.to, self.back = to, back
        self.rest, self.number, self.session = b"", 0, ""
        self.loaded: list[str] = []
        """Addresses that the page asked for, itself the first; what stands in the page itself is not among them."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: Any) -> Any:
        """One command and its answer."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            said = self.hear()
            if said.get("id") != self.number:
                continue
            if "error" in said:
                raise RuntimeError(f"{method}: {said['error']['message']}")
            return said["result"]

    def hear(self) -> dict[str, Any]:
        """The next message; what is loaded is noted."""
        until = time.monotonic() + PATIENCE
        while b"\0" not in self.rest:
            ready, _, _ = select.select([self.back], [], [], max(0.0, until - time.monotonic()))
            part = os.read(self.back, 1 << 20) if ready else b""
            if not part:
                raise RuntimeError("the browser is gone" if ready else f"the browser said nothing for {PATIENCE} s")
            self.rest += part
        line, _, self.rest = self.rest.partition(b"\0")
        said: dict[str, Any] = json.loads(line)
        if said.get("method") == "Network.requestWillBeSent":
            address = said["params"]["request"]["url"]
            self.loaded += [] if address.startswith("data:") else [address]
        return said

    def looks(self, width: int, *, height: int = 900, dark: bool = False, phone: bool = False) -> None:
        """What the next page is shown on."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", media="", features=[scheme])

    def open(self, page: Path) -> None:
        """Wait until all of it is there."""
        self.loaded.clear()
        self.ask("Page.navigate", url=page.absolute().as_uri())
        while self.says("document.readyState") != "complete" or self.says("location.protocol") == "about:":
            time.sleep(0.02)

    def says(self, script: str) -> Any:
        """The value of an expression in the page."""
        found = self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in found:
            raise RuntimeError(str(found["exceptionDetails"]))
        return found["result"].get("value")

    def tall(self) -> int:
        """Of the whole page, in pixels."""
        return int(self.says("document.documentElement.scrollHeight"))

    def picture(self, begin: int = 0, tall: int = 2000) -> bytes:
        """A PNG of a part of the page, from `begin` pixels down."""
        width = self.says("innerWidth")
        clip = {"x": 0, "y": begin, "width": width, "height": min(tall, self.tall() - begin), "scale": 1}
        found = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        return base64.b64decode(found["data"])

    def paper(self) -> bytes:
        """A PDF of the page as it is printed."""
        return base64.b64decode(self.ask("Page.printToPDF", printBackground=False)["data"])


@contextmanager
def browsing(program: str, folder: Path) -> Generator[Browser, None, None]:
    """A browser whose profile is in `folder`."""
    read_to, to = os.pipe()
    back, write_back = os.pipe()
    high = [fcntl.fcntl(one, fcntl.F_DUPFD, 10) for one in (read_to, write_back)]

    def wire() -> None:
        """The numbers that the flag stands for."""
        os.dup2(high[0], 3)
        os.dup2(high[1], 4)

    started = subprocess.Popen(
        [program, *FLAGS, f"--user-data-dir={folder}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        close_fds=False,
        preexec_fn=wire,
        start_new_session=True,
    )
    for one in (read_to, write_back, *high):
        os.close(one)
    try:
        yield Browser(to, back)
    finally:
        os.close(to)
        os.close(back)
        started.terminate()
        try:
            started.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, 9)
            started.wait()
