"""LPC sprites, on sheets drawn here and on the real ones."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from keras_ddr import InputError
from keras_ddr.datasets import sprites


def _paths():
    return [path for sheets in sprites.LAYERS.values() for path in sheets.values()]


def _save(root, relative, sheet):
    file = root / relative
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet, "RGBA").save(file)


def _body(height=1344):
    """Every cell filled with (row, column, 0)."""
    sheet = np.zeros((height, 832, 4), np.uint8)
    rows, columns = np.mgrid[0:height, 0:832] // 64
    sheet[..., 0], sheet[..., 1], sheet[..., 3] = rows, columns, 255
    return sheet


def _dots(place, height=1344):
    """One pixel in every cell, apart from the other layers' pixels."""
    sheet = np.zeros((height, 832, 4), np.uint8)
    sheet[place::64, place::64] = (200 + place, 0, 0, 255)
    return sheet


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    root = tmp_path_factory.mktemp("lpc")
    for place, (layer, sheets) in enumerate(sprites.LAYERS.items()):
        for relative in sheets.values():
            _save(root, relative, _body() if layer == "body" else _dots(place))
    return root


@pytest.fixture
def root(drawn, tmp_path):
    shutil.copytree(drawn, tmp_path / "lpc")
    return tmp_path / "lpc"


def _prepare(tmp_path, root, identities=8, **arguments):
    return sprites.prepare(tmp_path / "store", root, identities=identities, **arguments)


def test_each_frame_is_the_documented_cell(tmp_path, drawn):
    store = _prepare(tmp_path, drawn)
    frames, labels = store.frames(0), store.frame_labels(0)
    classes = {name: list(label.classes or ()) for name, label in store.labels.items()}
    first_row = dict(spellcast=0, thrust=4, walk=8, slash=12, shoot=16, hurt=20)
    frame_counts = dict(spellcast=7, thrust=8, walk=9, slash=6, shoot=13, hurt=6)
    counts = dict.fromkeys(first_row, 0)
    for n in range(178):
        animation, direction, column = classes["pose"][labels["pose"][n]].split("-")
        assert classes["animation"][labels["animation"][n]] == animation
        assert classes["direction"][labels["direction"][n]] == direction
        row = first_row[animation]
        if animation != "hurt":
            row += ("up", "left", "down", "right").index(direction)
        assert frames[n, 10, 10].tolist() == [row, int(column), 0]
        # The other layers lie on top.
        assert [frames[n, p, p, 0] for p in (1, 2, 3)] == [201, 202, 203]
        counts[animation] += 1
    assert counts == {
        name: count * (1 if name == "hurt" else 4)
        for name, count in frame_counts.items()
    }


@pytest.mark.slow
def test_taller_sheets_and_a_folder_with_the_clone(tmp_path, root):
    _save(root, _paths()[0], _body(2944))
    (tmp_path / "here").mkdir()
    root.rename(tmp_path / "here" / "Universal-LPC-spritesheet")
    store = _prepare(tmp_path, tmp_path / "here")
    assert store.frames(0)[-1, 10, 10].tolist() == [20, 5, 0]


def test_bad_sheets_are_all_named_in_one_line(tmp_path, root):
    paths = _paths()
    (root / paths[0]).unlink()
    _save(root, paths[1], _body(1344)[:, :640])
    (root / paths[7]).write_bytes(b"no picture")
    half = (root / paths[8]).read_bytes()
    (root / paths[8]).write_bytes(half[: len(half) // 2])
    with pytest.raises(InputError) as error:
        _prepare(tmp_path, root)
    message = str(error.value)
    assert "\n" not in message
    for expected in (
        f"{paths[0]}: is missing",
        f"{paths[1]}: is 640x1344, but sheets are 832x1344",
        f"{paths[7]}: cannot be read (not a picture)",
        f"{paths[8]}: cannot be read",
    ):
        assert expected in message
    assert message.count(".png:") == 4
    assert not (tmp_path / "store").exists()


@pytest.mark.slow
def test_characters_without_an_animation_are_left_out(tmp_path, root):
    paths = _paths()
    whole = _prepare(tmp_path, root, identities=24)
    _save(root, paths[1], _body(640))
    sheet = _dots(2)
    sheet[13 * 64 : 14 * 64] = 0
    _save(root, paths[13], sheet)
    (tmp_path / "other").mkdir()
    with pytest.warns(UserWarning, match="characters are left out") as caught:
        store = _prepare(tmp_path / "other", root, identities=24)
    (told,) = [str(warning.message) for warning in caught]
    body = list(sprites.LAYERS["body"])[1]
    torso = list(sprites.LAYERS["torso"])[13 - 12]
    worn = [s for s in whole.sequences if not {body, torso} & set(s.labels.values())]
    assert [s.name for s in store.sequences] == [s.name for s in worn]
    assert told.startswith(f"{24 - len(worn)} of 24 characters are left out: ")
    assert f"{paths[1]}: is 832x640, without walk, slash, shoot, hurt" in told
    assert f"{paths[13]}: slash has 6 empty cells (first at row 13 column 0)" in told
    assert "\n" not in told
    known = {s.name: s for s in whole.sequences}
    for sequence in store.sequences[:3]:
        same = known[sequence.name]
        assert same.split == sequence.split
        np.testing.assert_array_equal(
            store.frames(sequence.index), whole.frames(same.index)
        )
    for relative in paths[:6]:
        _save(root, relative, _body(640))
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="832x640, without walk"):
        _prepare(tmp_path / "none", root, identities=24)


def test_a_folder_without_any_sheet_is_named_once(tmp_path):
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match="has none of the 24 sheets") as error:
        _prepare(tmp_path, tmp_path / "other")
    assert str(error.value).count(".png") == 1


