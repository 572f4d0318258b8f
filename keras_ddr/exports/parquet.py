"""Tables as Apache Parquet, for R, Python and data bases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_ddr.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.typing import StrPath


def pyarrow_for(path: StrPath) -> ModuleType:
    """The package PyArrow, or one line that says how to get it."""
    try:
        import pyarrow.parquet
    except ImportError:
        raise InputError(
            f'{path}: needs the package pyarrow; pip install "keras_ddr[parquet]"'
        ) from None
    return pyarrow


def write_parquet(
    path: Path, parts: Iterable[Mapping[str, list[str] | NDArray[Any]]]
) -> None:
    """Write parts of a table, one in memory at a time; "" and NaN are missing.

    All have the same columns: lists of texts, or arrays of numbers.
    """
    pa = pyarrow_for(path)
    texts = pa.dictionary(pa.int32(), pa.string())
    writer = None
    try:
        for part in parts:
            columns = {
                name: pa.array([value or None for value in values], texts)
                if isinstance(values, list)
                else pa.array(np.asarray(values), from_pandas=True)
                for name, values in part.items()
            }
            table = pa.table(columns)
            if writer is None:
                writer = pa.parquet.ParquetWriter(path, table.schema)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()
