"""The place of a run folder: whether it is free, and what a run leaves there."""

from __future__ import annotations

import pathlib
import shutil

from keras_ddr import manifest
from keras_ddr.checkpoints import is_leftover
from keras_ddr.errors import InputError
from keras_ddr.files import read_json


def check_free(path: pathlib.Path, overwrite: bool) -> None:
    """Refuse a place where something is that must stay."""
    if not path.exists() or (path.is_dir() and _unfinished(path)):
        return
    if not path.is_dir():
        raise InputError(f"{path} exists and is a file; choose another folder")
    if not _is_run(path):
        raise InputError(f"{path} exists and is not a run; choose another folder")
    if not overwrite:
        raise InputError(
            f"{path} exists; go on with --resume, replace it with --overwrite, or "
            "choose another folder"
        )


def _is_run(path: pathlib.Path) -> bool:
    """Whether its config.json is that of a run: other software has such files, too."""
    try:
        config = read_json(path / "config.json")
    except InputError:
        return False
    return isinstance(config, dict) and {"format", "model", "training"} <= set(config)


def _unfinished(path: pathlib.Path) -> bool:
    """Whether a folder is empty but for what `create` leaves when it is killed."""
    known = {".lock", manifest.NAME, "checkpoint", "samples"}
    known.add("checkpoint/epoch-000000.keras")
    found = [file.relative_to(path) for file in path.rglob("*")]
    return all(
        file.as_posix() in known or any(map(is_leftover, file.parts)) for file in found
    )


def remove(path: pathlib.Path) -> None:
    """Remove what a run writes, and nothing else that may lie there."""
    for folder in ("checkpoint", "samples"):
        if (path / folder).is_dir():
            shutil.rmtree(path / folder)
    for file in ("model.keras", "history.csv", manifest.NAME, "config.json"):
        (path / file).unlink(missing_ok=True)
