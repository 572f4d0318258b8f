"""The page of the explorer, in a real browser."""

import io
import json
import re
import time

import keras
import numpy as np
import pytest
from chromium import Chromium
from PIL import Image, ImageSequence

from keras_ddr import DDR
from keras_ddr.data import FrameSets
from keras_ddr.datasets import puppets
from keras_ddr.densities import fit_densities
from keras_ddr.events import find_events
from keras_ddr.visualization.explorer import explorer_page, save_explorer

pytestmark = pytest.mark.slow

# Steps of intensities that the pictures in the page may be off by, on average: they are
# compressed.
_LOSSY = 5.0
_SIZES = {"desktop": (1200, 900), "tablet": (768, 1024), "phone": (390, 800)}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("explorer") / "store"
    return puppets.prepare(path, identities=12, size=32, arms=3, legs=12)


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
    fit_densities(model, store)
    return model


@pytest.fixture(scope="module")
def page(trained, store, tmp_path_factory):
    text = explorer_page(trained, store, 5, split="train")
    return save_explorer(text, tmp_path_factory.mktemp("page") / "é page.html")


@pytest.fixture(scope="module")
def shown(trained, store, page):
    """Codes and frames of the sequences on the page, in its order."""
    by_name = {sequence.name: sequence.index for sequence in store.sequences}
    text = page.read_text(encoding="utf-8")
    data = json.loads(text.split('id="data">')[1].split("</script>")[0])
    frames = [store.frames(by_name[clip["name"]]) for clip in data["clips"]]
    return [(trained.encode(part), part) for part in frames]


