"""Where a store is made: beside its place, which it takes when it is whole."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from keras_ddr.data.format import FILES, FORMAT
from keras_ddr.data.store import release
from keras_ddr.errors import InputError
from keras_ddr.files import (
    check_expanded,
    lives,
    locked,
    read_json,
    same_host,
    this_process,
)

if TYPE_CHECKING:
    from keras_ddr.typing import StrPath

__all__ = ["Place", "check_target", "recover"]

# Files that file systems and their browsers leave behind.
_OF_SYSTEMS = (".DS_Store", "._", ".nfs", ".fuse_hidden", ".directory")
# Seconds after which what a process of another machine left is taken for dead: nobody
# can ask whether that lives, and containers have another name each time.
_FORGOTTEN = 86_400.0

# Temporary folders of this process that are being written now.
_active: set[str] = set()


class Place:
    """The path of a store in the making, and the hidden folder where it grows.

    Args:
        path: `pathlib.Path` of the store.
        overwrite: Whether an older store may be replaced.

    Attributes:
        path: What the store will be called.
        folder: Where its files are written until it is published.
    """

    def __init__(self, path: Path, overwrite: bool) -> None:
        self.path = path
        self.folder = self._beside("tmp")
        self._overwrite = overwrite
        self._lock = contextlib.ExitStack()

    def make(self) -> None:
        """Make the folder; one process at a time makes the store of a path.

        Raises:
            InputError: Another process is making it.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock.enter_context(
            locked(
                self.path.with_name(f".{self.path.name}.lock"),
                f"{self.path}: is being made by another process now; wait for it, or "
                "choose another name",
                keep=False,
            )
        )
        _active.add(self.folder.name)
        self.folder.mkdir()

    def publish(self) -> None:
        """Give the folder the name of the store; an older store goes at the end.

        Raises:
            InputError: Something is there now that is not to be replaced.
            OSError: It cannot be renamed; the older store is back then.
        """
        check_target(self.path, self._overwrite)
        if not self.path.exists():
            os.rename(self.folder, self.path)
            return
        release(self.path)
        old = self._beside("old")
        _active.add(old.name)
        try:
            os.rename(self.path, old)
            os.rename(self.folder, self.path)
        except BaseException:
            if old.exists() and not self.path.exists():
                os.rename(old, self.path)
            raise
        finally:
            _active.discard(old.name)
        shutil.rmtree(old, ignore_errors=True)

    def discard(self) -> None:
        """Remove the folder, if it was made, and let others make the store."""
        if self.folder.name in _active:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.close()

    def close(self) -> None:
        """Let others make the store."""
        _active.discard(self.folder.name)
        self._lock.close()

    def _beside(self, kind: str) -> Path:
        name = f".{self.path.name}.{kind}-{this_process()}-{uuid.uuid4().hex[:8]}"
        return self.path.parent / name


def check_target(path: StrPath, overwrite: bool = False) -> None:
    """Refuse a place where a store cannot be written.

    Args:
        path: where the store is to be.
        overwrite: whether an older store may be replaced.

    Raises:
        InputError: something is there that is not to be replaced, or is no store.
    """
    check_expanded(path)
    path = Path(path)
    if not path.name:
        raise InputError(f"{path}: is not a name for a store; choose another")
    recover(path)
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
    strange = _strange_entry(path)
    if strange is not None:
        raise InputError(
            f"{path}: holds {strange!r}, which is no part of a frame store, so it is "
            "not overwritten; move it away or choose another name"
        )
    try:
        meta = read_json(path / "meta.json")
    except InputError:
        return  # a damaged store may be replaced
    # Other programs have a meta.json, too.
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise InputError(
            f"{path}: its meta.json is not that of a frame store, so it is not "
            "overwritten; move it away or choose another name"
        )


def recover(path: StrPath) -> bool:
    """Clear up what killed writers of `path` left behind.

    Unfinished folders go, those of other machines after a day. A whole store that was
    just being replaced comes back if `path` has no store now. Folders of living
    writers are left alone.

    Returns:
        Whether a living writer is just replacing it.
    """
    path = Path(path)
    replaced = False
    for kind in ("old", "tmp"):
        prefix = f".{path.name}.{kind}-"
        try:
            found = [f for f in path.parent.iterdir() if f.name.startswith(prefix)]
        except OSError:
            return False
        for folder in found:
            if _alive(folder, folder.name[len(prefix) :]):
                replaced = replaced or kind == "old"
            elif kind == "old" and not os.path.lexists(path):
                os.rename(folder, path)
            else:
                shutil.rmtree(folder, ignore_errors=True)
    return replaced


def _strange_entry(folder: Path) -> str | None:
    """Name something in a folder that overwriting a store must not delete."""
    for entry in sorted(folder.iterdir()):
        of_system = entry.name.startswith(_OF_SYSTEMS) and not entry.is_dir()
        if not of_system and entry.name not in FILES:
            return entry.name
    return None


def _alive(folder: Path, owner: str) -> bool:
    if owner.startswith(f"{this_process()}-"):
        return folder.name in _active
    return lives(owner) and not _forgotten(folder, owner)


def _forgotten(folder: Path, owner: str) -> bool:
    """Whether it is of another machine, and nothing in it has changed for long."""
    if same_host(owner):
        return False
    try:
        changed = max(os.lstat(p).st_mtime for p in (folder, *folder.iterdir()))
    except OSError:
        return False
    return time.time() - changed > _FORGOTTEN
