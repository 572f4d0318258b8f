"""The built site in a browser: nothing is wider than the screen.

sphinx-build -W -b html docs build/site
DDR_SITE=build/site python -m pytest tests/docs/test_site.py
"""

import html
import os
import pathlib
import posixpath
import re
import shutil
import urllib.parse

import pytest

_SITE = pathlib.Path(os.environ.get("DDR_SITE", "-"))
_SHOTS = os.environ.get("DDR_SITE_SHOTS")  # a folder for pictures to look at
_PAGES = sorted(str(page.relative_to(_SITE)) for page in _SITE.rglob("*.html"))

pytestmark = [
    pytest.mark.skipif(not _PAGES, reason="DDR_SITE names no built site"),
    pytest.mark.timeout(600),
]

# Pictures that are missing, and elements that cannot be scrolled to and are cut.
_FIND = """
const wide = document.scrollingElement.scrollWidth - window.innerWidth;
const broken = [...document.images].filter(i => i.complete && !i.naturalWidth);
const inside = (e) => {
  for (let p = e.parentElement; p; p = p.parentElement) {
    if (['auto', 'scroll'].includes(getComputedStyle(p).overflowX)) return true;
  }
  return false;
};
const cut = [...document.querySelectorAll('article *')].filter(e => {
  const box = e.getBoundingClientRect();
  return box.width && box.right > window.innerWidth + 1 && !inside(e);
});
return {
  wide: wide,
  broken: broken.map(i => i.src),
  cut: cut.slice(0, 3).map(e => e.outerHTML.slice(0, 120)),
};
"""


def test_links_within_the_site_lead_somewhere():
    """Also those that extensions make, and anchors."""
    targets, links = {}, set()
    for page in _PAGES:
        text = (_SITE / page).read_text(encoding="utf-8")
        targets[page] = set(re.findall(r'\bid="([^"]+)"', text)) | {""}
        for link in re.findall(r'<a [^>]*href="([^"]+)"', text):
            if not re.match(r"[a-z]+:|//", link):
                links.add((page, html.unescape(link)))
    assert len(links) > 1000
    lost = set()
    for page, link in links:
        file, _, anchor = link.partition("#")
        target = posixpath.normpath(posixpath.join(posixpath.dirname(page), file))
        target = page if not file else target
        if target in targets:
            if urllib.parse.unquote(anchor) not in targets[target]:
                lost.add((page, link))
        elif not (_SITE / target).is_file():
            lost.add((page, link))
    assert not lost


@pytest.fixture(scope="module")
def browser():
    from selenium import webdriver

    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("no browser")
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.binary_location = shutil.which("chromium")
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_screen(browser, width, scheme):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
    )
    found = {}
    for page in _PAGES:
        browser.get((_SITE / page).resolve().as_uri())
        if _SHOTS:
            _shoot(browser, f"{page.replace('/', '_')}-{width}-{scheme}.png")
        result = browser.execute_script(_FIND)
        if result["wide"] > 0 or result["broken"] or result["cut"]:
            found[page] = result
    assert not found


def _shoot(browser, name):
    import base64

    height = browser.execute_script("return document.scrollingElement.scrollHeight")
    width = browser.execute_script("return window.innerWidth")
    shot = browser.execute_cdp_cmd(
        "Page.captureScreenshot",
        {
            "captureBeyondViewport": True,
            "clip": {
                "x": 0,
                "y": 0,
                "width": width,
                "height": min(height, 2600),
                "scale": 1,
            },
        },
    )
    folder = pathlib.Path(_SHOTS)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(base64.b64decode(shot["data"]))
