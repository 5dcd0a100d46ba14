"""What people see and can do on the page, in Chromium: by eye, by keyboard, on a phone, in the dark."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.page.browser import Browser
from tests.page.conftest import Show
from tests.page.made_up import HOSTILE, hostile, made_up

SHOWN = "Array.from(document.querySelectorAll('#tests .test b'), each => each.textContent)"
FOCUS = "document.activeElement"


@pytest.fixture(scope="module")
def run() -> dict[str, Any]:
    return made_up(212, failed=3)


def texts(browser: Browser, selector: str) -> list[str]:
    found = browser.run(
        "return Array.from(document.querySelectorAll(arguments[0]), each => each.innerText.trim())", selector
    )
    assert isinstance(found, list)
    return found


def complaints(browser: Browser) -> list[str]:
    return [entry["message"] for entry in browser.log("browser")]


def requests_of(browser: Browser) -> set[str]:
    """The addresses that the browser asked for since the page was opened, but for what is within it."""
    events = [json.loads(entry["message"])["message"] for entry in browser.log("performance")]
    sent = [each["params"]["request"]["url"] for each in events if each["method"] == "Network.requestWillBeSent"]
    return {url.partition("#")[0] for url in sent if not url.startswith("data:")}


def test_the_first_glance_says_how_many_failed_and_of_what(show: Show, run: dict[str, Any]) -> None:
    browser = show(run)
    assert browser.run("return document.title") == "3 of 212 tests failed · greeter"
    assert texts(browser, "h1") == ["3 of 212 tests failed"]
    assert texts(browser, ".more")[0].startswith("1 guest crash, 1 assertion, 1 time-out, 6 skipped")
    assert texts(browser, "#failures .word") == ["guest crash", "assertion", "time-out"]
    assert browser.run("return document.querySelector('#failures').getBoundingClientRect().top") < 450


def test_nothing_is_loaded_and_nothing_complains(show: Show, run: dict[str, Any]) -> None:
    browser = show(run)
    browser.run("document.querySelectorAll('#failures details').forEach(each => { each.open = true })")
    browser.until("document.querySelector('#failures img')?.complete")
    assert browser.run("return document.querySelector('#failures img').naturalWidth") == 640
    assert requests_of(browser) == {browser.run("return location.href.split('#')[0]")}
    assert complaints(browser) == []


def test_the_policy_stops_what_would_go_out(show: Show, run: dict[str, Any]) -> None:
    browser = show(run)
    browser.run(
        "const script = document.createElement('script'); script.textContent = 'window.broken = 1';"
        "document.body.append(script); document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.1:9/x'}));"
        "fetch('http://127.0.0.1:9/y').catch(() => { window.stopped = true })"
    )
    browser.until("window.stopped")
    assert browser.run("return window.broken") is None
    told = " ".join(complaints(browser))
    for policy in ("script-src", "img-src", "default-src"):
        assert policy in told


def test_evidence_is_inside_a_test_and_the_crash_is_marked(show: Show, run: dict[str, Any]) -> None:
    browser = show(run)
    assert browser.run("return document.querySelectorAll('.inside').length") == 0
    browser.run("document.querySelector('#failures details').open = true")
    browser.until("document.querySelector('#failures .inside')")
    assert texts(browser, "#failures mark") == ["[   18.212870] Kernel panic - not syncing: sysrq triggered crash"]
    assert "systemd[1]: Started service 3." not in texts(browser, "#failures pre[aria-label='Serial console']")[0]
    browser.run("document.querySelector('#failures .fold button').click()")
    assert "systemd[1]: Started service 3." in texts(browser, "#failures pre[aria-label='Serial console']")[0]
    assert "pytest-hyperv shell qemu-0000" in texts(browser, "#failures .enter code")
    links = browser.run(
        "return Array.from(document.querySelectorAll('#failures a'), each => each.getAttribute('href'))"
    )
    assert "./artifacts/qemu-0000/app.log" in links


def test_everything_can_be_done_by_keyboard(show: Show, run: dict[str, Any]) -> None:
    browser = show(run)
    browser.press("Tab")
    assert browser.run(f"return {FOCUS}.className") == "skip"
    for _ in range(30):
        browser.press("Tab")
        if browser.run(f"return {FOCUS}.matches('#failures summary')"):
            break
    browser.press("Enter")
    browser.until("document.querySelector('#failures details').open")
    browser.press("/")
    assert browser.run(f"return {FOCUS}.id") == "search"
    browser.press("driver", "Tab")
    assert browser.run(f"return {FOCUS}.dataset.choice") == "all"
    browser.press("Tab", "Enter")
    assert browser.run(f"return {FOCUS}.getAttribute('aria-pressed')") == "true"
    assert browser.run(f"return {SHOWN}") == ["test_a_module_loads[70]"]


def test_the_timeline_is_walked_by_arrow_keys_and_opens_tests(show: Show, run: dict[str, Any]) -> None:
    browser = show(run)
    browser.run("document.querySelector('.track').focus()")
    browser.press("ArrowRight")
    assert texts(browser, ".here")[0].startswith("build 3.1 s, from 1.3 s: state app_installed")
    browser.press("+", "+")
    assert browser.run("return document.querySelector('.track').scrollWidth") > 3000
    while not texts(browser, ".here")[0].startswith("test_"):
        browser.press("ArrowRight")
    name = texts(browser, ".here b")[0]
    browser.press("Enter")
    browser.until("document.querySelector('#tests details[open]')")
    assert texts(browser, "#tests details[open] > summary b") == [name]
    assert browser.run(f"return {FOCUS}.tagName") == "SUMMARY"


def test_the_timeline_is_drawn(show: Show, run: dict[str, Any]) -> None:
    browser = show(run)
    browser.until("document.querySelector('canvas').width > 500")
    colours = browser.run(
        "const canvas = document.querySelector('canvas'), pixels = canvas.getContext('2d')"
        ".getImageData(0, 52, canvas.width, 1).data, found = new Set();"
        "for (let at = 0; at < pixels.length; at += 4) found.add(pixels.slice(at, at + 3).join());"
        "return Array.from(found)"
    )
    assert {"88,169,127", "207,74,65", "209,154,46"} <= set(colours), "a test, a failed one, and building"


def test_search_goes_by_all_words_and_everything_known_of_a_test(show: Show, run: dict[str, Any]) -> None:
    browser = show(run)

    def found(text: str) -> str:
        browser.run(
            "const box = document.getElementById('search'); box.value = arguments[0];"
            "box.dispatchEvent(new Event('input'))",
            text,
        )
        return texts(browser, "#count")[0]

    assert found("") == "212 tests"
    assert found("time-out") == found("TIME-OUT 30") == "1 of 212 tests"
    assert found("nested") == f"{len([1 for test in run['tests'] if 'nested' in test.get('why', '')])} of 212 tests"
    both = [test for test in run["tests"] if "driver" in test["id"] and test.get("machines", [{}])[0].get("state")]
    assert found("app_installed driver") == f"{len(both)} of 212 tests"
    assert found("no such thing") == "No test is like that."


def test_rows_come_as_they_are_looked_for(show: Show) -> None:
    browser = show(made_up(450))
    assert len(texts(browser, "#tests .test")) == 100
    browser.run("document.querySelector('#tests .next').scrollIntoView()")
    browser.until("document.querySelectorAll('#tests .test').length > 100")
    browser.run("location.hash = '#t-0-444'")
    browser.until("document.getElementById('t-0-444')?.open")
    assert browser.run("return document.getElementById('t-0-444').getBoundingClientRect().top") < 900


def test_a_link_leads_to_a_test(show: Show, run: dict[str, Any]) -> None:
    browser = show(run, fragment="#t-0-200")
    browser.until("document.getElementById('t-0-200')?.open")
    assert run["tests"][200]["id"] in texts(browser, "#t-0-200 .inside")[0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_letters_stand_out_from_what_is_behind_them(show: Show, run: dict[str, Any], scheme: str) -> None:
    browser = show(run)
    browser.prefer(color_scheme=scheme)
    browser.run("document.querySelector('#failures details').open = true")
    browser.until("document.querySelector('#failures mark')")
    paper = browser.run("return getComputedStyle(document.documentElement).backgroundColor")
    assert paper == {"light": "rgb(248, 248, 246)", "dark": "rgb(20, 22, 25)"}[scheme]
    poor = browser.run(CONTRAST)
    assert poor == []


CONTRAST = """
    const light = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map((each) => each / 255)
      .map((each) => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4)
      .reduce((sum, each, at) => sum + each * [0.2126, 0.7152, 0.0722][at], 0);
    const behind = (element) => {
      for (let at = element; at; at = at.parentElement) {
        const colour = getComputedStyle(at).backgroundColor;
        if (!/, 0\\)$|transparent/.test(colour)) return colour;
      }
    };
    const poor = [];
    for (const element of document.querySelectorAll('body *')) {
      const own = Array.from(element.childNodes).some((each) => each.nodeType === 3 && each.textContent.trim());
      if (!own || !element.getClientRects().length || element.matches('script, style, :disabled')) continue;
      const two = [light(getComputedStyle(element).color), light(behind(element))].sort((a, b) => b - a);
      const ratio = (two[0] + 0.05) / (two[1] + 0.05);
      if (ratio < 4.5) poor.push(`${element.tagName}.${element.className} ${ratio.toFixed(2)}`);
    }
    return [...new Set(poor)].slice(0, 20);
