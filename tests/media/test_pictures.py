"""Pictures of all modes and depths, and what is none."""

import os
import struct
import warnings
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from keras_ddr import InputError
from keras_ddr.datasets.images import find_folders
from keras_ddr.media.pictures import read_picture


@pytest.fixture
def colours(rng):
    return rng.integers(0, 256, (20, 30, 3), np.uint8)


@pytest.fixture
def grey(rng):
    return rng.integers(0, 256, (20, 30), np.uint8)


def _three(grey):
    return np.repeat(grey[..., None], 3, axis=2)


def _check(path, expected, background=0):
    image = read_picture(path, background)
    assert image.dtype == np.uint8 and image.shape == expected.shape
    assert (image == expected).all()


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "ppm", "webp", "jp2"])
def test_colours_are_red_green_blue(tmp_path, colours, suffix):
    path = tmp_path / f"a.{suffix}"
    arguments = {"webp": {"lossless": True}, "jp2": {"irreversible": False}}
    Image.fromarray(colours).save(path, **arguments.get(suffix, {}))
    _check(path, colours)


def test_jpeg(tmp_path):
    image = np.zeros((32, 48, 3), np.uint8)
    image[:, :24] = 200, 40, 10
    Image.fromarray(image).save(tmp_path / "a.jpg", quality=95)
    read = read_picture(tmp_path / "a.jpg")
    assert np.abs(read.astype(int) - image)[:, 4:20].max() < 6


def test_grey_and_bits(tmp_path, grey):
    Image.fromarray(grey).save(tmp_path / "a.png")
    _check(tmp_path / "a.png", _three(grey))
    bits = Image.fromarray(grey).convert("1")
    bits.save(tmp_path / "b.png")
    assert Image.open(tmp_path / "b.png").mode == "1"
    _check(tmp_path / "b.png", _three(np.asarray(bits) * np.uint8(255)))


def test_palettes(tmp_path, colours):
    image = Image.fromarray(colours).quantize(16)
    expected = np.asarray(image.convert("RGB"))
    image.save(tmp_path / "a.png")
    _check(tmp_path / "a.png", expected)
    # One colour of the palette is transparent.
    image.save(tmp_path / "b.png", transparency=3)
    expected = expected.copy()
    expected[np.asarray(image) == 3] = 77
    assert (np.asarray(image) == 3).any()
    _check(tmp_path / "b.png", expected, background=77)
    # Every colour has an alpha of its own.
    image.save(tmp_path / "c.png", transparency=bytes([0] * 8 + [255] * 8))
    expected = np.asarray(image.convert("RGB")).copy()
    expected[np.asarray(image) < 8] = 0
    _check(tmp_path / "c.png", expected)


def test_alpha_shows_the_background(tmp_path):
    image = np.zeros((4, 3, 4), np.uint8)
    image[..., :3] = 200, 100, 0
    image[:, 0, 3], image[:, 1, 3], image[:, 2, 3] = 255, 51, 0
    Image.fromarray(image).save(tmp_path / "a.png")
    for background in (0, 255):
        expected = image[..., :3].astype(float)
        alpha = image[..., 3:] / 255
        expected = expected * alpha + background * (1 - alpha)
        read = read_picture(tmp_path / "a.png", background)
        assert read.shape == (4, 3, 3)
        assert np.abs(read - expected).max() <= 1
    # Grey with alpha.
    Image.fromarray(image[..., [0, 3]], "LA").save(tmp_path / "b.png")
    assert Image.open(tmp_path / "b.png").mode == "LA"
    read = read_picture(tmp_path / "b.png", 255)
    assert read[0].tolist() == [[200] * 3, [244] * 3, [255] * 3]


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_cmyk(tmp_path, suffix):
    image = np.zeros((32, 32, 3), np.uint8)
    image[:16], image[16:] = (250, 30, 20), (20, 40, 200)
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(image).convert("CMYK").save(path)
    assert Image.open(path).mode == "CMYK"
    read = read_picture(path).astype(int)
    assert np.abs(read - image)[[4, 10, 20, 28]].max() < 8


