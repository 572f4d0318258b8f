"""Files that hold arrays (TIFF, HDF5, Zarr, .npy, .npz), read a few frames a time."""

from __future__ import annotations

import contextlib
import fnmatch
import math
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from keras_ddr.errors import InputError, reason_of
from keras_ddr.media.blocks import Stack, raw_stack
from keras_ddr.media.tiff import tiff_stacks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.media.blocks import Index
    from keras_ddr.typing import StrPath

    # Stacks by their names, and whether several are meant as several sequences.
    _Found: TypeAlias = tuple[dict[str, Stack], bool]

SUFFIXES = frozenset(".btf .h5 .hdf .hdf5 .lsm .npy .npz .tf8 .tif .tiff".split())
FOLDERS = frozenset([".zarr"])  # suffixes of folders that are one file

_TIFF = b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"
_HDF5 = b"\x89HDF\r\n\x1a\n"
_NPY = b"\x93NUMPY"
_MOST_ARRAYS = 1000  # of a file that are listed


def kind_of(path: StrPath) -> str:
    """The kind of a file by its first bytes: tiff, hdf5, npy, npz, zarr or ""."""
    if os.path.isdir(path):
        marks = ".zarray", ".zgroup", "zarr.json", ".zattrs"
        here = any(os.path.exists(os.path.join(path, mark)) for mark in marks)
        return "zarr" if here else ""
    with open(path, "rb") as file:
        start = file.read(8)
        file.seek(512)  # where MATLAB writes a header of its own
        later = file.read(8)
    if start.startswith(_TIFF):
        return "tiff"
    if start.startswith(_NPY):
        return "npy"
    if _HDF5 in (start, later):
        return "hdf5"
    return "npz" if start.startswith((b"PK\3\4", b"PK\5\6")) else ""


@contextlib.contextmanager
def open_stacks(path: StrPath, key: str = "", least: int = 3) -> Iterator[list[Stack]]:
    """The arrays of a file that may be stacks; an error becomes one line.

    `key` names one array, or several with `*`. Without it a file must hold one that can
    be a stack, of at least so many axes; of a TIFF all are taken.
    """
    try:
        with contextlib.ExitStack() as closing:
            yield _opened(os.fspath(path), key, closing, least)
        return
    except InputError:
        raise
    except MemoryError:
        reason = "it needs more memory than there is"
    # A decoder may raise anything on a broken file.
    except Exception as error:
        reason = getattr(error, "strerror", None) or reason_of(error)
    raise InputError(f"{path}: {_fixed(reason)}")


def _fixed(reason: str) -> str:
    """A reason as the end of a line."""
    if "imagecodecs" in reason:
        compression = reason.split("'")[0].split("requires")[0].strip()
        compression = compression.removeprefix("<COMPRESSION.").partition(":")[0]
        return f"is compressed ({compression}); pip install imagecodecs, and again"
    return f"cannot be read ({reason})"


def _opened(
    path: str, key: str, closing: contextlib.ExitStack, least: int
) -> list[Stack]:
    if os.path.isfile(path) and not os.path.getsize(path):
        raise InputError(f"{path}: is empty (0 bytes); fetch it again")
    kind = kind_of(path)
    if kind == "tiff":
        found = dict(enumerate(tiff_stacks(path, closing)))
        return _chosen(path, key, found, True, least)
    readers = {"hdf5": _hdf5, "zarr": _zarr, "npy": _npy, "npz": _npz}
    if kind not in readers:
        raise InputError(
            f"{path}: is no array by its first bytes (TIFF, HDF5, Zarr, .npy, .npz); "
            "for videos use `ddr preprocess videos`, for pictures `ddr preprocess "
            "images`"
        )
    return _chosen(path, key, *readers[kind](path, closing), least)


def _of_array(key: str, values: Any, axes: str = "") -> Stack:
    """A stack of something that is indexed as an array is."""

    def read(index: Index) -> NDArray[Any]:
        return np.asarray(values[index])

    chunks = getattr(values, "chunks", None) or ()
    return Stack(key, tuple(values.shape), np.dtype(values.dtype), axes, read, chunks)


def _chosen(
    path: str, key: str, stacks: Mapping[Any, Stack], several: bool, least: int
) -> list[Stack]:
    """The stacks that a key names, or those that are the only ones."""
    names = {str(name): stack for name, stack in stacks.items()}
    if key:
        found = [
            stack for name, stack in names.items() if fnmatch.fnmatchcase(name, key)
        ]
        if not found:
            raise InputError(
                f"{path}: has no array {key!r} (key); it has {_listed(names)}"
            )
        return found
    fits = [
        s for s in names.values() if s.dtype.kind in "biuf" and len(s.shape) >= least
    ]
    if not fits:
        raise InputError(
            f"{path}: holds no stack of pictures, only {_listed(names)}"
            + ("; for single pictures use `ddr preprocess images`" if several else "")
        )
    if len(fits) > 1 and not several:
        raise InputError(
            f"{path}: holds {len(fits)} arrays, {_listed(names)}; say which one is "
            "meant (--key NAME), or that each is a sequence (--key '*')"
        )
    return fits


