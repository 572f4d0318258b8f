"""Praat's TextGrid, in its long text format."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from keras_ddr.exports.intervals import Recording, Tier


def write_textgrid(path: Path, recordings: list[Recording], beside: Path) -> None:
    """Write one recording: states as tiers of intervals, moments as tiers of points."""
    [recording] = recordings
    # Praat opens no grid without a tier.
    tiers = recording.tiers() or [Tier("", "intervals", False, [])]
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0"]
    lines += [f"xmax = {_number(recording.end)}", "tiers? <exists>"]
    lines += [f"size = {len(tiers)}", "item []:"]
    for number, tier in enumerate(tiers, start=1):
        lines += [f"    item [{number}]:", *_tier(tier, recording.end)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def _tier(tier: Tier, end: float) -> Iterator[str]:
    kind, parts = (
        ("TextTier", "points") if tier.moments else ("IntervalTier", "intervals")
    )
    entries = [
        [("number", _number(i.start)), ("mark", _quoted(i.name))]
        for i in tier.intervals
    ]
    if not tier.moments:
        entries = [
            [("xmin", begin), ("xmax", stop), ("text", _quoted(name))]
            for begin, stop, name in _tiled(tier, end)
        ]
    yield f'        class = "{kind}"'
    yield f"        name = {_quoted(tier.name)}"
    yield "        xmin = 0"
    yield f"        xmax = {_number(end)}"
    yield f"        {parts}: size = {len(entries)}"
    for number, entry in enumerate(entries, start=1):
        yield f"        {parts} [{number}]:"
        yield from (f"            {name} = {value}" for name, value in entry)


def _tiled(tier: Tier, end: float) -> Iterator[tuple[str, str, str]]:
    """Intervals of a tier, with empty ones wherever there is none."""
    last = _number(0.0)
    for interval in tier.intervals:
        start, stop = _number(interval.start), _number(interval.stop)
        if start != last:
            yield last, start, ""
        yield start, stop, interval.name
        last = stop
    if last != _number(end):
        yield last, _number(end), ""


def _number(seconds: float) -> str:
    return f"{seconds:.6f}".rstrip("0").rstrip(".")


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
