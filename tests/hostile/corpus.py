"""Malformed inputs, each made from a small valid original.

`CASES` holds them: what is written, how it is used, and whether that is refused with
one line or survives. Nothing is downloaded, and nothing here is a file that could harm:
what would be run by a careless reader makes an empty file, the canary.
"""

import gzip
import io
import json
import os
import pickle
import shutil
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import tifffile
import track_files
from click.testing import CliRunner
from PIL import Image

from ddr_cli.main import ddr
from flat_options import flat
from keras_ddr import InputError, runs
from keras_ddr.data import FrameStore, write_arrays
from keras_ddr.datasets import (
    affwild,
    affwild2,
    arrays,
    images,
    moving_mnist,
    sprites,
    sprites_layout,
    videos,
)
from keras_ddr.faces.detector import FaceDetector
from keras_ddr.media import opencv

cv2 = opencv.load()  # keeps FFmpeg quiet from its first video on

REFUSED, SURVIVES = "refused", "survives"
STORE_FILES = ("frames.npy", "sequences.csv", "labels.npz", "meta.json")
SEQUENCES, LENGTH, SIZE = 4, 6, 16
FRAMES = SEQUENCES * LENGTH
HUGE = 8 << 30  # bytes of files that are one hole

CASES = []
# One case of each kind of bad input: those of the default run.
EACH_KIND = {
    "store frames.npy half",
    "store frames with objects",
    "store labels with a pickle",
    "store labels with text",
    "store table with start 'x'",
    "store meta with version 99",
    "store meta with labels None",
    "shards one broken",
    "place whose files are pipes",
    "run config.json half",
    "run config with format 99",
    "run history of text",
    "run model.keras half",
    "run model with os.system in place of the model",
    "run model with a module that is not there as likelihood",
    "model file legacy.h5",
    "run checkpoint half",
    "video of text",
    "video that is a playlist",
    "videos with one of text",
    "list binary",
    "picture PNG empty",
    "picture a pickle",
    "pictures all broken",
    "affwild box of NaN",
    "affwild annotation out of range",
    "affwild2 annotation binary",
    "tracks of another part",
    "tracks of another video, longer",
    "tracks of another video, larger",
    "tracks of NaN",
    "tracks with another header",
    "tracks of DeepLabCut, cut at 0.5",
    "tracks with a pickle",
    "tracks of SLEAP, of terabytes",
    "user labels binary",
    "user labels with a decimal comma",
    "user labels with intervals that overlap",
    "user labels for times after the end",
    "digits images cut",
    "digits labels of images",
    "digits packed broken",
    "published digits of objects",
    "stack TIFF half",
    "stack HDF5 of two stacks",
    "stack npy with a pickle",
    "stack npy of four axes",
    "stack npy of a frame of 4 GiB",
    "stack npz without arrays",
    "stack zarr with a pickle",
    "picture TIFF of three pictures",
    "sprites of text",
    "detector a pickle",
    "command fit, store broken",
}


@dataclass(frozen=True)
class Case:
    """A malformed input.

    Attributes:
        name: unique.
        write: called as write(folder, originals); makes the files in the folder.
        use: called as use(folder, out); raises `InputError`, or returns.
        expected: `REFUSED` or `SURVIVES`.
        file: what the error or the warning must name; "" where nothing is said.
    """

    name: str
    write: Callable
    use: Callable
    expected: str
    file: str


def _add(name, write, use, expected, file=""):
    assert name not in {case.name for case in CASES}, name
    CASES.append(Case(name, write, use, expected, file))


# --- using ----------------------------------------------------------------------------


def command(*arguments):
    """Run `ddr` in this process; its one line on an error becomes an `InputError`."""
    result = CliRunner().invoke(ddr, [str(argument) for argument in arguments])
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert "Traceback" not in result.output, result.output
    errors = [line for line in lines if not line.startswith("ddr: warning: ")]
    if result.exit_code == 0:
        assert not errors, result.output
        return
    assert result.exit_code in (1, 2), (result.exit_code, result.output)
    assert len(errors) == 1, result.output
    (line,) = errors
    assert line.startswith("ddr: error: "), line
    assert "not expected" not in line, line
    raise InputError(line)


def read_store(path):
    """Read all that a store holds, and check that it fits together."""
    store = FrameStore.open(path)
    assert repr(store)
    total = 0
    for sequence in store.sequences:
        assert isinstance(sequence.name, str) and sequence.split
        frames = store.frames(sequence.index)
        assert frames.shape == (sequence.length, *store.frame_shape)
        assert frames.dtype == np.uint8
        labels = store.frame_labels(sequence.index)
        assert {"source_frame", "time"} <= set(labels)
        for name, values in labels.items():
            assert values.shape == (sequence.length,)
            label = store.labels[name]
            if label.kind == "categorical":
                assert values.min() >= -1 and values.max() < len(label.classes)
        total += sequence.length
    assert total == store.num_frames
    return store


def _use_store(folder, out):
    path = folder / "store"
    refused = None
    try:
        read_store(path)
    except InputError as error:
        refused = error
    try:
        command("info", path)
    except InputError:
        # What a command refuses, Python must refuse as well.
        assert refused is not None
    if refused is not None:
        raise refused


def _use_names(folder, out):
    """Names, where they are drawn and printed."""
    _use_store(folder, out)
    command("info", folder / "store", "--preview", out / "sheet.png")
    assert (out / "sheet.png").is_file()


def _use_run(folder, out):
    path = folder / "run"
    refused = None
    try:
        run = runs.Run.open(path)
        run.history()
        run.best()
        runs.fit(run, verbose=0, report=None)
    except InputError as error:
        refused = error
    try:
        command("info", path)
    except InputError:
        assert refused is not None
    if refused is not None:
        raise refused


def _use_history(folder, out):
    """Only read: a resumed run makes it again of its checkpoint."""
    run = runs.Run.open(folder / "run")
    run.history()
    run.best()
    command("info", folder / "run")


def _use_model(folder, out):
    model = runs.Run.open(folder / "run").model()
    frames = np.zeros((3, *model.image_shape), np.uint8)
    assert np.isfinite(model.encode(frames).static.mean).all()


def _use_model_in_command(folder, out):
    command("encode", folder / "run", folder / "store", out / "codes.npz")


def _use_file(name):
    def use(folder, out):
        runs.load_model(folder / name)

    return use


def _prepared(module, **arguments):
    def use(folder, out):
        path = out / "store"
        store = module.prepare(path, folder / "given", **flat(**arguments))
        read_store(store.path)

    return use


_video_options = {"crop": "none", "size": 16, "min_length": 2, "workers": 0}
_use_video = _prepared(videos, **_video_options)
_use_images = _prepared(images, size=16, min_length=2, workers=0)
_use_arrays = _prepared(arrays, size=16, min_length=2, workers=0)
_use_affwild = _prepared(affwild, size=16, min_length=2, workers=0)
_use_affwild2 = _prepared(affwild2, size=16, min_length=2, workers=0)
_use_digits = _prepared(moving_mnist, sequences=3)
_use_sprites = _prepared(sprites, identities=6)


def _use_video_file(name):
    def use(folder, out):
        store = videos.prepare(
            out / "store", folder / "given" / name, **flat(**_video_options)
        )
        read_store(store.path)

    return use


def _use_labels(folder, out):
    store = videos.prepare(
        out / "store",
        folder / "given",
        **flat(labels=folder / "labels.csv", **_video_options),
    )
    read_store(store.path)


# --- originals ------------------------------------------------------------------------


class Originals:
    """Valid inputs, made once.

    Attributes:
        store: folder of a frame store.
        run: folder of a run that was trained for two steps on it.
        video: bytes of a video of 12 frames.
    """

    def __init__(self, folder):
        self.folder = folder
        self.store = folder / "store"
        self.run = folder / "run"
        self._make_store()
        self._make_run()
        self.video = self._make_video(folder / "video.avi")
        self.sheets = folder / "sheets"

    def _make_store(self):
        random = np.random.default_rng(0)
        shape = (SEQUENCES, LENGTH, SIZE, SIZE, 3)
        write_arrays(
            self.store,
            random.integers(0, 256, shape, np.uint8),
            names=["a", "b", "c", "d"],
            splits=["train", "train", "val", "test"],
            labels={
                "colour": ["red", "blue", "red", None],
                "age": [1.0, 2.5, None, 4.0],
                "angle": [np.linspace(0, 1, LENGTH)] * SEQUENCES,
                "mood": [["glad"] * 3 + ["sad"] * 3] * SEQUENCES,
            },
            persons=["ann", "bob", "cid", "dan"],
        )

    def _make_run(self):
        run = runs.Run.create(
            self.run,
            self.store,
            "tiny",
            model={
                "frames_per_set": 3,
                "static_dim": 2,
                "filters": 2,
                "pair_filters": 2,
                "hidden_units": 4,
            },
            training={
                "batch_size": 2,
                "steps": 2,
                "save_every": 1,
                "schedule": "constant",
            },
        )
        runs.fit(run, verbose=0, report=None)

    @staticmethod
    def _make_video(path, codec="MJPG", size=(64, 48), frames=12):
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 10.0, size)
        for number in range(frames):
            frame = np.zeros((size[1], size[0], 3), np.uint8)
            frame[:, number * 4 : number * 4 + 16] = (40, 120, 200)
            writer.write(frame)
        writer.release()
        return path.read_bytes()

    def make_sheets(self, folder):
        """A folder with all sprite sheets."""
        if not self.sheets.exists():
            size = (sprites_layout.SHEET_WIDTH, sprites_layout.SHEET_HEIGHT)
            for place, sheets in enumerate(sprites.LAYERS.values()):
                for number, relative in enumerate(sheets.values()):
                    path = self.sheets / relative
                    path.parent.mkdir(parents=True, exist_ok=True)
                    colour = (40 * number, 60 * place, 100, 255)
                    Image.new("RGBA", size, colour).save(path, compress_level=1)
        shutil.copytree(self.sheets, folder)