class _Browser(Chromium):
    """A browser in which one page is open."""

    def open(self, page, size="desktop", dark=False, link=""):
        """The page in a window of this size, when it is whole."""
        width, height = _SIZES[size]
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1}
        metrics["mobile"] = width < 500
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        command = self.driver.execute_cdp_cmd
        command("Emulation.setDeviceMetricsOverride", metrics)
        command("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.driver.get_log("performance")
        self.driver.get("about:blank")
        self.driver.get(page.as_uri() + link)
        self.settle()

    def settle(self):
        """Wait until all that is to be seen is on the screen."""
        self.driver.execute_async_script(
            "const done = arguments[0]; const wait = () => requestAnimationFrame(() =>"
            "requestAnimationFrame(() => !asked && [...sheets.values()]"
            ".every(image => image.whole) ? done() : wait())); wait();"
        )

    def run(self, script, *arguments):
        found = self.driver.execute_script(script, *arguments)
        self.settle()
        return found

    def get(self, expression):
        return self.driver.execute_script(f"return {expression}")

    def until(self, expression):
        end = time.monotonic() + 60
        while not self.get(expression):
            assert time.monotonic() < end, expression
            time.sleep(0.05)

    def type(self, keys, where="body"):
        self.driver.find_element("css selector", where).send_keys(keys)
        self.settle()

    def point(self, kind, x, y, buttons=0):
        """An event of the mouse at this place of the plane of z̃."""
        self.run(
            "const p = $('plane'), [kind, x, y, buttons] = arguments;"
            "p.scrollIntoView(); const b = p.getBoundingClientRect();"
            "const [across, down] = scales(b.width, b.height);"
            "p.dispatchEvent(new PointerEvent(kind, {bubbles: true, buttons,"
            "pointerType: 'mouse', clientX: b.left + across(x),"
            "clientY: b.top + down(y)}));",
            *(kind, float(x), float(y), buttons),
        )

    def pixels(self, canvas):
        """Pixels of a canvas, (H, W, 3)."""
        size = self.get(f"[{canvas}.height, {canvas}.width]")
        flat = self.get(
            f"Array.from({canvas}.getContext('2d').getImageData(0, 0, "
            f"{canvas}.width, {canvas}.height).data)"
        )
        return np.array(flat, float).reshape(*size, 4)[..., :3]

    def complaints(self):
        """What the console says, but for advice on how this test reads its pixels."""
        log = self.driver.get_log("browser")
        return [entry for entry in log if entry["source"] != "rendering"]


@pytest.fixture(scope="module")
def browser():
    browser = _Browser()
    yield browser
    browser.quit()


@pytest.fixture(params=["desktop", "phone"])
def opened(request, browser, page):
    browser.open(page, request.param)
    yield browser
    assert browser.complaints() == []


def _off(pictures, expected):
    """Mean difference from floats in [0, 1]."""
    return np.abs(pictures - 255 * expected).mean()


def _moved(model, f_of, score):
    """Looks of one sequence at z̃."""
    f = f_of.static.mean
    return model.decode(f, model.unstandardize(f, np.array(score, "float32")))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", _SIZES)
def test_it_fits_is_legible_and_asks_nobody(browser, page, size, dark):
    browser.open(page, size, dark, "#beside=1&everyone=true&colour=label:skin")
    width = "document.documentElement.scrollWidth <= innerWidth"
    assert browser.get(width)
    browser.run("$('larger').click()")
    assert browser.get(width)
    assert browser.complaints() == []
    requests = [
        json.loads(entry["message"])["message"]["params"]["request"]["url"]
        for entry in browser.driver.get_log("performance")
        if '"Network.requestWillBeSent"' in entry["message"]
    ]
    inside = ("chrome:", "chrome-untrusted:", "about:")
    own = [url for url in requests if not url.startswith(inside)]
    assert own and all(url.startswith(("data:", "file:")) for url in own)
    # Text has a contrast of 4.5, a curve or a dot one of 3 (WCAG 2.1, 1.4.3, 1.4.11).
    panel = _luminance(browser, "--panel")
    for names, least in (
        (["--ink", "--faded"], 4.5),
        ([f"--c{k}" for k in range(8)] + ["--mark", "--accent"], 3.0),
    ):
        for name in names:
            dim, bright = sorted([_luminance(browser, name), panel])
            assert (bright + 0.05) / (dim + 0.05) >= least, name


def _luminance(browser, name):
    text = browser.get(f"style('{name}')").strip().lstrip("#")
    text = "".join(2 * c for c in text) if len(text) == 3 else text
    parts = np.array([int(text[k : k + 2], 16) for k in (0, 2, 4)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def test_everyone_takes_the_pose_under_the_pointer(opened, trained, shown):
    plane = opened.get("planes[0]")
    ticks = np.linspace(plane["low"], plane["high"], plane["grid"])
    # Two places with pictures of their own, far from each other.
    z = np.concatenate([codes.standardized for codes, _ in shown])
    near = [z[np.argmax(z @ side)] for side in ([1, 0.2], [-1, 0.2])]
    places = [
        tuple(ticks[np.abs(ticks - point).argmin(axis=0), [0, 1]]) for point in near
    ]
    for place in places:
        opened.point("pointermove", *place)
        for k, (codes, _) in enumerate(shown):
            canvas = f"document.querySelectorAll('#looks canvas')[{k}]"
            pictures = opened.pixels(canvas)
            errors = {p: _off(pictures, _moved(trained, codes, p)) for p in places}
            right = errors.pop(place)
            assert right < _LOSSY and all(
                right < error / 2 for error in errors.values()
            )
    # The large picture is that of the chosen one.
    canvas = "document.querySelectorAll('#looks canvas')[1]"
    assert np.array_equal(opened.pixels("$('drawn')"), opened.pixels(canvas))


def test_the_mouse_passes_and_a_press_stays(opened, shown):
    z = shown[0][0].standardized
    middle = z.mean(axis=0)
    opened.run("jump(7)")
    opened.point("pointermove", *middle)
    assert np.allclose(opened.get("state.point"), middle, atol=1e-3)
    nearest = opened.get("closest(state.point)")
    assert opened.get("state.frame") == nearest
    opened.point("pointerleave", *middle)
    assert opened.get("[state.frame, state.point]") == [7, None]
    opened.point("pointermove", *middle)
    away = middle + [0.31, 0.17]
    opened.point("pointerdown", *away, buttons=1)
    opened.point("pointerleave", *away)
    point = opened.get("marker()")
    assert np.allclose(point, away, atol=1e-3) or opened.get("state.point") is None
    # A press on a dot takes its picture.
    opened.point("pointerdown", *z[3], buttons=1)
    assert opened.get("[state.frame, state.point]") == [3, None]


def test_keys(opened, shown):
    keys = pytest.importorskip("selenium.webdriver.common.keys").Keys
    before = opened.get("marker()")
    plane = opened.get("planes[0]")
    step = np.subtract(plane["high"], plane["low"]) / (plane["grid"] - 1)
    toward = np.where(np.array(before) > 0, -1, 1)
    across = keys.ARROW_RIGHT if toward[0] > 0 else keys.ARROW_LEFT
    up = keys.ARROW_UP if toward[1] > 0 else keys.ARROW_DOWN
    opened.type(across + up, "#plane")
    assert np.allclose(opened.get("marker()"), before + toward * step, atol=1e-6)
    place = opened.get("marker()")
    opened.type(keys.ENTER, "#plane")
    apart = np.square((shown[0][0].standardized - place) / step).sum(axis=1)
    assert opened.get("state.frame") == np.argmin(apart)
    assert opened.get("state.point") is None
    opened.run("document.activeElement.blur(); jump(0)")
    opened.type("...,")
    assert opened.get("state.frame") == 2
    # Arrow keys choose among the small pictures, as in any group of radio buttons.
    opened.type(keys.ARROW_RIGHT, "#clips input:checked")
    assert opened.get("state.clip") == 1
    opened.type(keys.ARROW_LEFT, "#looks input:checked")
    assert opened.get("state.looks") == 0


def test_one_with_the_motion_of_another(opened, trained, shown):
    (one, _), (other, frames) = shown[3], shown[2]
    opened.run("$('clips').querySelectorAll('input')[2].click()")
    opened.run("$('looks').querySelectorAll('input')[3].click()")
    opened.run("$('time').value = 9; $('time').oninput()")
    assert _off(opened.pixels("$('filmed')"), frames[9] / 255) < 2 * _LOSSY
    expected = _moved(trained, one, other.standardized[9])
    assert _off(opened.pixels("$('drawn')"), expected) < _LOSSY
    # Its own motion is a reconstruction.
    opened.run("$('looks').querySelectorAll('input')[2].click()")
    expected = trained.decode(other.static.mean, other.dynamic.mean[9])
    assert _off(opened.pixels("$('drawn')"), expected) < _LOSSY
    assert "copy" in opened.get("$('drawn-note').textContent")
    about = opened.get("$('about').textContent")
    assert "frame 9" in about and "arm_angle" in about
    # Drawn identities are named as such.
    opened.run("$('looks').querySelectorAll('input')[5].click()")
    f = trained.densities.static.sample(2, np.random.default_rng(0))[0]
    z = trained.unstandardize(f, other.standardized[9])
    assert _off(opened.pixels("$('drawn')"), trained.decode(f, z)) < _LOSSY
    assert opened.get("$('looks-name').textContent") == "drawn 1"
    assert "nobody" in opened.get("$('drawn-note').textContent")


def _marked(browser, canvas):
    """Number of pixels in the colour of the marker."""
    text = browser.get("style('--mark')").strip().lstrip("#")
    colour = [int(text[k : k + 2], 16) for k in (0, 2, 4)]
    apart = np.abs(browser.pixels(canvas) - colour).max(axis=-1)
    return int((apart < 40).sum())


def test_play_with_a_trail(opened):
    opened.run("$('backdrop').click()")
    still = _marked(opened, "$('plane')")
    opened.type(" ")
    opened.until("state.frame > 6")
    # Between two frames, so that the page waits for the test.
    trail = opened.get("(() => { clearTimeout(timer); drawMap(); return true; })()")
    assert trail and _marked(opened, "$('plane')") > still + 100
    opened.type(" ")
    assert not opened.get("state.playing")
    assert abs(_marked(opened, "$('plane')") - still) < 60


def test_moments_are_those_of_events(opened, trained, store, shown):
    by_name = {sequence.name: sequence for sequence in store.sequences}
    found = 0
    for k, (codes, _) in enumerate(shown):
        sequence = by_name[opened.get(f"clips[{k}].name")]
        labels = store.frame_labels(sequence.index)
        events = find_events(sequence, codes, labels)
        assert opened.get(f"clips[{k}].events") == [
            {"frame": e.position, "component": e.component, "kind": e.kind}
            for e in events
        ]
        frames = sorted({e.position for e in events})
        opened.run(f"$('clips').querySelectorAll('input')[{k}].click()")
        seen = []
        while not seen or seen[-1] < max(frames, default=0):
            opened.run("$('after').click()")
            seen.append(opened.get("state.frame"))
            kinds = [e.kind for e in events if e.position == seen[-1]]
            assert all(kind in opened.get("$('moment').textContent") for kind in kinds)
        assert seen == frames or not frames
        found += len(frames)
    assert found
    opened.type("p")
    assert opened.get("state.frame") < seen[-1]


def test_two_on_one_time_axis(opened, shown):
    opened.run("$('beside').value = 4; $('beside').onchange()")
    opened.run("jump(13)")
    for lane, k in ((0, 0), (1, 4)):
        pictures = opened.pixels(f"lanes[{lane}].querySelector('.still')")
        assert _off(pictures, shown[k][1][13] / 255) < 2 * _LOSSY
        curve = f"lanes[{lane}].querySelector('.curve')"
        assert len(np.unique(opened.pixels(curve).reshape(-1, 3), axis=0)) > 20
    # Pressing a place on the second takes that time in the first.
    opened.run(
        "const c = lanes[1].querySelector('.curve'), b = c.getBoundingClientRect();"
        "c.dispatchEvent(new PointerEvent('pointerdown', {bubbles: true,"
        "clientX: b.right - lane.right}))"
    )
    assert opened.get("state.frame") == 35
    opened.run("$('beside').value = ''; $('beside').onchange()")
    assert opened.get("lanes[1].hidden")


def test_seconds_where_all_have_them(browser, page):
    """Recordings start together; two people of one video share its clock."""
    browser.open(page)
    give = (
        "clips.slice(0, 2).forEach((c, i) => { c.source = SOURCE; c.time = c.time.map("
    )
    give += "(_, k) => 5 + i + k / 25); }); state.beside = 1; return clock()"
    apart = browser.run(give.replace("SOURCE", "String(i)"))
    assert apart["unit"] == "seconds" and apart["places"][0] == apart["places"][1]
    assert apart["starts"] == [5, 6]
    # Each axis has the times of its recording, which the text says, too.
    browser.run("jump(8)")
    written = browser.run(
        "const write = CanvasRenderingContext2D.prototype.fillText, texts = [];"
        "CanvasRenderingContext2D.prototype.fillText = (text) => texts.push(text);"
        "drawTimeline(); CanvasRenderingContext2D.prototype.fillText = write;"
        "return texts"
    )
    assert {"5.5", "6 seconds", "6.5", "7 seconds"} <= set(written)
    said = browser.get("[...document.querySelectorAll('.who')].map(p => p.textContent)")
    names = browser.get("clips.slice(0, 2).map(c => c.name)")
    assert said == [f"{names[0]}, 5.32 s", f"{names[1]}, 6.32 s"]
    assert " 5.32 s " in browser.get("$('about').textContent")
    together = browser.run(give.replace("SOURCE", "'video'"))
    assert np.allclose(np.subtract(*together["places"][::-1]), 1)
    assert together["starts"] == [5, 5]
    browser.run("clips[1].time[3] = null")
    assert browser.get("clock().unit") == "frames"
    browser.run("clips[1].number[3] = -1")
    assert browser.get("clock().unit") == "pictures"


def test_little_motion_is_said(browser, page, tmp_path):
    text = page.read_text(encoding="utf-8")
    for weak, said in (("null", ""), ("0.123", "only 12 % of what moves")):
        other = tmp_path / f"{weak}.html"
        told = re.sub(r'"weak": [\w.-]+', f'"weak": {weak}', text, count=1)
        other.write_text(told, encoding="utf-8")
        browser.open(other)
        assert browser.get("$('weak').hidden") == (not said)
        assert said in browser.get("$('weak').innerText")


def test_pictures_in_no_order_are_not_told_as_time(browser, page, store, tmp_path):
    text = page.read_text(encoding="utf-8")
    own = json.dumps(store.ordered)
    assert text.count(f'"ordered": {own}') == 1
    for ordered, title in (("true", "Motion over time"), ("false", "in no order")):
        other = tmp_path / f"{ordered}.html"
        told = text.replace(f'"ordered": {own}', f'"ordered": {ordered}')
        other.write_text(told, encoding="utf-8")
        browser.open(other)
        assert title in browser.get("$('time-title').textContent")


def _legend(browser):
    return browser.get("[...$('legend').children].map(part => part.textContent)")


def test_dots_take_the_colours_of_labels(opened, store):
    opened.run("$('backdrop').click()")
    options = opened.get("[...$('colour').options].map(option => option.value)")
    assert {"one", "time", "clip", "label:skin", "label:arm_angle"} <= set(options)
    first = opened.get("clips[0].labels.arm_angle")
    colours = {}
    for value in options:
        opened.run("$('colour').value = arguments[0]; $('colour').onchange()", value)
        colours[value] = [opened.get(f"colouring().of(0, {k})") for k in range(36)]
    assert len(set(colours["one"])) == len(set(colours["clip"])) == 1
    assert len(set(colours["time"])) == 36
    # Equal values have equal colours, and others have others.
    pairs = set(zip(first, colours["label:arm_angle"], strict=True))
    assert len(pairs) == len(set(first)) == 3
    # A label of sequences shows the dots of everyone.
    assert opened.get("state.everyone")
    opened.run("$('colour').value = 'label:skin'; $('colour').onchange()")
    skins = opened.get("clips.map(c => c.labels.skin[0])")
    assert sorted(_legend(opened)) == sorted(set(skins))
    # Only what is shown, and at most eight.
    opened.run("$('everyone').click()")
    assert _legend(opened) == skins[:1]
    many = "[...'abcdefghij']"
    for shown, said in (("ajb", "abj"), ("abhij", ["a", "b", "… and 3 more"])):
        found = opened.get(f"byClass(() => 'j', {many}, [...'{shown}']).legend")
        assert [name for _, name in found] == list(said)
    opened.run("$('everyone').click()")
    opened.run("$('colour').value = 'label:arm_angle'; $('colour').onchange()")
    assert opened.get("$('legend').innerText").endswith(" degrees")
    angle = opened.get("clips[0].labels.arm_angle[0]")
    opened.run("jump(0)")
    assert f"arm_angle {angle:g} degrees" in opened.get("$('about').textContent")
    opened.run("$('colour').value = 'label:skin'; $('colour').onchange()")
    # What is drawn is of that colour.
    x, y = opened.get(
        "(() => { const b = $('plane').getBoundingClientRect();"
        "const [x, y] = scales(b.width, b.height), [u, v] = coordinates(clip(), 8);"
        "return [Math.round(x(u)), Math.round(y(v))]; })()"
    )
    text = opened.get("colouring().of(0, 8)").strip().lstrip("#")
    colour = [int(text[k : k + 2], 16) for k in (0, 2, 4)]
    around = opened.pixels("$('plane')")[y - 4 : y + 5, x - 4 : x + 5].reshape(-1, 3)
    assert (np.abs(around - colour).max(axis=1) < 12).any()


def test_pictures_behind_the_dots(opened, trained, shown):
    """The map is made of pictures of the chosen one, where frames lie."""
    before = opened.pixels("$('plane')")
    opened.run("$('backdrop').click()")
    bare = opened.pixels("$('plane')")
    changed = np.abs(before - bare).max(axis=-1) > 30
    assert 0.1 < changed.mean() < 0.95
    opened.run("$('backdrop').click(); $('looks').querySelectorAll('input')[3].click()")
    assert np.abs(before - opened.pixels("$('plane')")).mean() > 1


@pytest.fixture
def downloads(browser, tmp_path):
    folder = tmp_path / "downloads"
    folder.mkdir()
    setting = {"behavior": "allow", "downloadPath": str(folder)}
    browser.driver.execute_cdp_cmd("Browser.setDownloadBehavior", setting)
    return folder


def _saved(folder, ending):
    end = time.monotonic() + 60
    while not (found := list(folder.glob(f"*{ending}"))):
        assert time.monotonic() < end
        time.sleep(0.1)
    time.sleep(0.3)
    (path,) = found
    return path


def test_saved_pictures_and_gifs(opened, downloads, trained, shown):
    opened.run("jump(6)")
    opened.run("$('save-picture').click()")
    path = _saved(downloads, ".png")
    names = opened.get("[looks[1].name, clip().name]")
    assert path.stem == "_with_motion_of_".join(names)
    (codes, frames), (one, _) = shown[0], shown[1]
    picture = np.asarray(Image.open(path).convert("RGB"), float)
    scale = (picture.shape[1] - 24) // 64  # two pictures of 32, three rims of 8
    left = picture[8 : 8 + 32 * scale : scale, 8 : 8 + 32 * scale : scale]
    right = picture[8 : 8 + 32 * scale : scale, 16 + 32 * scale : -8 : scale]
    assert _off(left, frames[6] / 255) < 2 * _LOSSY
    assert _off(right, _moved(trained, one, codes.standardized[6])) < _LOSSY

    opened.run("$('save-gif').click()")
    path = _saved(downloads, ".gif")
    gif = Image.open(io.BytesIO(path.read_bytes()))
    assert gif.n_frames == 36 and gif.info["loop"] == 0
    for k, frame in enumerate(ImageSequence.Iterator(gif)):
        assert frame.info["duration"] == 80
        drawn = np.asarray(frame.convert("RGB"), float)
        assert drawn.shape == picture.shape
        right = drawn[8 : 8 + 32 * scale : scale, 16 + 32 * scale : -8 : scale]
        expected = _moved(trained, one, codes.standardized[k])
        # 256 colours for all.
        assert _off(right, expected) < 1.5 * _LOSSY
    assert "Saved" in opened.get("$('said').textContent")


def test_a_gif_of_noise_is_read_as_it_was(opened):
    """Codes of every length, and tables that are full."""
    flat = opened.run(
        "const noise = Uint16Array.from({length: 90000}, (_, k) => k * k % 9973"
        "% 200 * 163); const frames = [noise, noise.toReversed()];"
        "window.gif = null; gifOf(frames, 300, 300, [3, 50]).arrayBuffer().then(b => {"
        "window.gif = Array.from(new Uint8Array(b)); }); return Array.from(noise);"
    )
    opened.until("window.gif")
    gif = Image.open(io.BytesIO(bytes(opened.get("window.gif"))))
    assert gif.size == (300, 300) and gif.n_frames == 2
    values = np.array(flat)
    colours = np.stack([values >> 10, values >> 5 & 31, values & 31], axis=1)
    expected = np.round(colours / 31 * 255).reshape(300, 300, 3)
    for k, duration in enumerate((30, 500)):
        gif.seek(k)
        assert gif.info["duration"] == duration
        turned = expected if k == 0 else expected[::-1, ::-1]
        assert np.array_equal(np.asarray(gif.convert("RGB")), turned)


def test_a_link_brings_back_the_page_as_it_was(browser, page, opened):
    opened.run(
        "choose({clip: 2, looks: 5, colour: 'label:arm_angle', beside: 3,"
        "everyone: true, backdrop: false}); jump(11);"
    )
    link = opened.get("link()")
    opened.until(f"location.hash === {json.dumps(link)}")
    before = opened.get("JSON.stringify({...state})")
    picture = opened.pixels("$('drawn')")
    browser.open(page, link=link)
    assert browser.get("JSON.stringify({...state})") == before
    assert np.array_equal(browser.pixels("$('drawn')"), picture)
    assert browser.get("$('colour').value") == "label:arm_angle"
    # A place of the map as well; and what a link cannot mean is left out.
    browser.run("pointAt([0.5, -0.25])")
    browser.open(page, link=browser.get("link()"))
    assert browser.get("state.point") == [0.5, -0.25]
    browser.open(page, link="#clip=99&frame=-1&looks=x&colour=none&point=1,a&beside=0")
    assert browser.get("JSON.stringify({...state})") == browser.get(
        "JSON.stringify({...usual, playing: false})"
    )
    # Another link in the same page.
    browser.run("location.hash = '#clip=1&frame=4'")
    browser.until("state.clip === 1 && state.frame === 4")


def test_copy_link(browser, page):
    browser.open(page)
    permissions = {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    browser.driver.execute_cdp_cmd("Browser.grantPermissions", permissions)
    browser.run("jump(5)")
    browser.run("$('copy-link').click()")
    browser.until("$('said').textContent !== ''")
    said = browser.get("$('said').textContent")
    assert "Link copied" in said or said.endswith("#frame=5")


def test_larger_pictures(opened):
    before = opened.get("$('drawn').getBoundingClientRect().width")
    opened.run("$('larger').click()")
    after = opened.get("$('drawn').getBoundingClientRect().width")
    assert after > 1.5 * before and opened.get("$('larger').textContent") == "Smaller"
    opened.run("$('larger').click()")
    assert opened.get("$('drawn').getBoundingClientRect().width") == before


def test_a_single_component_and_a_single_sequence(browser, make_model, store, tmp_path):
    model = make_model(dynamic_dim=1)
    page = save_explorer(explorer_page(model, store, 1), tmp_path / "one.html")
    browser.open(page, "phone")
    browser.point("pointermove", 0.2, 0)
    assert browser.get("state.point.length") == 1
    assert browser.get("document.documentElement.scrollWidth <= innerWidth")
    assert browser.get("$('pairs').hidden && $('beside').parentElement.hidden")
    assert browser.get("state.looks") == 0
    keys = pytest.importorskip("selenium.webdriver.common.keys").Keys
    browser.type(keys.ARROW_RIGHT + keys.ARROW_UP, "#plane")
    assert browser.complaints() == []


def test_pairs_of_many_components(browser, make_model, store, tmp_path):
    page = save_explorer(
        explorer_page(make_model(dynamic_dim=3), store, 2), tmp_path / "three.html"
    )
    browser.open(page)
    browser.run("$('plane-choice').value = 2; $('plane-choice').onchange()")
    axes = browser.get("plane().axes")
    assert browser.get("$('plane-choice').selectedOptions[0].text") == " and ".join(
        str(axis + 1) for axis in axes
    )
    assert browser.get("$('curves').textContent") == "".join(
        f"motion {axis + 1}" for axis in axes
    )
    assert browser.complaints() == []
