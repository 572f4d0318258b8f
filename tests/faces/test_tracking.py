"""Detection on some frames, and following people, with faces given as boxes."""

import weakref

import numpy as np
import pytest

from keras_ddr.faces.boxes import Face
from keras_ddr.faces.sparse import detect_faces
from keras_ddr.faces.tracking import follow
from keras_ddr.media.video import Frame


def _face(x, width=40.0, y=20.0, score=0.9):
    box = np.array([x, y, width, width * 1.3])
    points = [(x + width * a, y + width * b) for a in (0.3, 0.7) for b in (0.4, 0.9)]
    return Face(box, np.array([*points, (x + width / 2, y + width)]), score)


def _shots(number, cuts=(), blanks=()):
    for n in range(number):
        image = np.full((2, 2, 3), n, np.uint16)
        first = n == 0 or n in cuts or n in blanks or n - 1 in blanks
        yield Frame(n, n / 25, image, first=first, blank=n in blanks)


class _Detector:
    """Knows the faces of every frame and counts the frames it is asked for."""

    def __init__(self, faces):
        self.faces = faces
        self.asked = []

    def detect(self, image):
        n = int(image[0, 0, 0])
        self.asked.append(n)
        return self.faces[n]


def _detected(detector, every, **shots):
    number = len(detector.faces)
    return list(detect_faces(_shots(number, **shots), detector, every))


def test_calm_faces_are_interpolated():
    detector = _Detector([[_face(10 + n), _face(200 - n)] for n in range(30)])
    found = _detected(detector, 4)
    assert [frame.number for frame, _ in found] == list(range(30))
    assert len(detector.asked) == len(set(detector.asked)) == 9
    for n, (_, faces) in enumerate(found):
        assert np.allclose(sorted(face.box[0] for face in faces), [10 + n, 200 - n])
        for face in faces:
            assert np.isnan(face.score) == (n not in detector.asked)


def test_order_of_detection_does_not_matter():
    faces = [[_face(10 + n), _face(200 - n)][:: 1 if n % 8 else -1] for n in range(17)]
    for n, (_, found) in enumerate(_detected(_Detector(faces), 4)):
        assert np.allclose(sorted(face.box[0] for face in found), [10 + n, 200 - n])


@pytest.mark.parametrize("every", [1, 3, 4, 7])
def test_quick_motion_is_searched_frame_by_frame(every):
    # A head that shakes is now and then back where it was.
    xs = [100 + 18 * ((n % 5) in (1, 2)) * (n > 9) for n in range(40)]
    detector = _Detector([[_face(x)] for x in xs])
    found = _detected(detector, every)
    errors = [abs(faces[0].box[0] - x) for (_, faces), x in zip(found, xs, strict=True)]
    # The first block of the shaking may be taken for calm, no later one.
    assert max(errors[20:]) == 0
    assert len(detector.asked) == len(set(detector.asked))


def test_a_face_that_comes_or_goes_is_found_at_its_frame():
    faces = [[_face(50)] if 6 <= n < 15 else [] for n in range(24)]
    for n, (_, found) in enumerate(_detected(_Detector(faces), 4)):
        assert len(found) == (6 <= n < 15)


def test_nothing_is_interpolated_across_a_cut_or_a_blank_frame():
    faces = [[_face(50 if n < 10 else 52)] for n in range(20)]
    detector = _Detector(faces)
    found = _detected(detector, 4, cuts=[10], blanks=[15])
    assert {9, 10, 14, 16} <= set(detector.asked)
    assert 15 not in detector.asked
    for n, (_, result) in enumerate(found):
        xs = [face.box[0] for face in result]
        assert xs == ([] if n == 15 else [50 if n < 10 else 52])


def _followed(faces, every=1, max_gap=5, **shots):
    people = {}
    detections = detect_faces(_shots(len(faces), **shots), _Detector(faces), every)
    for sighting in follow(detections, max_gap):
        people.setdefault(sighting.person, []).append(sighting)
    return people


def test_one_person_is_kept_when_sizes_cross_and_frames_miss():
    """Areas cross at frame 10 of 20, and no face is found in frames 5 and 6."""
    faces = [
        []
        if n in (5, 6)
        else sorted(
            [_face(20, 30 + n * 0.8), _face(200, 46 - n * 0.8)],
            key=lambda face: -face.box[2],
        )
        for n in range(20)
    ]
    people = _followed(faces)
    assert len(people) == 2
    for track in people.values():
        numbers = [s.frame.number for s in track]
        assert numbers == [n for n in range(20) if n not in (5, 6)]
        assert np.ptp([s.face.box[0] for s in track]) < 10
        # The picture that comes along is that of the frame.
        assert all(s.frame.image[0, 0, 0] == s.frame.number for s in track)


def test_a_track_ends_after_a_gap_that_is_too_long():
    for gap in (5, 6):
        faces = [[] if 8 <= n < 8 + gap else [_face(50)] for n in range(30)]
        assert len(_followed(faces)) == (1 if gap == 5 else 2)


def test_a_jump_a_cut_and_a_blank_frame_end_a_track():
    jump = [[_face(50 if n < 10 else 70)] for n in range(20)]
    still = [[_face(50)] for _ in range(20)]
    assert len(_followed(jump)) == 2
    assert len(_followed(still)) == 1
    assert len(_followed(still, cuts=[7])) == 2
    assert len(_followed(still, blanks=[7])) == 2


def test_smoothing_is_light_and_does_not_lag(rng):
    jitter = rng.normal(0, 0.4, 60)
    still = _followed([[_face(50 + j)] for j in jitter])
    xs = np.array([s.face.box[0] for s in still[0]])
    assert xs[2:-2].std() < 0.7 * jitter.std()
    moving = _followed([[_face(50 + 8 * n)] for n in range(12)])
    assert np.allclose([s.face.box[0] for s in moving[0]], 50 + 8 * np.arange(12))
    assert all(s.face.score == 0.9 for s in moving[0])


def test_steps_within_a_track_stay_below_half_a_width(rng):
    xs = np.cumsum(rng.normal(0, 14, 300)) + 500
    for track in _followed([[_face(x)] for x in xs]).values():
        steps = np.abs(np.diff([s.face.box[0] for s in track]))
        assert (steps <= 20).all()


def test_few_pictures_are_held():
    """Memory must not grow with the length of the video."""
    made, most = [], 0

    def watched():
        for shown in _shots(200):
            made.append(weakref.ref(shown))
            yield shown
            del shown

    detector = _Detector([[_face(10 + n), _face(400 + n)] for n in range(200)])
    for sighting in follow(detect_faces(watched(), detector, 4)):
        del sighting
        most = max(most, sum(frame() is not None for frame in made))
    assert len(made) == 200 and most < 12


def test_few_pictures_are_held_of_someone_who_is_away():
    made, most = [], 0

    def watched():
        for shown in _shots(200):
            made.append(weakref.ref(shown))
            yield shown
            del shown

    # Ten people, one after the other, who may all come back.
    faces = [[_face(40 * (n // 10))] if n < 100 else [] for n in range(200)]
    detector = _Detector(faces)
    for sighting in follow(detect_faces(watched(), detector, 1), max_gap=150):
        del sighting
        most = max(most, sum(frame() is not None for frame in made))
    assert len(made) == 200 and most < 12


def test_smoothing_does_not_reach_across_gaps():
    faces = [[] if 10 <= n < 13 else [_face(50 + 3 * n)] for n in range(24)]
    (track,) = _followed(faces).values()
    for sighting in track:
        assert sighting.face.box[0] == pytest.approx(50 + 3 * sighting.frame.number)