class Payload:
    """Unpickling this makes the canary."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def canary(folder):
    """The file that code from a malformed input would make."""
    return folder.parent / "canary"


def _pickled(folder):
    return pickle.dumps(Payload(canary(folder)))


def _object_npy(folder):
    """A .npy file of objects, whose unpickling makes the canary."""
    return npy("|O", (FRAMES,), _pickled(folder))


def npy(descr="|u1", shape=(FRAMES, SIZE, SIZE, 3), body=b"", order=False, **more):
    """Bytes of a .npy file with any header."""
    header = more.get("header")
    if header is None:
        header = repr({"descr": descr, "fortran_order": order, "shape": shape})
    header = header.encode("latin1") if isinstance(header, str) else header
    version = more.get("version", (1, 0))
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    if version[0] == 1:
        length = more.get("length", len(header)) & 0xFFFF
        size = struct.pack("<H", length)
    else:
        size = struct.pack("<I", more.get("length", len(header)))
    return b"\x93NUMPY" + bytes(version) + size + header + body


# --- damage of any file ---------------------------------------------------------------


def _replaced_by_folder(path):
    path.unlink()
    path.mkdir()
    (path / "inside").write_text("x")


def _hole(path):
    path.write_bytes(b"")
    os.truncate(path, HUGE)


def _linked(target):
    def damage(path):
        path.unlink()
        path.symlink_to(target)

    return damage


def _half(path):
    os.truncate(path, path.stat().st_size // 2)


def _without_last(path):
    os.truncate(path, path.stat().st_size - 1)


ANY_DAMAGE = {
    "missing": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "one byte": lambda path: path.write_bytes(b"\x93"),
    "half": _half,
    "text": lambda path: path.write_text("hello\nworld\n"),
    "binary": lambda path: path.write_bytes(bytes(range(256)) * 64),
    "NULs": lambda path: path.write_bytes(bytes(4096)),
    "one hole of 8 GiB": _hole,
    "a folder": _replaced_by_folder,
    "dangling link": _linked("/nowhere/at/all"),
    "link to itself": lambda path: _linked(path.name)(path),
    "link to a device": _linked("/dev/zero"),
    "a pickle": lambda path: path.write_bytes(_pickled(path.parent.parent)),
    "utf-16": lambda path: path.write_bytes(
        b"\xff\xfe" + "name,start,length\n".encode("utf-16-le")
    ),
    "a zip": lambda path: _zip(path, {"a.txt": b"hello"}),
}


def _zip(path, members, method=zipfile.ZIP_DEFLATED, mode="w"):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of double names
        with zipfile.ZipFile(path, mode, method) as archive:
            for name, content in (
                members.items() if isinstance(members, dict) else members
            ):
                archive.writestr(name, content)


def _members(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _flipped(path, place, mask=0x5A):
    data = bytearray(path.read_bytes())
    data[place] ^= mask
    path.write_bytes(data)


# --- stores ---------------------------------------------------------------------------


def _store(name, file, damage, expected=REFUSED, use=_use_store, names=None):
    def write(folder, originals):
        shutil.copytree(originals.store, folder / "store")
        damage(folder / "store" / file if file else folder / "store")

    names = (file or "store") if names is None else names
    _add(f"store {name}", write, use, expected, names if expected == REFUSED else "")


for _file in STORE_FILES:
    for _name, _damage in ANY_DAMAGE.items():
        _store(f"{_file} {_name}", _file, _damage)


def _frames(name, content, expected=REFUSED):
    def damage(path):
        path.write_bytes(content(path) if callable(content) else content)

    _store(f"frames {name}", "frames.npy", damage, expected)


_pixels = bytes(FRAMES * SIZE * SIZE * 3)
_shape = (FRAMES, SIZE, SIZE, 3)
for _name, _header in {
    "more than there are": {"shape": (FRAMES + 1, SIZE, SIZE, 3)},
    "a billion": {"shape": (10**9, SIZE, SIZE, 3)},
    "2^63": {"shape": (2**63, SIZE, SIZE, 3)},
    "2^64 + 24": {"shape": (2**64 + FRAMES, SIZE, SIZE, 3)},
    "overflowing": {"shape": (2**32, 2**32, 1, 1)},
    "of a hundred digits": {"shape": (10**100, SIZE, SIZE, 3)},
    "negative": {"shape": (-FRAMES, SIZE, SIZE, 3)},
    "two negative": {"shape": (-FRAMES, -SIZE, SIZE, 3)},
    "none": {"shape": (0, SIZE, SIZE, 3)},
    "no height": {"shape": (FRAMES, 0, SIZE, 3)},
    "no shape": {"shape": ()},
    "one axis": {"shape": (len(_pixels),)},
    "five axes": {"shape": (SEQUENCES, LENGTH, SIZE, SIZE, 3)},
    "forty axes": {"shape": (1,) * 36 + _shape},
    "a shape of text": {"shape": ("24", "16", "16", "3")},
    "a shape of floats": {"shape": (24.0, 16.0, 16.0, 3.0)},
    "a shape of truth": {"shape": (True, True, True, True)},
    "a list as shape": {"shape": list(_shape)},
    "a shape that is None": {"shape": None},
    "height and width swapped with time": {"shape": (SIZE, SIZE, FRAMES, 3)},
    "height no multiple of 16": {"shape": (FRAMES, 8, 32, 3)},
    "Fortran order": {"order": True},
    "an order of text": {"order": "no"},
    "int8": {"descr": "|i1"},
    "uint16": {"descr": "<u2"},
    "float64": {"descr": "<f8"},
    "objects": {"descr": "|O"},
    "text": {"descr": "<U4"},
    "void": {"descr": "|V3"},
    "dates": {"descr": "<M8[s]"},
    "an unknown type": {"descr": "|q9"},
    "an empty type": {"descr": ""},
    "a comma type": {"descr": "u1,,u1"},
    "a huge type": {"descr": "|V99999999999999999999"},
    "a type that is a number": {"descr": 7},
    "fields": {"descr": [("a", "|u1"), ("b", "|u1")]},
    "hidden objects": {"descr": [("a", "|O")]},
    "a sub-array type": {"descr": ("|u1", (3,))},
    "a broken sub-array type": {"descr": ("|u1", 10**20)},
    "version 9": {"version": (9, 9)},
    "version 0": {"version": (0, 0)},
    "a header longer than the file": {"version": (2, 0), "length": 2**31},
    "a header of 4 GB": {"version": (3, 0), "length": 2**32 - 1},
    "a header of no length": {"length": 0},
    "a header cut off": {"length": 20},
    "a header that is no dict": {"header": "[1, 2, 3]"},
    "a header of other keys": {"header": "{'a': 1}"},
    "a header without an end": {"header": "{'descr': '|u1', "},
    "a header with an open string": {"header": "{'descr': '''|u1"},
    "a header with bad indents": {"header": "  {\n\t'descr': 1}\n  x"},
    "a header that calls": {"header": "__import__('os').system('touch canary')"},
    "a nested header": {"header": "(" * 5000},
    "a deeply nested header": {"header": "[" * 90 + "]" * 90},
    "a header of minus signs": {"header": "-" * 9000 + "1"},
    "a header with NULs": {"header": "{'descr': '|u1\0'}"},
    "a header of 9 kB": {"header": "{'descr': " + "'" + "a" * 9000 + "'}"},
    "a header of 60 kB": {"header": "{" + " " * 60000 + "}", "version": (2, 0)},
    "a header that is no latin": {"header": b"\xff\xfe\x00\x81", "version": (3, 0)},
}.items():
    _frames(f"with {_name}", npy(**{"body": _pixels, **_header}))

_frames("with bytes after the last", npy(body=_pixels + b"more"))
_frames("one byte short", npy(body=_pixels[:-1]))
_frames("without pixels", npy())
_frames("that are a pickle of an array", lambda path: pickle.dumps(np.zeros(_shape)))
_frames("that are objects", lambda path: _object_npy(path.parent.parent))
_frames("that are a broken zip", b"PK\x03\x04" + bytes(100))


def _archive_of_frames(path):
    np.savez(path.with_name("x.npz"), a=np.zeros(_shape, np.uint8))
    path.with_name("x.npz").replace(path)


_store("frames that are an archive", "frames.npy", _archive_of_frames)


def _two_shapes(path):
    path.write_bytes(npy(shape=(10**7, SIZE, SIZE, 3), body=_pixels))
    os.truncate(path, HUGE)


_store("frames of ten million in a hole", "frames.npy", _two_shapes)


def _elsewhere(path):
    moved = path.parent.parent / "elsewhere"
    path.rename(moved)
    path.symlink_to(moved)


for _file in STORE_FILES:
    _store(f"{_file} link to another folder", _file, _elsewhere, SURVIVES)


# labels.npz


def _labels(name, change, expected=REFUSED):
    """Change the dict of members, or return other content of the file."""

    def damage(path):
        members = _members(path)
        content = change(members, path)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            _zip(path, members if content is None else content)

    _store(f"labels {name}", "labels.npz", damage, expected)


def _with(name, content):
    def change(members, path):
        members[name] = content(path.parent.parent) if callable(content) else content

    return change


def _saved(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


for _name, _content in {
    "objects": _object_npy,
    "a pickle": _pickled,
    "text": b"hello",
    "nothing": b"",
    "fewer": _saved(np.zeros(FRAMES - 1)),
    "more": _saved(np.zeros(FRAMES + 1)),
    "two axes": _saved(np.zeros((FRAMES, 1))),
    "no axis": _saved(np.zeros(())),
    "a short body": npy("<f8", (FRAMES,), bytes(10)),
    "a lying count": npy("<f8", (10**12,), bytes(8 * FRAMES)),
    "strings": _saved(np.array(["abc"] * FRAMES)),
    "huge strings": npy("<U100000000", (FRAMES,), bytes(100)),
    "dates": npy("<M8[s]", (FRAMES,), bytes(8 * FRAMES)),
    "complex numbers": _saved(np.zeros(FRAMES, complex)),
    "fields": npy([("a", "<f8")], (FRAMES,), bytes(8 * FRAMES)),
    "an unfinished header": npy(header="{'descr': '''<f8"),
    "a nested header": npy(header="(" * 5000),
    "a header of minus signs": npy(header="-" * 9000 + "1"),
    "version 7": npy("<f8", (FRAMES,), bytes(8 * FRAMES), version=(7, 0)),
    "a negative count": npy("<f8", (-FRAMES,), bytes(8 * FRAMES)),
}.items():
    _labels(f"with {_name}", _with("angle.npy", _content))

_labels("of NaN", _with("angle.npy", _saved(np.full(FRAMES, np.nan))), SURVIVES)
_labels("of infinity", _with("angle.npy", _saved(np.full(FRAMES, np.inf))), SURVIVES)
for _name, _value in {"too large": 2, "below -1": -2, "huge": 2**31 - 1}.items():
    _labels(
        f"with a class that is {_name}",
        _with("mood.npy", _saved(np.full(FRAMES, _value, np.int32))),
    )
_labels("with a class that is NaN", _with("mood.npy", _saved(np.full(FRAMES, np.nan))))
_labels("with float frame numbers", _with("source_frame.npy", _saved(np.zeros(FRAMES))))
_labels("without frame numbers", lambda members, path: members.pop("source_frame.npy"))
_labels("without mood", lambda members, path: members.pop("mood.npy"))
for _name, _member in {
    "above": "../../canary.npy",
    "far above": "../" * 30 + "tmp/canary.npy",
    "at an absolute place": "/canary.npy",
    "with backslashes": "..\\..\\canary.npy",
    "with a drive": "C:\\canary.npy",
    "without a name": ".npy",
    "that is a folder": "folder/",
    "with NUL": "a\0b.npy",
    "with a long name": "n" * 60000 + ".npy",
}.items():
    _labels(
        f"with a member {_name}", _with(_member, _saved(np.zeros(FRAMES))), SURVIVES
    )
_labels("with a pickle that nobody asked for", _with("more.npy", _object_npy), SURVIVES)


def _bomb(members, path):
    """A member that nobody asked for unpacks to 1 GB."""
    header = npy("|u1", (1 << 30,))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        with archive.open("bomb.npy", "w", force_zip64=True) as file:
            file.write(header)
            for _ in range(1 << 8):
                file.write(bytes(1 << 22))
    return path.read_bytes()


_labels("with a bomb beside them", _bomb, SURVIVES)


def _long_member(members, path):
    """A label that goes on after its last value, for 1 GB."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            if name != "angle.npy":
                archive.writestr(name, content)
        with archive.open("angle.npy", "w", force_zip64=True) as file:
            file.write(npy("<f8", (FRAMES,), bytes(8 * FRAMES)))
            for _ in range(1 << 8):
                file.write(bytes(1 << 22))
    return path.read_bytes()


_labels("with a bomb behind one of them", _long_member)


def _twice(members, path):
    pairs = [*members.items(), ("angle.npy", _saved(np.ones(FRAMES)))]
    _zip(path, pairs)
    return path.read_bytes()


_labels("with one name twice", _twice)
_labels(
    "with twenty thousand members",
    lambda members, path: members.update({f"{i}.npy": b"" for i in range(20000)}),
    SURVIVES,
)


def _patched(place, value, signature=b"PK\x01\x02"):
    """Overwrite a field of every entry of the central directory, or of the local ones.

    Args:
        place: offset in the entry.
        value: bytes.
        signature: what the entries begin with.
    """

    def change(members, path):
        data = bytearray(path.read_bytes())
        start = data.find(signature)
        while start >= 0:
            data[start + place : start + place + len(value)] = value
            start = data.find(signature, start + 4)
        return bytes(data)

    return change


_labels("that are encrypted", _patched(8, b"\x01\x00"))
_labels("of an unknown compression", _patched(10, b"\x63\x00"))
_labels("of a newer zip", _patched(6, b"\xff\x00"))
_labels("with a wrong CRC", _patched(16, b"\0\0\0\0"))
_labels("with sizes of 4 GB", _patched(20, b"\xff\xff\xff\x7f" * 2))
_labels("with places after the end", _patched(42, b"\xff\xff\xff\x7f"))
_labels("with other local names", _patched(30, b"zzz", b"PK\x03\x04"))
_labels("without local headers", _patched(0, b"XXXX", b"PK\x03\x04"))
_labels("without an end", _patched(0, b"XXXX", b"PK\x05\x06"))
_labels(
    "that promise a million members",
    _patched(8, b"\xff\xff\xff\xff", b"PK\x05\x06"),
    SURVIVES,
)


