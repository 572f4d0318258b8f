"""Which store a run was made with."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Any

from keras_ddr.data import FrameStore
from keras_ddr.errors import InputError

if TYPE_CHECKING:
    from keras_ddr.runs.folder import Run
    from keras_ddr.typing import StrPath

__all__ = ["describe", "open_store", "prepared_otherwise", "same_store"]

# Arguments of preprocessing on which the meaning of z depends.
_PREPARATION = ("crop", "align", "margin", "background")


def open_store(store: FrameStore | StrPath) -> FrameStore:
    """The store itself, or the one at a path."""
    return store if isinstance(store, FrameStore) else FrameStore.open(store)


def describe(store: FrameStore) -> dict[str, Any]:
    """What config.json keeps of a store.

    Args:
        store: `FrameStore`.

    Returns:
        Dict with "path", "dataset", "sha256", "sequences" and "frames", and "prepared":
        how frames were cut out, where the store knows.
    """
    return {
        "path": str(pathlib.Path(store.path).resolve()),
        "dataset": store.dataset,
        "prepared": _preparation(store),
        **_identity(store),
    }


def same_store(run: Run, store: FrameStore | StrPath | None = None) -> FrameStore:
    """The store that a run was made with, wherever it is now.

    Args:
        run: `Run`.
        store: `FrameStore` or its path, if it was moved.

    Returns:
        `FrameStore`.

    Raises:
        InputError: It is not there, or another one.
    """
    wanted = run.config["store"]
    if store is None:
        if not pathlib.Path(wanted["path"]).exists():
            raise InputError(
                f"{wanted['path']}, the store of {run.path}, is not there; give its "
                "new place as STORE"
            )
        store = wanted["path"]
    store = open_store(store)
    for name, value in _identity(store).items():
        if value != wanted.get(name):
            raise InputError(
                f"{store.path} is not the store that {run.path} was started with: its "
                f"{name} is {value}, not {wanted.get(name)}; give that one, or start a "
                "new run"
            )
    return store


def prepared_otherwise(run: Run, store: FrameStore) -> str:
    """What differs in how frames of a store and of a run's own were cut out.

    Args:
        run: `Run`.
        store: `FrameStore`.

    Returns:
        Text such as "crop none, not face"; "" where nothing does, or is not known.
    """
    known, here = run.config["store"].get("prepared") or {}, _preparation(store)
    if {known.get("crop", "face"), here.get("crop", "face")} != {"face"}:
        # The other options are of faces.
        known = {name: known[name] for name in ("crop", "background") if name in known}
    return "; ".join(
        f"{name} {here[name]}, not {known[name]}"
        for name in _PREPARATION
        if name in known and name in here and known[name] != here[name]
    )


def _preparation(store: FrameStore) -> dict[str, Any]:
    arguments = store.meta.get("arguments") or {}
    return {name: arguments[name] for name in _PREPARATION if name in arguments}


def _identity(store: FrameStore) -> dict[str, Any]:
    return {
        "sha256": store.meta.get("sha256"),
        "sequences": len(store),
        "frames": int(store.num_frames),
    }
