"""Faces drawn from the ICT face model: people, expressions and head poses are known.

Shapes come from a clone of https://github.com/ICT-VGL/ICT-FaceKit (MIT licence), which
is not part of this package. No real person is shown.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from keras_ddr.arguments import check_size
from keras_ddr.data.labels import Label
from keras_ddr.data.place import check_target
from keras_ddr.datasets.faces3d_drawing import Scene, picture, rotation
from keras_ddr.datasets.faces3d_head import ATTRIBUTES, Figure, Head
from keras_ddr.datasets.faces3d_model import LICENCE, load_model, shape_weights
from keras_ddr.datasets.option_fields import Offer, Options, option
from keras_ddr.datasets.parts import Clip, Outcome, Source, Spool
from keras_ddr.datasets.pipeline import build
from keras_ddr.datasets.splits import Splits
from keras_ddr.datasets.work import Work
from keras_ddr.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.data.store import FrameStore
    from keras_ddr.typing import ImageShape, StrPath

__all__ = ["GRID_EXPRESSIONS", "LIGHTS", "Faces", "prepare"]

GRID_EXPRESSIONS: dict[str, dict[str, float]] = {
    "neutral": {},
    "smile": {"mouthSmile": 1.0, "cheekSquint": 0.6, "mouthUpperUp": 0.15},
    "jaw-open": {"jawOpen": 0.9, "mouthUpperUp": 0.35},
    "jaw-half": {"jawOpen": 0.45, "mouthUpperUp": 0.15},
    "blink": {"eyeBlink": 1.0},
    "pucker": {"mouthPucker": 1.0},
    "surprise": {"browInnerUp": 1.0, "browOuterUp": 1.0, "eyeWide": 1.0},
    "frown": {"browDown": 1.0, "noseSneer": 0.8, "mouthFrown": 1.0},
}
"""Expressions of the grid: name -> shape of the model -> weight from 0 to 1."""

LIGHTS: dict[str, dict[str, Any]] = {
    "left": {"light": (-0.8, 0.4, 0.6)},
    "right": {"light": (0.8, 0.4, 0.6)},
    "front": {"light": (0.0, 0.3, 1.0)},
    "top": {"light": (-0.2, 1.0, 0.6)},
    "warm": {"light": (0.4, 0.5, 0.8), "tint": (1.08, 0.99, 0.86)},
    "cool": {"light": (-0.4, 0.5, 0.8), "tint": (0.9, 0.99, 1.1)},
}
"""Lights of the grids, as they are given to `Scene`."""

_YAWS, _PITCHES = np.linspace(-0.7, 0.7, 7), np.linspace(-0.25, 0.25, 3)
_FINE_YAWS, _FINE_JAWS = np.linspace(-0.7, 0.7, 13), np.linspace(0, 1, 9)
_WILD_FRAMES = 64
# In heights of the picture: the middle of the face from where the head turns, and how
# far crops are off.
_FACE, _TREMBLE = 0.25, 0.015
# Shapes that move alone or with others in the wild, and gaze as well.
_MOVING = (
    "jawOpen mouthSmile eyeBlink browInnerUp browOuterUp browDown mouthPucker "
    "mouthFunnel mouthFrown mouthStretch mouthUpperUp mouthLowerDown mouthLeft "
    "mouthRight noseSneer cheekPuff eyeWide eyeSquint jawLeft jawRight"
).split()
# Label -> the shape that it measures.
_MEASURED = {"jaw": "jawOpen", "smile": "mouthSmile", "blink": "eyeBlink"}


@dataclass(frozen=True)
class Faces(Options):
    """People, and pictures of each.

    Attributes:
        set: "grid", 7 yaws × 3 pitches × 8 expressions, "pose-jaw", 13 yaws × 9
            openings of the mouth, both the same for everybody and with one background;
            or "wild", 64 frames with continuous head pose, mixed expressions and gaze;
            light, background and framing differ for each person, and pictures follow
            the face as crops of videos do.
        people: Number of people.
        size: Height and width of the frames in pixels, a multiple of 16.
        frames: Number of frames of each person, random ones of the set; 0 for all.
            More people with fewer frames teach a model more, in the same space.
        poses: Head poses of the grid that these frames show, each with as many
            expressions: pictures in which only the face moves, which a model needs to
            find expressions. 0 for frames that are chosen freely.
        expressions: Of the grid, names of `GRID_EXPRESSIONS` or shapes of the model,
            such as "neutral smile mouthFunnel=0.5 eyeBlink_L".

    Raises:
        InputError: One of them cannot be used.
    """

    set: str = option(
        "grid",
        "grid: head poses × expressions; pose-jaw: a fine grid of yaw × opening of the "
        "mouth; wild: all mixed, other light, background and framing for each person.",
        choices=("grid", "pose-jaw", "wild"),
    )
    people: int = option(300, "Number of people.", kind=int, least=3)
    size: int = option(
        64, "Height and width in pixels, a multiple of 16.", kind=int, least=16
    )
    frames: int = option(
        0,
        "Frames of each person, random ones of the set.",
        kind=int,
        least=1,
        unset="all",
    )
    poses: int = option(
        0,
        "Head poses in --frames of the grid, each with as many expressions.",
        kind=int,
        least=1,
        unset="chosen freely",
    )
    expressions: str = option(
        " ".join(GRID_EXPRESSIONS),
        "Expressions of the grid: their names, or shapes of the model, such as "
        "mouthFunnel=0.5.",
        metavar="NAMES",
    )


OFFER = Offer(
    "faces3d",
    unused=("persons", "labels"),
    defaults={"shares": (0.8, 0.1, 0.1)},
    key="faces3d",
    what="person",
    licence=LICENCE,
    ordered=False,
)
"""Options of `prepare`."""


@dataclass(frozen=True)
class _Plan:
    """How people are drawn."""

    root: str
    faces: Faces
    expressions: dict[str, dict[str, float]]
    seed: int

    @property
    def frame_shape(self) -> ImageShape:
        return (self.faces.size, self.faces.size, 3)

    @property
    def options(self) -> list[Options]:
        return [self.faces]


class _View(NamedTuple):
    """A frame to draw: its labels, the weights of shapes, the pose in radians."""

    labels: dict[str, float]
    weights: Mapping[str, float]
    pose: tuple[float, float, float]
    gaze: tuple[float, float] = (0.0, 0.0)
    shift: NDArray[np.float64] = np.zeros(2)  # besides that of the scene


def prepare(
    store_path: StrPath,
    root: StrPath,
    *,
    faces: Faces = Faces(),
    splits: Splits = Splits(),
    work: Work = Work(),
    overwrite: bool = False,
) -> FrameStore:
    """Make a frame store of drawn faces.

    Every person is one sequence of frames (size, size, 3). The same seed and number
    give the same person, however many there are.

    Sequence labels: `skin`, `hair`, `cut`, `brows`, `iris`, `lips`, 6 classes each, and
    but in the wild `light`. Frame labels: `yaw` (to the right in the picture) and
    `pitch` (up), degrees; `jaw`, how far it is open, 0 to 1. The grid has `expression`
    and `pose`, the number of the frame, which has classes such as "yaw-0-pitch-2-smile"
    and is equal for different people in the same pose; `pose-jaw` has `pose` as well.
    In the wild there are `roll`, `smile` and `blink`. `source_frame` is the number of
    the frame and `time` is NaN.

    Args:
        store_path: Folder to make; beside it the table `NAME.report.csv`.
        root: Clone of ICT-FaceKit: the folder that holds FaceXModel.
        faces: Which people and pictures.
        splits: Shares of the people for train, val and test, and the seed of all that
            is random.
        work: Where the work is done; its progress counts people.
        overwrite: Whether to replace a store that exists.

    Returns:
        The `FrameStore`.

    Raises:
        InputError: An argument cannot be used, or a file of the model is missing, cut
            off or of another mesh.
    """
    check_size(size=faces.size)
    if faces.set != "grid" and not faces.is_default("expressions"):
        raise InputError(
            f"expressions: changes nothing with the set {faces.set}; leave it out"
        )
    expressions = _expressions(faces.expressions)
    _check_poses(faces, len(expressions))
    splits = OFFER.settle(splits)
    check_target(store_path, overwrite)
    stamp = load_model(root).stamp
    plan = _Plan(work.path_for_workers(root), faces, expressions, int(splits.seed))
    labels = {
        name: Label("sequence", "categorical", list(classes))
        for name, classes in ATTRIBUTES.items()
    }
    if faces.set != "wild":
        labels["light"] = Label("sequence", "categorical", list(LIGHTS))
    people = []
    for number in range(faces.people):
        name, looks = f"person-{number:05}", _looks(number, splits.seed)
        looks = {label: looks[label] for label in labels}
        source = Source(name, name, stamp, person=name, details=number, labels=looks)
        people.append(source)
    return build(
        store_path,
        people,
        draw_person,
        plan,
        OFFER,
        labels={**labels, **_frame_labels(plan)},
        arguments={"root": str(root)},
        splits=splits,
        work=work,
        overwrite=overwrite,
    )


def _looks(number: int, seed: int) -> dict[str, Any]:
    """Attributes and light of a person."""
    random = np.random.default_rng([seed, number, 5])
    choices = {name: list(classes) for name, classes in ATTRIBUTES.items()}
    choices["light"] = list(LIGHTS)
    return {name: str(random.choice(names)) for name, names in choices.items()}


def _expressions(text: str) -> dict[str, dict[str, float]]:
    """Name -> shape -> weight of the expressions that a user named."""
    found: dict[str, dict[str, float]] = {}
    for name in text.replace(",", " ").split():
        shape, equals, weight = name.partition("=")
        try:
            number = float(weight) if equals else 1.0
        except ValueError:
            number = np.nan
        if not 0 <= number <= 1:
            raise InputError(
                f"expressions: {name!r} needs a weight from 0 to 1, as in {shape}=0.5"
            )
        if name in GRID_EXPRESSIONS:
            found[name] = GRID_EXPRESSIONS[name]
        else:
            found[name] = {shape: number}
            try:
                shape_weights(found[name])
            except InputError as error:
                known = ", ".join(GRID_EXPRESSIONS)
                raise InputError(f"expressions: {error}, or of {known}") from None
    if not found:
        raise InputError("expressions: names none; leave it out for all")
    return found


def _check_poses(faces: Faces, expressions: int) -> None:
    """Refuse poses that the frames of a person cannot show."""
    if not faces.poses:
        return
    if faces.set != "grid":
        raise InputError(
            f"poses: changes nothing with the set {faces.set}; leave it out"
        )
    most, each = len(_YAWS) * len(_PITCHES), faces.frames / faces.poses
    if faces.poses > most or each not in range(1, expressions + 1):
        raise InputError(
            f"poses={faces.poses}: frames={faces.frames} must be that many times 1 to "
            f"{expressions} expressions, and there are {most} head poses"
        )


def _frame_labels(plan: _Plan) -> dict[str, Label]:
    """Labels of the frames of a set."""
    labels = {
        name: Label("frame", "continuous", unit="degrees") for name in ("yaw", "pitch")
    }
    labels["jaw"] = Label("frame", "continuous")
    if plan.faces.set == "wild":
        labels["roll"] = labels["yaw"]
        labels["smile"] = labels["blink"] = labels["jaw"]
        return labels
    if plan.faces.set == "grid":
        names = list(plan.expressions)
        labels["expression"] = Label("frame", "categorical", names)
        poses = [
            f"yaw-{yaw}-pitch-{pitch}-{name}"
            for yaw in range(len(_YAWS))
            for pitch in range(len(_PITCHES))
            for name in names
        ]
    else:
        poses = [
            f"yaw-{yaw}-jaw-{jaw}"
            for yaw in range(len(_FINE_YAWS))
            for jaw in range(len(_FINE_JAWS))
        ]
    labels["pose"] = Label("frame", "categorical", poses)
    return labels


def draw_person(source: Source, plan: _Plan, spool: Spool) -> Outcome:
    """Draw the sequence of one person; details of the source are its number."""
    head = _head(plan.root)
    random = np.random.default_rng([plan.seed, source.details, 6])
    identity = random.normal(size=100).astype(np.float32)
    figure = Figure(head, identity, source.labels)
    if plan.faces.set == "wild":
        views, scene = _wild(random), _wild_scene(random)
    else:
        views = _grid(plan.expressions) if plan.faces.set == "grid" else _pose_jaw()
        scene = Scene(**LIGHTS[str(source.labels["light"])])
    # The frames of a grid share few shapes.
    shape = functools.cache(
        lambda weights, gaze: figure.shape(shape_weights(dict(weights)), gaze)
    )
    crops, rows = [], []
    numbered = list(enumerate(views))
    if plan.faces.frames:
        numbered = [
            numbered[place] for place in sorted(_kept(plan, random, len(numbered)))
        ]
    for number, view in numbered:
        drawn = shape(tuple(view.weights.items()), view.gaze)
        if plan.faces.set == "wild":
            shape.cache_clear()
        placed = replace(scene, shift=tuple(scene.shift + scene.zoom * view.shift))
        frame = picture(drawn, figure.quads, view.pose, placed, plan.faces.size)
        crops.append(spool.add(frame, number))
        yaw, pitch, roll = np.rad2deg(view.pose)
        known = {"yaw": yaw, "pitch": pitch, "roll": roll, "pose": number}
        measured = {name: view.weights.get(s, 0) for name, s in _MEASURED.items()}
        rows.append({**known, **measured, **view.labels})
    clip = Clip.of_crops(crops)
    for name, label in _frame_labels(plan).items():
        kind = np.int32 if label.kind == "categorical" else np.float32
        clip.frame_labels[name] = np.array([row[name] for row in rows], kind)
    return Outcome([clip], frames_read=len(crops), frames_found=len(crops))


def _kept(plan: _Plan, random: np.random.Generator, number: int) -> list[int]:
    """Places of the frames that are drawn of a person, of all in the set."""
    faces, several = plan.faces, len(plan.expressions)
    if not faces.poses:
        return list(random.permutation(number)[: faces.frames])
    each = faces.frames // faces.poses
    return [
        pose * several + expression
        for pose in random.permutation(number // several)[: faces.poses]
        for expression in random.permutation(several)[:each]
    ]


@functools.lru_cache(1)
def _head(root: str) -> Head:
    return Head(load_model(root))


def _grid(expressions: Mapping[str, Mapping[str, float]]) -> Iterator[_View]:
    for yaw in _YAWS:
        for pitch in _PITCHES:
            for number, weights in enumerate(expressions.values()):
                yield _View({"expression": number}, weights, (yaw, pitch, 0))


def _pose_jaw() -> Iterator[_View]:
    for yaw in _FINE_YAWS:
        for jaw in _FINE_JAWS:
            yield _View({}, {"jawOpen": float(jaw)}, (yaw, 0, 0))


def _wild(random: np.random.Generator) -> Iterator[_View]:
    """Head poses around one of the person's own, and mixtures of up to four shapes."""
    usual = random.normal(0, (0.15, 0.08, 0.05))
    lively = random.uniform(0.2, 1.1)  # some hardly move but talk
    for _ in range(_WILD_FRAMES):
        yaw, pitch, roll = usual + lively * random.normal(0, (0.35, 0.15, 0.08))
        yaw, pitch = np.clip(yaw, -0.9, 0.9), np.clip(pitch, -0.4, 0.4)
        shapes = random.choice(_MOVING, random.integers(0, 5), replace=False)
        weights = {str(shape): float(random.beta(1.2, 1)) for shape in shapes}
        gaze = random.normal(0, (0.15, 0.08))
        # As crops of videos do, the picture follows the face, with some error.
        across, up = _FACE * rotation(yaw, pitch, roll)[:2, 2]
        shift = np.array([-across, up]) + random.normal(0, _TREMBLE, 2)
        yield _View({}, weights, (yaw, pitch, roll), tuple(gaze), shift)


def _wild_scene(random: np.random.Generator) -> Scene:
    around, up = random.uniform(-1.2, 1.2), random.uniform(0, 0.8)
    ground = random.uniform(20, 235, 3) * 0.5 + random.uniform(20, 235) * 0.5
    # From an even wall to a room full of things out of focus.
    rows, columns = random.integers(2, 9, 2)
    spread = random.choice((5, 20, 50))
    patches = random.normal(0, spread, (rows, columns, 1))
    patches = patches + random.normal(0, spread / 2, (rows, columns, 3))
    return Scene(
        light=(np.sin(around), up, np.cos(around)),
        ambient=random.uniform(0.3, 0.6),
        tint=tuple(random.uniform(0.7, 1.1) * random.normal(1, (0.06, 0.02, 0.06))),
        background=np.clip(ground + patches, 0, 255),
        zoom=random.uniform(0.9, 1.3),
        shift=tuple(random.normal(0, 0.03, 2)),
    )
