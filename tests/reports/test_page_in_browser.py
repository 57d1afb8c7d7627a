"""Pages in a real browser: sorting, links, colours, narrow screens, and nothing run but our own script.

Needs Chromium. Without one these tests are skipped, unless KEEPBEST_REQUIRE_BROWSER is set, as in continuous
integration: there its absence is a failure.
"""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import keepbest
from keepbest.cli.report import main
from keepbest.records.run_record import RunStatus

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
PHONE = {"viewport": {"width": 360, "height": 740}}
Opened = Callable[..., Any]


@pytest.fixture(scope="module")
def browser():
    """One browser for all tests here."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        reason = f"pages are tested in Chromium, and none of {', '.join(NAMES)} is a command here"
        if os.environ.get("KEEPBEST_REQUIRE_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def pages(default_run, trained_sweep, hostile_sweep, tmp_path_factory) -> dict[str, Path]:
    """Pages as the command writes them: of trained ones in their directories, and of strangers' beside them."""
    made = {
        "run": (default_run[1], default_run[1] / "report.html"),
        "sweep": (trained_sweep, trained_sweep / "report.html"),
        "member": (trained_sweep / "0", trained_sweep / "0" / "report.html"),
        "stranger's sweep": (hostile_sweep, tmp_path_factory.mktemp("pages") / "sweep.html"),
        "stranger's run": (hostile_sweep / "0", tmp_path_factory.mktemp("pages") / "run.html"),
    }
    for directory, page in made.values():
        assert main([str(directory), "--output", str(page)]) == 0
    return {name: page for name, (_, page) in made.items()}


@pytest.fixture(scope="module")
def wide_page(made_sweep, made_job, tmp_path_factory) -> Path:
    """The page of a sweep of 40 rates by 5 widths, one job of which failed."""
    values = [1.0, 0.6, 0.7, 0.5, 0.7, 0.8, 0.9]
    jobs = [
        made_job(
            [f"model.rate={rate}", f"model.width={width}"],
            {"best_model_score": 0.5 + rate / 1000 + width / 7000, "best_epoch": 3},
            [{"val_loss": value + rate / 1000 + width / 7000} for value in values[: 6 + rate % 2]],
        )
        for rate in range(40)
        for width in range(5)
    ]
    jobs[150].record = {"status": RunStatus.FAILED, "best_model_score": None, "best_epoch": None}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda _: None)  # of four hundred files
        directory = made_sweep(tmp_path_factory.mktemp("wide") / "sweep", jobs)
    assert main([str(directory)]) == 0
    return directory / "report.html"


@contextmanager
def looking_at(browser, path: Path, **settings: Any) -> Iterator[Any]:
    """Open a page in a context of its own; it may ask for nothing, and nothing may go wrong in it."""
    context = browser.new_context(**settings)
    context.set_default_timeout(10_000)
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    yield page
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert asked[0] == path.as_uri()
    context.close()


def column(page: Any, name: str) -> list[str]:
    """Return the texts of a column of the jobs' table, from top to bottom."""
    return page.evaluate(
        """(name) => {
          const table = document.querySelector("#jobs table");
          const place = [...table.tHead.rows[0].cells].findIndex((cell) => cell.textContent === name);
          return [...table.tBodies[0].rows].map((row) => row.cells[place].textContent);
        }""",
        name,
    )


def direction(page: Any, name: str) -> str:
    return page.locator("#jobs th", has=page.get_by_role("button", name=name, exact=True)).get_attribute("aria-sort")


def numbers(texts: list[str]) -> list[float]:
    return [float(text) for text in texts if text]


