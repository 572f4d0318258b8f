"""The store that a run was made with."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from keras_ddr.data.store import FrameStore
from keras_ddr.errors import InputError

if TYPE_CHECKING:
    from keras_ddr.typing import StrPath

# Arguments of preprocessing on which the meaning of z depends.
_PREPARATION = ("crop", "align", "margin", "background")


def open_store(store: FrameStore | StrPath) -> FrameStore:
    """The store itself, or the one at a path."""
    return store if isinstance(store, FrameStore) else FrameStore.open(store)


def describe(store: FrameStore) -> dict[str, Any]:
    """Entry "store" of config.json."""
    return {
        "path": str(pathlib.Path(store.path).resolve()),
        "dataset": store.dataset,
        "prepared": _preparation(store),
        **_identity(store),
    }


def same_store(
    known: Mapping[str, Any], run: StrPath, store: FrameStore | StrPath | None = None
) -> FrameStore:
    """The store of `Run.config["store"]`; `store` is it or its path if it was moved."""
    if store is None:
        if not pathlib.Path(known["path"]).exists():
            said = f"{known['path']}, the store of {run}, is not there"
            raise InputError(f"{said}; give its new place as STORE")
        store = known["path"]
    store = open_store(store)
    for name, value in _identity(store).items():
        if value != known.get(name):
            raise InputError(
                f"{store.path} is not the store that {run} was started with: its "
                f"{name} is {value}, not {known.get(name)}; give that one, or start a "
                "new run"
            )
    return store


def prepared_otherwise(known: Mapping[str, Any], store: FrameStore) -> str:
    """Known differences between how frames of a store and of a run's were made."""
    before, here = known.get("prepared") or {}, _preparation(store)
    source = known.get("dataset", store.dataset)
    if source != store.dataset and not ("crop" in before and "crop" in here):
        # Recordings of two kinds are alike where they are cropped alike.
        return f"source {store.dataset}, not {source}"
    if {before.get("crop", "face"), here.get("crop", "face")} != {"face"}:
        # The other options are of faces.
        before = {n: before[n] for n in ("crop", "background") if n in before}
    return "; ".join(
        f"{name} {here[name]}, not {before[name]}"
        for name in _PREPARATION
        if name in before and name in here and before[name] != here[name]
    )


def _preparation(store: FrameStore) -> dict[str, Any]:
    arguments = store.meta.get("arguments") or {}
    return {name: arguments[name] for name in _PREPARATION if name in arguments}


def _identity(store: FrameStore) -> dict[str, Any]:
    sha256, frames = store.meta.get("sha256"), int(store.num_frames)
    return {"sha256": sha256, "sequences": len(store), "frames": frames}
