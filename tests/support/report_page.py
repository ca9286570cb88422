"""A report in a real browser, driven with Playwright."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

_BROWSERS = "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"
# Where the columns are on the screen, in the layout (0) or on the micrograph (1).
_PLACES = """(which) => {
  const plot = linkedView.plots[which], view = Bokeh.index.find_one(plot);
  const box = view.canvas_view.el.getBoundingClientRect();
  const [x, y] = which ? ["right", "down"] : ["x", "y"];
  const data = linkedView.source.data;
  return [...data.column].map((_, i) => [
    box.x + view.frame.x_scale.compute(data[x][i]), box.y + view.frame.y_scale.compute(data[y][i]),
  ]);
}"""
DRAWN = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))"


@contextmanager
def browser() -> Iterator[Any]:
    """Start a browser, that of the system or Playwright's own; skip where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="a browser is driven with Playwright")
    with playwright.sync_playwright() as driver:
        found = next(filter(None, map(shutil.which, _BROWSERS)), None)
        try:
            started = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        except playwright.Error as error:
            pytest.skip(f"no browser to look with: {str(error).splitlines()[0]}")
        yield started
        started.close()


class Page:
    """The report in a window, with every request and every error that it made."""

    def __init__(self, browser: Any, report: Path, width: int = 1400) -> None:
        self.page = browser.new_page(viewport={"width": width, "height": 1100})
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(report.as_uri())
        self.page.wait_for_function("window.linkedView !== undefined")
        self.page.locator("#linked").scroll_into_view_if_needed()
        self.page.evaluate("document.querySelector('#linked').scrollIntoView()")
        self.page.evaluate(DRAWN)

    def places(self, which: int) -> np.ndarray:
        return np.array(self.page.evaluate(_PLACES, which))

    def columns(self) -> np.ndarray:
        return np.array(self.page.evaluate("[...linkedView.source.data.column]"))

    def selected(self) -> set[int]:
        return set(self.page.evaluate("[...linkedView.source.selected.indices]"))

    def lasso(self, path: np.ndarray) -> float:
        """Draw round something with the mouse; return the seconds from letting go to the page redrawn."""
        self.page.mouse.move(*path[0])
        self.page.mouse.down()
        for x, y in path[1:]:
            self.page.mouse.move(x, y)
        begun = time.perf_counter()
        self.page.mouse.up()
        self.page.evaluate(DRAWN)
        return time.perf_counter() - begun

    def pixels(self, path: Path) -> np.ndarray:
        self.page.screenshot(path=path)
        return imread(path)[:, :, :3]

    def said(self) -> str:
        return self.page.text_content("#linked output")


def ring(middle: np.ndarray, radius: float) -> np.ndarray:
    """Return 16 corners (16, 2) round a place, px."""
    angle = 2 * np.pi * np.arange(16) / 16
    return middle + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def clear_path(places: np.ndarray, middle: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return the ring round `middle` that keeps furthest from all places, px."""
    near = places[np.linalg.norm(places - middle, axis=1) < 1.2 * high]
    best, kept = 0.0, ring(middle, low)
    for radius in np.linspace(low, high, 60):
        path = ring(middle, radius)
        along = np.roll(path, -1, axis=0) - path
        away = near[:, None] - path
        share = np.clip((away * along).sum(-1) / (along**2).sum(-1), 0, 1)
        clear = np.linalg.norm(away - share[..., None] * along, axis=-1).min()
        if clear > best:
            best, kept = clear, path
    assert best > 0.5
    return kept