def _broken_deflate(members, path):
    _zip(path, members)
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            start = entry.header_offset + 30 + len(entry.filename)
            data[start : start + entry.compress_size] = b"\xff" * entry.compress_size
    return bytes(data)


_labels("of broken deflate", _broken_deflate)


# sequences.csv


def _table(name, change, expected=REFUSED, use=_use_store):
    def damage(path):
        content = change(path.read_text("utf-8"))
        if isinstance(content, str):
            content = content.encode("utf-8", "surrogateescape")
        path.write_bytes(content)

    _store(f"table {name}", "sequences.csv", damage, expected, use)


def _cell(row, column, value):
    """Replace a cell; row 0 is the header."""

    def change(text):
        lines = [line.split(",") for line in text.splitlines()]
        lines[row][lines[0].index(column)] = value
        return "\n".join(map(",".join, lines)) + "\n"

    return change


for _column in ("start", "length"):
    for _value in (
        *("-1", "x", "", "1.5", "6.0", "nan", "1e3", "0x6", "1 2", "٣x", "+-6"),
        *("9" * 20, "9" * 4300, "9" * 5000, "-" + "9" * 4299, "7", "5", "100"),
    ):
        _label = _value if len(_value) < 10 else f"{_value[:3]}… ({len(_value)})"
        _table(f"with {_column} {_label!r}", _cell(2, _column, _value))
for _value in ("", "dev", "TRAIN", "train ", "train\0", "../train"):
    _table(f"with split {_value!r}", _cell(1, "split", _value))
for _column in ("name", "start", "length", "split", "person", "source"):
    _table(f"without column {_column}", _cell(0, _column, "else"))
_table("without a label's column", _cell(0, "label:colour", "label:color"))
_table("with a column twice", _cell(0, "source", "name"))
_table("with an unknown class", _cell(1, "label:colour", "mauve"))
_table("with text for a number", _cell(1, "label:age", "old"))
_table("with infinity for a number", _cell(1, "label:age", "inf"), SURVIVES)
_table("with no name", _cell(1, "name", ""))
_table("with one name twice", _cell(2, "name", "a"))
_table("with names swapped", _cell(1, "name", "z"), SURVIVES)
_table("with an overlap", lambda text: text.replace("b,6,6", "b,5,6"))
_table("with a gap", lambda text: text.replace("b,6,6", "b,7,5"))
_table("with no length", lambda text: text.replace("b,6,6", "b,6,0"))
_table("with ranges the other way round", lambda t: t.replace("b,6,6", "b,12,-6"))
_table("of the header alone", lambda text: text.splitlines()[0] + "\n")
_table("without the header", lambda text: text.split("\n", 1)[1])
_table("without the last row", lambda text: text.rsplit("\n", 2)[0] + "\n")
_table("with a row twice", lambda text: text + text.splitlines()[-1] + "\n")
_table("with a short row", lambda text: text + "e,24\n")
_table("with a row of one cell", lambda text: text + "e\n")
_table("with a long row", lambda text: text.replace("b,6,6", "b,6,6,train"))
_table("with commas only", lambda text: text + ",,,,,,,\n")
_table("with an open quote", lambda text: text.replace("b,6,6", '"b,6,6'))
_table("with a huge cell", lambda text: text.replace("b,6,6", "b" * 200_000 + ",6,6"))
_table(
    "with a huge quoted cell",
    lambda text: text.replace("b,6,6", '"' + "b\n" * 2_000_000 + '",6,6'),
)
_table("with semicolons", lambda text: text.replace(",", ";"))
_table("with tabs", lambda text: text.replace(",", "\t"))
_table("in UTF-16", lambda text: text.encode("utf-16"))
_table("in UTF-32", lambda text: text.encode("utf-32"))
_table("with NUL between", lambda text: text.replace(",", ",\0"))
_table("with carriage returns", lambda text: text.replace("\n", "\r\n"), SURVIVES)
_table("with a line of 50 MB", lambda text: text + "x" * 50_000_000)
_table("with ten thousand columns", lambda t: t.replace("\n", "," * 10000 + "\n", 1))
for _name, _value in {
    "above": "../../canary",
    "absolute": "/canary",
    "of NUL": "a\0b",
    "of a script": "</script><script>alert(1)</script>",
    "of terminal codes": "\x1b]0;title\x07\x1b[2J",
    "of Latin-1": "\udce9",
    "of 100 kB": "n" * 100_000,
    "of a formula": "=1+1",
    "of a percent sign": "%s%n%d",
    "of braces": "{0.__class__}",
    "of right-to-left marks": "\u202egnp.exe",
}.items():
    _table(f"with a name {_name}", _cell(1, "name", _value), SURVIVES, _use_names)


# meta.json


def _meta(name, change, expected=REFUSED):
    def damage(path):
        meta = json.loads(path.read_text("utf-8"))
        content = change(meta)
        if not isinstance(content, str | bytes):
            content = json.dumps(meta if content is None else content)
        if isinstance(content, str):
            content = content.encode("utf-8", "surrogatepass")
        path.write_bytes(content)

    _store(f"meta {name}", "meta.json", damage, expected)


def _set(*keys):
    *path, last, value = keys

    def change(meta):
        place = meta
        for key in path:
            place = place[key]
        place[last] = value

    return change


def _without(key):
    def change(content):
        del content[key]

    return change


for _value in (None, "1", 1.5, -1, 0, 99, True, [], {}, 10**30, float("nan")):
    _meta(f"with version {_value!r}", _set("version", _value))
for _value in (None, "", "keras_ddr frame stores", 1, [], {}):
    _meta(f"with format {_value!r}", _set("format", _value))
for _value in (None, [], "x", 1):
    _meta(f"with labels {_value!r}", _set("labels", _value))
for _key in ("format", "version", "labels"):
    _meta(f"without {_key}", _without(_key))
for _value in (None, [], "x", {}, {"scope": []}, {"scope": "frame", "kind": {}}):
    _meta(f"with a label {_value!r}", _set("labels", "mood", _value))
for _value in (5, "ab", {"a": 1}, [1, 2], [[]], [{}, {}], [None], ["glad", "glad"]):
    _meta(f"with classes {_value!r}", _set("labels", "mood", "classes", _value))
    _meta(
        f"with classes of a sequence {_value!r}",
        _set("labels", "colour", "classes", _value),
    )
_meta("with other classes", _set("labels", "colour", "classes", ["red"]))
_meta("with frame numbers of a sequence", _set("labels", "time", "scope", "sequence"))
_meta("without the label time", lambda meta: meta["labels"].pop("time") and None)
_meta("with scope swapped", _set("labels", "colour", "scope", "frame"))
_meta(
    "with a label of a path",
    _set("labels", "../../canary", {"scope": "frame", "kind": "continuous"}),
)
for _value in (1.5, "x", [], {"a": []}):
    _meta(f"with a missing value {_value!r}", _set("labels", "mood", "missing", _value))
for _value in (3, [], {"a": []}):
    _meta(f"with a unit {_value!r}", _set("labels", "angle", "unit", _value))
for _value in (3, [], {}, None):
    _meta(f"with dataset {_value!r}", _set("dataset", _value))
for _value in (7, None, [], "0" * 64, "x"):
    _meta(f"with sha256 {_value!r}", _set("sha256", _value), SURVIVES)
_meta("with terminal codes", _set("licence", "\x1b]0;title\x07\x1b[2J"), SURVIVES)
_meta("with a licence that is a list", _set("licence", [1, 2]))
_meta("with an order that is a number", _set("ordered", 1))
_meta("with other counts", _set("counts", {"frames": "many"}), SURVIVES)
_meta("nested", lambda meta: "[" * 100_000 + "]" * 100_000)
_meta("nested in arguments", lambda meta: '{"a":' * 100_000 + "1" + "}" * 100_000)
_meta("that is a number", lambda meta: "1" * 5000)
_meta("that is a list", lambda meta: "[]")
_meta("that is null", lambda meta: "null")
_meta("that is text", lambda meta: '"keras_ddr frame store"')
_meta("in UTF-16", lambda meta: json.dumps(meta).encode("utf-16"))
_meta(
    "with a byte order mark", lambda meta: b"\xef\xbb\xbf" + json.dumps(meta).encode()
)
_meta("in Latin-1", lambda meta: b'{"a": "\xe9"}')
_meta("with a comma too many", lambda meta: json.dumps(meta)[:-1] + ",}")
_meta("with something after it", lambda meta: json.dumps(meta) + "{}")
_meta("with a lone surrogate", _set("licence", "\ud800"), SURVIVES)
_meta("of 100 MB", lambda meta: json.dumps(meta) + " " * 100_000_000)


# folders of stores, and places


def _shards(name, damage, expected, file):
    def write(folder, originals):
        for shard in ("one", "two"):
            shutil.copytree(originals.store, folder / "store" / shard)
        damage(folder / "store" / "two")

    _add(f"shards {name}", write, _use_store, expected, file)


_shards("of one name", lambda path: None, SURVIVES, "")
_shards("one broken", lambda path: (path / "frames.npy").unlink(), REFUSED, "two")
_shards(
    "with other classes",
    lambda path: (path / "meta.json").write_text(
        (path / "meta.json").read_text("utf-8").replace("glad", "mild")
    ),
    REFUSED,
    "two",
)
_shards("in a circle", lambda path: (path / "self").symlink_to(path), SURVIVES, "")


def _place(name, write, expected=REFUSED):
    def write_there(folder, originals):
        write(folder / "store")

    _add(f"place {name}", write_there, _use_store, expected, "store")


_place("that is missing", lambda path: None)
_place("that is a file", lambda path: path.write_text("x"))
_place("that is an empty folder", lambda path: path.mkdir())
_place("that is a dangling link", lambda path: path.symlink_to("nowhere"))
_place("that links to itself", lambda path: path.symlink_to(path))
_place("that is a pipe", lambda path: os.mkfifo(path))
_place("that is a device", lambda path: path.symlink_to("/dev/zero"))


def _pipes(path):
    path.mkdir()
    for name in STORE_FILES:
        os.mkfifo(path / name)


_place("whose files are pipes", _pipes)


# --- runs -----------------------------------------------------------------------------


def _run(name, file, damage, expected=REFUSED, use=_use_run):
    def write(folder, originals):
        shutil.copytree(originals.store, folder / "store")
        shutil.copytree(originals.run, folder / "run")
        config = folder / "run" / "config.json"
        content = json.loads(config.read_text("utf-8"))
        content["store"]["path"] = str(folder / "store")
        config.write_text(json.dumps(content))
        damage(folder / "run" / file)

    file_named = (file or "run") if expected == REFUSED else ""
    _add(f"run {name}", write, use, expected, file_named)


for _name, _damage in ANY_DAMAGE.items():
    _run(f"config.json {_name}", "config.json", _damage)


def _config(name, change, expected=REFUSED):
    def damage(path):
        config = json.loads(path.read_text("utf-8"))
        content = change(config)
        if not isinstance(content, str | bytes):
            content = json.dumps(config if content is None else content)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    _run(f"config {name}", "config.json", damage, expected)


for _value in (None, "1", 99, [], {}, True, 0, float("nan")):
    _config(f"with format {_value!r}", _set("format", _value))
for _key in ("format", "model", "training", "store"):
    _config(f"without {_key}", _without(_key))
    if _key != "format":
        for _value in (None, [], "x", 3, {}):
            _config(f"with {_key} {_value!r}", _set(_key, _value))
for _key, _values in {
    "batch_size": (0, -1, 1.5, "2", None, 10**30),
    "steps": (0, -1, 1.5, "2", None, []),
    "save_every": (0, -1, "2", None),
    "learning_rate": ("x", -1, None),
    "schedule": ("x", None, []),
    "seed": (-1, "x", None),
    "clipnorm": ("x", -1, []),
}.items():
    for _value in _values:
        _config(f"with {_key} {_value!r}", _set("training", _key, _value))
