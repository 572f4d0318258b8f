"""Sources, people and sequences that the rows of a table of labels name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias
from urllib.parse import unquote

from keras_ddr.datasets.folders import id_of
from keras_ddr.datasets.label_values import number
from keras_ddr.datasets.tables import Table

# A source, and one of its people ("person2") or sequences ("person2-1"), or "" for all.
Target: TypeAlias = tuple[str, str]
# Each of several sequences in a file is a source: `mice.npy#3`.
_ONE_OF_FILE = re.compile(r"(.*\.\w+)#[^#]*")


def targets_of(source: str, part: str) -> Iterator[Target]:
    """All that a label of a sequence may be given to, the most special last."""
    yield source, ""
    person, mark, _ = part.rpartition("-")
    if mark:
        yield source, person
    if part:
        yield source, part


def written(target: Target) -> str:
    """A target as messages name it."""
    source, part = target
    return repr(f"{source}#{part}" if part else source)


class Finder:
    """Finds sources by path, or by less of it where that is clear, and frames."""

    def __init__(
        self,
        table: Table,
        sources: Mapping[str, Sequence[str]],
        sequences: Mapping[str, Target],
    ) -> None:
        self._table = table
        self._known = {id_of(source): source for source in sources}
        self._sequences = {id_of(name): target for name, target in sequences.items()}
        self._places: dict[str, list[str]] = {}
        self._absolute: dict[str, str] = {}
        self._files: dict[str, list[Target]] = {}
        for source in sources:
            if match := _ONE_OF_FILE.fullmatch(source):
                self._files.setdefault(id_of(match[1]), []).append((source, ""))
            name = source.rsplit("/", 1)[-1]
            short = os.path.splitext(source)[0], os.path.splitext(name)[0]
            for key in {source, name, *short}:
                self._places.setdefault(id_of(key), []).append(source)
        self._frames = {
            source: {id_of(name): place for place, name in enumerate(names)}
            for source, names in sources.items()
        }

    def find(self, text: str, line: int) -> list[Target]:
        """The source or part of one that a cell names, or all sources of a file."""
        if text.startswith("file:/"):
            text = re.sub("^file:/+(?=[A-Za-z]:/)|^file:/+", "", unquote(text))
            text = text if text[1:2] == ":" else f"/{text}"
        text = id_of(text.replace("\\", "/").removeprefix("./").rstrip("/"))
        if text in self._sequences and text not in self._known:
            return [self._sequences[text]]
        if source := self._source(text, line):
            return [(source, "")]
        base, mark, part = text.rpartition("#")
        source = self._source(base, line) if mark and part else None
        return [(source, part)] if source else self._files.get(text, [])

    def _source(self, text: str, line: int) -> str | None:
        found = [self._known[text]] if text in self._known else self._places.get(text)
        if not found and text.endswith(".eaf"):
            found = self._places.get(text.removesuffix(".eaf"))
        if not found and re.match(r"/|[A-Za-z]:/", text):
            return self._elsewhere(text, line)
        if found and len(found) > 1:
            raise self._table.refuse(
                line,
                f"says {text!r}, which could be {found[0]!r} or {found[1]!r}; write "
                "the whole path",
            )
        return found[0] if found else None

    def _elsewhere(self, text: str, line: int) -> str | None:
        """The source that lay at an absolute path, maybe of another machine."""
        parts = text.split("/")[1:]
        tails = ("/".join(parts[k:]) for k in range(len(parts)))
        found = next((s for s in (self._source(t, line) for t in tails) if s), None)
        if found and self._absolute.setdefault(found, text) != text:
            raise self._table.refuse(
                line,
                f"says {text!r}, and another one {self._absolute[found]!r}: both could "
                f"be {found!r}; give paths below the folder that is read",
            )
        return found

    def frame(self, text: str, source: str, line: int) -> int | None:
        """Number of the frame that a cell names, None for all."""
        names = self._frames[source]
        if not text:
            return None
        if id_of(text) in names:
            return names[id_of(text)]
        value = number(text)
        if value is not None and 0 <= value < 1e9 and value == int(value):
            return int(value)
        raise self._table.refuse(
            line,
            f"has the frame {text[:40]!r}; give its number, from 0"
            + (", or the name of a picture that is there" if names else ""),
        )
