"""Targets of a judge: attributes of a sequence, and the action of a frame."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

import numpy as np

from keras_ddr.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.data.store import FrameStore, Sequence
    from keras_ddr.typing import ImageShape

__all__ = ["Target", "choose_targets"]

_JOIN = "×"
_ACTION = ("animation", "direction")
_POSE = "pose"
# Label of frames in which poses that cannot be told apart are one class.
_DISTINCT = "pose_distinct"


@dataclasses.dataclass(frozen=True)
class Target:
    """One thing that a judge names: joined labels of one scope, and their classes."""

    labels: tuple[str, ...]
    scope: str
    classes: list[str]

    @property
    def name(self) -> str:
        """Names of the labels, joined."""
        return _JOIN.join(self.labels)

    def of_sequence(self, store: FrameStore, sequence: Sequence) -> NDArray[np.integer]:
        """Class numbers `(T,)` of the frames of a sequence; −1 where there is none."""
        number: dict[str | None, int] = {name: i for i, name in enumerate(self.classes)}
        names = _names(store, sequence, self.labels)
        return np.array([number.get(name, -1) for name in names])

    def classes_in(self, store: FrameStore, sequences: Iterable[Sequence]) -> set[str]:
        """Names of the classes that occur in sequences, known or not."""
        names = (_names(store, sequence, self.labels) for sequence in sequences)
        return {name for each in names for name in each if name is not None}


def choose_targets(
    store: FrameStore,
    sequences: list[Sequence],
    judged: Collection[Sequence] = (),
    attributes: Collection[str] | None = None,
    action: Collection[str] | None = None,
) -> tuple[list[Target], Target]:
    """The targets of a judge.

    Args:
        store: `FrameStore`.
        sequences: List of `Sequence` that the judge learns from.
        judged: List of those that it judges; a class that occurs only there is one
            that it cannot name.
        attributes: Names of categorical sequence labels, as of `Judge`.
        action: Names of categorical frame labels, as of `Judge`.

    Returns:
        List of `Target` of the attributes, and the `Target` of the action.

    Raises:
        InputError: The store has no such labels, or they do not vary.
    """
    known: dict[str, list[str]] = {"sequence": [], "frame": []}
    for name, label in store.content_labels.items():
        if label.kind == "categorical":
            known[label.scope].append(name)
    wanted = known["sequence"] if attributes is None else list(attributes)
    if action is None:
        both = all(name in known["frame"] for name in _ACTION)
        action = _ACTION if both else [n for n in (_POSE,) if n in known["frame"]]
        if not action:
            raise InputError(
                "the store has no frame label for the action (animation and "
                "direction, or pose)"
            )
    for scope, names in (("sequence", wanted), ("frame", action)):
        missing = [name for name in names if name not in known[scope]]
        if missing:
            raise InputError(
                f"the store has no categorical {scope} label {missing[0]!r}"
            )

    def target(labels: tuple[str, ...], scope: str) -> Target:
        found = Target(labels, scope, [])
        learned = found.classes_in(store, sequences)
        # A target that does not vary in training is none.
        every = learned | found.classes_in(store, judged) if len(learned) > 1 else ()
        return dataclasses.replace(found, classes=sorted(every))

    found = [target((name,), "sequence") for name in wanted]
    varied = [part for part in found if part.classes]
    if not varied or (attributes is not None and len(varied) < len(found)):
        raise InputError("the store has no sequence label that varies in training")
    acted = target(tuple(action), "frame")
    if not acted.classes:
        raise InputError(f"the action ({acted.name}) does not vary in training")
    return varied, acted


def check_targets(
    image_shape: ImageShape,
    targets: list[Target],
    store: FrameStore,
    sequences: list[Sequence],
) -> None:
    """Refuse frames of another size, and labels or classes that a judge lacks."""
    if tuple(image_shape) != tuple(store.frame_shape):
        raise InputError(
            f"judge: it was trained on frames {image_shape}, but those of {store.path} "
            f"are {store.frame_shape}; train one on this store"
        )
    for target in targets:
        for name in target.labels:
            label = store.labels.get(name)
            if label is None or label.scope != target.scope:
                raise InputError(
                    f"judge: it names {name!r}, but {store.path} has no such label "
                    f"of a {target.scope}; train one on this store"
                )
        unknown = target.classes_in(store, sequences) - set(target.classes)
        if unknown:
            raise InputError(
                f"judge: it does not know {target.name} {sorted(unknown)[0]!r}; "
                "choose its targets for all sequences that it is to judge"
            )


def look_alike_ceiling(
    store: FrameStore, sequences: list[Sequence], action: Target
) -> float | None:
    """Share of frames that can be named where `pose_distinct` says some look alike."""
    from sklearn.metrics.cluster import contingency_matrix

    if _DISTINCT not in store.labels:
        return None
    alike = [store.label_values(s.index, _DISTINCT) for s in sequences]
    actions = [action.of_sequence(store, sequence) for sequence in sequences]
    pairs = np.stack([np.concatenate(alike), np.concatenate(actions)])
    pairs = pairs[:, pairs[1] >= 0]
    if not pairs.size:
        return None
    counts = contingency_matrix(*pairs)
    return float(counts.max(axis=1).sum() / counts.sum())


def _names(
    store: FrameStore, sequence: Sequence, labels: tuple[str, ...]
) -> list[str | None]:
    """Class names of the frames of a sequence, `None` where one is missing."""
    columns = [
        store.labels[name].names(store.label_values(sequence.index, name))
        for name in labels
    ]
    rows = zip(*columns, strict=True)
    return [None if None in row else _JOIN.join(row) for row in rows]