for _key, _values in {"class_name": (None, 3, []), "config": (None, "x", [])}.items():
    for _value in _values:
        _config(f"with model {_key} {_value!r}", _set("model", _key, _value))
for _value in (None, 3, [], {}):
    _config(f"with a store at {_value!r}", _set("store", "path", _value))
_run(
    "of another store",
    "",
    lambda path: (path / "config.json").write_text(
        (path / "config.json")
        .read_text("utf-8")
        .replace('"sequences": 4', '"sequences": 9')
    ),
)
_config("nested", lambda config: "[" * 100_000)
_config("that is a list", lambda config: "[1]")
_config("with NaN", lambda config: "NaN")
_config("with a backend of its own", _set("backend", "../evil"), SURVIVES)


def _history(name, content, expected=REFUSED):
    def damage(path):
        text = path.read_text("utf-8")
        made = content(text) if callable(content) else content
        path.write_bytes(made.encode() if isinstance(made, str) else made)

    _run(f"history {name}", "history.csv", damage, expected, _use_history)


def _row_with(column, value):
    return _cell(1, column, value)


_history("empty", "")
_history("of the header alone", lambda text: text.splitlines()[0] + "\n", SURVIVES)
_history("of text", "hello\n")
_history("binary", bytes(range(256)))
_history("in UTF-16", lambda text: text.encode("utf-16"))
_history("cut off", lambda text: text[: len(text) - 40])
_history("without its first row", lambda t: "\n".join(t.split("\n")[::2]) + "\n")
_history("with a huge cell", lambda text: text + "9" * 200_000)
_history("with a line of 50 MB", lambda text: text + "x" * 50_000_000)
for _column, _value in {
    "epoch": ("x", "", "1.5", "-1", "9" * 5000, "nan"),
    "step": ("x", "", "inf", "1e3"),
    "loss": ("x", "", "--1"),
    "val_loss": ("x",),
    "seconds": ("x",),
}.items():
    for _text in _value:
        _history(f"with {_column} {_text[:9]!r}", _row_with(_column, _text))
_run("history.csv a folder", "history.csv", _replaced_by_folder, use=_use_history)
_run("history.csv one hole", "history.csv", _hole, use=_use_history)


# Models


def _model(name, change, expected=REFUSED, use=_use_model):
    """Change the members of model.keras, or return its bytes."""

    def damage(path):
        members = _members(path)
        content = change(members, path)
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content is None:
            _zip(path, members, zipfile.ZIP_STORED)

    _run(f"model {name}", "model.keras", damage, expected, use)


for _name, _damage in ANY_DAMAGE.items():
    _run(f"model.keras {_name}", "model.keras", _damage, use=_use_model)
for _name in ("half", "empty", "a pickle", "text"):
    _run(
        f"model.keras {_name}, in a command",
        "model.keras",
        ANY_DAMAGE[_name],
        use=_use_model_in_command,
    )
_model("repacked", lambda members, path: None, SURVIVES)
for _member in ("config.json", "metadata.json", "model.weights.h5"):
    for _name, _content in {
        "empty": b"",
        "text": b"hello",
        "null": b"null",
        "a list": b"[]",
        "nested": b"[" * 100_000,
    }.items():
        _model(f"with {_member} {_name}", _with(_member, _content))
    _model(
        f"without {_member}", lambda members, path, m=_member: members.pop(m) and None
    )


def _architecture(name, change, expected=REFUSED):
    def damage(members, path):
        config = json.loads(members["config.json"])
        change(config, path.parent.parent)
        members["config.json"] = json.dumps(config).encode()

    _model(f"with {name}", damage, expected)


_lambda = {
    "module": "keras.layers",
    "class_name": "Lambda",
    "registered_name": None,
    "config": {
        "name": "x",
        "function": {
            "class_name": "__lambda__",
            "config": {"code": "4wEAAAA=", "defaults": None, "closure": None},
        },
    },
}


def _sequential(*layers):
    return {
        "module": "keras",
        "class_name": "Sequential",
        "registered_name": None,
        "config": {"name": "sequential", "layers": list(layers)},
    }


def _became(content):
    def change(config, folder):
        made = content(folder) if callable(content) else content
        config.clear()
        config.update(made)

    return change


def _object(module, name, **config):
    return {
        "module": module,
        "class_name": name,
        "config": config,
        "registered_name": name,
    }


_FOREIGN = {
    "os.system": lambda folder: _object(
        "os", "system", command=f"touch {canary(folder)}"
    ),
    "builtins.open": lambda folder: _object(
        "builtins", "open", file=str(canary(folder)), mode="w"
    ),
    "builtins.eval": lambda folder: _object("builtins", "eval", source="1"),
    "subprocess.Popen": lambda folder: _object(
        "subprocess", "Popen", args=["touch", str(canary(folder))]
    ),
    "pathlib.Path": lambda folder: _object("pathlib", "Path", path="x"),
    "a module that is not there": lambda folder: _object("no_such_module", "Thing"),
    "keras.utils.get_file": lambda folder: _object(
        "keras.utils", "get_file", fname="canary", origin="file:///etc/hostname"
    ),
    "keras.models.load_model": lambda folder: _object(
        "keras.models", "load_model", filepath="other.keras"
    ),
    "a Lambda layer": lambda folder: _sequential(_lambda),
    "a module that makes the canary": lambda folder: _object("canary_module", "Thing"),
    "a Dense layer": lambda folder: _object("keras.layers", "Dense", units=3),
    "a Sequential": lambda folder: _sequential(
        _object("keras.layers", "Dense", units=3)
    ),
}
for _name, _content in _FOREIGN.items():
    _architecture(f"{_name} in place of the model", _became(_content))

    def _as_likelihood(config, folder, content=_content):
        config["config"]["likelihood"] = content(folder)

    def _as_optimizer(config, folder, content=_content):
        config["compile_config"]["optimizer"] = content(folder)

    _architecture(f"{_name} as likelihood", _as_likelihood)
    _architecture(f"{_name} as optimizer", _as_optimizer)
for _key, _values in {
    "image_shape": (None, [16, 16], [15, 16, 3], [16_000, 16_000, 3], "x"),
    "static_dim": (None, -1, "x", 10**7, 10**15),
    "filters": (0, 5000, 10**9),
    "pair_filters": (6000, 10**9),
    "hidden_units": (20_000, 10**12),
    "dynamic_dim": (10**8,),
    "frames_per_set": (1,),
    "aggregation": ("sum", None),
    "likelihood": ("x", 3),
    "kl_weight": ("x",),
    "seed": ("x",),
    "name": (5,),
    "trainable": ("maybe",),
    "dtype": ("float99",),
    "more": (1,),
}.items():
    for _value in _values:

        def _setting(config, folder, key=_key, value=_value):
            config["config"][key] = value

        _architecture(f"{_key} {_value!r}", _setting)


def _weights(name, change):
    """Change the HDF5 file of the weights."""
    import h5py

    def damage(members, path):
        file = io.BytesIO(members["model.weights.h5"])
        with h5py.File(file, "r+") as weights:
            found = []
            weights.visititems(
                lambda name, item: (
                    found.append(name) if isinstance(item, h5py.Dataset) else None
                )
            )
            found = [name for name in found if weights[name].ndim > 1]
            change(weights, found[0], path)
        members["model.weights.h5"] = file.getvalue()

    _model(f"with weights {name}", damage)


def _replaced(**arguments):
    def change(weights, name, path):
        del weights[name]
        weights.create_dataset(name, **arguments)

    return change


_weights("of another shape", _replaced(data=np.zeros((3, 5))))
_weights("of text", _replaced(data="hello"))
_weights("of 8 TB that are not there", _replaced(shape=(10**6, 10**6), chunks=(9, 9)))
_weights(
    "of 1 GB of zeros, packed",
    _replaced(shape=(2**14, 2**14), chunks=(2**10, 2**10), compression="gzip"),
)
_weights("missing", lambda weights, name, path: weights.__delitem__(name))


def _external(weights, name, path):
    del weights[name]
    secret = path.parent.parent / "secret"
    secret.write_bytes(bytes(1 << 16))
    weights.create_dataset(name, (4, 4), external=[(str(secret), 0, 128)])


_weights("in another file", _external)


def _external_link(weights, name, path):
    import h5py

    del weights[name]
    weights[name] = h5py.ExternalLink(str(path.with_name("other.h5")), "/x")


_weights("behind a link to another file", _external_link)


def _virtual(weights, name, path):
    import h5py

    del weights[name]
    layout = h5py.VirtualLayout((4, 4), "f4")
    layout[:] = h5py.VirtualSource(str(path.with_name("other.h5")), "x", (4, 4))
    weights.create_virtual_dataset(name, layout)


_weights("that are virtual", _virtual)


