"""Detection on some of the frames, and interpolation where that is as good."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from keras_ddr.faces.boxes import match

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.faces.detector import FaceDetector
    from keras_ddr.media.shots import ShotFrame

__all__ = ["detect_faces"]

# Between two searched frames boxes are interpolated if no face has come or gone or has
# moved by more than this share of its width. After quick motion every frame is searched
# until no face moves by more than half of it from one frame to the next: a head that
# shakes can by chance be back where it was.
_CALM = 0.15
_SCORE = 14


def detect_faces(
    shots: Iterable[ShotFrame], detector: FaceDetector, every: int = 4
) -> Iterator[tuple[ShotFrame, NDArray[np.float64]]]:
    """Find the faces in a stream of frames.

    Every `every`-th frame is searched, and the first and last one of each shot. Where
    the faces of two searched frames are the same and near each other, those between
    are interpolated; where they are not, every frame between is searched.

    Args:
        shots: iterable of `ShotFrame`; up to `every` are held at a time.
        detector: `FaceDetector`, or anything with such a `detect`.
        every: distance of the searched frames, 1 for all.

    Yields:
        (ShotFrame, faces), faces as of `FaceDetector.detect`; interpolated faces have
        the score NaN. Blank frames have none.
    """
    before: NDArray[np.float64] | None = None
    block: list[ShotFrame] = []
    calm = True
    for shot in shots:
        if shot.first:
            if block:
                yield from _search(before, block, detector, calm)[0]
            before, block, calm = None, [], True
        if shot.blank:
            yield shot, np.empty((0, _SCORE + 1))
            continue
        block.append(shot)
        if before is None or len(block) == every:
            results, calm = _search(before, block, detector, calm)
            yield from results
            before, block = results[-1][1], []
    if block:
        yield from _search(before, block, detector, calm)[0]


def _search(
    before: NDArray[np.float64] | None,
    block: list[ShotFrame],
    detector: FaceDetector,
    calm: bool,
) -> tuple[list[tuple[ShotFrame, NDArray[np.float64]]], bool]:
    """Faces of a block of frames, and whether nothing moved quickly."""
    last = detector.detect(block[-1].frame.image)
    between: list[NDArray[np.float64]] = []
    # The first frame of a shot is a block of its own: there is none before.
    if before is not None and len(block) > 1:
        pairs = _all_pairs(before, last, _CALM) if calm else None
        if pairs is not None:
            start, end = before[pairs[:, 0]], last[pairs[:, 1]]
            for place in range(1, len(block)):
                share = place / len(block)
                faces = (1 - share) * start + share * end
                faces[:, _SCORE] = np.nan
                between.append(faces)
        else:
            between = [detector.detect(shot.frame.image) for shot in block[:-1]]
            calm = all(
                _all_pairs(one, other, _CALM / 2) is not None
                for one, other in itertools.pairwise([before, *between, last])
            )
    return list(zip(block, [*between, last], strict=True)), calm


def _all_pairs(
    before: NDArray[np.float64], after: NDArray[np.float64], reach: float
) -> NDArray[np.integer] | None:
    """Pairs of the same faces (n, 2), or None where not all are found again."""
    pairs = match(before, after, reach)
    if len(pairs) == len(before) == len(after):
        return np.array(pairs, int).reshape(-1, 2)
    return None
