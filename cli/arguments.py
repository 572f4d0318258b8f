"""Paths on the command line whose absence is said before Keras is imported."""

import os
import pathlib
from typing import Any

import click

from ddr_cli.errors import Failure, one_line

__all__ = ["MODEL", "RUN", "STORE", "STORE_OR_RUN"]


class _Existing(click.Path):
    """A path at which there is something; what it is, is seen on opening."""

    def __init__(self, missing: str) -> None:
        super().__init__()
        self._missing = missing

    def convert(
        self,
        value: Any,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:
        path = pathlib.Path(os.fsdecode(super().convert(value, param, ctx)))
        if not os.path.lexists(path) and not _being_replaced(path):
            raise Failure(f"{one_line(path)}: {self._missing}")
        return value


def _being_replaced(path: pathlib.Path) -> bool:
    """Whether a folder of that name may come back within moments."""
    try:
        beside = os.listdir(path.parent)
    except OSError:
        return False
    kinds = tuple(f".{path.name}.{kind}-" for kind in ("old", "tmp"))
    return any(name.startswith(kinds) for name in beside)


STORE = _Existing("no such frame store; make one with ddr preprocess")
RUN = _Existing("no such run; start one with ddr fit STORE --out RUN")
MODEL = _Existing("no such run; make one with ddr fit, or give a .keras file")
STORE_OR_RUN = _Existing(
    "there is neither a frame store nor a run; make them with ddr preprocess and "
    "ddr fit"
)