def _model_bomb(members, path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("metadata.json", "config.json"):
            archive.writestr(name, members[name])
        with archive.open("model.weights.h5", "w", force_zip64=True) as file:
            for _ in range(1 << 8):
                file.write(bytes(1 << 22))
    return path.read_bytes()


_model("that is a bomb", _model_bomb)


def _config_bomb(members, path):
    members["config.json"] = members["config.json"] + b" " * (1 << 29)
    _zip(path, members)
    return path.read_bytes()


_model("whose config is a bomb", _config_bomb)
for _name, _member in {
    "above": "../../canary",
    "at an absolute place": "/canary",
    "of assets above": "assets/../../canary",
    "of assets": "assets/layer/file.txt",
}.items():
    _model(f"with a member {_name}", _with(_member, b"x"))


def _twice_config(members, path):
    config = json.loads(members["config.json"])
    foreign = _FOREIGN["os.system"](path.parent.parent)
    _zip(path, [*members.items(), ("config.json", json.dumps(foreign))])
    assert config
    return path.read_bytes()


_model("with two configs", _twice_config)
_model(
    "of weights in an .npz with pickles",
    lambda members, path: members.update(
        {
            "model.weights.npz": _object_npy(path.parent.parent),
            "model.weights.h5": members.pop("model.weights.h5"),
        }
    ),
)


def _npz_weights(members, path):
    del members["model.weights.h5"]
    file = io.BytesIO()
    _zip(file, {"__root__.npy": _object_npy(path.parent.parent)})
    members["model.weights.npz"] = file.getvalue()


_model("of weights in an .npz alone", _npz_weights)


def _other_name(name, content, expected=REFUSED):
    def write(folder, originals):
        shutil.copytree(originals.run, folder / "run")
        made = content(folder)
        (folder / name).write_bytes(made)

    _add(f"model file {name}", write, _use_file(name), expected, name)


def _hdf5(folder):
    import h5py

    file = io.BytesIO()
    with h5py.File(file, "w") as weights:
        weights.attrs["model_config"] = json.dumps(_sequential(_lambda))
    return file.getvalue()


def _whole_model(folder):
    return (folder / "run" / "model.keras").read_bytes()


_other_name("legacy.h5", _hdf5)
_other_name("legacy.hdf5", _hdf5)
_other_name("legacy.keras", _hdf5)
_other_name("model.pkl", _pickled)
_other_name("model.pt", _pickled)
_other_name("model.zip", _whole_model)
_other_name("model", _whole_model)
_other_name("saved_model.pb", lambda folder: b"\x08\x01")


def _checkpoint(name, damage, expected=REFUSED):
    def on_folder(folder):
        (path,) = folder.glob("*.keras")
        damage(path)

    _run(f"checkpoint {name}", "checkpoint", on_folder, expected)


_checkpoint("half", _half)
_checkpoint("empty", lambda path: path.write_bytes(b""))
_checkpoint("a pickle", lambda path: path.write_bytes(_pickled(path.parents[2])))
_checkpoint("a folder", _replaced_by_folder)
_checkpoint("dangling", _linked("nowhere"))
_checkpoint("named x", lambda path: path.rename(path.with_name("epoch-x.keras")))
_checkpoint(
    "named after 10^30",
    lambda path: path.rename(path.with_name(f"epoch-{10**30}.keras")),
)
_checkpoint("negative", lambda path: path.rename(path.with_name("epoch--00001.keras")))
_checkpoint(
    "beside a text",
    lambda path: path.with_name("epoch-y.keras").write_text("x"),
    SURVIVES,
)


# --- videos ---------------------------------------------------------------------------


def _video(name, content, suffix=".avi", expected=REFUSED):
    """A video alone; those that survive give what they hold without a word."""
    file = f"clip{suffix}"

    def write(folder, originals):
        (folder / "given").mkdir()
        made = content(originals.video) if callable(content) else content
        (folder / "given" / file).write_bytes(made)

    named = file if expected == REFUSED else ""
    _add(f"video {name}", write, _use_video_file(file), expected, named)


def _overwritten(*pairs):
    """Overwrite 32-bit fields: (mark before it, offset, value)."""

    def change(video):
        data = bytearray(video)
        for mark, offset, value in pairs:
            place = data.index(mark) + offset
            data[place : place + 4] = struct.pack("<I", value & 0xFFFFFFFF)
        return bytes(data)

    return change


_huge = 0xFFFFFFFF
_video("empty", b"")
_video("of one byte", b"R")
_video("of text", b"hello world\n" * 100)
_video("of NULs", bytes(4096))
_video("of random bytes", np.random.default_rng(0).bytes(50_000))
for _share in (0.001, 0.01, 0.05, 0.09):
    _video(f"cut at {_share}", lambda v, share=_share: v[: int(len(v) * share)])
_video("cut at 0.6", lambda video: video[: int(len(video) * 0.6)])
_video(
    "with a gigantic frame count", _overwritten((b"avih", 24, _huge)), ".avi", SURVIVES
)
_video(
    "with gigantic lengths everywhere",
    _overwritten((b"avih", 24, _huge), (b"strh", 40, _huge)),
    ".avi",
    SURVIVES,
)
_video("with no frame count", _overwritten((b"avih", 24, 0)), ".avi", SURVIVES)
_video("with a rate of 0", _overwritten((b"strh", 32, 0)), ".avi", SURVIVES)
_video("with a scale of 0", _overwritten((b"strh", 28, 0)), ".avi", SURVIVES)
_video(
    "with a size of 0",
    _overwritten((b"strf", 12, 0), (b"strf", 16, 0)),
    ".avi",
    SURVIVES,
)
_video(
    "with a size of 60000",
    _overwritten((b"strf", 12, 60000), (b"strf", 16, 60000)),
    ".avi",
    SURVIVES,
)
_video(
    "with a negative size",
    _overwritten((b"strf", 12, -64), (b"strf", 16, -48)),
    ".avi",
    SURVIVES,
)
_video("with an unknown codec", lambda v: v.replace(b"MJPG", b"ZZZZ"))
_video("with all frames zeroed", lambda v: v[: v.index(b"movi") + 4] + bytes(20_000))
_video("that is a playlist", b"#EXTM3U\nhttp://127.0.0.1:9/x.ts\n", ".mp4")
_video("that is a list of files", b"ffconcat version 1.0\nfile /etc/hostname\n", ".mkv")
_video(
    "that is a session of RTP",
    b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    b"m=video 9 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    ".mp4",
)
_video("that is an MPD", b"<?xml version='1.0'?><MPD></MPD>", ".mp4")
_video("that is a picture", b"\x89PNG\r\n\x1a\n" + bytes(100), ".mp4")
_video("that is a subtitle", b"1\n00:00:00,000 --> 00:00:01,000\nhello\n", ".mkv")
_video("of ffmetadata", b";FFMETADATA1\ntitle=x\n", ".mp4")
_video(
    "with its boxes endless", b"\0\0\0\x08ftyp" + b"\0\0\0\x08free" * 300_000, ".mp4"
)
_video(
    "with nested tracks endless",
    b"\0\0\0\x08ftyp"
    + struct.pack(">I", 8 * 200_001)
    + b"moov"
    + b"\0\0\0\x08trak" * 200_000,
    ".mp4",
)
_video(
    "with a box of 2^64 bytes",
    b"\0\0\0\x10ftypisom\0\0\0\0" + b"\0\0\0\x01moov" + b"\xff" * 8 + bytes(64),
    ".mp4",
)


def _jpeg_of_size(width, height):
    """A JPEG that claims a size; what is in it is 64×48."""
    file = io.BytesIO()
    Image.new("RGB", (64, 48)).save(file, "JPEG")
    data = bytearray(file.getvalue())
    place = data.index(b"\xff\xc0")
    data[place + 5 : place + 9] = struct.pack(">HH", height, width)
    return bytes(data)


_video("of a gigantic JPEG", _jpeg_of_size(30_000, 30_000) * 3, ".mjpg")


def _video_folder(name, write, expected, file):
    def write_folder(folder, originals):
        (folder / "given").mkdir()
        (folder / "given" / "good.avi").write_bytes(originals.video)
        write(folder / "given", originals)

    _add(f"videos {name}", write_folder, _use_video, expected, file)


_video_folder(
    "with one empty", lambda p, o: (p / "bad.mp4").write_bytes(b""), SURVIVES, "bad.mp4"
)
_video_folder(
    "with one of text",
    lambda p, o: (p / "bad.mkv").write_text("x"),
    SURVIVES,
    "bad.mkv",
)
_video_folder(
    "with a dangling link",
    lambda p, o: (p / "bad.avi").symlink_to("nowhere"),
    SURVIVES,
    "bad.avi",
)
_video_folder("with a circle", lambda p, o: (p / "self").symlink_to(p), SURVIVES, "")
_video_folder("with a pipe", lambda p, o: os.mkfifo(p / "pipe.avi"), SURVIVES, "")
_video_folder(
    "with a pattern for a name",
    lambda p, o: (p / "%03d.avi").write_bytes(o.video),
    SURVIVES,
    "",
)
_video_folder(
    "with a name that is no text",
    lambda p, o: (p / "bad\udcff.avi").write_bytes(o.video),
    SURVIVES,
    "bad",
)


def _list(name, content, expected=REFUSED, file="list.txt"):
    def write(folder, originals):
        (folder / "given").mkdir()
        (folder / "given" / "good.avi").write_bytes(originals.video)
        (folder / "given" / "list.txt").write_bytes(content)

    _add(f"list {name}", write, _use_video_file("list.txt"), expected, file)


_list("empty", b"")
_list("binary", bytes(range(256)))
_list("of remarks", b"# one\n# two\n")
_list("with NUL", b"good.avi\na\0b.avi\n", SURVIVES, "a")
_list("with what is missing", b"good.avi\nbad.avi\n", SURVIVES, "bad.avi")
_list("with a name too long", b"good.avi\n" + b"n" * 5000 + b".avi\n", SURVIVES, "nnn")
_list("with a folder", b"good.avi\n.\n", SURVIVES, "given")
_list("with addresses", b"good.avi\nhttp://127.0.0.1:9/bad.avi\n", SURVIVES, "bad.avi")


def _list_hole(folder, originals):
    (folder / "given").mkdir()
    _hole(folder / "given" / "list.txt")


_add("list of one hole", _list_hole, _use_video_file("list.txt"), REFUSED, "list.txt")


# --- pictures -------------------------------------------------------------------------


def _encoded(image, kind, **arguments):
    file = io.BytesIO()
    image.save(file, kind, **arguments)
    return file.getvalue()


def _gradient(mode="RGB", size=(32, 32)):
    values = np.linspace(0, 255, size[0] * size[1]).reshape(size[1], size[0])
    return Image.fromarray(values.astype(np.uint8)).convert(mode)


def _png_of_size(width, height, bits=8, colour=2, data=b""):
    """A PNG that claims a size."""

    def chunk(kind, content):
        body = kind + content
        return (
            struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))
        )

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(data))
        + chunk(b"IEND", b"")
    )


def _picture(name, content, suffix=".png", expected=SURVIVES, said=True):
    """One picture among four good ones; said: whether, or what, a warning names."""
    file = f"bad{suffix}"

    def write(folder, originals):
        given = folder / "given"
        given.mkdir()
        for number in range(4):
            (given / f"{number}.png").write_bytes(_encoded(_gradient(), "PNG"))
        made = content(folder) if callable(content) else content
        (given / file).write_bytes(made)

    _add(
        f"picture {name}",
        write,
        _use_images,
        expected,
        file if said is True else said or "",
    )


