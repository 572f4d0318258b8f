"""Characters that the LPC generator exported, in each of its three ways."""

import json
import shutil
import warnings

import numpy as np
import pytest
from PIL import Image

from flat_options import flat
from keras_ddr import InputError
from keras_ddr.datasets import images, sprites
from keras_ddr.datasets.sprites_layout import ALL_POSES, POSE_NAMES, pose_name

# Rows of a sheet by its animations, as the generator draws them.
_SIX = ("spellcast", "thrust", "walk", "slash", "shoot")
_BY_ANIMATION = {name: (4 * k, 4 * k + 4) for k, name in enumerate(_SIX)}
_BY_ANIMATION["hurt"] = (20, 21)


def _sheet(seed, height=1344, poses=sprites.POSES):
    """A sheet whose cells differ, some pixels half transparent; others are empty."""
    random = np.random.default_rng(seed)
    sheet = np.zeros((height, 832, 4), np.uint8)
    for *_, row, column in poses:
        cell = random.integers(0, 256, (3, 3, 4), np.uint8).repeat(8, 0).repeat(8, 1)
        cell[..., 3] = np.where(cell[..., 3] < 60, 255, cell[..., 3])
        sheet[64 * row + 20 :, 64 * column + 20 :][:24, :24] = cell
    return sheet


def _save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(pixels), "RGBA").save(path)


def _by_animation(folder, sheet, rows=None):
    for name, (first, end) in (rows or _BY_ANIMATION).items():
        _save(folder / "standard" / f"{name}.png", sheet[64 * first : 64 * end])


def _by_frame(folder, sheet, names):
    """Folders named in some order, one row of the sheet after the other."""
    for animation, (first, end) in _BY_ANIMATION.items():
        for name, row in zip(names, range(first, end), strict=False):
            for column in range(13):
                cell = sheet[64 * row :, 64 * column :][:64, :64]
                if cell[..., 3].any():
                    path = folder / "standard" / animation / name / f"{column + 1}.png"
                    _save(path, cell)
    (folder / "credits").mkdir()
    about = json.dumps({"directions": names})
    (folder / "credits" / "metadata.json").write_text(about)


def _prepare(tmp_path, root, **arguments):
    return sprites.prepare(tmp_path / "store", root, overwrite=True, **arguments)


def _by_hand(sheet, pose, background):
    """A cell over a background, as Pillow composes them."""
    *_, row, column = pose
    box = 64 * column, 64 * row, 64 * column + 64, 64 * row + 64
    ground = Image.new("RGBA", (64, 64), (*background, 255))
    ground.alpha_composite(Image.fromarray(sheet, "RGBA").crop(box))
    return np.asarray(ground)[..., :3].astype(int)


def test_each_way_of_exporting_gives_the_same_frames(tmp_path):
    sheet, root = _sheet(0), tmp_path / "exports"
    _save(root / "whole.png", sheet)
    _by_animation(root / "by animation", sheet)
    _by_frame(root / "by frame", sheet, ["up", "left", "down", "right"])
    # Older versions name the rows otherwise than they are.
    _by_frame(root / "older", sheet, ["up", "down", "left", "right"])
    store = _prepare(tmp_path, root, background=(10, 200, 30))
    names = ["by animation", "by frame", "older", "whole"]
    assert [s.name for s in store.sequences] == names
    assert [s.person for s in store.sequences] == names
    for sequence in store.sequences:
        assert sequence.length == 178
        frames = store.frames(sequence.index)
        for frame, pose in zip(frames, sprites.POSES, strict=True):
            expected = _by_hand(sheet, pose, (10, 200, 30))
            assert np.abs(frame - expected).max() <= 1
        labels = store.frame_labels(sequence.index)
        assert labels["pose"].tolist() == list(range(178))
        for name, place in (("animation", 0), ("direction", 1)):
            classes = store.labels[name].classes
            expected = [classes.index(pose[place]) for pose in sprites.POSES]
            assert labels[name].tolist() == expected
    assert store.labels["pose"].classes == POSE_NAMES


def test_one_character_and_those_in_an_archive_of_their_own(tmp_path):
    """The folder that is given may itself be one export."""
    sheet, root = _sheet(1), tmp_path / "ann"
    _by_animation(root, sheet, {"walk": (8, 12), "slash": (12, 16)})
    (sequence,) = _prepare(tmp_path, root).sequences
    assert (sequence.name, sequence.length) == ("ann", 36 + 24)


