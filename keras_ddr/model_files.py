"""Loading `.keras` files, after a look at what they ask for.

Keras's safe mode runs no code of a file, but makes a model of any size and class that
its configuration asks for, and takes weights whose checksum is wrong.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import math
import pathlib
import zipfile
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from unittest import mock

import h5py
import keras

from keras_ddr.errors import InputError, reason_of
from keras_ddr.sequence_model import SequenceModel

if TYPE_CHECKING:
    from keras_ddr.typing import StrPath

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_MEMBERS = {"metadata.json", _CONFIG, _WEIGHTS}
_MAY_HOLD = {"progress.json"}  # of a checkpoint
# Keras packs nothing; what others packed shrinks by less than this.
_MOST_PACKED = 20
_MOST_TEXT = 16 << 20  # bytes of the JSON members
_MODEL = (
    "a DDR or another SequenceModel (a class of your own must be imported before: ddr "
    "--import MODULE)"
)

_Kind = TypeVar("_Kind", bound=keras.Model)


def load_model_file(path: StrPath) -> SequenceModel:
    """Load the `SequenceModel` in a `.keras` file; its class must be imported."""
    path = pathlib.Path(path)
    if not path.is_file():
        remedy = "give a run folder or a .keras file, or go on with ddr fit --resume"
        raise InputError(f"{path} does not exist as a file; {remedy}")
    return load_file(path, SequenceModel, _MODEL)


def load_file(path: StrPath, kind: type[_Kind], wanted: str) -> _Kind:
    """Load what a `.keras` file holds, if it is of this class, which is `wanted`."""
    held = check_model_file(path, kind, wanted)
    try:
        with _at_most(held):
            return keras.saving.load_model(path, safe_mode=True)
    # Keras and its backends may raise anything on a broken file.
    except Exception as error:
        raise _unusable(path, error) from error


def check_model_file(
    path: StrPath, kind: type[keras.Model] = SequenceModel, wanted: str = _MODEL
) -> int:
    """Refuse a .keras file that is damaged or no model; the number of values in it."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive)
            config = json.loads(members[_CONFIG])
            if not isinstance(json.loads(members["metadata.json"]), dict):
                raise ValueError("its metadata.json is no table")
        _check_objects(config, kind, wanted)
        return _weights(members[_WEIGHTS])
    except _OfAnotherKind as error:
        raise InputError(f"{path}: {error}; give another file") from None
    # Parsers of archives, JSON and HDF5 may raise anything on a broken file.
    except Exception as error:
        raise _unusable(path, error) from error


class _OfAnotherKind(ValueError):
    """A file of Keras that holds something else; nothing is wrong with it."""


def _unusable(path: StrPath, error: Exception) -> InputError:
    said = f"{path} cannot be loaded as a model: {reason_of(error)}"
    return InputError(f"{said}; restore it")


@contextlib.contextmanager
def _at_most(held: int) -> Iterator[None]:
    """Stop layers from making more weights than a file holds, before they do."""
    add_weight, needed = keras.layers.Layer.add_weight, 0

    def counted(layer: keras.layers.Layer, shape: Any = None, *args: Any, **kw: Any):  # type: ignore[no-untyped-def]
        nonlocal needed
        needed += math.prod([shape] if isinstance(shape, int) else shape or ())
        if needed > held:
            raise ValueError(
                f"its configuration needs more than the {held} weights that it holds"
            )
        return add_weight(layer, shape, *args, **kw)

    with mock.patch.object(keras.layers.Layer, "add_weight", counted):
        yield


def _members(archive: zipfile.ZipFile) -> dict[str, bytes]:
    entries = archive.infolist()
    names = [entry.filename for entry in entries]
    needed = [name for name in names if name not in _MAY_HOLD]
    if sorted(needed) != sorted(_MEMBERS) or len(set(names)) < len(names):
        strange = sorted(set(needed) ^ _MEMBERS) or ["one of them twice"]
        raise ValueError(
            f"it should hold {', '.join(sorted(_MEMBERS))} (see {strange[0][:40]!r})"
        )
    for entry in entries:
        text = entry.filename != _WEIGHTS
        if entry.file_size > _MOST_PACKED * entry.compress_size + 4096 or (
            text and entry.file_size > _MOST_TEXT
        ):
            raise ValueError(f"{entry.filename} unpacks to {entry.file_size} bytes")
    # Reading compares the checksums, which Keras passes over.
    return {name: archive.read(name) for name in names}


def _check_objects(config: object, kind: type, wanted: str) -> None:
    """Refuse classes that are neither Keras's nor registered, and any code."""
    if not isinstance(config, dict):
        raise ValueError("its config.json is no table")
    registered = _registered(config)
    if not (isinstance(registered, type) and issubclass(registered, kind)):
        name = str(config.get("class_name"))[:80]
        raise _OfAnotherKind(f"it holds a {name}, not {wanted}")
    for part in _parts(config):
        name, module = part.get("class_name"), part.get("module")
        if name == "__lambda__" or name == "Lambda":
            raise ValueError("it holds a Lambda, which is code and is not run")
        # Some versions of Keras take anything.
        if not isinstance(part.get("trainable", True), bool):
            raise ValueError("trainable is neither true nor false")
        if "class_name" not in part or module is None or _registered(part) is not None:
            continue
        # Functions of Keras are under this name, too; it knows which they are.
        known = module == "builtins" and name == "function"
        if not known and str(module).split(".")[0] != "keras":
            raise ValueError(
                f"it asks for {str(module)[:80]}.{str(name)[:80]}, which is neither "
                "of Keras nor registered"
            )


def _parts(content: object) -> Iterator[dict[str, Any]]:
    """All tables in a configuration, however deep."""
    left = [content]
    while left:
        part = left.pop()
        if isinstance(part, dict):
            yield part
            left.extend(part.values())
        elif isinstance(part, list):
            left.extend(part)


def _registered(part: Mapping[str, Any]) -> Any:
    name = part.get("registered_name")
    if not isinstance(name, str):
        return None
    return keras.saving.get_registered_object(name)


def _weights(content: bytes) -> int:
    """Number of values in a file of weights; none of them may be elsewhere."""
    total = 0
    with h5py.File(io.BytesIO(content), "r") as file:
        groups = [file]

        def note(name: str, item: h5py.Group | h5py.Dataset) -> None:
            nonlocal total
            if isinstance(item, h5py.Group):
                groups.append(item)
                return
            packed = _MOST_PACKED * item.id.get_storage_size() + 4096
            if item.external or item.is_virtual or item.nbytes > packed:
                raise ValueError(f"the weights {name[:80]} are not in it")
            total += item.size

        file.visititems(note)
        for group, name in itertools.chain.from_iterable(
            ((group, name) for name in group) for group in groups
        ):
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ValueError(f"the weights {name[:80]} are not in it")
    return total