def test_sixteen_bits_are_scaled(tmp_path, rng):
    deep = rng.integers(0, 65536, (20, 30), np.uint16)
    expected = _three(np.rint(deep / 257).astype(np.uint8))
    cv2.imwrite(str(tmp_path / "a.png"), deep)
    Image.fromarray(deep).save(tmp_path / "b.tif")
    (tmp_path / "c.pgm").write_bytes(b"P5 30 20 65535\n" + deep.astype(">u2").tobytes())
    for name in ("a.png", "b.tif", "c.pgm"):
        assert Image.open(tmp_path / name).mode.startswith("I")
        _check(tmp_path / name, expected)
    # Colours too.
    deep = rng.integers(0, 65536, (20, 30, 3), np.uint16)
    cv2.imwrite(str(tmp_path / "d.png"), deep)
    _check(tmp_path / "d.png", np.rint(deep[..., ::-1] / 257).astype(np.uint8))
    cv2.imwrite(str(tmp_path / "e.tif"), deep)
    _check(tmp_path / "e.tif", np.rint(deep[..., ::-1] / 257).astype(np.uint8))


def test_floats(tmp_path):
    values = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    for limits in (None, ((0.25, 0.75),)):
        Image.fromarray(values).save(tmp_path / "a.tif")
        assert Image.open(tmp_path / "a.tif").mode == "F"
        low, high = limits[0] if limits else (0, 1)
        expected = np.rint(np.clip((values - low) / (high - low), 0, 1) * 255)
        read = read_picture(tmp_path / "a.tif", limits=limits)
        assert (read == _three(expected.astype(np.uint8))).all()
    for odd, expected in ((np.nan, 0), (np.inf, 255), (-np.inf, 0), (-3, 0)):
        values[:] = odd
        Image.fromarray(values).save(tmp_path / "a.tif")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert (read_picture(tmp_path / "a.tif") == expected).all()


# How the stored picture is to be turned, by the value of the EXIF tag.
_BY_HAND = {
    1: lambda image: image,
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: np.rot90(image, -1),
    7: lambda image: image.swapaxes(0, 1)[::-1, ::-1],
    8: lambda image: np.rot90(image),
}


@pytest.mark.parametrize("orientation", _BY_HAND)
@pytest.mark.parametrize("suffix", ["png", "tif", "webp", "jpg"])
def test_orientation(tmp_path, colours, orientation, suffix):
    exif = Image.Exif()
    exif[0x0112] = orientation
    if suffix == "jpg":
        # Larger than its blocks.
        colours = np.kron(colours[:4, :6], np.ones((16, 16, 1), np.uint8))
    arguments = {"webp": {"lossless": True}, "jpg": {"quality": 95}}
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(colours).save(path, exif=exif, **arguments.get(suffix, {}))
    expected = _BY_HAND[orientation](colours)
    read = read_picture(path)
    assert read.shape == expected.shape
    difference = np.abs(read.astype(int) - expected)
    assert difference.mean() < 20 if suffix == "jpg" else not difference.any()


def test_a_file_of_several_pictures_is_refused_with_the_command_for_it(tmp_path):
    images = [Image.new("RGB", (16, 16), (100 * n, 50, 0)) for n in range(3)]
    for name, command in {
        "a.gif": "videos",
        "a.png": "videos",
        "a.webp": "videos",
        "a.tif": "arrays",
    }.items():
        path = tmp_path / name
        images[0].save(path, save_all=True, append_images=images[1:])
        assert Image.open(path).n_frames == 3
        with pytest.raises(
            InputError, match=f"{name}: is .*`ddr preprocess {command}`"
        ):
            read_picture(path)
        # One picture is none of them, whatever the format.
        images[1].save(
            path, save_all=True, **({"lossless": True} if "w" in name else {})
        )
        assert np.abs(read_picture(path).astype(int) - (100, 50, 0)).max() < 6


def test_a_reduced_copy_in_a_tiff_is_no_second_picture(tmp_path, grey):
    tifffile = pytest.importorskip("tifffile")
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(grey)
        file.write(grey[::2, ::2], subfiletype=1)
    _check(tmp_path / "a.tif", _three(grey))
    # ImageJ writes one page for all where there are more than 4 GB.
    tifffile.imwrite(tmp_path / "b.tif", grey, description="ImageJ=1.53\nimages=9\n")
    with pytest.raises(InputError, match="is a stack"):
        read_picture(tmp_path / "b.tif")


def _chunk(kind, content):
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def _png_header(width, height):
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header)