def _listed(names: Mapping[str, Stack]) -> str:
    shown = [
        f"{name} {stack.shape} {stack.dtype}".strip() for name, stack in names.items()
    ]
    more = f" and {len(shown) - 5} more" if len(shown) > 5 else ""
    return (", ".join(shown[:5]) or "nothing") + more


def _hdf5(path: str, closing: contextlib.ExitStack) -> _Found:
    import h5py

    # Other programs may have it open.
    file = closing.enter_context(h5py.File(path, "r", locking=False))
    found: dict[str, Stack] = {}

    def visit(name: str, item: Any) -> bool | None:
        if isinstance(item, h5py.Dataset) and item.shape is not None:
            axes = "".join(dimension.label for dimension in item.dims).upper()
            axes = axes if len(axes) == len(item.shape) else ""
            found[name] = _of_array(name, item, axes)
        return True if len(found) == _MOST_ARRAYS else None

    file.visititems(visit)
    return found, False


def _zarr(path: str, closing: contextlib.ExitStack) -> _Found:
    """Images of OME-Zarr in full resolution, else the arrays; each image is meant."""
    try:
        import zarr
    except ImportError:
        raise InputError(
            f'{path}: needs the package zarr; pip install "keras_ddr[zarr]"'
        ) from None
    root = zarr.open(path, mode="r")
    if not hasattr(root, "members"):
        return {"": _of_array("", _safe(path, root), _zarr_axes(root))}, False
    images: dict[str, Stack] = {}
    arrays: dict[str, Stack] = {}

    def walk(group: Any, name: str, depth: int) -> None:
        about = group.attrs.get("ome", group.attrs)
        scales = about.get("multiscales")
        if scales:
            axes = "".join(_letter(axis) for axis in scales[0].get("axes", ()))
            array = group[scales[0]["datasets"][0]["path"]]
            axes = axes if len(axes) == len(array.shape) else "TCZYX"[-array.ndim :]
            images[name] = _of_array(name, _safe(path, array), axes)
            return
        for key, member in sorted(group.members(), key=lambda m: (len(m[0]), m[0])):
            below = f"{name}/{key}" if name else key
            if len(images) + len(arrays) == _MOST_ARRAYS:
                return
            if not hasattr(member, "members"):
                arrays[below] = _of_array(
                    below, _safe(path, member), _zarr_axes(member)
                )
            elif depth < 4 and key != "labels":
                walk(member, below, depth + 1)

    walk(root, "", 0)
    return (images, True) if images else (arrays, False)


def _safe(path: str, array: Any) -> Any:
    """The array, unless unpacking it would unpickle what is in the file."""
    about = {**array.metadata.to_dict(), "attributes": None}
    if "pickle" in repr(about).lower():
        raise InputError(
            f"{path}: {array.name} is packed as Python objects, which are never "
            "unpickled; save it anew"
        )
    return array


def _letter(axis: Any) -> str:
    """T for {"name": "t"}, or for "t" as in older versions."""
    return str(axis["name"] if isinstance(axis, dict) else axis)[:1].upper()


def _zarr_axes(array: Any) -> str:
    """Axes by their names, where these are one of them: t, or time."""
    names = getattr(array.metadata, "dimension_names", None)
    names = names or array.attrs.get("_ARRAY_DIMENSIONS") or ()
    short = {"time": "T", "channel": "C", "height": "Y", "width": "X"}
    letters = [short.get(str(n).lower(), str(n).upper()) for n in names]
    whole = len(letters) == len(array.shape) and all(len(n) == 1 for n in letters)
    return "".join(letters) if whole else ""


def _npy(path: str, closing: contextlib.ExitStack) -> _Found:
    file = closing.enter_context(open(path, "rb"))

    def read_bytes(place: int, size: int) -> bytes:
        file.seek(place)
        return file.read(size)

    return {"": _of_npy("", file, os.path.getsize(path), read_bytes)}, False


def _npz(path: str, closing: contextlib.ExitStack) -> _Found:
    archive = closing.enter_context(zipfile.ZipFile(path))
    found = {}
    for about in archive.infolist()[:_MOST_ARRAYS]:
        if about.filename.endswith(".npy"):
            key = about.filename.removesuffix(".npy")
            member = closing.enter_context(archive.open(about))

            def read_bytes(place: int, size: int, member: Any = member) -> bytes:
                member.seek(place)  # unpacks what lies between
                return member.read(size)

            found[key] = _of_npy(key, member, about.file_size, read_bytes)
    if not found:
        raise InputError(f"{path}: is a ZIP file without arrays (.npy)")
    return found, False


def _of_npy(
    key: str, file: Any, size: int, read_bytes: Callable[[int, int], bytes]
) -> Stack:
    """An array in NumPy's format; nothing is ever unpickled."""
    version = np.lib.format.read_magic(file)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise ValueError(f"npy version {version}")
    shape, by_columns, dtype = readers[version](file)
    if dtype.hasobject:
        return Stack(key, shape, dtype, "", lambda index: np.empty(0))
    begin = file.tell()
    if size < begin + math.prod(shape) * dtype.itemsize:
        raise ValueError("it is shorter than its header says; fetch it again")
    # By columns is by rows with the axes turned round.
    order = shape[::-1] if by_columns else shape
    stack = raw_stack(key, order, dtype, begin, read_bytes)
    return stack.turned() if by_columns else stack
