"""Labels and names of people for a store that is there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from keras_ddr.data.labels import CROP_LABELS, FRAME_LABELS, HEAD_LABELS
from keras_ddr.data.place import check_target
from keras_ddr.data.sharing import SharingWriter
from keras_ddr.data.splits import joined_groups
from keras_ddr.data.store import FrameStore, Sequence
from keras_ddr.datasets.user_labels import Extent, read_labels
from keras_ddr.errors import InputError

if TYPE_CHECKING:
    from keras_ddr.datasets.label_sources import Target
    from keras_ddr.datasets.user_labels import UserLabels
    from keras_ddr.typing import StrPath

__all__ = ["relabel"]

_MADE = {*FRAME_LABELS, *CROP_LABELS, *HEAD_LABELS}


def relabel(
    store_path: StrPath,
    table: StrPath,
    new_path: StrPath,
    *,
    overwrite: bool = False,
) -> FrameStore:
    """Make a store of the frames of another one, with labels and people of a table.

    The table is that of `Splits.labels`; its column `source` may also hold the name of
    a sequence. A label of the table takes the place of one with its name, and `person`
    that of the name before; all else stays as it was. Both stores have one file of
    frames where the file system allows that, so that the new one takes hardly any
    room, and none of the work is done again.

    Splits stay as they are, unless a column `split` says otherwise: who gets a name
    that someone in another split has must get a split as well. "none" leaves out a
    sequence, a person or a source, and frames are then written anew.

    Args:
        store_path: Store, not a folder of stores.
        table: CSV file.
        new_path: Folder to make; with `overwrite` it may be that of the store itself.
        overwrite: Whether to replace a store that exists.

    Returns:
        The `FrameStore` at `new_path`.

    Raises:
        InputError: The table cannot be used, or it would put a person into two splits.
    """
    store = FrameStore.open(store_path)
    if not (store.path / "frames.npy").is_file():
        raise InputError(
            f"{store.path}: is a folder of stores; give one of the stores in it"
        )
    check_target(new_path, overwrite)
    rows = sorted(store.sequences, key=lambda row: row.start)
    targets = {row.name: _target(row) for row in rows}
    sources: Mapping[str, tuple[str, ...]] = {
        source: () for source, _ in targets.values()
    }
    labels = read_labels(table, sources, targets)
    for name in labels.info:
        if name in _MADE:
            raise InputError(
                f"{table}: the column {name!r} has the name of a label that is made "
                "with the frames; rename it"
            )
    _warn(store, labels, targets)
    named = [
        replace(row, person=labels.person(*targets[row.name]) or row.person)
        for row in rows
        if not labels.leaves_out(*targets[row.name])
    ]
    if not named:
        raise InputError(f"{table}: leaves every sequence out; keep one")
    splits = _splits(named, labels, table)
    kept = {
        name: about for name, about in store.labels.items() if name not in labels.info
    }
    with SharingWriter(
        new_path,
        store,
        whole=len(named) == len(rows),
        dataset=store.dataset,
        labels={**kept, **labels.info},
        arguments={**(store.meta.get("arguments") or {}), "labels": str(table)},
        seed=store.meta.get("seed"),
        licence=store.meta.get("licence", ""),
        overwrite=overwrite,
    ) as writer:
        for row in named:
            before = store.frame_labels(row.name)
            values, of_frames = labels.of(*targets[row.name], before)
            values.update({n: v for n, v in row.labels.items() if n in kept})
            writer.append_row(
                replace(row, split=splits[row.name], labels=values),
                {**{n: v for n, v in before.items() if n in kept}, **of_frames},
            )
    return writer.store


def _target(row: Sequence) -> Target:
    """A sequence as a row of the table may name it: its source, and its own name."""
    _, mark, part = row.name.rpartition("#")
    return (row.source, part) if row.source else (row.name, part if mark else "")


def _splits(rows: list[Sequence], labels: UserLabels, table: StrPath) -> dict[str, str]:
    """The split of each sequence: that of the table for its group, else its own."""
    groups = joined_groups(
        [row.name for row in rows],
        [row.person for row in rows],
        [row.source for row in rows],
    )
    members: defaultdict[str, list[Sequence]] = defaultdict(list)
    for row, group in zip(rows, groups, strict=True):
        members[group].append(row)
    result = {}
    for together in members.values():
        given = {labels.splits.get(_target(row)[0], "") for row in together} - {""}
        sides = given or {row.split for row in together}
        first = together[0]
        other = next((row for row in together if row.split != first.split), first)
        if len(sides) > 1:
            raise InputError(
                f"{table}: would put {first.person or first.source!r} into "
                f"{first.split} ({first.name}) and {other.split} ({other.name}), and a "
                "person must be in one split; say in a column `split` which"
            )
        result.update({row.name: min(sides) for row in together})
    return result


def _warn(store: FrameStore, labels: UserLabels, targets: Mapping[str, Target]) -> None:
    found: dict[str, Extent] = {}
    for name, (source, part) in targets.items():
        before = found.get(source, Extent(0, -np.inf, ()))
        about = store.frame_labels(name)
        times = about["time"][~np.isnan(about["time"])]
        frames = max(before.frames, int(about["source_frame"].max()) + 1)
        end = max(before.end, float(times.max()) if len(times) else np.inf)
        found[source] = Extent(frames, end, [*before.parts, part])
    labels.warn_of_unused(found)