@pytest.mark.parametrize("side", [12000, 60000, 2**31 - 1])
def test_pictures_that_would_fill_the_memory_are_refused(tmp_path, side):
    resource = pytest.importorskip("resource")
    path = tmp_path / "a.png"
    body = _chunk(b"IDAT", zlib.compress(bytes(100000))) + _chunk(b"IEND", b"")
    path.write_bytes(_png_header(side, side) + body)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match="a.png: cannot be read .*exceeds limit"):
        read_picture(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_what_cannot_be_read_is_named_in_one_line(tmp_path, colours):
    whole = {}
    for suffix in ("png", "jpg", "gif", "bmp", "tif", "webp", "jp2"):
        path = tmp_path / f"whole.{suffix}"
        Image.fromarray(np.tile(colours, (8, 8, 1))).save(path)
        whole[suffix] = path.read_bytes()
    cases = {f"half.{k}": data[: len(data) // 2] for k, data in whole.items()}
    cases |= {f"start.{k}": data[:20] for k, data in whole.items()}
    cases["empty.png"] = b""
    cases["text.png"] = b"no picture\n" * 20
    cases["zeros.jpg"] = bytes(4096)
    cases["._junk.png"] = b"\0\5\x16\7\0\2\0\0Mac OS X        " + bytes(4000)
    cases["no pixels.png"] = _png_header(0, 0)
    reasons = {"empty.png": "empty", "text.png": "not a picture"}
    reasons |= {"half.jpg": "truncated"}
    for name, data in cases.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(InputError) as error:
            read_picture(path)
        message = str(error.value)
        assert message.startswith(f"{path}: cannot be read (") and "\n" not in message
        assert reasons.get(name, "") in message
    (tmp_path / "folder.png").mkdir()
    for name, reason in (("none.png", "No such file"), ("folder.png", "directory")):
        with pytest.raises(InputError, match=f"{name}: cannot be read .*{reason}"):
            read_picture(tmp_path / name)


def test_damaged_files_raise_nothing_else_and_do_not_warn(
    tmp_path, colours, rng, recwarn
):
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    path, refused = tmp_path / "a", 0
    for suffix in ("png", "jpg", "tif", "gif", "bmp"):
        whole = tmp_path / f"whole.{suffix}"
        more = {} if suffix in ("gif", "bmp") else {"exif": exif}
        Image.fromarray(colours).save(whole, **more)
        data = np.frombuffer(whole.read_bytes(), np.uint8)
        for _ in range(60):
            damaged = data.copy()
            places = rng.integers(0, rng.choice([60, 200, len(data)]), 3)
            damaged[places] = rng.integers(0, 256, 3)
            path.write_bytes(damaged.tobytes())
            try:
                read_picture(path)
            except InputError as error:
                refused += 1
                assert str(path) in str(error) and "\n" not in str(error)
    assert refused > 60
    assert not recwarn.list


def test_whatever_a_decoder_raises_is_one_line(tmp_path, colours, monkeypatch):
    Image.fromarray(colours).save(tmp_path / "a.png")

    def fail(image, **arguments):
        raise struct.error("two\nlines")

    monkeypatch.setattr("PIL.ImageOps.exif_transpose", fail)
    with pytest.raises(InputError, match=r"a.png: cannot be read \(two lines\)"):
        read_picture(tmp_path / "a.png")


def test_a_rotation_that_cannot_be_read_is_none(tmp_path, colours):
    """Programs for privacy blank the block of the camera's notes."""
    path = tmp_path / "a.jpg"
    colours = np.kron(colours[:4, :6], np.ones((16, 16, 1), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(colours).save(path, exif=exif, quality=95)
    content = path.read_bytes()
    at = content.index(b"Exif\0\0") + 6
    length = int.from_bytes(content[at - 8 : at - 6], "big") - 8
    path.write_bytes(content[:at] + bytes(length) + content[at + length :])
    difference = np.abs(read_picture(path).astype(int) - colours)
    assert difference.mean() < 20


@pytest.mark.parametrize("suffix", ["jfif", "jpe", "JFIF"])
def test_suffixes_of_browsers(tmp_path, colours, suffix):
    Image.fromarray(colours).save(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").rename(tmp_path / f"a.{suffix}")
    ((name, _, files),) = find_folders(tmp_path)
    assert files == [f"a.{suffix}"]


@pytest.mark.skipif(os.name == "nt", reason="such names are not possible there")
@pytest.mark.parametrize(
    "name", ["Öffentlich/ä.png", "%02d.png", "two\nlines.png", os.fsdecode(b"\xff.png")]
)
def test_names(tmp_path, colours, name):
    Image.fromarray(colours).save(tmp_path / "plain.png")
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    try:
        (tmp_path / "plain.png").rename(path)
    except OSError:
        pytest.skip("such names are not possible here")
    _check(path, colours)
