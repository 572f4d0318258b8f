"""The clips of the published Sprites protocol: checksums, cells, labels and split."""

import hashlib
import shutil

import numpy as np
import pytest
from PIL import Image

from keras_ddr import InputError
from keras_ddr.datasets import sprites9

# By action: the first 16 digits of the SHA-256 of all clips (8, 64, 64, 3) to train and
# to test, in the order of the permutation.
CHECKSUMS = {
    "walk-front": ("ddaaca5cbc2cef5d", "ae40c018c99fc9cb"),
    "walk-left": ("7b53e4497a7c7768", "ee701906153bc446"),
    "walk-right": ("e5af7f7c2e1c24dd", "0e35814232fa8819"),
    "spellcard-front": ("a907e436367cbcd0", "c57c0aea3aa578bc"),
    "spellcard-left": ("4f75c635992ef969", "2b3ad0907a623f73"),
    "spellcard-right": ("8e712d62d76dc998", "dfb93d742d2a04d5"),
    "slash-front": ("8aabebcbc6d4b070", "ebb6b81f787c673c"),
    "slash-left": ("2e83d18ccf14f6b2", "16200961d988a429"),
    "slash-right": ("147160c0850d1ef6", "7e4751f3fc6bdf9b"),
}


def _sums(clips, order):
    """Checksums of clips by character number, to train and to test."""
    parts = order[:1000], order[1000:]
    hashes = [hashlib.sha256() for _ in parts]
    for digest, part in zip(hashes, parts, strict=True):
        for number in part:
            digest.update(clips(number))
    return tuple(digest.hexdigest()[:16] for digest in hashes)


def test_the_published_permutation():
    order = sprites9.permutation()
    assert order[:6].tolist() == [1116, 1135, 17, 469, 1293, 491]
    assert order[1000:1004].tolist() == [884, 1285, 252, 297]
    assert order[:1000].sum() == 651471
    test = np.array([n for n, split in sprites9.choose(1296, 100) if split == "test"])
    counts = [np.bincount(column).tolist() for column in test.T]
    assert counts == [
        [52, 53, 49, 48, 44, 50],
        [50, 49, 48, 52, 43, 54],
        [50, 47, 50, 45, 57, 47],
        [49, 51, 52, 46, 48, 50],
    ]


def test_two_actions_have_the_published_checksums(lpc_root):
    wanted = {"walk-right": 16, "slash-front": 48}
    clips = {action: [] for action in wanted}
    for character in sprites9.characters(lpc_root, sprites9.choose(1296, 100)):
        for action, first in wanted.items():
            clips[action].append(character.frames[first : first + 8].tobytes())
    order = sprites9.permutation()
    for action, known in clips.items():
        assert _sums(known.__getitem__, order) == CHECKSUMS[action]


@pytest.mark.slow
def test_the_store_has_all_published_checksums(tmp_path, lpc_root):
    store = sprites9.prepare(tmp_path / "S", lpc_root)
    assert tuple(CHECKSUMS) == sprites9.ACTIONS == store.labels["action"].classes
    order = sprites9.permutation()
    for action, sums in CHECKSUMS.items():
        clips = [s.index for s in store.sequences if s.name.endswith(f"_{action}")]
        assert _sums(lambda n, of=clips: store.frames(of[n]).tobytes(), order) == sums
    shutil.rmtree(store.path)  # 1.1 GB


@pytest.fixture(scope="module")
def stores(tmp_path_factory, real_data):
    folder, seen = tmp_path_factory.mktemp("sprites9"), []
    made = {
        kind: sprites9.prepare(
            folder / kind,
            real_data("lpc"),
            sequences=kind,
            identities=13,
            progress=lambda *now: seen.append(now),
        )
        for kind in ("clips", "characters")
    }
    assert seen[116] == (117, 117) and seen[-1] == (13, 13)
    return made


def test_frames_are_cells_of_the_sheets_one_on_top_of_the_other(stores, lpc_root):
    store = stores["characters"]
    columns = {"walk": "81234567", "spellcard": "01234546", "slash": "01234540"}
    rows = {"walk": (10, 9, 11), "spellcard": (2, 1, 3), "slash": (14, 13, 15)}
    for sequence in store.sequences[::4]:
        worn = [sprites9.LAYERS[k][name] for k, name in sequence.labels.items()]
        worn.append("feet/armor/male/golden_boots_male.png")
        if "formal_male_no_th-sh/shirt.png" in worn:
            worn.insert(3, "formal_male_no_th-sh/tie.png")
        picture = Image.new("RGBA", (832, 1344), (0, 0, 0, 255))
        for path in worn:
            picture.alpha_composite(Image.open(lpc_root / path).convert("RGBA"))
        cells = np.asarray(picture)[..., :3].reshape(21, 64, 13, 64, 3).swapaxes(1, 2)
        expected = [
            cells[row, int(column)]
            for action, below in rows.items()
            for row in below
            for column in columns[action]
        ]
        np.testing.assert_array_equal(store.frames(sequence.index), expected)


