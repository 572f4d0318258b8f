"""Files of Aff-Wild that belong together: videos, boxes and annotations."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from keras_ddr.datasets.folders import (
    files_in,
    frame_number,
    id_of,
    only_one,
    remarks,
    same_content,
    same_files,
    split_side,
    walk_folders,
)
from keras_ddr.datasets.parts import Source, fingerprint
from keras_ddr.errors import InputError
from keras_ddr.files import natural_key
from keras_ddr.media.video import SUFFIXES

if TYPE_CHECKING:
    from keras_ddr.typing import StrPath

# Id -> files or folders of that name.
_Paths: TypeAlias = dict[str, list[str]]
# Side -> folders of boxes, and kind -> annotations.
_People: TypeAlias = dict[str, tuple[list[str], _Paths]]

KINDS = ("valence", "arousal")


@dataclass
class _Found:
    """Files below the root, by id."""

    videos: _Paths = field(default_factory=lambda: defaultdict(list))
    boxes: _Paths = field(default_factory=lambda: defaultdict(list))
    marks: dict[str, _Paths] = field(
        default_factory=lambda: {kind: defaultdict(list) for kind in KINDS}
    )

    def marks_of(self, key: str) -> dict[str, list[str]]:
        return {k: found[key] for k, found in self.marks.items() if key in found}

    def first_file(self, key: str) -> str:
        """Some file or folder that has the id."""
        return [*self.boxes.get(key, []), *sum(self.marks_of(key).values(), [])][0]


def find_sources(root: StrPath) -> tuple[list[Source], list[str]]:
    """The videos, or their people, with all that belongs to them; and remarks.

    `details` of a source holds "boxes" (folder or None), "marks" (kind -> file), "side"
    ("", "left" or "right"), "problem" (why it cannot be read, or "") and "notes".
    """
    root = Path(root)
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; give the one that holds the videos")
    found = _search(root)
    if not found.videos:
        raise InputError(
            f"{root}: holds no video (looked for {', '.join(sorted(SUFFIXES))}); give "
            "the folder with the videos, boxes and annotations of Aff-Wild"
        )
    people, without = _people_of(found)
    sources, unclear = [], []
    for key, paths in found.videos.items():
        path, problem = only_one(paths, "videos", same_content)
        name = os.path.relpath(paths[0], root).replace(os.sep, "/")
        if problem:
            # Nobody knows which of the videos its boxes are of.
            about = {"problem": problem, "boxes": None, "marks": None}
            sources.append(Source(name, path, fingerprint(paths), name, details=about))
            continue
        chosen, left_out = _joined(people[key])
        unclear += [found.first_file(key + _tail(side)) for side in left_out]
        for side, (boxes, marks) in sorted(chosen.items()):
            stem, suffix = os.path.splitext(name)
            sources.append(
                _source(stem + _tail(side) + suffix, path, name, side, boxes, marks)
            )
    sources.sort(key=lambda source: natural_key(source.name))
    orphans = [found.first_file(key) for key in without]
    return sources, _remarks(root, sources, orphans, unclear)


def _search(root: Path) -> _Found:
    found, elsewhere = _Found(), _Found()
    for folder, files in walk_folders(root, _is_landmarks):
        above = [part.lower() for part in Path(folder).relative_to(root).parts]
        kind = next((part for part in reversed(above) if part in KINDS), None)
        if any(_is_boxes(part) for part in above) and any(
            frame_number(name, {".pts"}) is not None for name in files
        ):
            found.boxes[id_of(os.path.basename(folder))].append(folder)
        for name in files:
            path = os.path.join(folder, name)
            stem, suffix = os.path.splitext(name)
            if suffix.lower() in SUFFIXES:
                place = found if "videos" in above else elsewhere
                place.videos[id_of(stem)].append(path)
            elif kind and suffix.lower() == ".txt":
                found.marks[kind][id_of(stem)].append(path)
    found.videos = found.videos or elsewhere.videos
    return found


def _people_of(found: _Found) -> tuple[dict[str, _People], list[str]]:
    """Who has boxes or annotations in each video, and which ids have no video."""
    people: dict[str, _People] = {key: {} for key in found.videos}
    without = []
    for key in sorted({*found.boxes, *found.marks[KINDS[0]], *found.marks[KINDS[1]]}):
        base, side = split_side(key)
        if key in people:
            base, side = key, ""
        if base in people:
            people[base][side] = (found.boxes.get(key, []), found.marks_of(key))
        else:
            without.append(key)
    return people, without


def _joined(people: _People) -> tuple[_People, list[str]]:
    """Decide whose the files without a side are; also the sides left out."""
    people = dict(people) or {"": ([], {})}
    sides = [side for side in people if side]
    if not sides or "" not in people:
        return people, []
    boxes, marks = people[""]
    if boxes and marks:
        return people, []
    if len(sides) == 1:
        other_boxes, other_marks = people[sides[0]]
        if bool(boxes) != bool(other_boxes) and bool(marks) != bool(other_marks):
            # The two complete each other, so they are one person.
            return {sides[0]: (boxes or other_boxes, marks or other_marks)}, []
    if boxes and all(people[side][0] for side in sides):
        return people, []
    del people[""]
    return people, [""]


def _source(
    name: str,
    path: str,
    group: str,
    side: str,
    boxes: list[str],
    marks: Mapping[str, list[str]],
) -> Source:
    problem, notes, chosen = "", [], {}
    folder = None
    if boxes:
        folder, problem = only_one(boxes, "folders of boxes", same_files)
    for kind, files in marks.items():
        file, twice = only_one(files, f"files of {kind}", same_content)
        if twice:
            notes.append(f"{twice}; {kind} is left out (NaN)")
        else:
            chosen[kind] = file
    used = [path, *chosen.values(), *files_in(folder)]
    details = {
        "boxes": folder,
        "marks": chosen,
        "side": side,
        "problem": problem,
        "notes": notes,
    }
    return Source(name, path, fingerprint(used), group, details=details)


def _remarks(
    root: Path, sources: list[Source], orphans: list[str], unclear: list[str]
) -> list[str]:
    about = {s.name: s.details for s in sources if not s.details["problem"]}
    told = {
        "there is no video of this name, so this is left out": orphans,
        "could be of the left or the right person of the video, so this is left out": (
            unclear
        ),
        "no boxes, so the faces are searched for": [
            name for name, details in about.items() if not details["boxes"]
        ],
    }
    if not any(details["marks"] for details in about.values()):
        return [
            *remarks(told),
            f"{root}: no annotations were found for the videos (looked for valence/ID"
            ".txt and arousal/ID.txt), so valence and arousal are NaN",
        ]
    silent = {name: a["marks"] for name, a in about.items() if not a["notes"]}
    told["no annotations, so valence and arousal are NaN"] = [
        name
        for name, marks in silent.items()
        if not marks and "test" not in name.lower().split("/")[:-1]
    ]
    for kind in KINDS:
        # A video may have one of the two.
        told[f"no annotations of {kind}, so its {kind} is NaN"] = [
            name for name, marks in silent.items() if marks and kind not in marks
        ]
    return remarks(told)


def _is_boxes(name: str) -> bool:
    # bboxes, bboxs, bbox, boxes, bounding_boxes, BoundingBox, …
    letters = re.sub(r"[^a-z]", "", name)
    return bool(re.fullmatch(r"(b|bound|bounding)?box(e|s|es)?", letters))


def _is_landmarks(name: str) -> bool:
    return bool(re.fullmatch(r"landmarks?", name.lower()))


def _tail(side: str) -> str:
    return f"_{side}" if side else ""
