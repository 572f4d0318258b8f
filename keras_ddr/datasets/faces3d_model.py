"""The ICT face model: the shapes of an ICT-FaceKit clone as arrays.

A shape is neutral + Σ wᵢ (identityᵢ − neutral) + Σ eₖ (expressionₖ − neutral), with w
from a normal distribution and e from 0 to 1.
"""

from __future__ import annotations

import contextlib
import os
import warnings
import zipfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from keras_ddr.datasets.parts import fingerprint
from keras_ddr.errors import InputError
from keras_ddr.files import replacing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.typing import StrPath

LICENCE = (
    "Faces drawn from the ICT face model, MIT licence, Copyright (c) 2020 USC "
    "Institute for Creative Technologies (https://github.com/ICT-VGL/ICT-FaceKit)."
)

_SIDED = (
    "browDown browInnerUp browOuterUp cheekPuff cheekRaiser cheekSquint eyeBlink "
    "eyeLookDown eyeLookIn eyeLookOut eyeLookUp eyeSquint eyeWide mouthDimple "
    "mouthFrown mouthLowerDown mouthPress mouthSmile mouthStretch mouthUpperUp "
    "noseSneer"
).split()
_WHOLE = (
    "jawForward jawLeft jawOpen jawRight mouthFunnel mouthLeft mouthPucker mouthRight "
    "mouthRollLower mouthRollUpper mouthShrugLower mouthShrugUpper"
).split()
EXPRESSIONS = (*_WHOLE, *(f"{name}_{side}" for name in _SIDED for side in "LR"))
"""Names of the expression shapes."""

_NEUTRAL, _IDENTITIES = "generic_neutral_mesh", 100
_SHAPES = (_NEUTRAL, *(f"identity{n:03}" for n in range(_IDENTITIES)), *EXPRESSIONS)
_VERTICES, _POLYGONS = 26719, 26384
_CACHE_VERSION = 2


class FaceModel(NamedTuple):
    """Shapes of faces over one mesh, about in centimetres; +y is up, +z ahead.

    `neutral` is the mean face, float32 (V, 3); `identities` (100, V, 3) and
    `expressions` (E, V, 3) are differences to it; `quads` int32 (Q, 4) are polygons,
    counter-clockwise from outside; `stamp` changes when the files do.
    """

    neutral: NDArray[np.float32]
    identities: NDArray[np.float32]
    expressions: NDArray[np.float32]
    quads: NDArray[np.int32]
    stamp: str


def shape_weights(expression: Mapping[str, float]) -> NDArray[np.float32]:
    """Weights (E,) from shape -> weight; names without a side mean both sides."""
    weights = np.zeros(len(EXPRESSIONS), np.float32)
    for name, weight in expression.items():
        both = [n for n in (name, f"{name}_L", f"{name}_R") if n in EXPRESSIONS]
        if not both:
            raise InputError(
                f"expression {name!r} is no shape of the face model; use one such as "
                "jawOpen, mouthSmile or mouthSmile_L"
            )
        weights[[EXPRESSIONS.index(n) for n in both]] = weight
    return weights


def load_model(root: StrPath) -> FaceModel:
    """Read a clone of ICT-FaceKit, or what an earlier run kept of it in the cache."""
    folder = Path(root) / "FaceXModel"
    if not folder.is_dir():
        raise InputError(
            f"{root}: holds no folder FaceXModel; give a clone of "
            "https://github.com/ICT-VGL/ICT-FaceKit"
        )
    paths = [folder / f"{name}.obj" for name in _SHAPES]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise InputError(
            f"{folder}: lacks {', '.join(missing)}; restore them, or clone ICT-FaceKit "
            "again"
        )
    home = os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras")
    stamp = fingerprint(paths)
    cached = Path(home) / "keras_ddr" / f"ict-{_CACHE_VERSION}-{stamp[:16]}.npz"
    arrays = _cached(cached)
    if arrays is None:
        arrays = _read_all(paths)
        # Without a cache the next run takes longer; it is no error.
        with contextlib.suppress(OSError, InputError):
            cached.parent.mkdir(parents=True, exist_ok=True)
            with replacing(cached) as temporary:
                np.savez(temporary, allow_pickle=False, **arrays)
    return FaceModel(**arrays, stamp=stamp)


def _cached(path: Path) -> dict[str, NDArray[Any]] | None:
    """The arrays of an earlier run, or `None`."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile, KeyError):
        return None


def _read_all(paths: list[Path]) -> dict[str, NDArray[Any]]:
    neutral, faces = _read(paths[0])
    shapes = np.empty((len(paths) - 1, *neutral.shape), np.float32)

    def read(number: int) -> str:
        try:
            vertices, other = _read(paths[number])
        except InputError as error:
            return str(error)
        if other != faces and other.split() != faces.split():
            return f"{paths[number]}: has other polygons than {paths[0].name}"
        shapes[number - 1] = vertices - neutral
        return ""

    with ThreadPoolExecutor(4) as threads:
        problems = [x for x in threads.map(read, range(1, len(paths))) if x]
    if problems:
        raise InputError("; ".join(problems) + "; restore the files of ICT-FaceKit")
    return {
        "neutral": neutral,
        "identities": shapes[:_IDENTITIES],
        "expressions": shapes[_IDENTITIES:],
        "quads": _polygons(paths[0], faces),
    }


def _read(path: Path) -> tuple[NDArray[np.float32], bytes]:
    """Vertices (V, 3) of an OBJ file, and the bytes of its polygons."""
    text = path.read_bytes()
    start, end = text.find(b"\nv "), text.find(b"\nvt ")
    faces = text[text.find(b"\nusemtl ") :].strip()
    numbers = text[start:end].replace(b"\nv ", b" ")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)  # text that is no number
            vertices = np.fromstring(numbers, np.float32, sep=" ").reshape(-1, 3)
    except (ValueError, DeprecationWarning):
        vertices = np.empty((0, 3), np.float32)
    polygons = faces.count(b"\nf ")
    if len(vertices) != _VERTICES or polygons != _POLYGONS:
        raise InputError(
            f"{path}: has {len(vertices)} vertices and {polygons} polygons, but the "
            f"ICT face model has {_VERTICES} and {_POLYGONS}: it is cut off or of "
            "another model"
        )
    if not np.isfinite(vertices).all():
        raise InputError(f"{path}: holds vertices that are not finite")
    return vertices, faces


def _polygons(path: Path, faces: bytes) -> NDArray[np.int32]:
    """Vertex numbers (Q, 4) of polygons; a triangle has its last corner twice."""
    lines = [line.split()[1:] for line in faces.splitlines() if line[:2] == b"f "]
    try:
        corners = [[int(c.partition(b"/")[0]) - 1 for c in line] for line in lines]
        quads = np.array([(c + c[-1:])[:4] for c in corners], np.int32)
    except ValueError:
        quads = np.full((1, 4), -1, np.int32)
    if quads.min() < 0 or quads.max() >= _VERTICES:
        raise InputError(f"{path}: has polygons of vertices that are not there")
    return quads