def test_eight_frames_in_order_are_a_clip(stores):
    clips, characters = stores["clips"], stores["characters"]
    assert [len(x) for x in (clips, characters)] == [117, 13]
    assert clips.ordered and characters.ordered
    for store in stores.values():
        for sequence in store.sequences:
            labels = store.frame_labels(sequence.index)
            assert labels["phase"].reshape(-1, 8).tolist() == (
                [list(range(8))] * (sequence.length // 8)
            )
            np.testing.assert_array_equal(
                labels["time"], np.arange(sequence.length) / 8
            )
    for person, character in enumerate(characters.sequences):
        about = characters.frame_labels(person)
        assert about["action"].tolist() == np.repeat(range(9), 8).tolist()
        for action, name in enumerate(sprites9.ACTIONS):
            clip = clips.sequences[9 * person + action]
            assert clip.name == f"{character.name}_{name}"
            assert (clip.person, clip.split, clip.labels) == (
                *(character.person, character.split, character.labels),
            )
            part = slice(8 * action, 8 * action + 8)
            np.testing.assert_array_equal(
                clips.frames(clip.index), characters.frames(person)[part]
            )
            found = clips.frame_labels(clip.index)
            assert (found["action"] == action).all()
            np.testing.assert_array_equal(found["pose"], about["pose"][part])
    names = characters.labels["pose"].names(about["pose"])
    assert len(characters.labels["pose"].classes) == len(set(names)) == 63
    assert names[:2] == ["walk-front-8", "walk-front-1"]
    assert names[-2:] == ["slash-right-4", "slash-right-0"]


def test_fewer_characters_are_in_their_published_split(stores):
    known = dict(sprites9.choose(1296, 100))
    for number in (3, 13, 400):
        some = sprites9.choose(number, 100)
        assert len(some) == number and some == sorted(some)
        assert all(known[classes] == split for classes, split in some)
        assert {split for _, split in some} == {"train", "val", "test"}
    splits = [s.split for s in stores["characters"].sequences]
    assert [splits.count(s) for s in ("train", "val", "test")] == [9, 1, 3]
    without = dict(sprites9.choose(1296, 0))
    assert {n for n, s in without.items() if s == "train"} == {
        n for n, s in known.items() if s != "test"
    }


def test_sheets_that_cannot_be_used_are_all_named_in_one_line(tmp_path, lpc_root):
    root = tmp_path / "lpc"
    shutil.copytree(lpc_root, root)
    (root / "formal_male_no_th-sh" / "tie.png").unlink()
    file = root / "hair" / "male" / "bangs" / "white.png"
    sheet = np.array(Image.open(file).convert("RGBA"))
    sheet[14 * 64 :] = 0
    Image.fromarray(sheet).save(file)
    file = root / "body" / "male" / "dark.png"
    Image.open(file).crop((0, 0, 832, 900)).save(file)
    with pytest.raises(InputError) as error:
        sprites9.prepare(tmp_path / "S", root, identities=3)
    message = str(error.value)
    assert "\n" not in message and message.count(".png: ") == 3
    for expected in (
        "formal_male_no_th-sh/tie.png: is missing",
        "hair/male/bangs/white.png: slash has 16 empty cells (first at row 14 column",
        "body/male/dark.png: is 832x900, without slash",
        "; give a clone of Universal-LPC-spritesheet with these sheets whole",
    ):
        assert expected in message
    with pytest.raises(InputError, match="none of the 26 sheets, body/male/light.png"):
        sprites9.prepare(tmp_path / "S", tmp_path)
    with pytest.raises(InputError, match="no such folder; clone .* give its path$"):
        sprites9.prepare(tmp_path / "S", tmp_path / "none")
    assert not (tmp_path / "S").exists()


def test_arguments_that_cannot_be_used(tmp_path, lpc_root):
    for name, value in (("identities", 2), ("val", 1000), ("sequences", "frames")):
        with pytest.raises(InputError, match=f"^{name}="):
            sprites9.prepare(tmp_path / "S", lpc_root, **{name: value})