def test_a_click_sorts_by_a_column_and_another_turns_it_round(browser, pages):
    with looking_at(browser, pages["sweep"]) as page:
        before = column(page, "job")
        head = page.locator("#jobs").get_by_role("button", name="lr", exact=True)
        head.click()
        assert numbers(column(page, "lr")) == [0.1] * 4 + [1e30] * 4, "as numbers"
        assert direction(page, "lr") == "ascending"
        head.click()
        assert numbers(column(page, "lr")) == [1e30] * 4 + [0.1] * 4
        assert direction(page, "lr") == "descending"
        page.locator("#jobs").get_by_role("button", name="job", exact=True).click()
        assert [text.lstrip("★") for text in column(page, "job")] == [str(number) for number in range(8)]
        assert direction(page, "lr") == "none"
        page.locator("#jobs").get_by_role("button", name="status", exact=True).click()
        assert column(page, "status") == ["completed"] * 4 + ["diverged"] * 4
        assert sorted(column(page, "job")) == sorted(before), "the rows stay the same"
        assert page.locator("tr.best th[scope=row]").text_content() == next(text for text in before if "★" in text)


def test_what_is_missing_comes_last_in_both_directions(browser, pages):
    with looking_at(browser, pages["sweep"]) as page:
        head = page.locator("#jobs").get_by_role("button", name="val_loss", exact=True)
        for turn in (1, -1):
            head.click()
            texts = column(page, "val_loss")
            assert texts[4:] == [""] * 4
            assert numbers(texts) == sorted(numbers(texts))[::turn]


def test_keys_sort_too(browser, pages):
    with looking_at(browser, pages["sweep"]) as page:
        page.locator("#jobs").get_by_role("button", name="job", exact=True).focus()
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "patience"
        for key, expected in (("Enter", [1] * 4 + [3] * 4), ("Space", [3] * 4 + [1] * 4)):
            page.keyboard.press(key)
            assert numbers(column(page, "patience")) == expected
        assert page.evaluate("document.activeElement.textContent") == "patience", "the focus stays"
        page.locator("#means").get_by_role("button", name="mean", exact=True).press("Enter")
        assert page.locator("#means th[aria-sort=ascending]").text_content() == "mean"


def test_links_lead_to_jobs_and_to_their_files(browser, pages):
    with looking_at(browser, pages["sweep"]) as page:
        link = page.locator("#failures a").first
        number = link.text_content()
        link.click()
        assert page.evaluate("location.hash") == f"#job-{number}"
        assert page.locator("tr:target td .status").text_content() == "diverged"
        page.locator(f"#job-{number}").get_by_role("link", name="record").click()
        page.wait_for_url("**/run.json")
        assert '"status": "diverged"' in page.content()


def test_it_is_light_or_dark_as_the_system_is_and_by_its_button(browser, pages):
    def colours(page: Any) -> list[str]:
        return page.evaluate(
            """() => [getComputedStyle(document.body).backgroundColor,
                      getComputedStyle(document.querySelector("#curves svg text")).fill]"""
        )

    seen = {}
    for scheme, other in (("light", "Dark"), ("dark", "Light")):
        with looking_at(browser, pages["sweep"], color_scheme=scheme) as page:
            seen[scheme] = colours(page)
            button = page.get_by_role("button", name=other)
            button.click()
            seen[f"{scheme}, turned"] = colours(page)
            page.emulate_media(media="print")
            seen[f"{scheme}, printed"] = colours(page)
            assert not button.is_visible()
    light, dark = (brightness(seen["light"]), brightness(seen["dark"]))
    assert light[0] > 0.9 > 0.2 > light[1], "dark on light"
    assert dark[0] < 0.1 < 0.8 < dark[1], "and light on dark"
    assert seen["light, turned"] == seen["dark"]
    assert seen["dark, turned"] == seen["light"]
    assert seen["light, printed"] == seen["dark, printed"] == seen["light"]


def brightness(colours: list[str]) -> list[float]:
    return [sum(map(int, colour[4:-1].split(","))) / 3 / 255 for colour in colours]


@pytest.mark.parametrize("name", ["run", "sweep", "member", "stranger's sweep", "stranger's run"])
def test_a_phone_shows_it_without_scrolling_sideways(browser, pages, name):
    with looking_at(browser, pages[name], **PHONE, has_touch=True, is_mobile=True) as page:
        page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        page.evaluate("window.scrollTo(999, 0)")
        assert page.evaluate("window.scrollX") == 0
        lines = "[...document.querySelectorAll('pre.line')].every((line) => line.scrollWidth <= line.clientWidth)"
        assert page.evaluate(lines), "commands are wrapped"
        if name == "sweep":
            box = page.locator("#jobs .scroll")
            assert box.evaluate("box => box.scrollWidth > box.clientWidth"), "the table scrolls inside its box"


