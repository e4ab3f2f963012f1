"""The page as text: size, safety, words, and numbers that agree with the estimates."""

import json
import re
import subprocess
import sys
import time
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import sample

from picojoule.cost import ratio
from picojoule.quantity import InputError
from picojoule.report._words import WORDS
from picojoule.report.page import page
from picojoule.report.page._data import devices
from picojoule.report.page._format import si
from picojoule.report.page._sources import linked
from picojoule.workload import Workload

VOID = {"meta", "input", "br", "wbr", "link", "img", "hr"}
SVG_VOID = {"path", "rect", "line", "circle"}
RESNET = sample.resnet()
NASTY = "a</script><img src=x onerror=alert(1)>\u202egnp.exe\u2028\x1b[31m\x00"


class Reader(HTMLParser):
    """Balance of tags, ids, attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.faults: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in SVG_VOID:
            self.faults.append(f"<{tag}/> does not close itself in HTML")

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> closes nothing at {self.getpos()}")

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("script", "style"):
            self.text.append(data)

    def ids(self) -> list[str]:
        return [attrs["id"] or "" for _, attrs in self.tags if "id" in attrs]


def island(text: str) -> dict:
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])


@pytest.fixture(scope="module")
def report() -> str:
    other = {"count": sample.both(RESNET, level="count")}
    return page(sample.both(RESNET), other_levels=other, references=sample.REFERENCES, command="picojoule estimate …")


def test_resnet_on_two_devices_is_at_most_300_kb(report: str) -> None:
    """Bound: 300 kB by the acceptance list, for all 174 operators with norms and activations."""
    assert len(RESNET.operators) == 174
    assert len(report.encode()) <= 300_000


def test_building_takes_less_than_60_ms() -> None:
    """Bound: best of five; machines that are slower or shared get three times that."""
    estimates = sample.both(RESNET)
    page(estimates)
    best = min(_timed(lambda: page(estimates)) for _ in range(5))
    assert best < 0.18


def test_import_pulls_no_heavy_module() -> None:
    """Bound: the page needs the standard library and numpy, which the draws bring."""
    code = "import sys, picojoule.report.page; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"pydantic", "ruamel", "onnx", "torch", "pandas", "matplotlib", "jinja2", "playwright", "rich"}
    assert not heavy & {name.split(".")[0] for name in loaded}


def _timed(run) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


@pytest.mark.parametrize("lang", sorted(WORDS))
def test_html_is_balanced_and_ids_are_unique(lang: str) -> None:
    """By hand: every tag that opens closes, in order; no id stands twice; links within the page lead somewhere."""
    reader = Reader(page(sample.both(sample.resnet(plain=True)), lang=lang, references=sample.REFERENCES))
    assert reader.faults == []
    assert reader.open == []
    ids = reader.ids()
    assert len(ids) == len(set(ids))
    inner = {a["href"][1:] for tag, a in reader.tags if tag == "a" and (a.get("href") or "").startswith("#")}
    assert inner <= set(ids)
    assert next(a for tag, a in reader.tags if tag == "html")["lang"] == WORDS[lang]["lang"]


def test_nothing_is_loaded(report: str) -> None:
    """By hand: no attribute that fetches, no url() but the hatch inside the file, a policy that forbids the rest."""
    reader = Reader(report)
    for tag, attrs in reader.tags:
        assert tag not in ("img", "link", "iframe", "object", "embed", "video", "audio", "base", "form"), tag
        assert "src" not in attrs
        assert "srcset" not in attrs
        if tag != "a":
            assert "href" not in attrs
    assert set(re.findall(r"url\(([^)]*)\)", report)) == {"#hatch"}
    assert "@import" not in report
    assert "@font-face" not in report
    policy = next(a["content"] for tag, a in reader.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert "script-src 'sha256-" in policy


def _nasty(workload: Workload) -> Workload:
    operators = tuple(
        replace(o, name=f"{NASTY}{n}", path=f"{NASTY}.{n}", op=NASTY) for n, o in enumerate(workload.operators)
    )
    return replace(workload, name=NASTY, operators=operators, notes=(NASTY,), warnings=(NASTY,),
                   uncounted=((NASTY, NASTY),))  # fmt: skip


def test_nasty_names_stay_text() -> None:
    """By hand: a name that ends the script, draws an image, turns the text around or steers a terminal."""
    estimate = sample.on_gpu(_nasty(sample.resnet(plain=True, depths=(1,))))
    machine = replace(estimate.architecture, title=NASTY)
    text = page([replace(estimate, architecture=machine)], command=NASTY, references={"fit": NASTY})
    reader = Reader(text)
    assert reader.faults == []
    assert "img" not in {tag for tag, _ in reader.tags}
    assert "<img" not in text
    assert sum(tag == "script" for tag, _ in reader.tags) == 2
    for hidden in "\u202e\u2028\x1b\x00":
        assert hidden not in text
    assert "\\u202e" in "".join(reader.text)
    assert island(text)["model"].startswith("a</script>")
    assert "\\u003c/script" in text


def test_script_island_has_no_bracket(report: str) -> None:
    """By hand: inside JSON every `<` is written \\u003c, so no name can end the element."""
    inside = re.search(r'id="data">(.*?)</script>', report, re.S)[1]
    assert not set("<>&") & set(inside)


def test_languages_have_the_same_keys_and_fields() -> None:
    """Equality: every sentence exists in each language, with the same fields to fill."""
    english = WORDS["en"]
    for words in WORDS.values():
        assert words.keys() == english.keys()
    fields = {key: set(re.findall(r"\{(\w+)\}", text)) for key, text in english.items()}
    loose = {"v_later", "v_faster"}  # a language may name the devices again
    for key, text in WORDS["zh"].items():
        if key not in loose:
            assert set(re.findall(r"\{(\w+)\}", text)) == fields[key], key


def test_chinese_page_has_the_same_numbers() -> None:
    """Metamorphic: another language changes words, not numbers with units."""
    estimates = sample.both(sample.resnet(plain=True))
    number = re.compile(r"[\d.,]+\u202f[a-zA-Zµ/]+")
    a, b = (sorted(number.findall(" ".join(Reader(page(estimates, lang=lang)).text))) for lang in ("en", "zh"))
    assert a == b


def test_unknown_language_is_refused() -> None:
    """Message: says which languages there are."""
    with pytest.raises(InputError, match="no page in the language 'xx'"):
        page(sample.both(sample.stack(1)), lang="xx")


def test_two_models_are_refused() -> None:
    """Message: a page compares devices, not models."""
    with pytest.raises(InputError, match="different operators"):
        page([sample.on_gpu(sample.stack(1)), sample.on_gpu(sample.stack(2))])


def test_no_estimate_is_refused() -> None:
    """Message: an empty page helps nobody."""
    with pytest.raises(InputError, match="no estimate"):
        page([])


def test_table_adds_up_to_the_headline(report: str) -> None:
    """Equality: rows, total row, parts and data all add up to the headline, folded or not."""
    estimates = sample.both(RESNET)
    data = island(report)
    for estimate, device in zip(estimates, data["devices"], strict=True):
        energy, time_s = estimate.cost.total_energy_j.nominal, estimate.cost.total_time_s.nominal
        assert sum(sum(row[7:]) for row in device["rows"]) == pytest.approx(energy, rel=1e-4)
        assert sum(row[0] for row in device["rows"]) == pytest.approx(time_s, rel=1e-4)
        assert si(energy, "J") in report.split("<tfoot>")[1]
        assert f'<span class="big">{si(energy, "J")}</span>' in report
    _, seen = devices(estimates)
    for estimate, device in zip(estimates, seen, strict=True):
        nominal = estimate.cost.total_energy_j.nominal
        assert sum(r.energy.nominal for r in device.readings) == pytest.approx(nominal, rel=1e-12)
        assert sum(device.parts) == pytest.approx(nominal, rel=1e-12)
        assert sum(r.n_bytes for r in device.readings) == device.off_chip_bytes


def test_headline_ratio_comes_from_shared_draws(report: str) -> None:
    """Equality: the factor is the ratio of summed draws, and its interval is theirs."""
    gpu, chip = sample.both(RESNET)
    expected = ratio(chip.cost.energy_j.sum(axis=0), gpu.cost.energy_j.sum(axis=0))
    line = re.search(r'class="verdict-line">(.*?)</p>', report, re.S)[1]
    assert f"<b>{expected.nominal:.2g}× less energy</b>" in line
    assert f"{expected.low:.2g} – {expected.high:.2g}×" in line


def test_other_seed_has_no_shared_draws() -> None:
    """Message: a ratio of draws of two worlds would be too wide, so there is no interval."""
    model = sample.resnet(plain=True)
    text = page([sample.on_gpu(model), sample.on_chip(model, seed=1)])
    assert WORDS["en"]["no_shared"] in text


def test_different_scopes_are_never_compared_silently(report: str) -> None:
    """Message: a board against a chip with its DRAM warns; two boards do not."""
    assert "These joules do not include the same things" in report
    assert "board" in report
    assert "macro + device" in report
    model = sample.resnet(plain=True)
    assert "These joules" not in page([sample.on_gpu(model), sample.on_gpu(model)])


def test_every_price_and_rate_has_its_source(report: str) -> None:
    """Equality: each value used stands in the last section with its source, and each source has its reference."""
    body = report.split('id="src"')[1]
    for estimate in sample.both(RESNET):
        for value in (*estimate.cost.prices.values(), *estimate.cost.rates.values()):
            assert value.source.split(" + ")[0] in body
            assert f"×/÷ {value.spread:.3g}" in body or value.spread == 1
            assert value.where in body
    for text in sample.REFERENCES.values():
        assert text[:20] in body
    assert 'href="https://doi.org/10.1000/xyz123"' in body
    assert "https://example.org/sheet?a=1&amp;b=2" in body


def test_links_in_references_are_only_web_addresses() -> None:
    """By hand: no other scheme becomes a link, and quotes cannot leave the attribute."""
    assert "<a" not in linked("javascript:alert(1) data:text/html,x")
    assert linked('see https://a.example/"onclick="x').count('"') == 4
    assert '"https://a.example/b"' in linked("at https://a.example/b, 2024")


def test_levels_appear_only_if_given(report: str) -> None:
    """By hand: count and roofline side by side, none of it without other levels."""
    assert 'id="levels"' in report
    assert '<th scope="row">count</th>' in report
    assert 'id="levels"' not in page(sample.both(sample.resnet(plain=True)))


def test_a_crossing_of_levels_is_called_out() -> None:
    """Message: a deeper level that costs less is a fault, and the page says so."""
    model = sample.resnet(plain=True)
    low = sample.on_gpu(model)
    cost = replace(low.cost, energy_j=low.cost.energy_j * 9)
    text = page([low], other_levels={"count": [replace(low, level="count", cost=cost)]})
    assert "a deeper level must not cost less" in text


def test_uncounted_operators_are_called_out() -> None:
    """Message: an operator without a count makes every total too low, and that stands at the top."""
    model = replace(sample.stack(2), uncounted=(("MysteryOp", "node7"),))
    text = page([sample.on_gpu(model)])
    assert "<b>1</b> uncounted" in text
    assert "MysteryOp" in text.split("<section")[0]


def test_batch_divides_per_sample() -> None:
    """Equality: joules per sample are joules per run over the batch."""
    estimate = sample.on_gpu(sample.resnet(plain=True, batch=8))
    text = page([estimate])
    assert f"{si(estimate.cost.total_energy_j.nominal / 8, 'J')} per sample" in text


def test_long_stacks_are_folded() -> None:
    """Bound: 1,001 operators of 500 equal layers become a handful of blocks that say 500 ×, and still add up."""
    model = sample.stack(500)
    estimates = sample.both(model)
    blocks, seen = devices(estimates)
    assert len(blocks) <= 10
    assert sum(block.times for block in blocks) == len(model.operators)
    assert max(block.times for block in blocks) >= 499
    for estimate, device in zip(estimates, seen, strict=True):
        total = sum(r.energy.nominal for r in device.readings)
        assert total == pytest.approx(estimate.cost.total_energy_j.nominal, rel=1e-9)
    text = page(estimates)
    assert "layers.*.fc" in text
    assert len(text.encode()) < 120_000


def test_short_networks_are_not_folded() -> None:
    """By hand: 399 operators stay 399 blocks."""
    blocks, _ = devices([sample.on_gpu(sample.stack(199))])
    assert len(blocks) == 399


def test_empty_network_still_has_a_page() -> None:
    """Bound: no operator, no joule, no division by zero."""
    empty = sample.on_gpu(sample.stack(1))
    cost = replace(empty.cost, activities=(), energy_j=np.zeros((0, 5)), time_s=np.zeros((0, 5)))
    workload = replace(empty.workload, operators=())
    assert Reader(page([replace(empty, workload=workload, cost=cost)])).faults == []


def test_page_is_the_same_every_time() -> None:
    """Equality: no date, no random id: two builds are byte for byte equal."""
    estimates = sample.both(sample.resnet(plain=True))
    assert page(estimates) == page(estimates)


def test_several_devices_are_ranked_in_one_sentence() -> None:
    """By hand: three devices: the thriftiest is named, the others by their factor, the draws explained once."""
    model = sample.resnet(plain=True)
    gpu, chip = sample.both(model)
    third = replace(gpu, architecture=replace(gpu.architecture, name="third", title="Third GPU"))
    line = re.search(r'class="verdict-line">(.*?)</p>', page([gpu, chip, third]), re.S)[1]
    assert line.startswith("Of 3 machines ")
    assert line.count(" needs <b>") == 2
    assert line.count(WORDS["en"]["shared"]) == 1


def test_batches_stand_where_their_joules_are() -> None:
    """By hand: on logarithmic axes a mark of half the joules stands ln 2 lower; a measured point within 5 % joins its row."""
    first, second = sample.curves(NASTY)
    text = page(sample.both(RESNET), batches=(first, second), references=sample.REFERENCES)
    part = text.partition('id="batches"')[2].partition("</section>")[0]
    marks = re.findall(r'class="bm (\w)" style="left:([\d.]+)%;bottom:([\d.]+)%"', part)
    assert [kind for kind, _, _ in marks] == list("eeepppxx") + list("eee")
    heights = {kind: [float(y) for k, _, y in marks[:8] if k == kind] for kind in "epx"}
    values = [p.estimated.nominal for p in first.points]
    step = (heights["e"][0] - heights["e"][2]) / np.log(values[0] / values[2])
    for height, point in zip(heights["x"], first.measured, strict=True):
        assert height == pytest.approx(heights["e"][0] + step * np.log(point.energy_j / values[0]), abs=0.2)
    assert part.count("<tr>") == 2 + 4 + 3  # two heads; 1, 8, 64 and 500; 1, 8, 64
    assert "the bandwidth is unknown" in part
    assert "<img" not in part
    assert not Reader(text).faults


def test_no_batches_no_section() -> None:
    """Equality: a page of one batch is as it was, without the section."""
    assert 'id="batches"' not in page(sample.both(RESNET))
