"""Subtitles, SubRip (.srt) and WebVTT (.vtt), to see intervals while a video plays."""

from __future__ import annotations

import html
from pathlib import Path

from keras_ddr.exports.intervals import Interval, Recording, milliseconds

# Seconds for which a moment is shown: long enough to read it.
SHOWN = 1.0


def write_srt(path: Path, recordings: list[Recording], beside: Path) -> None:
    """Write one recording as SubRip."""
    cues = [
        f"{number}\n{start} --> {stop}\n{text}\n"
        for number, (start, stop, text) in enumerate(_cues(recordings, ","), start=1)
    ]
    path.write_text("\n".join(cues), encoding="utf-8", newline="\n")


def write_vtt(path: Path, recordings: list[Recording], beside: Path) -> None:
    """Write one recording as WebVTT."""
    cues = [
        f"{start} --> {stop}\n{html.escape(text, quote=False)}\n"
        for start, stop, text in _cues(recordings, ".")
    ]
    path.write_text("\n".join(["WEBVTT\n", *cues]), encoding="utf-8", newline="\n")


def _cues(recordings: list[Recording], point: str) -> list[tuple[str, str, str]]:
    """Starts, ends and texts by time; players show what overlaps in several lines."""
    [recording] = recordings
    return [
        (_clock(i.start, point), _clock(_end(i), point), _text(i))
        for i in sorted(recording.intervals, key=lambda i: (i.start, i.stop, i.tier))
    ]


def _end(interval: Interval) -> float:
    if interval.moment:
        return max(interval.stop, interval.start + SHOWN)
    return interval.stop


def _text(interval: Interval) -> str:
    subject = f"{interval.subject}: " if interval.subject else ""
    return " ".join(f"{subject}{interval.tier} {interval.name}".split())


def _clock(seconds: float, point: str) -> str:
    # Rounded down, so that the text is there with the frame and not with the next one.
    rest, thousandths = divmod(milliseconds(seconds, up=False), 1000)
    minutes, whole = divmod(rest, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{whole:02}{point}{thousandths:03}"
