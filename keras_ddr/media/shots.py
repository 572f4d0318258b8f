"""Where a video cuts to another picture, and which frames are blank."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from keras_ddr.media import opencv
from keras_ddr.media.video import Frame

__all__ = ["ShotFrame", "find_shots"]

# Mean difference of intensities to the frame before, 0 to 255, at which there can be a
# cut; and how much more than in the frames around it. On fast head movements the
# difference reaches 17, but 3 times its surroundings; at cuts 9 times and more.
_DIFFERENCE = 10.0
_RATIO = 5.0
_BEFORE, _AFTER = 5, 3
# Standard deviation of intensities below which a frame is blank, unless areas of it
# differ by so much: a small thing on a plain ground.
_BLANK = 2.0
_SOMETHING = 8.0


@dataclass
class ShotFrame:
    """A frame and its place among the shots.

    Attributes:
        frame: the `Frame`.
        first: whether another shot begins here.
        blank: whether nothing is to be seen.
    """

    frame: Frame
    first: bool
    blank: bool


def find_shots(frames: Iterable[Frame], cuts: bool = True) -> Iterator[ShotFrame]:
    """Mark cuts and blank frames in a stream of frames.

    A cut is a difference to the frame before that is large, and large beside those of
    the frames around it, so that quick motion is none. A blank frame ends a shot.

    Args:
        frames: iterable of `Frame`; a few are held at a time.
        cuts: whether to look for cuts; blank frames are marked anyway.

    Yields:
        `ShotFrame`, one for each frame.
    """
    cv2 = opencv.load()
    held: deque[tuple[Frame, float, bool]] = deque()  # with difference, blank
    before: deque[float] = deque(maxlen=_BEFORE)
    previous = None
    after_blank = True

    def decide() -> ShotFrame:
        nonlocal after_blank
        frame, difference, blank = held.popleft()
        around = [*before, *(entry[1] for entry in list(held)[:_AFTER])]
        usual = float(np.median(around)) if around else 0.0
        cut = difference > _DIFFERENCE and difference > _RATIO * (usual + 0.5)
        before.append(difference)
        first = after_blank or blank or (cuts and cut)
        after_blank = blank
        return ShotFrame(frame, first, blank)

    for frame in frames:
        # Linear sampling without averaging reads few pixels, which is all that is
        # needed here and quick on large frames.
        small = cv2.resize(frame.image, (48, 27), interpolation=cv2.INTER_LINEAR)
        small = cv2.blur(small, (3, 3)).astype(np.float32)
        difference = 0.0
        if previous is not None:
            difference = float(np.abs(small - previous).mean())
        previous = small
        blank = float(small.std(axis=(0, 1)).max()) < _BLANK
        if blank:
            areas = cv2.resize(frame.image, (48, 27), interpolation=cv2.INTER_AREA)
            blank = (
                float(np.ptp(areas.astype(np.float32), axis=(0, 1)).max()) < _SOMETHING
            )
        held.append((frame, difference, blank))
        if len(held) > _AFTER:
            yield decide()
    while held:
        yield decide()
