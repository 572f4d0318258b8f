"""The page, in a real browser."""

import io
import json
import re
import shutil
import tempfile
import time

import keras
import numpy as np
import pytest
from PIL import Image

from keras_ddr import DDR, InputError
from keras_ddr.data import FrameSets, Label, SequenceRecord, write_arrays, write_store
from keras_ddr.datasets import puppets
from keras_ddr.visualization.explorer import explorer_page, save_explorer

# Steps of intensities that the pictures in the page may be off by, on average: they are
# compressed.
_LOSSY = 5.0


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("explorer") / "store"
    return puppets.prepare(path, identities=12, size=32, arms=5, legs=4)


@pytest.fixture(scope="module")
def model(make_model):
    return make_model()


@pytest.fixture(scope="module")
def trained(store):
    """A model trained until z makes a difference to see."""
    keras.utils.set_random_seed(0)
    model = DDR(
        image_shape=(32, 32, 3),
        static_dim=4,
        filters=16,
        pair_filters=16,
        hidden_units=32,
        aggregation="mean",
    )
    model.compile(keras.optimizers.Adam(5e-3))
    model.fit(FrameSets(store, batch_size=12, steps=250), verbose=0)
    return model


@pytest.fixture(scope="module")
def page(trained, store, tmp_path_factory):
    text = explorer_page(trained, store, 5)
    return save_explorer(text, tmp_path_factory.mktemp("page") / "é page.html")


def _data(page):
    return _json(page.read_text(encoding="utf-8"))


def _browser(width, height, dark=False):
    webdriver = pytest.importorskip("selenium.webdriver")
    binary = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if not binary or not driver:
        pytest.skip("no chromium and chromedriver to try the page in")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    profile = tempfile.mkdtemp()
    for argument in (
        "headless=new",
        "no-sandbox",
        "disable-gpu",
        "disable-dev-shm-usage",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        "no-first-run",
        f"window-size={width},{height}",
        f"user-data-dir={profile}",
    ):
        options.add_argument(f"--{argument}")
    options.set_capability(
        "goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"}
    )
    service = webdriver.ChromeService(driver)
    browser = webdriver.Chrome(options=options, service=service)
    browser.profile = profile
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {
            "width": width,
            "height": height,
            "deviceScaleFactor": 1,
            "mobile": width < 500,
        },
    )
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    return browser


@pytest.fixture(params=["desktop", "phone"])
def browser(request, page):
    sizes = {"desktop": (1200, 900, False), "phone": (390, 800, True)}
    browser = _browser(*sizes[request.param])
    browser.get_log("performance")
    browser.get(page.as_uri())
    _until(browser, "return [...images.values()].every(image => image.whole)")
    time.sleep(0.3)
    yield browser
    browser.quit()
    shutil.rmtree(browser.profile, ignore_errors=True)


def _until(browser, script):
    end = time.monotonic() + 60
    while not browser.execute_script(script):
        assert time.monotonic() < end, script
        time.sleep(0.05)


def _frame_drawn(browser):
    """Wait until what was asked for is on the screen."""
    browser.execute_async_script(
        "const done = arguments[0]; requestAnimationFrame(() => "
        "requestAnimationFrame(() => requestAnimationFrame(done)));"
    )


def _complaints(browser):
    """What the console says, but for advice on how this test reads its pixels."""
    return [e for e in browser.get_log("browser") if e["source"] != "rendering"]


def _pixels(browser, canvas):
    """Pixels of a canvas, (H, W, 3)."""
    flat = browser.execute_script(
        f"const c = {canvas}; return Array.from("
        "c.getContext('2d').getImageData(0, 0, c.width, c.height).data);"
    )
    size = browser.execute_script(f"return [{canvas}.height, {canvas}.width];")
    return np.array(flat, float).reshape(*size, 4)[..., :3]


def _picture(model, codes, score):
    z = model.unstandardize(codes.static.mean, np.array(score, "float32"))
    return model.decode(codes.static.mean, z) * 255


def _encoded(model, store, name):
    (sequence,) = [s for s in store.sequences if s.name == name]
    return model.encode(store.frames(sequence.index)), store.frames(sequence.index)


