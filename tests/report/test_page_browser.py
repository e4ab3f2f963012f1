"""The page in a real browser: accessible, offline, readable without script, usable by keyboard, printable."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sample

from picojoule.report._words import WORDS
from picojoule.report.page import page

pytestmark = pytest.mark.browser
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-quic"]  # fmt: skip
VIEWS = [("light", 1440), ("dark", 1440), ("light", 390), ("dark", 390)]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    model = sample.resnet()
    other = {"count": sample.both(model, level="count")}
    folder = tmp_path_factory.mktemp("page")
    for lang in WORDS:
        text = page(sample.both(model), other_levels=other, lang=lang, references=sample.REFERENCES,
                    command="picojoule …", batches=sample.curves())  # fmt: skip
        (folder / f"{lang}.html").write_text(text, "utf-8")
    return {lang: folder / f"{lang}.html" for lang in WORDS}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium on this machine")
    with sync.sync_playwright() as play:
        opened = play.chromium.launch(executable_path=path, args=FLAGS)
        yield opened
        opened.close()


def _open(browser: Any, file: Path, **options: Any) -> tuple[Any, list[str], list[str]]:
    """The page, what it asked the network for, and what it complained about."""
    width = options.pop("width", 1440)
    context = browser.new_context(viewport={"width": width, "height": 900}, **options)
    tab = context.new_page()
    asked: list[str] = []
    faults: list[str] = []
    tab.on("request", lambda r: asked.append(r.url) if not r.url.startswith("file:") else None)
    tab.on("console", lambda m: faults.append(m.text) if m.type in ("error", "warning") else None)
    tab.on("pageerror", lambda e: faults.append(str(e)))
    tab.goto(file.as_uri())
    return tab, asked, faults


@pytest.mark.parametrize(("scheme", "width"), VIEWS)
@pytest.mark.parametrize("lang", sorted(WORDS))
def test_axe_finds_nothing(browser: Any, files: dict[str, Path], lang: str, scheme: str, width: int) -> None:
    """Bound: 0 violations of axe-core's whole rule set."""
    axe = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    script = Path(axe.__file__).with_name("axe.min.js").read_text("utf-8")
    tab, _, _ = _open(browser, files[lang], width=width, color_scheme=scheme, bypass_csp=True)
    tab.evaluate(script)
    found = tab.evaluate("axe.run()")
    tab.context.close()
    assert found["passes"]
    assert [(v["id"], [n["html"][:120] for n in v["nodes"]][:4]) for v in found["violations"]] == []


@pytest.mark.parametrize("width", [1440, 768, 390, 320])
@pytest.mark.parametrize("lang", sorted(WORDS))
def test_no_sideways_scroll(browser: Any, files: dict[str, Path], lang: str, width: int) -> None:
    """Bound: the document is as wide as the window."""
    tab, _, _ = _open(browser, files[lang], width=width)
    over = tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    tab.context.close()
    assert over == 0


def test_nothing_is_asked_of_the_network(browser: Any, files: dict[str, Path]) -> None:
    """Bound: 0 requests and 0 complaints, theme switch, sort, filter and pointer included."""
    tab, asked, faults = _open(browser, files["en"], offline=True)
    tab.click("#theme")
    tab.click("#table th[data-sort=e0] button")
    tab.fill("#q", "layer3")
    tab.hover("#time .plot")
    tab.context.close()
    assert asked == []
    assert faults == []


def test_numbers_are_there_without_script(browser: Any, files: dict[str, Path]) -> None:
    """Equality: with script off every row, total and source is visible; only the tools are gone."""
    tab, _, faults = _open(browser, files["en"], java_script_enabled=False)
    text = tab.inner_text("main")
    rows = tab.locator("#table tbody tr")
    assert rows.count() == 174
    assert rows.last.is_visible()
    for estimate in sample.both(sample.resnet()):
        energy = f"{estimate.cost.total_energy_j.nominal * 1e3:.3g}"
        assert energy in text
    for tool in ("#theme", "#q", "[data-save]", "#read"):
        assert not tab.locator(tool).first.is_visible()
    tab.context.close()
    assert faults == []


