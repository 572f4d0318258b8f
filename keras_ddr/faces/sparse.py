"""Detection on some of the frames, and interpolation where that is as good."""

import numpy as np

from keras_ddr.faces.boxes import match

__all__ = ["detect_faces"]

# Between two searched frames boxes are interpolated if no face has come or gone or has
# moved by more than this share of its width. After quick motion every frame is searched
# until no face moves by more than half of it from one frame to the next: a head that
# shakes can by chance be back where it was.
_CALM = 0.15
_SCORE = 14


def detect_faces(shots, detector, every=4):
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
    before, block, calm = None, [], True
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


def _search(before, block, detector, calm):
    """Faces of a block of frames, and whether nothing moved quickly."""
    faces = [None] * len(block)
    faces[-1] = detector.detect(block[-1].frame.image)
    if len(block) > 1:
        pairs = _all_pairs(before, faces[-1], _CALM) if calm else None
        if pairs is not None:
            start, end = before[pairs[:, 0]], faces[-1][pairs[:, 1]]
            for place in range(len(block) - 1):
                share = (place + 1) / len(block)
                faces[place] = (1 - share) * start + share * end
                faces[place][:, _SCORE] = np.nan
        else:
            for place in range(len(block) - 1):
                faces[place] = detector.detect(block[place].frame.image)
            calm = all(
                _all_pairs(*two, _CALM / 2) is not None
                for two in zip([before, *faces], faces, strict=False)
            )
    return list(zip(block, faces, strict=True)), calm


def _all_pairs(before, after, reach):
    """Pairs of the same faces (n, 2), or None where not all are found again."""
    pairs = match(before, after, reach)
    if len(pairs) == len(before) == len(after):
        return np.array(pairs, int).reshape(-1, 2)
    return None