def test_other_animations_come_after_the_known_ones(tmp_path):
    sheet, root = _sheet(2, 54 * 64, ALL_POSES), tmp_path / "exports"
    _save(root / "b.png", sheet)
    _by_animation(root / "a", sheet, {"walk": (8, 12), "run": (38, 42)})
    _save(root / "a" / "standard" / "watering.png", sheet[4 * 64 : 8 * 64])
    _save(root / "a" / "custom" / "slash_oversize.png", sheet[: 4 * 192, : 6 * 192])
    store = _prepare(tmp_path, root)
    classes = store.labels["pose"].classes
    assert classes[:178] == POSE_NAMES and len(classes) == len(ALL_POSES)
    assert [s.length for s in store.sequences] == [36 + 32, len(ALL_POSES)]
    for sequence in store.sequences:
        labels = store.frame_labels(sequence.index)["pose"]
        for frame, number in zip(store.frames(sequence.index), labels, strict=True):
            assert classes[number] == pose_name(ALL_POSES[number])
            expected = _by_hand(sheet, ALL_POSES[number], (0, 0, 0))
            assert np.abs(frame - expected).max() <= 1


def test_what_else_lies_there_is_told_once(tmp_path):
    root = tmp_path / "exports"
    for number in range(8):
        _by_animation(root / f"c{number}", _sheet(number), {"hurt": (20, 21)})
    _save(root / "picture.png", np.full((70, 90, 4), 255, np.uint8))
    _save(root / "c1" / "standard" / "walk.png", np.full((200, 832, 4), 255, np.uint8))
    (root / "broken.png").write_bytes(b"no picture")
    _save(root / "c2" / "standard" / "run.png", np.zeros((256, 512, 4), np.uint8))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        store = _prepare(tmp_path, root, identities=7)
    assert sorted(str(warning.message) for warning in caught) == [
        "7 of 8 characters are taken, as identities says",
        "broken.png: cannot be read; left out",
        "c1/standard/walk.png: not in cells of 64x64; left out",
        "picture.png: no sheet of 832x1344 or more; left out",
    ]
    assert {s.length for s in store.sequences} == {6} and len(store) == 7


def test_sheets_of_parts_are_no_characters(tmp_path):
    """A clone one folder further down, or of the generator."""
    for path in ("my clone/body/male/light.png", "spritesheets/hair/bob/adult/ash.png"):
        root = tmp_path / path.split("/")[0]
        _save(tmp_path / path, _sheet(0))
        with pytest.raises(InputError, match="holds sheets of single parts") as error:
            _prepare(tmp_path, tmp_path)
        assert "\n" not in str(error.value)
        shutil.rmtree(root)


def test_pictures_that_are_sheets_are_told(tmp_path):
    root = tmp_path / "sheets"
    for number in range(3):
        _save(root / "whole" / f"{number}.png", _sheet(number))
    _by_animation(root / "ann", _sheet(4))
    _save(root / "frames" / "1.png", _sheet(5)[:64, :64])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        images.prepare(tmp_path / "store", root, **flat(min_length=1))
    said = sorted(str(warning.message) for warning in caught)
    assert [line.split(" pictures look like whole sheets")[0] for line in said] == [
        "ann/standard: 6",
        "whole: 3",
    ]


@pytest.mark.slow
def test_the_real_sheets_exported(tmp_path, lpc_root):
    """Frames and labels are those that the data set has of the same character."""
    store = sprites.prepare(tmp_path / "all", lpc_root, identities=6)
    worn = store.sequences[0].labels
    whole = Image.new("RGBA", (832, 1344))
    for layer, sheets in sprites.LAYERS.items():
        sheet = Image.open(lpc_root / sheets[worn[layer]]).convert("RGBA")
        whole.alpha_composite(sheet.crop((0, 0, 832, 1344)))
    _by_animation(tmp_path / "exports" / "ann", np.asarray(whole))
    exported = _prepare(tmp_path, tmp_path / "exports")
    difference = exported.frames(0).astype(int) - store.frames(0)
    assert np.abs(difference).max() <= 2
    for name in ("pose", "animation", "direction"):
        np.testing.assert_array_equal(
            exported.frame_labels(0)[name], store.frame_labels(0)[name]
        )
        assert exported.labels[name].classes == store.labels[name].classes