def test_arrow_keys_step_through_the_skyline(browser: Any, files: dict[str, Path]) -> None:
    """By hand: Home is conv1, one step right is bn1, End is fc, Escape lets go."""
    tab, _, _ = _open(browser, files["en"])
    tab.focus("#time .plot")
    tab.keyboard.press("Home")
    assert tab.inner_text("#read h3 code") == "conv1"
    tab.keyboard.press("ArrowRight")
    assert tab.inner_text("#read h3 code") == "bn1"
    assert tab.locator("#table tr.on code").inner_text() == "bn1"
    tab.keyboard.press("End")
    assert tab.inner_text("#read h3 code") == "fc"
    assert tab.locator("html[data-picked]").count() == 1
    tab.keyboard.press("Escape")
    assert tab.locator("html[data-picked]").count() == 0
    tab.context.close()


def test_table_sorts_and_filters_by_keyboard(browser: Any, files: dict[str, Path]) -> None:
    """By hand: Enter on the heading puts the dearest first, again the cheapest; a filter counts its hits."""
    tab, _, _ = _open(browser, files["en"])
    data = tab.evaluate("JSON.parse(document.getElementById('data').textContent)")
    joules = [sum(row[7:]) for row in data["devices"][0]["rows"]]
    tab.focus("#table th[data-sort=e0] button")
    tab.keyboard.press("Enter")
    assert tab.get_attribute("#table th[data-sort=e0]", "aria-sort") == "descending"
    first = int(tab.get_attribute("#table tbody tr:first-child", "data-i"))
    assert joules[first] == max(joules)
    tab.keyboard.press("Enter")
    first = int(tab.get_attribute("#table tbody tr:first-child", "data-i"))
    assert joules[first] == min(joules)
    tab.fill("#q", "layer3.0.conv")
    assert tab.inner_text("#hits") == "3 of 174"
    assert tab.locator("#table tbody tr:visible").count() == 3
    tab.context.close()


def test_pointer_marks_the_operator_everywhere(browser: Any, files: dict[str, Path]) -> None:
    """Equality: the block under the pointer is the one marked in roofline, modules and table."""
    tab, _, _ = _open(browser, files["en"])
    box = tab.locator("#time .plot").first.bounding_box()
    tab.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.5)
    marked = tab.evaluate("[...document.querySelectorAll('.on')].map(e => e.dataset.i)")
    assert len(set(marked)) == 1
    assert len(marked) >= 5
    tab.context.close()


def test_downloads_hold_the_whole_table(browser: Any, files: dict[str, Path], tmp_path: Path) -> None:
    """Round trip: the CSV has each operator on each device, and its joules add up to the headline."""
    tab, _, _ = _open(browser, files["en"], accept_downloads=True)
    with tab.expect_download() as waiting:
        tab.click("[data-save=csv]")
    waiting.value.save_as(tmp_path / "t.csv")
    lines = (tmp_path / "t.csv").read_text("utf-8").splitlines()
    column = lines[0].split(",").index("energy_j")
    assert len(lines) == 1 + 2 * 174
    total = sum(float(line.split(",")[column]) for line in lines[1:175])
    gpu = sample.on_gpu(sample.resnet())
    assert total == pytest.approx(gpu.cost.total_energy_j.nominal, rel=1e-4)
    tab.context.close()


def test_theme_is_switched_and_remembered_by_the_button(browser: Any, files: dict[str, Path]) -> None:
    """By hand: light by preference, dark by the button, light again."""
    tab, _, _ = _open(browser, files["en"], color_scheme="light")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = tab.evaluate(ground)
    tab.click("#theme")
    assert tab.evaluate(ground) != light
    tab.click("#theme")
    assert tab.evaluate(ground) == light
    tab.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_prints_on_at_most_ten_pages(browser: Any, files: dict[str, Path], scheme: str) -> None:
    """Bound: 174 operators on two devices fit ten pages of A4."""
    tab, _, _ = _open(browser, files["en"], color_scheme=scheme)
    pdf = tab.pdf(format="A4", prefer_css_page_size=True)
    tab.context.close()
    assert len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf)) <= 10
