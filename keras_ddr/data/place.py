"""Path of a store in the making: it grows beside its path and is renamed when whole."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from keras_ddr import manifest
from keras_ddr.data.format import FILES, FORMAT
from keras_ddr.errors import InputError
from keras_ddr.files import check_expanded, locked, read_json

if TYPE_CHECKING:
    from keras_ddr.typing import StrPath

# Files that file systems and their browsers leave behind.
_OF_SYSTEMS = (".DS_Store", "._", ".nfs", ".fuse_hidden", ".directory")


class Place:
    """Path of a store, and the hidden folder beside it where the store grows."""

    def __init__(self, path: Path, overwrite: bool) -> None:
        self.path = path
        self.folder = self._beside("tmp")
        self._overwrite = overwrite
        self._older = False
        self._lock = contextlib.ExitStack()

    def make(self) -> None:
        """Make the folder; one process at a time makes the store of a path."""
        check_expanded(self.path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self._lock.enter_context(_alone(self.path)):
            _clear(self.path)
        _check(self.path, self._overwrite)
        self._older = self.path.exists()
        self.folder.mkdir()

    def publish(self) -> None:
        """Give the folder the store's name; an older store comes back on errors."""
        if not self._older:
            _check(self.path, overwrite=False)
            os.rename(self.folder, self.path)
            return
        old = self._beside("old")
        os.rename(self.path, old)
        try:
            os.rename(self.folder, self.path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.rename(old, self.path)
            raise
        shutil.rmtree(old, ignore_errors=True)

    def close(self) -> None:
        """Remove the folder where it was not published; let others make the store."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.close()

    def _beside(self, kind: str) -> Path:
        return self.path.with_name(f"{_prefix(self.path, kind)}{uuid.uuid4().hex[:8]}")


def check_target(path: StrPath, overwrite: bool = False) -> None:
    """Refuse a path where a store cannot be written, before the work is done."""
    check_expanded(path)
    recover(path)
    _check(Path(path), overwrite)


def recover(path: StrPath) -> bool:
    """Clear leftovers of killed writers; whether a living one is replacing `path`."""
    # Unfinished folders go. A whole store that was just being replaced comes back if
    # there is no store now.
    path = Path(path)
    if not (left := _leftovers(path)):
        return False
    try:
        with _alone(path) as alone:
            if alone:
                _clear(path)
    except InputError:
        return any(folder.name.startswith(_prefix(path, "old")) for folder in left)
    return False


def _alone(path: Path) -> contextlib.AbstractContextManager[bool]:
    """The lock of a store's path: whoever holds it knows that leftovers are dead."""
    busy = "is being made by another process now; wait for it, or choose another name"
    lock = path.with_name(f".{path.name}.lock")
    return locked(lock, f"{path}: {busy}", keep=False)


def _prefix(path: Path, kind: str) -> str:
    return f".{path.name}.{kind}-"


def _leftovers(path: Path) -> list[Path]:
    prefixes = _prefix(path, "old"), _prefix(path, "tmp")
    try:
        return sorted(f for f in path.parent.iterdir() if f.name.startswith(prefixes))
    except OSError:
        return []


def _clear(path: Path) -> None:
    for folder in _leftovers(path):
        old = folder.name.startswith(_prefix(path, "old"))
        if old and not os.path.lexists(path):
            os.rename(folder, path)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _check(path: Path, overwrite: bool) -> None:
    if not path.name:
        raise InputError(f"{path}: is not a name for a store; choose another")
    if not os.path.lexists(path):
        return
    if not overwrite:
        raise InputError(
            f"{path}: exists already; choose another name or overwrite it with "
            "--overwrite (in Python overwrite=True)"
        )
    if path.is_symlink() or not path.is_dir():
        raise InputError(
            f"{path}: is not a folder and is not overwritten; choose another name"
        )
    move = "so it is not overwritten; move it away or choose another name"
    for name in sorted(entry.name for entry in path.iterdir()):
        of_system = name.startswith(_OF_SYSTEMS) and not (path / name).is_dir()
        if not of_system and name not in (*FILES, manifest.NAME):
            raise InputError(
                f"{path}: holds {name!r}, which is no part of a frame store, {move}"
            )
    try:
        meta = read_json(path / "meta.json")
    except InputError:
        return  # a damaged store may be replaced
    # Other programs write a meta.json, too.
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise InputError(f"{path}: its meta.json is not that of a frame store, {move}")
