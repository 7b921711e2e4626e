"""The nightly report in a real browser: Chromium, headless, asked over its DevTools protocol what it has loaded, said and drawn."""

import base64
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from dawnlist import report
from tests import reports
from tests.nights import RUN_DATE

NAMES = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--disable-dev-shm-usage",
)
SECONDS = 60
PHONE, DESK = 390, 1280
LEAST_CONTRAST = 4.5  # of text against its ground: WCAG 2.2, 1.4.3
LEAST_LETTERS = 10  # pixels: what can still be read on a phone
# The size of the smallest letters of a chart as they are shown, and the charts that leave the page.
LETTERS = """
Math.min(...[...document.querySelectorAll('svg text')].map(one => { const {a, b} = one.getScreenCTM(); return parseFloat(getComputedStyle(one).fontSize) * Math.hypot(a, b); }))
"""
OUTSIDE = (
    "[...document.querySelectorAll('svg text')].filter(one => { const at = one.getBoundingClientRect(); return at.left < 0 || at.right > innerWidth; }).length"
)

# Every text, also those of charts, whose contrast against what is behind it is below the limit; colours are mixed on a canvas, so that any notation is understood.
CONTRASTS = """
(() => {
  const canvas = new OffscreenCanvas(1, 1), pen = canvas.getContext('2d', {willReadFrequently: true});
  const pixel = layers => {
    pen.clearRect(0, 0, 1, 1);
    for (const [colour, alpha] of layers) { pen.globalAlpha = alpha; pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1); }
    return pen.getImageData(0, 0, 1, 1).data;
  };
  const light = ([r, g, b]) => { const part = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b); };
  const marks = (chart, text) => {
    const box = text.getBoundingClientRect(), x = box.left + box.width / 2, y = box.top + box.height / 2;
    const under = [...chart.querySelectorAll('path, rect')].filter(mark => { const at = mark.getBoundingClientRect(); return at.left < x && x < at.right && at.top < y && y < at.bottom; });
    return under.map(mark => getComputedStyle(mark)).filter(style => style.fill !== 'none').map(style => [style.fill, style.fillOpacity * style.opacity]);
  };
  const found = [];
  for (const element of document.body.querySelectorAll('*')) {
    const own = [...element.childNodes].filter(node => node.nodeType === 3 && node.textContent.trim());
    if (!own.length || !element.getClientRects().length) continue;
    const chart = element.closest('svg'), layers = chart ? marks(chart, element) : [];
    for (let up = element; up; up = up.parentElement) layers.unshift([getComputedStyle(up).backgroundColor, 1]);
    const style = getComputedStyle(element), behind = light(pixel(layers)), text = light(pixel([...layers, [chart ? style.fill : style.color, 1]]));
    const ratio = (Math.max(behind, text) + 0.05) / (Math.min(behind, text) + 0.05);
    if (ratio < LIMIT) found.push(`${element.className} ${own[0].textContent.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return found;
})()
""".replace("LIMIT", str(LEAST_CONTRAST))


class Tab:
    """One page of the browser. `events` are what it reported so far."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection, self.numbers, self.events = connection, count(1), list[dict[str, Any]]()

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self.numbers)
        self.connection.send(json.dumps({"id": number, "method": method, "params": params}))
        while (message := self._receive()).get("id") != number:
            pass
        assert "error" not in message, message
        return dict(message["result"])

    def _receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.connection.recv(timeout=SECONDS))
        if "method" in message:
            self.events.append(message)
        return message

    def of(self, *methods: str) -> list[dict[str, Any]]:
        return [event["params"] for event in self.events if event["method"] in methods]

    def open(self, url: str) -> None:
        for domain in ("Network", "Log", "Runtime", "Page"):
            self.send(f"{domain}.enable")
        self.send("Page.navigate", url=url)
        while not self.of("Page.loadEventFired"):
            self._receive()

    def ask(self, expression: str) -> Any:
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"]["value"]


@pytest.fixture(scope="module")
def browser() -> str:
    """The path of a Chromium. It is no dependency of Dawnlist, but the report is checked with one."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    return found or pytest.fail("These tests need Chromium: run `scripts/setup.sh browser`, or install the system package chromium.", pytrace=False)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = reports.home(tmp_path_factory.mktemp("report"))
    return report.write(settings, RUN_DATE, report.page(report.collect(settings, RUN_DATE)))


@contextmanager
def tab(browser: str, profile: Path) -> Iterator[Tab]:
    """A browser with a fresh profile and one tab; gone at the end."""
    command = [browser, *QUIET, f"--user-data-dir={profile}", "--remote-debugging-port=0", "about:blank"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            with connect(_address(process, profile / "DevToolsActivePort"), max_size=None, proxy=None) as connection:
                yield Tab(connection)
        finally:
            process.terminate()
            process.wait(SECONDS)


def _address(process: "subprocess.Popen[bytes]", file: Path) -> str:
    """Where the tab listens, as soon as the browser says so."""
    until = time.monotonic() + SECONDS
    while not (file.exists() and file.read_text().count("\n")):
        assert process.poll() is None, f"Chromium ended with code {process.returncode}"
        assert time.monotonic() < until, "Chromium did not start"
        time.sleep(0.05)
    with urllib.request.urlopen(f"http://127.0.0.1:{file.read_text().split()[0]}/json/list", timeout=SECONDS) as answer:
        return str(next(one for one in json.load(answer) if one["type"] == "page")["webSocketDebuggerUrl"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [DESK, PHONE])
def test_the_report_in_a_browser(browser: str, page: Path, tmp_path: Path, scheme: str, width: int) -> None:
    with tab(browser, tmp_path / "profile") as seen:
        seen.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        seen.send("Emulation.setDeviceMetricsOverride", width=width, height=844, deviceScaleFactor=1, mobile=width == PHONE)
        seen.open(page.as_uri())
        assert seen.ask("document.title").startswith(f"Night of {RUN_DATE}")  # and not what a title of an item says
        assert seen.ask("[document.documentElement.scrollWidth, window.innerWidth]") == [width, width]
        assert seen.ask("document.querySelectorAll('table').length") > 15
        assert seen.ask("document.querySelectorAll('svg').length") > 10
        assert seen.ask(CONTRASTS) == []
        assert seen.ask(LETTERS) >= LEAST_LETTERS
        assert seen.ask(OUTSIDE) == 0
        assert (int(seen.ask("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]")) > 127) == (scheme == "light")
        shot = base64.b64decode(seen.send("Page.captureScreenshot", captureBeyondViewport=True)["data"])
        (tmp_path / f"{scheme}-{width}.png").write_bytes(shot)
        assert shot.startswith(b"\x89PNG")
        assert seen.of("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown") == []
        assert [one["request"]["url"] for one in seen.of("Network.requestWillBeSent") if not one["request"]["url"].startswith("data:")] == [page.as_uri()]