@pytest.mark.parametrize("width", [390, 590, 720, 960, 970, 1200])
def test_no_picture_is_wider_than_its_box(browser, pages, width):
    for name in ("run", "sweep"):
        with looking_at(browser, pages[name], viewport={"width": width, "height": 800}) as page:
            pictures = page.get_by_role("img")
            assert pictures.count() == {"run": 3, "sweep": 4}[name], "one of the wide and the narrow one"
            for picture in pictures.all():
                inside = picture.evaluate(
                    """svg => {
                      const [own, box] = [svg, svg.parentElement].map((one) => one.getBoundingClientRect());
                      const texts = [...svg.querySelectorAll("text")].map((text) => text.getBoundingClientRect());
                      const holds = (one, other) => one.left <= other.left && other.right <= one.right;
                      return holds(box, own) && texts.every((text) => holds(own, text));
                    }"""
                )
                assert inside, (name, picture.get_attribute("aria-label"))


def test_paper_shows_no_marks_of_the_screen(browser, pages):
    with looking_at(browser, pages["sweep"]) as page:
        page.locator("#jobs").get_by_role("button", name="job", exact=True).press("Enter")
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        assert page.evaluate(outline) == "solid"
        assert page.get_by_text("a column's name sorts by it").is_visible()
        page.emulate_media(media="print")
        assert page.evaluate(outline) == "none"
        assert not page.get_by_text("a column's name sorts by it").is_visible()


@pytest.mark.parametrize(("width", "least"), [(360, 9), (580, 8), (960, 8), (970, 8), (1200, 9)])
def test_pictures_have_names_and_their_texts_a_size_to_be_read(browser, pages, wide_page, width, least):
    for path, count in ((pages["sweep"], 4), (wide_page, 4), (pages["run"], 3)):
        with looking_at(browser, path, viewport={"width": width, "height": 740}) as page:
            pictures = page.get_by_role("img")
            assert pictures.count() == count
            for picture in pictures.all():
                assert picture.get_attribute("aria-label")
            heights = page.evaluate(
                """() => [...document.querySelectorAll("svg text")]
                  .filter((text) => text.ownerSVGElement.getBoundingClientRect().width > 0)
                  .map((text) => parseFloat(getComputedStyle(text).fontSize) * text.ownerSVGElement.getScreenCTM().a)"""
            )
            assert len(heights) > 40
            assert min(heights) >= least


@pytest.mark.parametrize("width", [600, 640, 700, 800, 900, 970, 1200])
def test_wide_pictures_fill_most_of_a_page(browser, pages, width):
    for name, place in (("sweep", "#curves"), ("run", "#curve")):
        with looking_at(browser, pages[name], viewport={"width": width, "height": 800}) as page:
            own, box = (page.locator(f"{place} .picture{one}").bounding_box() for one in (" svg:visible", ""))
            assert own["width"] > 0.8 * box["width"]


@pytest.mark.parametrize("width", [700, 900, 1000, 1040])
def test_no_number_of_the_policies_is_cut(browser, pages, width):
    """Beside their picture where both have room, else below it."""
    with looking_at(browser, pages["sweep"], viewport={"width": width, "height": 800}) as page:
        box = page.locator(".beside .scroll")
        assert box.evaluate("box => box.scrollWidth <= box.clientWidth")
        picture, table = (page.locator(f".beside {name}").bounding_box() for name in (".picture", ".scroll"))
        assert (picture["y"] == table["y"]) is (width >= 1000)
        if width >= 900:
            status = page.locator("#jobs tbody .status").first.bounding_box()
            jobs = page.locator("#jobs .scroll").bounding_box()
            assert status["x"] + status["width"] < jobs["x"] + jobs["width"]