"""


def test_a_phone_shows_it_without_going_sideways(show: Show, run: dict[str, Any]) -> None:
    browser = show(run)
    browser.screen(390, 844, phone=True)
    browser.run("document.querySelectorAll('#failures details').forEach(each => { each.open = true })")
    browser.until("document.querySelector('#failures mark')")
    assert browser.run("return innerWidth") == 390
    assert browser.run("return document.documentElement.scrollWidth") == 390
    wide = browser.run(
        "return Array.from(document.querySelectorAll('main *')).filter(each => !each.closest('pre, .scroll, .track')"
        "&& each.getBoundingClientRect().right > 391).map(each => each.outerHTML.slice(0, 80))"
    )
    assert wide == []
    small = browser.run(
        "return Array.from(document.querySelectorAll('button, summary, select, input')).filter(each =>"
        " each.getClientRects().length && each.getBoundingClientRect().height < 24).map(each => each.outerHTML)"
    )
    assert small == []


def test_motion_is_left_out_for_who_does_not_want_it(show: Show, run: dict[str, Any]) -> None:
    browser = show(run)
    smooth = "return getComputedStyle(document.documentElement).scrollBehavior"
    assert browser.run(smooth) == "auto"
    browser.prefer(reduced_motion="no-preference")
    assert browser.run(smooth) == "smooth"


def test_a_screen_reader_finds_its_way(show: Show, run: dict[str, Any]) -> None:
    browser = show(run)
    browser.run("document.querySelectorAll('#failures details').forEach(each => { each.open = true })")
    nodes = browser.devtools("Accessibility.getFullAXTree", {})["nodes"]
    told = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]
    roles = {role for role, _ in told}
    assert {"banner", "navigation", "main", "contentinfo", "search", "heading", "status"} <= roles
    assert ("heading", "3 of 212 tests failed") in told
    for role in ("button", "link", "searchbox", "combobox", "image", "application", "region"):
        assert [name for kind, name in told if kind == role and not name.strip()] == [], role
    assert ("searchbox", "Search") in told


def test_no_guest_gets_anything_run(show: Show) -> None:
    run = hostile()
    browser = show(run)
    browser.run("document.querySelectorAll('details').forEach(each => { each.open = true })")
    browser.until("document.querySelectorAll('.inside').length >= 12")
    browser.run("document.querySelectorAll('details').forEach(each => { each.open = true })")
    browser.run("document.querySelectorAll('.fold button').forEach(each => each.click())")
    assert browser.run("return window.broken") is None
    assert browser.run("return document.querySelectorAll('script').length") == 2
    assert browser.run("return document.querySelectorAll('svg, main script, [onload], [onerror]').length") == 0
    links = browser.run("return Array.from(document.querySelectorAll('a'), each => each.protocol)")
    assert set(links) == {"file:"}
    whole = (
        "return Array.from(document.querySelectorAll('#tests .why')).some(each => each.textContent === arguments[0])"
    )
    assert browser.run(whole, HOSTILE[1])
    assert [each for each in complaints(browser) if "ERR_INVALID_URL" not in each] == [], "a picture that is none"


def test_a_run_without_failures_and_one_without_tests_are_calm(show: Show) -> None:
    browser = show(made_up(12, failed=0, skipped=0))
    assert texts(browser, "h1") == ["All 12 tests passed"]
    assert texts(browser, ".more") == [""]
    assert "failures" not in browser.run(
        "return Array.from(document.querySelectorAll('main > section:not([hidden])'), each => each.id)"
    )
    empty = made_up(12) | {"tests": [], "spans": [], "states": [], "accounts": {}, "saved": 0}
    browser = show(empty)
    assert texts(browser, "h1") == ["No test ran"]
    assert texts(browser, "#count") == ["No test ran."]
    assert complaints(browser) == []


def test_several_runs_stand_on_one_page(show: Show, run: dict[str, Any]) -> None:
    browser = show(run, made_up(30, failed=1, title="on-windows"))
    assert texts(browser, "h1") == ["4 of 242 tests failed"]
    assert len(texts(browser, "#timeline .chart")) == 2
    assert "greeter, on-windows" in texts(browser, "#origin")[0]