@pytest.mark.slow
def test_legs_may_be_hidden_in_one_cell_only(tmp_path, root):
    for relative in sprites.LAYERS["legs"].values():
        sheet = _dots(1)
        sheet[20 * 64 :, 4 * 64 : 5 * 64] = 0
        _save(root, relative, sheet)
    assert len(_prepare(tmp_path, root)) == 8
    sheet = _dots(3)
    sheet[20 * 64 :, 4 * 64 : 5 * 64] = 0
    _save(root, _paths()[-1], sheet)
    with pytest.warns(UserWarning, match="hurt has 1 empty cells"):
        _prepare(tmp_path, root, overwrite=True)


@pytest.mark.slow
def test_semi_transparent_pixels_are_blended(tmp_path, root):
    for relative in sprites.LAYERS["hair"].values():
        sheet = _dots(3)
        sheet[30::64, 30::64] = (255, 100, 0, 51)
        # Colour under zero alpha must not show.
        sheet[32::64, 32::64] = (255, 255, 255, 0)
        _save(root, relative, sheet)
    store = _prepare(tmp_path, root, background=(10, 20, 30))
    frames = store.frames(0)
    last = frames[-1]
    assert last[30, 30].tolist() == [(20 * 204 + 255 * 51 + 127) // 255, 24, 0]
    assert last[32, 32].tolist() == [20, 5, 0]


def test_what_is_refused(tmp_path, drawn):
    with pytest.raises(InputError, match="no such folder; clone"):
        _prepare(tmp_path, tmp_path / "none")
    for identities in (5, 1297):
        with pytest.raises(InputError, match="identities"):
            _prepare(tmp_path, drawn, identities)
    for background in ((0, 0), (0, 0, 256), "red"):
        with pytest.raises(InputError, match="background"):
            _prepare(tmp_path, drawn, background=background)
    assert not (tmp_path / "store").exists()


@pytest.mark.slow
def test_splits_and_variants(tmp_path, drawn):
    seen = []
    store = _prepare(tmp_path, drawn, 36, progress=lambda *now: seen.append(now))
    assert seen[-1] == (36, 36)
    assert [len(store.select(s)) for s in ("train", "val", "test")] == [25, 3, 8]
    for layer, sheets in sprites.LAYERS.items():
        assert {s.labels[layer] for s in store.select("train")} == set(sheets)
        assert store.labels[layer].classes == tuple(sheets)
    first = store.sequences[0]
    assert first.name == first.person == "_".join(first.labels.values())
    assert "AUTHORS.txt" in store.meta["licence"] and not store.ordered
    chosen = sprites.choose_identities([6] * 4, 1296, sprites.SHARES, 0)
    splits = [split for _, split in chosen]
    assert [splits.count(s) for s in ("train", "val", "test")] == [900, 100, 296]
    assert chosen != sprites.choose_identities([6] * 4, 1296, sprites.SHARES, 1)


@pytest.mark.slow
def test_the_real_sheets(tmp_path, lpc_root):
    store = _prepare(tmp_path, lpc_root, 12)
    distinct = store.frame_labels(0)["pose_distinct"]
    assert len(store.labels["pose_distinct"].classes) == 158
    assert sorted(set(distinct)) == list(range(158))
    for sequence in store.sequences:
        frames = store.frames(sequence.index)
        # About a quarter of a picture is the character.
        shown = frames.any(-1).mean()
        assert 0.1 < shown < 0.4
        numbers = {}
        for frame, number in zip(frames, distinct, strict=True):
            assert numbers.setdefault(frame.tobytes(), number) == number
        assert 160 < len(numbers) < 178
    # The frames are Pillow's own compositing, up to rounding.
    sequence = store.sequences[5]
    picture = Image.new("RGBA", (832, 1344), (0, 0, 0, 255))
    for layer, sheets in sprites.LAYERS.items():
        sheet = Image.open(lpc_root / sheets[sequence.labels[layer]]).convert("RGBA")
        picture.alpha_composite(sheet)
    picture = np.asarray(picture)[..., :3].astype(int)
    frames = store.frames(5)
    for frame, (*_, row, column) in zip(frames, sprites.POSES, strict=True):
        cell = picture[row * 64 : row * 64 + 64, column * 64 : column * 64 + 64]
        assert np.abs(frame - cell).max() <= 1


@pytest.mark.slow
def test_drawn_datasets_need_no_opencv_and_no_plotting(tmp_path, drawn):
    code = (
        "import sys\n"
        # Keras imports some of these where it finds them.
        "sys.modules.update(dict.fromkeys(['cv2', 'matplotlib', 'click']))\n"
        "from keras_ddr.datasets import puppets, sprites\n"
        "puppets.prepare(sys.argv[1] + '/p', identities=6, arms=1, legs=1)\n"
        "sprites.prepare(sys.argv[1] + '/s', sys.argv[2], identities=6)\n"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path), str(drawn)]
    subprocess.run(arguments, check=True)