_png = _encoded(_gradient(), "PNG")
_jpeg = _encoded(_gradient(), "JPEG")
_tiff = _encoded(_gradient(), "TIFF")
_gif = _encoded(_gradient("P"), "GIF")
_webp = _encoded(_gradient(), "WEBP", lossless=True)
_bmp = _encoded(_gradient(), "BMP")
for _name, _content, _suffix in (
    ("PNG", _png, ".png"),
    ("JPEG", _jpeg, ".jpg"),
    ("TIFF", _tiff, ".tif"),
    ("GIF", _gif, ".gif"),
    ("WebP", _webp, ".webp"),
    ("BMP", _bmp, ".bmp"),
):
    _picture(f"{_name} empty", b"", _suffix)
    _picture(f"{_name} of one byte", _content[:1], _suffix)
    _picture(f"{_name} cut in its header", _content[:20], _suffix)
    _picture(f"{_name} half", _content[: len(_content) // 2], _suffix)
    _picture(f"{_name} of text", b"hello world\n" * 9, _suffix)
    _picture(f"{_name} of NULs", bytes(999), _suffix)
for _name, _size in {
    "20000 × 20000": (20_000, 20_000),
    "2^31 × 2^31": (2**31 - 1, 2**31 - 1),
    "0 × 0": (0, 0),
    "1 × 2^31": (1, 2**31 - 1),
    "9000 × 9000": (9000, 9000),
}.items():
    _picture(f"PNG of {_name}, nothing in it", _png_of_size(*_size))
_picture("JPEG of 65000 × 65000", _jpeg_of_size(65_000, 65_000), ".jpg")
_picture("JPEG of 0 × 0", _jpeg_of_size(0, 0), ".jpg")
_picture(
    "PNG bomb of 20000 × 20000",
    lambda folder: _png_of_size(20_000, 20_000, 1, 0, bytes(2501 * 20_000)),
)
_picture(
    "PNG of 6000 × 6000 of 16 bits",
    lambda folder: _png_of_size(6000, 6000, 16, 0, bytes(12_001 * 6000)),
    said="scale",
)
_picture(
    "PNG of 5000 × 5000 with transparency",
    lambda folder: _png_of_size(5000, 5000, 8, 6, bytes(20_001 * 5000)),
    said=False,
)
_picture("PNG with a wrong CRC", _png.replace(b"IDAT", b"IDAX"))
_picture(
    "PNG of 16 bits",
    _encoded(Image.fromarray(np.full((9, 9), 40_000, np.uint16)), "PNG"),
    said="scale",
)
_picture("PNG with a palette", _encoded(_gradient("P"), "PNG"), said=False)
_picture("PNG of one bit", _encoded(_gradient("1"), "PNG"), said=False)
_picture(
    "PNG with 200 MB of text, packed",
    lambda folder: (
        _png[:33]
        + (
            lambda body: (
                struct.pack(">I", len(body) - 4)
                + body
                + struct.pack(">I", zlib.crc32(body))
            )
        )(b"zTXtComment\0\0" + zlib.compress(bytes(200_000_000)))
        + _png[33:]
    ),
)
_picture(
    "GIF that moves",
    _encoded(
        _gradient("P"),
        "GIF",
        save_all=True,
        append_images=[_gradient("P").rotate(90)] * 9,
    ),
    ".gif",
)
_picture(
    "TIFF of floats with NaN",
    _encoded(Image.fromarray(np.full((9, 9), np.nan, np.float32)), "TIFF"),
    ".tif",
    said="scale",
)
_picture(
    "TIFF of floats with infinity",
    _encoded(Image.fromarray(np.full((9, 9), np.inf, np.float32)), "TIFF"),
    ".tif",
    said="scale",
)
_picture(
    "TIFF of three pictures",
    _encoded(_gradient(), "TIFF", save_all=True, append_images=[_gradient()] * 2),
    ".tif",
)
_picture("TIFF whose tags go in a circle", b"II*\0\x08\0\0\0\x00\x00\x08\0\0\0", ".tif")
_picture("TIFF with 60000 tags", b"II*\0\x08\0\0\0\x60\xea" + bytes(2000), ".tif")
_picture(
    "PostScript",
    lambda folder: (
        "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"
        f"({canary(folder)}) (w) file\n"
    ).encode(),
)
_picture("PDF", b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\n")
_picture(
    "SVG with an outside entity",
    b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><svg>&b;</svg>',
)
_picture("a pickle", _pickled)
_picture("an HTML page", b"<html>not found</html>", ".jpg")
_picture("XPM", b'/* XPM */ static char *x[] = {"9 9 1 1", "a c #000000"};')
_picture("PPM of gigantic size", b"P6 99999 99999 255\n" + bytes(99), ".ppm")
_picture("PPM of no size", b"P6 0 0 255\n", ".ppm")
_picture("PPM of a negative size", b"P6 -1 -1 255\n", ".ppm")
_picture("PPM of a number without end", b"P6 " + b"9" * 100_000, ".ppm")
_picture("ICO", b"\0\0\1\0\1\0\x10\x10" + bytes(99), ".bmp")


def _pictures(name, write, expected, file):
    def write_folder(folder, originals):
        given = folder / "given"
        given.mkdir()
        for number in range(4):
            (given / f"{number}.png").write_bytes(_png)
        write(given)

    _add(f"pictures {name}", write_folder, _use_images, expected, file)


_pictures("with a hole", lambda path: _hole(path / "bad.png"), SURVIVES, "bad.png")
_pictures("with a folder", lambda path: (path / "bad.png").mkdir(), SURVIVES, "")
_pictures("with a pipe", lambda path: os.mkfifo(path / "bad.png"), SURVIVES, "")
_pictures("with a circle", lambda path: (path / "x").symlink_to(path), SURVIVES, "")
_pictures(
    "with a link out",
    lambda path: (path / "bad.png").symlink_to("/etc/hostname"),
    SURVIVES,
    "bad.png",
)
_pictures(
    "with a link to a device",
    lambda path: (path / "bad.png").symlink_to("/dev/zero"),
    SURVIVES,
    "",
)


def _all_broken(path):
    for file in path.iterdir():
        file.write_bytes(b"\x89PNG")


_pictures("all broken", _all_broken, REFUSED, "png")


# --- Aff-Wild -------------------------------------------------------------------------


def _points(*pairs, count=None, head=True):
    lines = [f"{x} {y}" for x, y in pairs]
    count = len(pairs) if count is None else count
    start = ["version: 1", f"n_points: {count}", "{"] if head else ["{"]
    return "\n".join([*start, *lines, "}"]) + "\n"


_corners = ((10, 10), (10, 30), (30, 30), (30, 10))


def _affwild(name, write, expected, file):
    def write_all(folder, originals):
        given = folder / "given"
        for part in ("videos/train", "bboxes/train/v1"):
            (given / part).mkdir(parents=True)
        (given / "videos" / "train" / "v1.avi").write_bytes(originals.video)
        for kind in ("valence", "arousal"):
            path = given / "annotations" / "train" / kind / "v1.txt"
            path.parent.mkdir(parents=True)
            path.write_text("0.25\n" * 12)
        for number in range(1, 13):
            path = given / "bboxes" / "train" / "v1" / f"{number}.pts"
            path.write_text(_points(*_corners))
        write(given)

    _add(f"affwild {name}", write_all, _use_affwild, expected, file)


def _box(name, content, said=True):
    """One box among good ones."""

    def write(given):
        path = given / "bboxes" / "train" / "v1" / "3.pts"
        if callable(content):
            content(path)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    _affwild(f"box {name}", write, SURVIVES, "3.pts" if said else "")


for _name, _content in {
    "empty": "",
    "of NaN": _points(("nan", "nan"), *_corners[1:]),
    "of infinity": _points(("inf", "-inf"), *_corners[1:]),
    "of huge numbers": _points(("1e308", "-1e308"), ("-1e308", "1e308")),
    "of numbers without end": _points(("9" * 5000, "1"), *_corners),
    "of a hundred digits": _points(("9" * 100, "1"), *_corners),
    "of one point": _points(_corners[0]),
    "of two equal points": _points(_corners[0], _corners[0]),
    "of points on a line": _points((1, 1), (1, 9)),
    "of no point": _points(),
    "outside": _points((1000, 1000), (1100, 1100)),
    "of a whole continent": _points((-90000, -90000), (90000, 90000)),
    "with one number a line": _points(("10", ""), *_corners),
    "with three numbers a line": _points(("10", "10 10"), *_corners),
    "of words": _points(("ten", "ten"), *_corners),
    "that promises more": _points(*_corners, count=5),
    "that promises fewer": _points(*_corners, count=3),
    "that promises a billion": _points(*_corners, count=10**9),
    "that promises words": _points(*_corners, count="four"),
    "that promises a negative number": _points(*_corners, count=-4),
    "without braces": "version: 1\nn_points: 4\n10 10\n30 30\n",
    "without an open brace": "10 10\n30 30\n}\n",
    "binary": bytes(range(256)) * 4,
    "in UTF-16": _points(*_corners).encode("utf-16"),
    "of NULs": bytes(100),
    "of a line of 30 MB": "{\n" + "1" * 30_000_000 + "\n}\n",
    "of a million points": _points(*_corners * 250_000),
}.items():
    _box(_name, _content)
_box("one hole", _hole)
_box("a folder", _replaced_by_folder, said=False)
_box("a dangling link", _linked("nowhere"), said=False)
_box(
    "with a byte order mark", b"\xef\xbb\xbf" + _points(*_corners).encode(), said=False
)
_box("without a closing brace", _points(*_corners)[:-2], said=False)
_box("without a count", _points(*_corners, head=False), said=False)


def _box_named(name, stem, said=True):
    def write(given):
        folder = given / "bboxes" / "train" / "v1"
        (folder / f"{stem}.pts").write_text(_points(*_corners))

    _affwild(f"box named {name}", write, SURVIVES, "boxes" if said else "")


_box_named("0", "0")
_box_named("after the last", "900")
_box_named("9 × 100", "9" * 100, said=False)
_box_named("-1", "-1", said=False)
_box_named("½", "½", said=False)
_box_named("03 beside 3", "03")


def _huge_number_of_boxes(given):
    """As many boxes as annotated lines, one of which has a number past all integers."""
    folder = given / "bboxes" / "train" / "v1"
    (folder / "5.pts").unlink()
    (folder / f"{10**30}.pts").write_text(_points(*_corners))
    for kind in ("valence", "arousal"):
        path = given / "annotations" / "train" / kind / "v1.txt"
        path.write_text("0.25\n" * 12)
    (folder / "6.pts").unlink()
    for kind in ("valence", "arousal"):
        path = given / "annotations" / "train" / kind / "v1.txt"
        path.write_text("0.25\n" * 11)


_affwild("boxes past all integers", _huge_number_of_boxes, SURVIVES, "v1")


def _no_box_good(given):
    for path in (given / "bboxes" / "train" / "v1").iterdir():
        path.write_text("nonsense")


_affwild("no box good", _no_box_good, REFUSED, "v1")


def _video_gone(given):
    (given / "videos" / "train" / "v1.avi").write_bytes(b"")


_affwild("video empty", _video_gone, REFUSED, "v1.avi")


def _annotation(name, content, said=True):
    def write(given):
        path = given / "annotations" / "train" / "valence" / "v1.txt"
        if callable(content):
            content(path)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    # A wrong number of lines is told with the video's name.
    _affwild(f"annotation {name}", write, SURVIVES, "v1" if said else "")


_good = "0.25\n"
for _name, _content in {
    "empty": "",
    "of infinity": "inf\n" * 12,
    "out of range": _good * 5 + "1.5\n" + _good * 6,
    "far out of range": _good * 5 + "1e308\n" + _good * 6,
    "of a number past all floats": _good * 5 + "9" * 5000 + "\n" + _good * 6,
    "of words": _good * 5 + "happy\n" + _good * 6,
    "with two numbers a line": "0.1 0.2\n" * 12,
    "with a blank line": _good * 5 + "\n" + _good * 6,
    "binary": bytes(range(256)),
    "in UTF-16": (_good * 12).encode("utf-16"),
    "with fewer lines": _good * 3,
    "with more lines": _good * 40,
    "with a million lines": _good * 1_000_000,
    "of a line of 30 MB": "1" * 30_000_000,
    "of NULs": bytes(100),
    "with a header alone": "valence\n",
}.items():
    _annotation(_name, _content)
_annotation("one hole", _hole)
_annotation("of NaN", "nan\n" * 12, said=False)
_annotation("of no label", "-5\n" * 12, said=False)
_annotation("a dangling link", _linked("nowhere"))
_annotation("with carriage returns", _good.replace("\n", "\r\n") * 12, said=False)


# --- Aff-Wild2 ------------------------------------------------------------------------


def _affwild2(name, content, expected=SURVIVES, file="", folder_name="VA_Set"):
    def write(folder, originals):
        given = folder / "given"
        pictures = given / "cropped_aligned" / "v1"
        pictures.mkdir(parents=True)
        for number in range(1, 7):
            (pictures / f"{number:05d}.jpg").write_bytes(_jpeg)
        (given / folder_name).mkdir()
        path = given / folder_name / "v1.txt"
        path.write_text("valence,arousal\n" + "0.1,0.2\n" * 6)
        if callable(content):
            content(path, pictures)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    _add(f"affwild2 {name}", write, _use_affwild2, expected, file)


_va = "valence,arousal\n"
for _name, _content in {
    "empty": "",
    "binary": bytes(range(256)),
    "of a header alone": _va,
    "of other columns": "anger,arousal\n0.1,0.2\n",
    "with three columns": _va + "0.1,0.2,0.3\n" * 6,
    "of words": _va + "a,b\n" * 6,
    "out of range": _va + "7,9\n" * 6,
    "of infinity": _va + "inf,-inf\n" * 6,
    "in UTF-16": (_va + "0.1,0.2\n").encode("utf-16"),
    "of a header of 1 MB": "valence," * 200_000,
    "of NULs": bytes(99),
    "of fewer rows": _va + "0.1,0.2\n",
    "of classes past all numbers": "Neutral,Anger\n" + "1e400\n" * 6,
    "of classes that are NaN": "Neutral,Anger\n" + "nan\n" * 6,
    "of negative classes": "Neutral,Anger\n" + "-3\n" * 6,
    "of a class too high": "Neutral,Anger\n" + "2\n" * 6,
    "of a column twice": "AU1,AU1\n0,1\n",
    "of AUs of 7": "AU1,AU2\n" + "7,7\n" * 6,
}.items():
    _affwild2(f"annotation {_name}", _content, SURVIVES, "v1")
_list_header = "image,valence,arousal,expression,AU1,AU2\n"
for _name, _content in {
    "with too few cells": _list_header + "v1/00001.jpg,0.1\n",
    "with a class too high": _list_header + "v1/00001.jpg,0,0,8,0,0\n",
    "with values past all numbers": _list_header + "v1/00001.jpg,1e999,0,0,0,0\n",
    "with words": _list_header + "v1/00001.jpg,a,b,c,d,e\n",
    "with a picture that has no number": _list_header + "v1/x.jpg,0,0,0,0,0\n",
    "of other videos": _list_header + "../../v1/../v9/00001.jpg,0,0,0,0,0\n",
    "with binary rows": _list_header.encode() + bytes(range(256)),
}.items():
    _affwild2(
        f"list {_name}",
        lambda path, pictures, content=_content: path.with_name("list.txt").write_bytes(
            content if isinstance(content, bytes) else content.encode()
        ),
        SURVIVES,
        "" if _name == "with binary rows" else "list.txt",
    )
_affwild2("annotation one hole", lambda path, pictures: _hole(path), SURVIVES, "v1")
_affwild2(
    "picture broken",
    lambda path, pictures: (pictures / "00003.jpg").write_bytes(_jpeg[:99]),
    SURVIVES,
    "00003.jpg",
)
_affwild2(
    "picture 0",
    lambda path, pictures: (pictures / "00000.jpg").write_bytes(_jpeg),
    SURVIVES,
    "00000.jpg",
)
_affwild2(
    "picture past all integers",
    lambda path, pictures: (pictures / f"{10**30}.jpg").write_bytes(_jpeg),
    SURVIVES,
)


# --- tracks of animals ----------------------------------------------------------------

_TRACKS_PARTS = ["nose", "tail"]


def _use_tracks(folder, out):
    options = {**_video_options, "crop": "", "front": "nose", "back": "tail"}
    store = videos.prepare(
        out / "store",
        folder / "given",
        **flat(tracks=next(folder.glob("tracks.*")), **options),
    )
    read_store(store.path)


def _tracks(name, suffix, make, expected=REFUSED):
    """`make` gets the path and points (12, 1, 2, 3) in a picture of 64x48."""

    def write(folder, originals):
        (folder / "given").mkdir()
        (folder / "given" / "a.avi").write_bytes(originals.video)
        points = np.ones((12, 1, 2, 3))
        points[:, 0, 0, :2], points[:, 0, 1, :2] = (40, 20), (20, 24)
        make(folder / f"tracks{suffix}", points)

    _add(
        f"tracks {name}",
        write,
        _use_tracks,
        expected,
        "tracks." * (expected == REFUSED),
    )


def _cut(writer, share):
    def make(path, points):
        content = writer(path, points, _TRACKS_PARTS).read_bytes()
        path.write_bytes(content[: int(len(content) * share)])

    return make


def _edited(writer, edit):
    def make(path, points):
        with h5py.File(writer(path, points, _TRACKS_PARTS), "r+") as file:
            edit(file, path)

    return make


def _header(content):
    """A table of pandas whose header is another pickle."""

    def edit(file, path):
        made = content(path.parent) if callable(content) else content
        attributes = file["df_with_missing/table"].attrs
        attributes["values_block_0_kind"] = np.bytes_(made)

    return edit


def _empty_array(name, shape, kind=np.float64):
    """A data set of terabytes that takes no place on the disk."""

    def edit(file, path):
        del file[name]
        file.create_dataset(name, shape, kind, chunks=(1,) * (len(shape) - 1) + (1024,))

    return edit


_changed = {
    "of another part": lambda path, p: track_files.dlc_csv(path, p, ["snout", "tail"]),
    "of another video, longer": lambda path, p: track_files.dlc_csv(
        path, np.repeat(p, 2, axis=0), _TRACKS_PARTS
    ),
    "of another video, larger": lambda path, p: track_files.dlc_csv(
        path, p * [50, 50, 1], _TRACKS_PARTS
    ),
    "of NaN": lambda path, p: track_files.dlc_csv(path, p * np.nan, _TRACKS_PARTS),
    "of infinity": lambda path, p: track_files.dlc_csv(path, p * np.inf, _TRACKS_PARTS),
    "cut off": _cut(track_files.dlc_csv, 0.7),
    "cut off in the header": _cut(track_files.dlc_csv, 0.1),
    "binary": lambda path, p: path.write_bytes(bytes(range(256))),
    "empty": lambda path, p: path.write_bytes(b""),
    "with another header": lambda path, p: path.write_text("a,b,c\n1,2,3\n"),
    "without a line of the header": lambda path, p: path.write_text(
        "scorer,s,s\ncoords,x,y\n0,1,2\n"
    ),
    "one endless line": lambda path, p: path.write_text("scorer," + "s," * (8 << 20)),
}
for _name, _make in _changed.items():
    _tracks(_name, ".csv", _make)
for _kind, _writer in {
    "of DeepLabCut": track_files.dlc_table,
    "of DeepLabCut, fixed": track_files.dlc_fixed,
    "of SLEAP": track_files.sleap_h5,
}.items():
    _tracks(f"{_kind}, sound", ".h5", _cut(_writer, 1), SURVIVES)
    for _share in (0.02, 0.5, 0.9):
        _tracks(f"{_kind}, cut at {_share}", ".h5", _cut(_writer, _share))
for _name, (_writer, _edit) in {
    "with a pickle": (track_files.dlc_table, _header(_pickled)),
    "with a broken pickle": (track_files.dlc_table, _header(b"(lp0\n(V")),
    "with a pickle of a number": (track_files.dlc_table, _header(b"I7\n.")),
    "with another number of columns": (
        track_files.dlc_table,
        _header(pickle.dumps([("s", "nose", "x"), ("s", "nose", "y")] * 9, 0)),
    ),
    "without a table": (
        track_files.dlc_table,
        lambda file, path: file.pop("df_with_missing/table"),
    ),
    "of text": (
        track_files.dlc_fixed,
        lambda file, path: (
            file.pop("df_with_missing/block0_values"),
            file.update({"df_with_missing/block0_values": [b"a"] * 12}),
        ),
    ),
    "with a column past the last": (
        track_files.dlc_fixed,
        lambda file, path: file["df_with_missing/block0_items_label1"].write_direct(
            np.full(6, 99, np.int8)
        ),
    ),
    "with values of terabytes": (
        track_files.dlc_fixed,
        _empty_array("df_with_missing/axis1", (1 << 40,), np.int64),
    ),
    "of SLEAP, of terabytes": (
        track_files.sleap_h5,
        _empty_array("tracks", (1, 2, 2, 1 << 40)),
    ),
    "of SLEAP, with names of terabytes": (
        track_files.sleap_h5,
        _empty_array("node_names", (1 << 40,), "S20"),
    ),
    "of SLEAP, of another shape": (
        track_files.sleap_h5,
        _empty_array("tracks", (3, 2, 2048)),
    ),
    "of SLEAP, with a strange order": (
        track_files.sleap_h5,
        lambda file, path: file["tracks"].attrs.update({"dims": "[1, {}, null]"}),
    ),
    "with nothing in it": (track_files.sleap_h5, lambda file, path: file.clear()),
}.items():
    _tracks(_name, ".h5", _edited(_writer, _edit))


# --- tables of users ------------------------------------------------------------------


def _user_table(name, content, expected=REFUSED, said=True):
    def write(folder, originals):
        (folder / "given").mkdir()
        for video in ("a.avi", "b.avi", "c.avi"):
            (folder / "given" / video).write_bytes(originals.video)
        if callable(content):
            content(folder / "labels.csv")
        else:
            made = content.encode() if isinstance(content, str) else content
            (folder / "labels.csv").write_bytes(made)

    _add(f"user labels {name}", write, _use_labels, expected, "labels" if said else "")


for _name, _content in {
    "empty": "",
    "blank": "\n\n\n",
    "binary": bytes(range(256)),
    "in Latin-1": b"source,x\na,caf\xe9\n",
    "without source": "video,x\na,1\n",
    "with a column twice": "source,x,x\na,1,2\n",
    "with a column without a name": "source,,x\na,1,2\n",
    "with a column of a path": "source,../../canary\na,1\n",
    "with a column called file": "source,file\na,1\n",
    "with an unknown kind": "source,x:y\na,1\n",
    "with a row too short": "source,x,y\na,1\n",
    "with a row too long": "source,x\na,1,2\n",
    "with no source in a row": "source,x\n,1\n",
    "with words for numbers": "source,x:continuous\na,abc\n",
    "with two values": "source,x\na,1\na,2\n",
    "with two persons": "source,person\na,x\na,y\n",
    "with an unknown split": "source,split\na,dev\n",
    "with a person in two splits": "source,person,split\na,x,train\nb,x,test\n",
    "with a negative frame": "source,frame,x\na,-1,1\n",
    "with half a frame": "source,frame,x\na,1.5,1\n",
    "with a frame of infinity": "source,frame,x\na,inf,1\n",
    "with a frame of words": "source,frame,x\na,first,1\n",
    "with a frame past all numbers": "source,frame,x\na,1e300,1\n",
    "with an open quote": 'source,x\n"a,1\n',
    "with a huge cell": "source,x\na," + "x" * 200_000 + "\n",
    "with a line of 50 MB": "source,x\n" + "x" * 50_000_000,
    "with NULs": "source,x\0\na\0,1\n".replace("source", "so\0urce"),
    "in half of UTF-16": "source,x\na,1\n".encode("utf-16")[:-1],
    "in UTF-16 without a mark": "source,x\na,1\n".encode("utf-16-le"),
    "with a decimal comma": 'source,x\na,"0,5"\nb,"0,25"\n',
    "with a comma for thousands": "source;x\na;1,500\nb;2.5\n",
    "with per cent": "source,x\na,50%\nb,60%\n",
    "with a typo in a number": "source,frame,x\na,0,0.5\na,1,O.5\n",
    "with a negative time": "source,time,x\na,-1,1\n",
    "with a time of words": "source,time,x\na,soon,1\n",
    "with a time of NaN and a frame": "source,frame,time,x\na,1,2,1\n",
    "with a time past all numbers": f"source,time,x\na,{'9' * 400},1\n",
    "with an end before the start": "source,start,end,x\na,2,1,p\n",
    "with a start alone": "source,start,x\na,1,p\n",
    "with half an interval": "source,start,end,x\na,1,,p\n",
    "with intervals that overlap": "source,start,end,x\na,0,.3,p\na,.1,.2,q\n",
    "with a value that cannot be a label": "source,start,end,x:each\na,0,1,../x\n",
    "of BORIS, two subjects": (
        "Subject,Behavior,Behavior type,Start (s),Stop (s),Media file name\n"
        "hen,rest,STATE,0,0.1,a.avi\ncock,rest,STATE,0.2,0.3,a.avi\n"
    ),
    "of BORIS, no end": "Time,Media file path,Behavior,Status\n0,a.avi,rest,START\n",
}.items():
    _user_table(_name, _content)
for _name, _content in {
    "in UTF-16": "source\tx\na\t1\n".encode("utf-16"),
    "with semicolons": "sep=;\nsource;x\na;0,5\n",
    "with a column called time": "source,time\na,0.1\n",
    "with a frame of NaN": "source,frame,x\na,nan,1\n",
    "with intervals one in another": "source,start,end,x\na,0,.3,p\na,.1,.2,p\n",
}.items():
    _user_table(_name, _content, SURVIVES, said=False)
_user_table("for times after the end", "source,time,x\na,90,1\n", SURVIVES)
_user_table("for an end after the end", "source,start,end,x\na,0,9,1\n", SURVIVES)
_user_table("for people who are not there", "source,x\na#person9,1\n", SURVIVES)
_user_table("one hole", _hole)
_user_table("a folder", Path.mkdir)
_user_table("missing", lambda path: None)
_user_table("a pipe to nobody", lambda path: path.symlink_to("nowhere"))
_user_table("for others", "source,x\nz,1\n")
_user_table("for others as well", "source,x\nz,1\na,2\n", SURVIVES)
_user_table("for paths above", "source,x\n../../../etc/passwd,1\na,2\n", SURVIVES)
_user_table("for frames after the last", "source,frame,x\na,900,1\n", SURVIVES)
_user_table("of infinity", "source,x\na,inf\nb,-inf\nc,nan\n", SURVIVES, said=False)
_user_table("with a person above", "source,person\na,../x\n", SURVIVES, said=False)
_user_table("with a formula", "source,x\na,=1+1\nb,-a\nc,@a\n", SURVIVES, said=False)


# --- digits ---------------------------------------------------------------------------


def _idx(count=90, shape=(28, 28), magic=2051, body=None):
    if body is None:
        body = np.random.default_rng(0).bytes(count * int(np.prod(shape)))
    sizes = (magic, count, *shape)
    return struct.pack(f">{len(sizes)}I", *sizes) + body


def _classes(count=90, body=None):
    body = bytes(range(10)) * (count // 10) if body is None else body
    return struct.pack(">II", 2049, count) + body


def _digits(name, images=None, classes=None, end="", file=None, expected=REFUSED):
    image_name = f"train-images-idx3-ubyte{end}"
    label_name = f"train-labels-idx1-ubyte{end}"

    def write(folder, originals):
        given = folder / "given"
        given.mkdir()
        for path, content in (
            (given / image_name, _idx() if images is None else images),
            (given / label_name, _classes() if classes is None else classes),
        ):
            if callable(content):
                path.write_bytes(b"")
                content(path)
            else:
                path.write_bytes(content)

    if file is None:
        file = image_name if classes is None else label_name
    _add(f"digits {name}", write, _use_digits, expected, file)


for _name, _content in {
    "empty": b"",
    "cut in the header": _idx()[:9],
    "cut": _idx()[:-1],
    "too long": _idx() + b"x",
    "of labels": _classes(),
    "of text": b"hello world, this is text",
    "that promise a billion": _idx(10**9, body=bytes(90 * 784)),
    "that promise 2^32 - 1": _idx(2**32 - 1, body=bytes(90 * 784)),
    "that promise all": struct.pack(">4I", 2051, *[2**32 - 1] * 3) + bytes(999),
    "of none": _idx(0),
    "of 27 × 29": _idx(90, (27, 29)),
    "of floats": _idx(magic=0x0D03),
    "of four axes": _idx(magic=2052),
    "one hole": _hole,
    "a folder": _replaced_by_folder,
}.items():
    _digits(f"images {_name}", _content, file="" if _name == "a folder" else None)
for _name, _content in {
    "empty": b"",
    "cut": _classes()[:-1],
    "of images": _idx(),
    "of class 10": _classes(body=bytes([10]) * 90),
    "fewer": _classes(80),
    "that promise a billion": _classes(10**9, bytes(90)),
    "one hole": _hole,
}.items():
    _digits(f"labels {_name}", classes=_content)


def _gzip_bomb(path):
    """Unpacks to 2 GB."""
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(_idx(2 * 10**6, body=b""))
        for _ in range(1 << 9):
            file.write(bytes(1 << 22))


for _name, _content in {
    "cut": gzip.compress(_idx())[:-9],
    "broken": gzip.compress(_idx())[:20] + bytes(500),
    "of text": gzip.compress(b"hello"),
    "of a header alone": b"\x1f\x8b\x08",
    "of a wrong method": b"\x1f\x8b\x63" + bytes(99),
    "a bomb": _gzip_bomb,
}.items():
    _digits(f"packed {_name}", _content, end=".gz")


def _published(name, content, expected=REFUSED):
    def write(folder, originals):
        if callable(content):
            (folder / "given").write_bytes(b"")
            content(folder / "given")
        else:
            (folder / "given").write_bytes(content)

    _add(f"published digits {name}", write, _use_digits, expected, "given")


for _name, _header in {
    "of objects": {"descr": "|O", "shape": (20, 9, 64, 64)},
    "of a huge number": {"shape": (20, 10**12, 64, 64)},
    "batch first": {"shape": (9, 20, 64, 64)},
    "of a negative number": {"shape": (20, -9, 64, 64)},
    "of floats": {"descr": "<f4", "shape": (20, 1, 64, 64)},
    "of text in the header": {"header": "{'descr': '''"},
    "of minus signs": {"header": "-" * 9000 + "1"},
    "of version 9": {"version": (9, 0)},
    "of two sequences": {"shape": (20, 2, 64, 64)},
}.items():
    _published(_name, npy(**{"body": bytes(20 * 2 * 64 * 64), **_header}))
_published("of one hole", _hole)


# --- sprites --------------------------------------------------------------------------


def _sheet(name, damage):
    relative = next(iter(sprites.LAYERS["body"].values()))

    def write(folder, originals):
        originals.make_sheets(folder / "given")
        damage(folder / "given" / relative)

    _add(f"sprites {name}", write, _use_sprites, REFUSED, relative)


_sheet("missing", Path.unlink)
_sheet("empty", lambda path: path.write_bytes(b""))
_sheet("half", _half)
_sheet("of text", lambda path: path.write_text("hello"))
_sheet("a folder", _replaced_by_folder)
_sheet("too small", lambda path: path.write_bytes(_png))
_sheet(
    "transparent",  # all of a layer; of one the characters without it are left
    lambda path: [
        Image.new("RGBA", (832, 1344)).save(other) for other in path.parent.glob("*")
    ],
)
_sheet("of 832 × 10^9", lambda path: path.write_bytes(_png_of_size(832, 10**9)))
_sheet(
    "of 832 × 150000",
    lambda path: path.write_bytes(_png_of_size(832, 150_000, 8, 6, bytes(99))),
)
_sheet(
    "of PostScript",
    lambda path: path.write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 832 1344\n"
    ),
)


# --- stacks ---------------------------------------------------------------------------


def _stack_file(name, content, file, expected=REFUSED):
    """A file of frames, or something that is none, given by itself."""

    def write(folder, originals):
        (folder / "given").mkdir()
        made = content(folder / "given" / file) if callable(content) else content
        if made is not None:
            (folder / "given" / file).write_bytes(made)

    _add(f"stack {name}", write, _use_arrays, expected, file)


_values = np.arange(4 * 20 * 24, dtype=np.uint16).reshape(4, 20, 24)


def _written(write, *given, **more):
    """Bytes of a file that another package writes."""
    file = io.BytesIO()
    write(file, *given, **more)
    return file.getvalue()


def _hdf5_arrays(path, **arrays):
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name] = values


def _zarr_of(metadata, chunk=b""):
    def make(path):
        path.mkdir()
        about = {"zarr_format": 2, "shape": [4, 20, 24], "chunks": [4, 20, 24]}
        about |= {"dtype": "<u2", "order": "C", "fill_value": 0, "filters": None}
        about |= {"compressor": None, **metadata}
        (path / ".zarray").write_text(json.dumps(about))
        made = chunk(path.parent.parent) if callable(chunk) else chunk
        (path / "0.0.0").write_bytes(made)

    return make


def _big_frame(path):
    path.write_bytes(npy("<u2", (3, 1 << 16, 1 << 15)))
    os.truncate(path, path.stat().st_size + 3 * (1 << 32))


_tiff_stack = _written(
    tifffile.imwrite, _values, photometric="minisblack", metadata=None
)


def _circle():
    content = bytearray(_tiff_stack)
    with tifffile.TiffFile(io.BytesIO(_tiff_stack)) as file:
        second = file.pages[1].offset
    entries = struct.unpack_from("<H", content, second)[0]
    struct.pack_into("<I", content, second + 2 + 12 * entries, 8)
    return bytes(content)


for _name, _content, _file in (
    ("TIFF", _tiff_stack, "a.tif"),
    ("npz", _written(np.savez_compressed, x=_values), "a.npz"),
    ("HDF5", _written(_hdf5_arrays, x=_values, t=np.arange(4)), "a.h5"),
):
    _stack_file(f"{_name} empty", b"", _file)
    _stack_file(f"{_name} cut in its header", _content[:20], _file)
    _stack_file(f"{_name} half", _content[: len(_content) // 2], _file)
    _stack_file(f"{_name} of text", b"hello world\n" * 9, _file)
    _stack_file(f"{_name} of NULs", bytes(999), _file)
    _stack_file(f"{_name} one hole", _hole, _file)
for _name, _header in {
    "of objects": {"descr": "|O", "shape": (20,)},
    "of a huge number": {"shape": (10**12, 64, 64)},
    "of a negative number": {"shape": (-9, 64, 64)},
    "of two axes": {"shape": (20, 64), "body": bytes(1280)},
    "of four axes": {"shape": (2, 3, 16, 16), "body": bytes(1536)},
    "of records": {"descr": [("a", "<f4")], "shape": (4, 16, 16), "body": bytes(4096)},
    "of text": {"descr": "<U2", "shape": (4, 16, 16), "body": bytes(8192)},
    "of no pixel": {"shape": (4, 0, 16)},
    "of minus signs": {"header": "-" * 9000 + "1"},
    "of version 9": {"version": (9, 0)},
    "that is short": {"shape": (4, 16, 16), "body": bytes(99)},
}.items():
    _stack_file(f"npy {_name}", npy(**_header), "a.npy")
_stack_file("npy with a pickle", lambda path: _object_npy(path.parent.parent), "a.npy")
_stack_file("npy of a frame of 4 GiB", _big_frame, "a.npy")
_stack_file("npz without arrays", _written(np.savez), "a.npz")
_stack_file("npz of objects", _written(np.savez, x=np.array([{}, 1], object)), "a.npz")
_stack_file("npz of two stacks", _written(np.savez, x=_values, y=_values), "a.npz")
_stack_file("HDF5 of two stacks", _written(_hdf5_arrays, x=_values, y=_values), "a.h5")
_stack_file("HDF5 without arrays", _written(_hdf5_arrays), "a.h5")
_stack_file("TIFF of one page", _tiff, "a.tif")
_stack_file(
    "TIFF whose pages go in a circle", lambda path: _circle(), "a.tif", SURVIVES
)
_stack_file(
    "TIFF of channels",
    _written(tifffile.imwrite, _values, imagej=True, metadata={"axes": "CYX"}),
    "a.tif",
)
_stack_file(
    "TIFF packed in a way that needs another package",
    _encoded(
        _gradient(),
        "TIFF",
        save_all=True,
        append_images=[_gradient()] * 4,
        compression="jpeg",
    ),
    "a.tif",
)
_stack_file("a picture", _png, "a.tif")
_stack_file("zarr of nothing", Path.mkdir, "a.zarr")
_stack_file("zarr of text", _zarr_of({"shape": "four"}), "a.zarr")
_stack_file("zarr that is short", _zarr_of({}, b"123"), "a.zarr")
_unpickle = [{"id": "pickle", "protocol": 5}]
_stack_file("zarr with a pickle", _zarr_of({"filters": _unpickle}, _pickled), "a.zarr")
_stack_file(
    "zarr of objects with a pickle",
    _zarr_of({"dtype": "|O", "filters": _unpickle}, _pickled),
    "a.zarr",
)


# --- the detector ---------------------------------------------------------------------


def _detector(name, content):
    def write(folder, originals):
        (folder / "net.onnx").write_bytes(
            content(folder) if callable(content) else content
        )

    def use(folder, out):
        FaceDetector(folder / "net.onnx")

    _add(f"detector {name}", write, use, REFUSED, "net.onnx")


_detector("empty", b"")
_detector("of text", b"hello world")
_detector("of random bytes", np.random.default_rng(1).bytes(5000))
_detector("a pickle", _pickled)
_detector("of a lying length", b"\x08\x07\x12\xff\xff\xff\xff\x7f")


# --- commands -------------------------------------------------------------------------


def _use_command(*arguments):
    def use(folder, out):
        places = {"given": folder / "given", "out": out, "in": folder}
        command(*(argument.format(**places) for argument in arguments))

    return use


def _write_given(content):
    def write(folder, originals):
        (folder / "given").mkdir()
        (folder / "given" / "good.avi").write_bytes(originals.video)
        for name, made in content.items():
            (folder / "given" / name).write_bytes(made)

    return write


_videos_command = (
    *("preprocess", "videos", "--crop", "none", "--size", "16", "--min-length", "2"),
    *("--workers", "1"),
)
_add(
    "command videos, one of them text",
    _write_given({"bad.mp4": b"hello"}),
    _use_command(*_videos_command, "{given}", "{out}/store"),
    SURVIVES,
    "",
)
_add(
    "command videos, labels broken",
    _write_given({"labels.csv": b"\xff\xfe"}),
    _use_command(
        *_videos_command, "--labels", "{given}/labels.csv", "{given}", "{out}/store"
    ),
    REFUSED,
    "labels.csv",
)
_add(
    "command mmnist, text",
    _write_given({"x.npy": b"\x93NUMPYhello"}),
    _use_command("preprocess", "mmnist", "{given}/x.npy", "{out}/store"),
    REFUSED,
    "x.npy",
)
_add(
    "command fit, store broken",
    _write_given({"meta.json": b"{", "frames.npy": b""}),
    _use_command("fit", "{given}", "--out", "{out}/run"),
    REFUSED,
    "given",
)
