"""Stacks in files of every kind, cut into frames and scaled; compared with NumPy."""

import json
import warnings

import cv2
import h5py
import numpy as np
import pytest

from flat_options import flat
from keras_ddr import InputError
from keras_ddr.datasets import arrays
from keras_ddr.datasets.arrays import Stacks
from keras_ddr.media.scaling import as_8_bits

tifffile = pytest.importorskip("tifffile")
SHAPE = 5, 32, 48  # T, Y, X


@pytest.fixture
def deep(rng):
    """A stack of a camera of 12 bits."""
    return rng.integers(400, 3400, SHAPE, np.uint16)


@pytest.fixture
def prepare(tmp_path):
    """A function from a source and options to the store and what was said."""

    def prepare(source, **options):
        names = [name for name in options if name in Stacks.option_fields()]
        given = {name: options.pop(name) for name in names}
        stacks = Stacks(**{name: value for name, value in given.items() if value})
        options = {"size": 32, "crop": "center", "channels": 1, **options}
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            store = arrays.prepare(
                tmp_path / "S", source, stacks=stacks, overwrite=True, **flat(**options)
            )
        return store, [str(warning.message) for warning in said]

    return prepare


def _cut(values, low, high):
    """The middle of each frame (T, Y, X), from low:high to 0 to 255, by hand."""
    values = np.asarray(values)[:, :, 8:40].astype(float)
    return np.rint(np.clip((values - low) / (high - low), 0, 1) * 255)


def _scale(store, source):
    """What the store notes of a file."""
    about = json.loads((store.path / "meta.json").read_text())
    return about["arguments"]["scaled_from"][source]


def _check(store, expected, source, number=0):
    """The frames of a sequence are those of the stack by the scale that is noted."""
    ((low, high),) = _scale(store, source)
    assert expected.min() <= low < high <= expected.max()
    frames = store.frames(number)[..., 0]
    assert (frames == _cut(expected, low, high)).all()
    assert frames.max() == 255 and frames.min() == 0


