"""Detection on some of the frames, and interpolation where that is as good."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from keras_ddr.faces.boxes import Face, match, mean_face

if TYPE_CHECKING:
    from keras_ddr.faces.detector import FaceDetector
    from keras_ddr.media.video import Frame

# Boxes between two searched frames are interpolated if no face has come or gone or has
# moved by more than this share of its width. After quick motion every frame is searched
# until no face moves by more than half of it from one frame to the next: a head that
# shakes can by chance be back where it was.
_CALM = 0.15


def detect_faces(
    frames: Iterable[Frame], detector: FaceDetector, every: int = 4
) -> Iterator[tuple[Frame, list[Face]]]:
    """Find the faces in a stream of frames of `find_shots`; `every` are held at a time.

    Every `every`-th frame is searched, and the first and last one of each shot. Faces
    between them are interpolated, with the score NaN, where they are the same and near
    each other; else every frame between is searched.
    """
    before: list[Face] | None = None
    block: list[Frame] = []
    calm = True
    for frame in frames:
        if frame.first:
            if block:
                yield from _search(before, block, detector, calm)[0]
            before, block, calm = None, [], True
        if frame.blank:
            yield frame, []
            continue
        block.append(frame)
        if before is None or len(block) == every:
            results, calm = _search(before, block, detector, calm)
            yield from results
            before, block = results[-1][1], []
    if block:
        yield from _search(before, block, detector, calm)[0]


def _search(
    before: list[Face] | None, block: list[Frame], detector: FaceDetector, calm: bool
) -> tuple[list[tuple[Frame, list[Face]]], bool]:
    """Faces of a block of frames, and whether nothing moved quickly."""
    last = detector.detect(block[-1].image)
    between: list[list[Face]] = []
    # The first frame of a shot is a block of its own: there is none before.
    if before is not None and len(block) > 1:
        pairs = _all_pairs(before, last, _CALM) if calm else None
        if pairs is not None:
            for number in range(1, len(block)):
                share = number / len(block)
                between.append([mean_face(pair, (1 - share, share)) for pair in pairs])
        else:
            between = [detector.detect(frame.image) for frame in block[:-1]]
            calm = all(
                _all_pairs(one, other, _CALM / 2) is not None
                for one, other in itertools.pairwise([before, *between, last])
            )
    return list(zip(block, [*between, last], strict=True)), calm


def _all_pairs(
    before: Sequence[Face], after: Sequence[Face], reach: float
) -> list[tuple[Face, Face]] | None:
    """Pairs of the same faces, or None where not all are found again."""
    pairs = match([f.box for f in before], [f.box for f in after], reach)
    if len(pairs) == len(before) == len(after):
        return [(before[i], after[j]) for i, j in pairs]
    return None