@pytest.mark.slow
def test_the_page_in_a_browser(browser, page, trained, store):
    model = trained
    data = _data(page)
    # It fits the width, complains of nothing and asks nobody for anything.
    assert browser.execute_script(
        "return document.documentElement.scrollWidth <= innerWidth"
    )
    assert _complaints(browser) == []
    requests = [
        json.loads(entry["message"])["message"]["params"]["request"]["url"]
        for entry in browser.get_log("performance")
        if '"Network.requestWillBeSent"' in entry["message"]
    ]
    own = [u for u in requests if not u.startswith(("chrome:", "chrome-untrusted:"))]
    assert own and all(url.startswith(("data:", "file:")) for url in own)

    # Under the pointer every identity shows what the model decodes there.
    place = "document.getElementById('plane').getBoundingClientRect()"
    browser.execute_script("document.getElementById('plane').scrollIntoView()")
    ticks = np.linspace(-data["limit"], data["limit"], data["grid"])
    places = [(1, 2), (data["grid"] - 2, data["grid"] - 3)]
    for column, row in places:
        browser.execute_script(
            f"const box = {place}, plane = document.getElementById('plane');"
            "const [x, y] = arguments;"
            "plane.dispatchEvent(new PointerEvent('pointermove', {bubbles: true,"
            "clientX: box.left + toPlane(x, box.width),"
            "clientY: box.top + toPlane(y, box.height, true)}));",
            float(ticks[column]),
            float(ticks[row]),
        )
        _frame_drawn(browser)
        for k in range(4):
            codes, _ = _encoded(model, store, data["sequences"][k]["name"])
            canvas = f"document.getElementById('faces').children[{k}].firstChild"
            shown = _pixels(browser, canvas)
            errors = {
                (x, y): np.abs(shown - _picture(model, codes, (ticks[x], ticks[y])))
                for x, y in places
            }
            right = errors.pop((column, row)).mean()
            assert right < _LOSSY
            assert all(right < 0.5 * error.mean() for error in errors.values())

    # Keys: the marker moves by one picture, Enter jumps to the nearest frame.
    keys = pytest.importorskip("selenium.webdriver.common.keys").Keys
    by = pytest.importorskip("selenium.webdriver.common.by").By
    plane = browser.find_element(by.ID, "plane")
    before = browser.execute_script("return state.z")
    plane.send_keys(keys.ARROW_LEFT, keys.ARROW_DOWN)
    after = browser.execute_script("return state.z")
    step = ticks[1] - ticks[0]
    assert np.allclose(np.subtract(before, after), [step, step], atol=1e-6)
    plane.send_keys(keys.ENTER)
    frame = browser.execute_script("return state.frame")
    scores = np.array(data["sequences"][0]["z"])
    assert frame == np.argmin(((scores - after) ** 2).sum(axis=1))

    # The timeline shows the frame and its reconstruction.
    body = browser.find_element(by.TAG_NAME, "body")
    browser.execute_script("document.activeElement.blur()")
    browser.execute_script("jump(0)")
    body.send_keys("...,")
    _frame_drawn(browser)
    assert browser.execute_script("return state.frame") == 2
    codes, frames = _encoded(model, store, data["sequences"][0]["name"])
    assert np.abs(_pixels(browser, "$('original')") - frames[2]).mean() < 2 * _LOSSY
    rebuilt = model.decode(codes.static.mean, codes.dynamic.mean[2]) * 255
    assert np.abs(_pixels(browser, "$('rebuilt')") - rebuilt).mean() < _LOSSY
    about = browser.find_element(by.ID, "about").text
    assert "frame 2" in about and "arm_angle" in about

    # Play goes on by itself and stops again.
    body.send_keys(" ")
    _until(browser, "return state.frame > 4")
    body.send_keys(" ")
    assert not browser.execute_script("return state.playing")

    # Another sequence and another choice of identities.
    browser.execute_script(
        "$('sequence').value = 3; $('sequence').onchange();"
        "document.querySelectorAll('#chosen input')[0].click();"
    )
    _frame_drawn(browser)
    names = [s["name"] for s in data["sequences"]]
    captions = [f.text for f in browser.find_elements(by.CSS_SELECTOR, "#faces *")]
    assert names[0] not in captions and names[1] in captions
    _, frames = _encoded(model, store, names[3])
    assert np.abs(_pixels(browser, "$('original')") - frames[0]).mean() < 2 * _LOSSY
    assert _complaints(browser) == []
    # Something is drawn on the plane and under the curves.
    shot = Image.open(io.BytesIO(browser.get_screenshot_as_png()))
    assert len(shot.convert("RGB").getcolors(1 << 24)) > 50


def test_pairs_of_components_and_a_single_one(make_model, store):
    for dim, pairs in ((1, [[0, None]]), (3, [[0, 1], [0, 2], [1, 2]])):
        model = make_model(dynamic_dim=dim)
        text = explorer_page(model, store, 2, 6)
        data = _json(text)
        assert data["pairs"] == pairs
        for sequence in data["sequences"]:
            assert len(sequence["planes"]) == len(pairs)
            assert np.array(sequence["z"]).shape == (6, dim)


def test_names_cannot_break_out_of_the_data(model, store, tmp_path):
    name = "</script><script>alert(1)</script>"
    other = write_arrays(tmp_path / "S", [store.frames(0)], names=[name])
    text = explorer_page(model, other, 1)
    assert text.count("</script>") == 2
    assert name in str(_json(text)["sequences"][0]["name"])


def _json(text):
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL).group(1))


@pytest.mark.slow
def test_pages_stay_below_ten_megabytes(make_model, tmp_path):
    """Noise, which nothing compresses, in frames as large as usual."""
    noise = np.random.default_rng(0).integers(0, 256, (8, 150, 64, 64, 3), np.uint8)
    store = write_arrays(tmp_path / "S", noise)
    model = make_model((64, 64, 3))
    assert len(explorer_page(model, store, 8).encode()) < 10_000_000


def test_what_is_refused(model, store, tmp_path):
    with pytest.raises(InputError, match="'.pdf'; use .html"):
        save_explorer("", tmp_path / "a.pdf")
    with pytest.raises(InputError, match="does not exist"):
        save_explorer("", tmp_path / "no" / "a.html")
    with pytest.raises(InputError, match="no sequence named"):
        explorer_page(model, store, ["me"])
    # 16 columns and 511 rows of 32 pixels are what a WebP picture takes.
    frames = np.zeros((1, 16 * 511 + 1, 32, 32, 3), "uint8")
    long = write_arrays(tmp_path / "long", frames)
    with pytest.raises(InputError, match="frames: 8177 of .* at most 8176"):
        explorer_page(model, long, 1, frames=10_000)


def test_times_and_labels_of_any_size(model, store, tmp_path):
    record = SequenceRecord(
        "late",
        store.frames(0)[:3],
        labels={"odds": float("inf")},
        frame_labels={"time": np.array([12345.678, 12345.718, np.nan])},
    )
    labels = {"odds": Label("sequence", "continuous")}
    late = write_store(tmp_path / "late", [record], labels=labels)
    shown = _json(explorer_page(model, late, 1))["sequences"][0]
    assert shown["time"] == [12345.678, 12345.718, None]
    assert "odds" not in shown["labels"]
