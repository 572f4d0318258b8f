"""Files of tracks, whatever program wrote them."""

from __future__ import annotations

import pickle
from collections.abc import Collection

from keras_ddr.errors import InputError, reason_of
from keras_ddr.tracks import deeplabcut, sleap, tables
from keras_ddr.tracks.track import Points, Track

SUFFIXES = frozenset((".csv", ".h5", ".hdf5"))
_HDF5 = b"\x89HDF\r\n\x1a\n"


def read_tracks(
    path: str, how: Points, of: Collection[str] | None = None
) -> tuple[list[Track], str]:
    """The tracks in a file that are known anywhere, and a remark or "".

    `of` has the names by which a column source may call the video; without it the file
    is of one video.
    """
    remark = ""
    if _is_hdf5(path):
        tracks = _read_h5(path, how)
    else:
        try:
            with open(path, newline="", encoding="utf-8-sig") as file:
                begin = file.readline(64).split(",")[0].strip()
                file.seek(0)
                if begin == "scorer":
                    tracks = deeplabcut.read_csv(path, file, how)
                else:
                    tracks, remark = tables.read_csv(path, file, how, of)
        except UnicodeDecodeError as error:
            raise InputError(
                f"{path}: is neither HDF5 nor text in UTF-8 ({error.reason}); give a "
                "file of tracks (.csv or .h5)"
            ) from None
        except tables.csv.Error as error:
            raise InputError(
                f"{path}: cannot be read as a table ({error}); export it again"
            ) from None
    tracks = [track for track in tracks if len(track.keys)]
    if not tracks:
        raise InputError(
            f"{path}: has no frame with an animal: points are missing, or less likely "
            "than --min-likelihood"
        )
    return tracks, remark


def sources_in(path: str) -> set[str] | None:
    """What stands in the column source of a table, or None where there is none."""
    if _is_hdf5(path):
        return None
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            return tables.sources(path, file)
    except (UnicodeDecodeError, tables.csv.Error):
        return None  # said by the one that reads it


def _is_hdf5(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(len(_HDF5)) == _HDF5
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None


def _read_h5(path: str, how: Points) -> list[Track]:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            if sleap.is_analysis(file):
                return sleap.read_h5(path, file, how)
            if "pred_points" in file:
                raise InputError(
                    f"{path}: is a project of SLEAP; export its analysis file (in "
                    "the menu: File, Export Analysis HDF5)"
                )
            return deeplabcut.read_h5(path, file, how)
    except InputError:
        raise
    # h5py raises many kinds of error on a damaged file.
    except (
        *(OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError),
        *(IndexError, pickle.UnpicklingError, EOFError, MemoryError),
    ) as error:
        raise InputError(
            f"{path}: cannot be read (truncated, damaged, or of another layout: "
            f"{reason_of(error)}); write it again, or as .csv"
        ) from None
