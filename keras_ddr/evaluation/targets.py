"""What a judge names: attributes of a sequence, and the action of a frame."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from keras_ddr.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.data.labels import Label
    from keras_ddr.data.store import FrameStore, Sequence

__all__ = ["Target", "choose_targets", "look_alike_ceiling"]

_JOIN = "×"
_ACTION = ("animation", "direction")
_POSE = "pose"
# Label of frames in which poses that cannot be told apart are one class.
_DISTINCT = "pose_distinct"


@dataclasses.dataclass(frozen=True)
class Target:
    """One thing that a judge names.

    Attributes:
        labels: Names of the labels that are joined; all of sequences, or of frames.
        scope: "sequence" or "frame".
        classes: List of class names, those that occur.
    """

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
        return _found(store, sequences, self.labels)


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
        attributes: Names of categorical sequence labels; all that have at least two
            classes where `None`.
        action: Names of categorical frame labels, which are joined. Where `None`
            "animation" and "direction" if the store has both, else "pose".

    Returns:
        List of `Target` of the attributes, and the `Target` of the action.

    Raises:
        InputError: The store has no such labels, or they do not vary.
    """
    labels = store.content_labels
    wanted = attributes
    if attributes is None:
        attributes = _categorical(labels, "sequence")
    if action is None:
        frames = _categorical(labels, "frame")
        both = all(name in frames for name in _ACTION)
        action = _ACTION if both else [name for name in (_POSE,) if name in frames]
        if not action:
            raise InputError(
                "the store has no frame label for the action (animation and "
                "direction, or pose)"
            )
    for name, scope in [
        *((name, "sequence") for name in attributes),
        *((name, "frame") for name in action),
    ]:
        if name not in _categorical(labels, scope):
            raise InputError(f"the store has no categorical {scope} label {name!r}")
    attributes = [(name, _found(store, sequences, (name,))) for name in attributes]
    varied = [(name, classes) for name, classes in attributes if len(classes) > 1]
    if not varied or (wanted is not None and len(varied) < len(attributes)):
        raise InputError("the store has no sequence label that varies in training")
    labels = tuple(action)
    classes = _found(store, sequences, labels)
    if len(classes) < 2:
        raise InputError(f"the action ({_JOIN.join(labels)}) does not vary in training")
    wanted = [((name,), "sequence", found) for name, found in varied]
    *attributes, action = (
        Target(names, scope, sorted(found | _found(store, judged, names)))
        for names, scope, found in [*wanted, (labels, "frame", classes)]
    )
    return attributes, action


def look_alike_ceiling(
    store: FrameStore, sequences: list[Sequence], action: Target
) -> float | None:
    """Largest accuracy that an action can have where some frames look the same.

    Args:
        store: `FrameStore`; one label, `pose_distinct`, says which frames are alike.
        sequences: List of `Sequence`.
        action: `Target`.

    Returns:
        Share of frames in (0, 1] that are right if of all frames that look the same
        the most frequent action is named; `None` without that label.
    """
    if _DISTINCT not in store.labels:
        return None
    counts: dict[tuple[int, int], int] = {}
    for sequence in sequences:
        alike = np.asarray(store.frame_labels(sequence.index)[_DISTINCT])
        for pair in zip(
            alike.tolist(), action.of_sequence(store, sequence).tolist(), strict=True
        ):
            counts[pair] = counts.get(pair, 0) + 1
    best: dict[int, int] = {}
    for (alike, number), count in counts.items():
        if number >= 0:
            best[alike] = max(best.get(alike, 0), count)
    total = sum(count for (_, number), count in counts.items() if number >= 0)
    return sum(best.values()) / total if total else None


def _found(
    store: FrameStore,
    sequences: Iterable[Sequence],
    labels: tuple[str, ...],
) -> set[str]:
    """Names of the classes that occur."""
    found: set[str | None] = set()
    for sequence in sequences:
        found.update(_names(store, sequence, labels))
    return {name for name in found if name is not None}


def _names(
    store: FrameStore, sequence: Sequence, labels: tuple[str, ...]
) -> list[str | None]:
    """Class names of the frames of a sequence, `None` where one is missing."""
    columns = [
        store.labels[name].names(store.label_values(sequence.index, name))
        for name in labels
    ]
    return [
        None if None in row else _JOIN.join(row) for row in zip(*columns, strict=True)
    ]


def _categorical(labels: Mapping[str, Label], scope: str) -> list[str]:
    return [
        name
        for name, label in labels.items()
        if label.scope == scope and label.kind == "categorical"
    ]