_TIFFS = {
    "pages": lambda path, values, **more: _pages(path, values, **more),
    "plain": lambda path, values, **more: tifffile.imwrite(
        path, values, metadata=None, photometric="minisblack", **more
    ),
    "imagej": lambda path, values, **more: tifffile.imwrite(
        path, values, imagej=True, metadata={"axes": "TYX", "finterval": 0.5}, **more
    ),
    "hyperstack": lambda path, values, **more: tifffile.imwrite(
        path,
        np.stack([np.stack([values, values // 2], 1), np.stack([values] * 2, 1)], 1),
        imagej=True,
        metadata={"axes": "TZCYX", "finterval": 0.5},
        **more,
    ),
    "ome": lambda path, values, **more: tifffile.imwrite(
        path,
        np.stack([values, values // 2], 1),
        ome=True,
        metadata={"axes": "TCYX", "TimeIncrement": 500, "TimeIncrementUnit": "ms"},
        **more,
    ),
    "bigtiff": lambda path, values, **more: tifffile.imwrite(
        path, values, bigtiff=True, photometric="minisblack", **more
    ),
    "one page for all": lambda path, values, **more: tifffile.imwrite(
        path, values, truncate=True, photometric="minisblack", **more
    ),
    "zlib": lambda path, values, **more: tifffile.imwrite(
        path, values, compression="zlib", photometric="minisblack", **more
    ),
}


def _pages(path, values, **more):
    with tifffile.TiffWriter(path, **more) as file:
        for frame in values:
            file.write(frame, photometric="minisblack")


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("layout", _TIFFS)
def test_tiff(tmp_path, prepare, deep, layout, order):
    name = "a.ome.tif" if layout == "ome" else "a.tif"
    _TIFFS[layout](tmp_path / name, deep, byteorder=order)
    store, (said,) = prepare(tmp_path / name, pick="Z=0,C=0")
    assert store.sequences[0].name == "a#1" and store.sequences[0].source == name
    _check(store, deep, name)
    assert "scale: 5 frames in 1 file have more than 8 bits" in said
    times = store.frame_labels(0)["time"]
    if layout in ("imagej", "hyperstack", "ome"):
        assert times.tolist() == [0, 0.5, 1, 1.5, 2]
    else:
        assert np.isnan(times).all()


def test_a_frame_rate_says_more_than_the_file(tmp_path, prepare, deep):
    _TIFFS["imagej"](tmp_path / "a.tif", deep)
    store, _ = prepare(tmp_path / "a.tif", frame_rate=4)
    assert store.frame_labels(0)["time"].tolist() == [0, 0.25, 0.5, 0.75, 1]


def test_depths_and_channels_are_picked(tmp_path, prepare, rng):
    values = rng.integers(0, 4000, (5, 3, 2, 32, 48), np.uint16)  # T, Z, C, Y, X
    tifffile.imwrite(
        tmp_path / "a.tif", values, imagej=True, metadata={"axes": "TZCYX"}
    )
    for pick, expected in {
        "Z=max,C=1": values[:, :, 1].max(axis=1),
        "z=mean, c=0": values[:, :, 0].mean(axis=1).astype(np.uint16),
        "Z=2,C=0": values[:, 2, 0],
    }.items():
        store, _ = prepare(tmp_path / "a.tif", pick=pick)
        _check(store, expected, "a.tif")
    # Two channels are red and green, each with a scale of its own.
    values[:, :, 1] //= 50
    tifffile.imwrite(
        tmp_path / "a.tif", values, imagej=True, metadata={"axes": "TZCYX"}
    )
    store, _ = prepare(tmp_path / "a.tif", pick="Z=0", channels=3)
    red, green = _scale(store, "a.tif")
    assert red[1] > 3900 and green[1] < 80
    frames = store.frames(0)
    assert (frames[..., 0] == _cut(values[:, 0, 0], *red)).all()
    assert (frames[..., 1] == _cut(values[:, 0, 1], *green)).all()
    assert not frames[..., 2].any()
    for pick, text in (
        ("", "has 3 depths .* --pick Z=max"),
        ("Z=max", "has 2 channels, and frames have 1; say which: --pick C=0"),
        ("Z=7,C=0", "has depths 0 to 2"),
        ("Z=0,C=2", "has channels 0 to 1"),
    ):
        with pytest.raises(InputError, match=text):
            prepare(tmp_path / "a.tif", pick=pick)


def _make_hdf5(path, values):
    with h5py.File(path, "w") as file:
        chunks = {"chunks": (4, 16, 4), "compression": "gzip"}
        file.create_dataset("g/x", data=values, **chunks)
        file["times"] = np.arange(5)


_OTHERS = {
    "a.npy": np.save,
    "b.npy": lambda path, values: np.save(path, np.asfortranarray(values)),
    "a.npz": lambda path, values: np.savez_compressed(path, x=values, y=np.arange(5)),
    "b.npz": lambda path, values: np.savez(path, np.asfortranarray(values)),
    "a.h5": _make_hdf5,
}


@pytest.mark.parametrize("name", _OTHERS)
def test_arrays_without_axes_are_taken_for_times_rows_and_columns(
    tmp_path, prepare, deep, name
):
    _OTHERS[name](tmp_path / name, deep)
    store, said = prepare(tmp_path / name)
    _check(store, deep, name)
    assert said[1].startswith(f"axes: {name}: 5 frames taken for TYX (5×32×48")
    # By columns and with times at the end, as MATLAB has it.
    _OTHERS[name](tmp_path / name, np.ascontiguousarray(deep.T))
    store, said = prepare(tmp_path / name, axes="XYT")
    _check(store, deep, name)
    assert len(said) == 1


def test_zarr(tmp_path, prepare, deep):
    zarr = pytest.importorskip("zarr")
    zarr.save(tmp_path / "root" / "plain.zarr", deep)
    old = zarr.open_group(tmp_path / "root" / "old.ome.zarr", mode="w", zarr_format=2)
    old.create_array("0", data=deep[:, None, None])
    axes = [{"name": name} for name in "tczyx"]
    scales = [{"axes": axes, "datasets": [{"path": "0"}]}]
    old.attrs["multiscales"] = scales
    # Several images in one, as of a plate, with smaller copies and labels.
    new = zarr.open_group(tmp_path / "root" / "new.zarr", mode="w")
    for name in ("A", "B"):
        image = new.create_group(name)
        image.create_array("s0", data=deep)
        image.create_array("s1", data=deep[:, ::2, ::2])
        axes = [{"name": name} for name in "tyx"]
        scales = [{"axes": axes, "datasets": [{"path": "s0"}, {"path": "s1"}]}]
        image.attrs["ome"] = {"version": "0.5", "multiscales": scales}
    store, _ = prepare(tmp_path / "root")
    found = {s.source: (s.name, s.index) for s in store.sequences}
    assert {source: name for source, (name, _) in found.items()} == {
        "new.zarr#A": "new#A-1",
        "new.zarr#B": "new#B-1",
        "old.ome.zarr": "old#1",
        "plain.zarr": "plain#1",
    }
    for source, (_, number) in found.items():
        _check(store, deep, source.split("#")[0], number)
    # What would be unpickled is not unpacked.
    about = tmp_path / "root" / "old.ome.zarr" / "0" / ".zarray"
    content = json.loads(about.read_text())
    about.write_text(json.dumps({**content, "filters": [{"id": "pickle"}]}))
    with pytest.raises(InputError, match="never|cannot be read"):
        prepare(tmp_path / "root" / "old.ome.zarr")


def test_several_sequences_of_a_file(tmp_path, prepare, rng):
    values = rng.integers(0, 256, (4, *SHAPE), np.uint8)
    np.save(tmp_path / "a.npy", values)
    store, said = prepare(tmp_path / "a.npy", axes="NTYX", shares=(0.5, 0.5, 0))
    names = [(s.name, s.source) for s in store.sequences]
    assert names == [(f"a#{n}-1", f"a.npy#{n}") for n in range(1, 5)]
    # 8 bits stay as they are, and nothing had to be guessed.
    assert said == [] and not _scale_of_any(store)
    for sequence in store.sequences:
        frames = store.frames(sequence.index)[..., 0]
        assert (frames == values[sequence.index, ..., 8:40]).all()
    assert {s.split for s in store.sequences} == {"train", "val"}
    # Positions of OME, and arrays of one file, likewise; labels have their names.
    with tifffile.TiffWriter(tmp_path / "b.ome.tif", ome=True) as file:
        for each in values[:2]:
            file.write(each, metadata={"axes": "TYX"}, photometric="minisblack")
    np.savez(tmp_path / "c.npz", x=values[0], y=values[1].astype(np.uint16))
    (tmp_path / "labels.csv").write_text("source,kind\nc.npz#x,one\nb.ome.tif#2,two\n")
    (tmp_path / "a.npy").unlink()
    store, _ = prepare(tmp_path, key="*", labels=tmp_path / "labels.csv")
    kinds = {s.name: s.labels["kind"] for s in store.sequences}
    assert kinds == {"b#1-1": None, "b#2-1": "two", "c#x-1": "one", "c#y-1": None}
    # The name of a file means all of its sequences.
    (tmp_path / "labels.csv").write_text("source,kind\nc.npz,one\nb.ome.tif#2,two\n")
    kinds = {"b#1-1": None, "b#2-1": "two", "c#x-1": "one", "c#y-1": "one"}
    store, _ = prepare(tmp_path, key="*", labels=tmp_path / "labels.csv")
    assert kinds == {s.name: s.labels["kind"] for s in store.sequences}
    # Of a file with both, 8 bits stay as they are all the same.
    (x,) = [s.index for s in store.sequences if s.name == "c#x-1"]
    assert (store.frames(x)[..., 0] == values[0, ..., 8:40]).all()


def _scale_of_any(store):
    about = json.loads((store.path / "meta.json").read_text())
    return about["arguments"]["scaled_from"]


def test_scales(tmp_path, prepare, deep):
    root = tmp_path / "root"
    root.mkdir()
    np.save(root / "a.npy", deep)
    np.save(root / "b.npy", (deep / 2).astype(np.float32))
    prepared = {
        "50:1e3": {"a": (50, 1000), "b": (50, 1000)},
        "0%:100%": {
            "a": (deep.min(), deep.max()),
            "b": (deep.min() / 2, deep.max() / 2),
        },
        "range": {"a": (0, 65535), "b": (0, 1)},
    }
    for scale, limits in prepared.items():
        store, said = prepare(root, scale=scale, axes="TYX")
        assert said == []
        for number, (low, high) in enumerate(limits.values()):
            values = deep if number == 0 else (deep / 2).astype(np.float32)
            assert (store.frames(number)[..., 0] == _cut(values, low, high)).all()
    # One for all holds that of each.
    store, (said,) = prepare(root, scale_of="all", axes="TYX")
    assert "scale: 10 frames in 2 files" in said and "all together" in said
    ((low, high),) = _scale(store, "a.npy")
    assert _scale(store, "b.npy") == [[low, high]]
    assert low < deep.min() < deep.max() <= high + 1
    # One hot pixel does not make all others black.
    many = np.tile(deep, (10, 4, 4))
    many[3, 5, 7] = 65535
    np.save(root / "a.npy", many)
    store, _ = prepare(root / "a.npy", axes="TYX", size=128)
    assert _scale(store, "a.npy")[0][1] < 3500


def test_values_become_8_bits(rng):
    for kind in ("u1", "i1", "u2", "i2", ">i2", "u4", "f2", "f4", "f8"):
        values = rng.normal(0, 50, (300, 40)).astype(kind)
        spread = np.clip((values.astype(float) + 20) / 90, 0, 1) * 255
        assert (as_8_bits(values, ((-20, 70),)) == np.rint(spread)).all(), kind
    odd = np.array([[np.nan, np.inf, -np.inf, 0.5]])
    assert as_8_bits(odd, None).tolist() == [[0, 255, 0, 128]]
    assert as_8_bits(np.array([[True, False]]), None).tolist() == [[255, 0]]


def test_broken_frames_are_left_out_and_counted(tmp_path, prepare, deep):
    path = tmp_path / "a.tif"
    _TIFFS["zlib"](path, deep)
    with tifffile.TiffFile(path) as file:
        place = file.pages[2].dataoffsets[0]
    content = bytearray(path.read_bytes())
    content[place : place + 40] = bytes(40)
    path.write_bytes(content)
    store, said = prepare(path)
    assert store.frame_labels(0)["source_frame"].tolist() == [0, 1, 3, 4]
    assert "a.tif: 1 of 5 frames cannot be read" in said[-1]
    # Pages that are lost at the end are told too.
    _TIFFS["pages"](path, deep)
    path.write_bytes(path.read_bytes()[:-4000])
    store, said = prepare(path, min_length=2)
    assert store.num_frames < 5 and "is truncated; 4 pages" in said[-1]


def test_one_line_for_what_cannot_be_read(tmp_path, prepare, deep):
    cases = {
        "4d.npy": (deep[None], "", "may be NTYX, TNYX, TZYX or TCYX; say it: --axes"),
        "square.npy": (deep.T[:32], "", "may be YXT or TYX"),
        "fits not.npy": (deep, "NTYX", "has 3 axes, .* and --axes NTYX names 4"),
        "picture.npy": (deep[0], "", "holds no stack"),
        "colour.npy": (deep[..., :3], "", "is no stack of pictures"),
        "empty.npy": (deep[:0], "", "is empty: its shape is"),
        "complex.npy": (deep + 1j, "", "complex128"),
    }
    for name, (values, axes, text) in cases.items():
        np.save(tmp_path / name, values)
        with pytest.raises(InputError, match=text) as error:
            prepare(tmp_path / name, axes=axes)
        assert "\n" not in str(error.value) and name in str(error.value)
    for axes in ("TY", "TYXX", "TYXQ", ""):
        with pytest.raises(InputError, match="^axes="):
            Stacks(axes=axes or "?")
    for pick in ("Z", "Z=sum", "C=0+1+2+3", "Q=1", "Z=-1"):
        with pytest.raises(InputError, match="^pick="):
            Stacks(pick=pick)
    for scale in ("1", "3:2", "a:b", "-1%:5%", "nan:1", "auto"):
        with pytest.raises(InputError, match="^scale="):
            prepare(tmp_path / "4d.npy", scale=scale)
    with pytest.raises(InputError, match="crop='face'"):
        prepare(tmp_path / "4d.npy", crop="face")
    tifffile.imwrite(tmp_path / "c.tif", deep, imagej=True, metadata={"axes": "CYX"})
    with pytest.raises(InputError, match="5 channels and no times.* --axes TYX"):
        prepare(tmp_path / "c.tif")
    np.savez(tmp_path / "a.npz", x=deep, y=deep)
    for key, text in (("", "holds 2 arrays, x .*--key"), ("z", "no array 'z' .* x ")):
        with pytest.raises(InputError, match=text):
            prepare(tmp_path / "a.npz", key=key)


def test_objects_of_masks_are_cut_out(tmp_path, prepare, rng):
    """Two objects, one of which is away for a while; squares of one size."""
    values = rng.integers(0, 256, (12, 64, 80), np.uint8)
    masks = np.zeros(values.shape, np.uint16)
    for t in range(12):
        masks[t, 20 : 24 + t, 10 + 3 * t : 20 + 3 * t] = 7  # grows to 15 rows
        if not 2 <= t < 9:
            masks[t, 50:60, 60:64] = 3
    np.save(tmp_path / "a.npy", values)
    np.save(tmp_path / "masks.npy", masks)
    options = {"axes": "TYX", "masks": tmp_path / "masks.npy", "size": 32}
    store, said = prepare(tmp_path / "a.npy", **options, min_length=2)
    assert said == []
    found = {s.name: s.length for s in store.sequences}
    assert found == {"a#object3-1": 2, "a#object3-2": 3, "a#object7-1": 12}
    # 15 rows, and a tenth on both sides: 18 pixels round the centre.
    (seven,) = [s.index for s in store.sequences if s.length == 12]
    for t in (0, 5, 11):
        x, y = 10 + 3 * t + 5, 20 + (4 + t) / 2
        left, top = round(x - 9), round(y - 9)
        square = values[t, top : top + 18, left : left + 18]
        expected = cv2.resize(square, (32, 32), interpolation=cv2.INTER_LINEAR)
        assert (store.frames(seven)[t, ..., 0] == expected).all()
    store, _ = prepare(tmp_path / "a.npy", **options, background="black", min_length=12)
    alone = np.where(masks == 7, values, 0)
    square = alone[11, round(27.5 - 9) : round(27.5 - 9) + 18, 39:57]
    expected = cv2.resize(square.astype(np.uint8), (32, 32))
    assert (store.frames(0)[11, ..., 0] == expected).all()


def test_masks_belong_to_files_by_name(tmp_path, prepare, deep):
    for name in ("a", "b"):
        (tmp_path / "root").mkdir(exist_ok=True)
        np.save(tmp_path / "root" / f"{name}.npy", deep)
    (tmp_path / "masks").mkdir()
    still = np.zeros(SHAPE[1:], np.uint8)
    still[4:12, 20:30] = 1
    tifffile.imwrite(tmp_path / "masks" / "a.tif", still)
    options = {"axes": "TYX", "masks": tmp_path / "masks"}
    store, said = prepare(tmp_path / "root", **options)
    assert [s.name for s in store.sequences] == ["a#object1-1"]
    assert store.num_frames == 5
    assert "b.npy: has no masks of its name in" in said[-1]
    with pytest.raises(InputError, match="a.npy: is its own file of masks; give"):
        prepare(tmp_path / "root", axes="TYX", masks=tmp_path / "root")
    for wrong, text in (
        (still[:, :-1], "has shape .32, 47., but the frames have .5, 32, 48."),
        (still.astype(float), "has .* float64; masks are whole numbers"),
    ):
        np.save(tmp_path / "wrong.npy", wrong)
        with pytest.raises(InputError, match=f"wrong.npy: {text}"):
            prepare(
                tmp_path / "root" / "a.npy", axes="TYX", masks=tmp_path / "wrong.npy"
            )


def test_processes_give_the_same_store(tmp_path, prepare, deep):
    root = tmp_path / "root"
    root.mkdir()
    for number in range(4):
        np.save(root / f"{number}.npy", deep + number)

    def content(**options):
        store, said = prepare(root, **options)
        return said, {path.name: path.read_bytes() for path in store.path.iterdir()}

    assert content() == content(workers=2)


def test_a_stack_of_20_gb_needs_little_memory(tmp_path, prepare):
    resource = pytest.importorskip("resource")
    shape = 80_000, 256, 512
    size = int(np.prod(shape, dtype=np.int64)) * 2
    with h5py.File(tmp_path / "a.h5", "w") as file:
        values = file.create_dataset("x", shape, "u2", chunks=(8, 256, 512))
        values[0, :64] = 700
    with open(tmp_path / "a.npy", "wb") as file:
        about = {"descr": "<u2", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, about)
        begin = file.tell()
        file.write(np.full(64 * 512, 700, "<u2").tobytes())
        file.truncate(begin + size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name in ("a.npy", "a.h5"):
        # The first frames are enough to see what is read at a time.
        looked = arrays.look_at(str(tmp_path / name), arrays.StackPlan(*_cropping()))
        assert looked.frames == 80_000 and looked.limits == ((0, 700),)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


def _cropping():
    options = flat(size=16, crop="center")
    return options["cropping"], arrays.Lengths(min_length=3)
