"""ELAN's annotation files, .eaf in version 3.0."""

from __future__ import annotations

import datetime
import itertools
import mimetypes
import os
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from keras_ddr.exports.intervals import Interval, Recording, Tier, milliseconds

_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
_TYPE = "default-lt"  # a name that ELAN gives itself


def write_eaf(path: Path, recordings: list[Recording], beside: Path) -> None:
    """Write one recording, which will lie in the folder `beside`; a tier a kind.

    ELAN knows no moments: they are as long as the frame that is shown then.
    """
    [recording] = recordings
    tiers = recording.tiers()
    intervals = [interval for tier in tiers for interval in tier.intervals]
    ElementTree.register_namespace("xsi", _INSTANCE)
    now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    root = ElementTree.Element(
        "ANNOTATION_DOCUMENT",
        {
            **{"AUTHOR": "keras_ddr", "DATE": now, "FORMAT": "3.0", "VERSION": "3.0"},
            f"{{{_INSTANCE}}}noNamespaceSchemaLocation": _SCHEMA,
        },
    )
    _add_header(root, recording, beside, len(intervals))
    slots = _add_slots(root, intervals)
    ids = itertools.count()
    for tier in tiers:
        _add_tier(root, tier, ids, slots)
    ElementTree.SubElement(
        root,
        "LINGUISTIC_TYPE",
        GRAPHIC_REFERENCES="false",
        LINGUISTIC_TYPE_ID=_TYPE,
        TIME_ALIGNABLE="true",
    )
    ElementTree.indent(root, "    ")
    ElementTree.ElementTree(root).write(path, "UTF-8", xml_declaration=True)


def _add_header(root: Element, recording: Recording, beside: Path, count: int) -> None:
    header = ElementTree.SubElement(
        root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds"
    )
    if recording.media is not None:
        place = recording.media.as_posix()
        relative = Path(os.path.relpath(recording.media, beside)).as_posix()
        ElementTree.SubElement(
            header,
            "MEDIA_DESCRIPTOR",
            # As ELAN writes addresses: with blanks and accents as they are.
            MEDIA_URL=f"file://{place if place.startswith('/') else f'/{place}'}",
            MIME_TYPE=mimetypes.guess_type(place)[0] or "unknown",
            RELATIVE_MEDIA_URL=relative if relative[:2] == ".." else f"./{relative}",
        )
    last = ElementTree.SubElement(header, "PROPERTY", NAME="lastUsedAnnotationId")
    last.text = str(count)


def _add_slots(root: Element, intervals: list[Interval]) -> list[tuple[str, str]]:
    """Two slots for each interval, all in order of time, and the names of these."""
    ends = [
        (milliseconds(time, up=True), 2 * k + end)
        for k, interval in enumerate(intervals)
        for end, time in enumerate((interval.start, interval.stop))
    ]
    order = ElementTree.SubElement(root, "TIME_ORDER")
    names = {}
    for number, (time, place) in enumerate(sorted(ends), start=1):
        names[place] = f"ts{number}"
        ElementTree.SubElement(
            order, "TIME_SLOT", TIME_SLOT_ID=names[place], TIME_VALUE=str(time)
        )
    return [(names[2 * k], names[2 * k + 1]) for k in range(len(intervals))]


def _add_tier(
    root: Element, tier: Tier, ids: Iterator[int], slots: list[tuple[str, str]]
) -> None:
    about = {"PARTICIPANT": tier.subject} if tier.subject else {}
    line = ElementTree.SubElement(
        root, "TIER", {"LINGUISTIC_TYPE_REF": _TYPE, "TIER_ID": tier.name, **about}
    )
    for interval in tier.intervals:
        number = next(ids)
        annotation = ElementTree.SubElement(
            ElementTree.SubElement(line, "ANNOTATION"),
            "ALIGNABLE_ANNOTATION",
            ANNOTATION_ID=f"a{number + 1}",
            TIME_SLOT_REF1=slots[number][0],
            TIME_SLOT_REF2=slots[number][1],
        )
        value = ElementTree.SubElement(annotation, "ANNOTATION_VALUE")
        value.text = interval.name