def test_the_column_of_jobs_has_an_edge_when_others_pass_under_it(browser, pages):
    with looking_at(browser, pages["sweep"], **PHONE) as page:
        page.locator("#jobs .scroll").evaluate("box => { box.scrollLeft = 9999; }")
        edge = "one => [getComputedStyle(one).borderRightStyle, getComputedStyle(one).borderRightWidth]"
        for name in ("#jobs thead th", "#jobs tbody th"):
            assert page.locator(name).first.evaluate(edge) == ["solid", "1px"]
        own, box = (page.locator(name).first.bounding_box() for name in ("#jobs tbody th", "#jobs .scroll"))
        assert own["x"] - box["x"] < 2, "it stays"


@pytest.mark.parametrize("width", [360, 1200])
def test_a_link_shows_its_row_and_the_job_stays_in_sight(browser, wide_page, width):
    with looking_at(browser, wide_page, viewport={"width": width, "height": 740}) as page:
        page.evaluate("location.hash = '#job-100'")  # in the middle: what follows has room to scroll
        box = page.locator("#jobs .scroll")
        for left in (0, 9999):
            box.evaluate("(box, left) => { box.scrollLeft = left; }", left)
            assert box.evaluate(
                """(box) => {
                  const row = document.querySelector("tr:target").getBoundingClientRect();
                  const left = box.getBoundingClientRect().left;
                  const seen = document.elementFromPoint(left + 20, row.top + row.height / 2);
                  return [seen.closest("tr").id, seen.tagName];
                }"""
            ) == ["job-100", "TH"]
        hint, beside = (page.locator(name).bounding_box() for name in ("#policies > .hint:has(+ .beside)", ".beside"))
        assert beside["y"] - hint["y"] - hint["height"] >= 10, "a hint does not touch the box below"


@pytest.mark.parametrize("name", ["stranger's sweep", "stranger's run"])
def test_what_strangers_wrote_is_not_run(browser, pages, name):
    with looking_at(browser, pages[name]) as page:
        for summary in page.locator("summary").all():
            summary.click()
        for button in page.locator("thead button").all():
            button.click()
        page.wait_for_timeout(100)
        assert page.evaluate("window.hit") is None
        assert page.locator("img, iframe, a[href^='javascript:'], [onerror], [onload]").count() == 0
        assert page.locator("script").count() == 1


def test_a_script_that_got_in_would_not_be_run(browser, pages, tmp_path):
    text = pages["run"].read_text(encoding="utf-8")
    broken = text.replace(
        "<main>", "<main><script>window.hit=1</script><img src='https://example.org/x' onerror='window.hit=2'>"
    )
    (tmp_path / "page.html").write_text(broken, encoding="utf-8")
    context = browser.new_context()
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_timeout(100)
    assert page.evaluate("window.hit") is None
    assert any("Content Security Policy" in text for text in said)
    assert page.get_by_role("button", name="Dark").is_visible(), "our own is run"
    context.close()


def test_a_thousand_jobs_are_sorted_at_once(browser, made_sweep, made_job, tmp_path, monkeypatch):
    monkeypatch.setattr("os.fsync", lambda _: None)  # of two thousand files
    scores = [math.sin(number) for number in range(1000)]
    jobs = [made_job([f"lr={number}"], {"best_model_score": score}) for number, score in enumerate(scores)]
    directory = made_sweep(tmp_path / "sweep", jobs)
    assert main([str(directory)]) == 0
    assert (directory / "report.html").stat().st_size < 2_000_000
    with looking_at(browser, directory / "report.html") as page:
        head = page.locator("#jobs").get_by_role("button", name="lr", exact=True)
        started = time.perf_counter()
        head.click()
        texts = column(page, "lr")
        assert time.perf_counter() - started < 2
        assert numbers(texts) == list(range(1000))
        page.locator("#jobs").get_by_role("button", name="val_loss", exact=True).click()
        order = [int(text.lstrip("★")) for text in column(page, "job")]
        assert order == sorted(range(1000), key=scores.__getitem__)
        assert len(keepbest.open_sweep(directory)) == 1000
