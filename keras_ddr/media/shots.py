"""Cuts of a video to another picture, and its blank frames."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np

from keras_ddr.media import opencv
from keras_ddr.media.video import Frame

# Least mean difference of intensities (0 to 255) to the frame before at a cut, and its
# least ratio to the differences around. Fast head movements reach 17, but 3 times their
# surroundings; cuts 9 times and more.
_DIFFERENCE = 10.0
_RATIO = 5.0
_BEFORE, _AFTER = 5, 3
# A frame is blank below this standard deviation of intensities, unless areas of it
# differ by so much: a small thing on a plain ground.
_BLANK = 2.0
_SOMETHING = 8.0


def find_shots(frames: Iterable[Frame], cuts: bool = True) -> Iterator[Frame]:
    """Mark cuts and blank frames in a stream of frames, of which a few are held.

    A cut is a difference to the frame before that is large, and large beside those
    around it, so that quick motion is none. A blank frame and another size of the
    picture end a shot in any case. Frames that are `beside` are judged by and not
    given.
    """
    cv2 = opencv.load()
    held: deque[tuple[Frame, float]] = deque()  # with the difference to the one before
    before: deque[float] = deque(maxlen=_BEFORE)
    previous = None
    size: tuple[int, ...] = ()
    after_blank = True

    def decide() -> Frame:
        nonlocal after_blank
        frame, difference = held.popleft()
        around = [*before, *(later for _, later in list(held)[:_AFTER])]
        usual = float(np.median(around)) if around else 0.0
        cut = difference > _DIFFERENCE and difference > _RATIO * (usual + 0.5)
        before.append(difference)
        frame.first |= after_blank or frame.blank or (cuts and cut)
        after_blank = frame.blank
        return frame

    for frame in frames:
        # Linear sampling reads few pixels, which is enough here and quick.
        small = cv2.resize(frame.image, (48, 27), interpolation=cv2.INTER_LINEAR)
        small = cv2.blur(small, (3, 3)).astype(np.float32)
        difference = 0.0
        if previous is not None:
            difference = float(np.abs(small - previous).mean())
        previous = small
        frame.first, size = frame.image.shape != size, frame.image.shape
        frame.blank = float(small.std(axis=(0, 1)).max()) < _BLANK
        if frame.blank:
            areas = cv2.resize(frame.image, (48, 27), interpolation=cv2.INTER_AREA)
            spread = np.ptp(areas.astype(np.float32), axis=(0, 1))
            frame.blank = float(spread.max()) < _SOMETHING
        held.append((frame, difference))
        if len(held) > _AFTER and not (decided := decide()).beside:
            yield decided
    while held:
        if not (decided := decide()).beside:
            yield decided
