import functools
import hashlib
import http.server
import shutil
import threading

import cv2
import numpy as np
import pytest

from keras_ddr import InputError
from keras_ddr.faces import detector
from keras_ddr.faces.detector import FaceDetector, detector_model
from keras_ddr.media.video import Video


@pytest.fixture
def yunet(detector_model):
    return FaceDetector(detector_model)


@pytest.fixture
def frame(face_clips):
    return next(iter(Video(face_clips / "liveportrait_s18.mp4"))).image


def test_boxes_are_in_pixels_of_the_picture(yunet, frame):
    (face,) = yunet.detect(frame)
    x, y, width, height = face.box
    assert 200 < x < x + width < 1280 and 0 < y < y + height < 720
    # The landmarks lie in the box, the eyes over the mouth, the right eye on the left.
    points = face.landmarks
    assert (points > (x, y)).all() and (points < (x + width, y + height)).all()
    assert points[0, 0] < points[1, 0] and points[0, 1] < points[3, 1]
    half = cv2.resize(frame, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    (smaller,) = yunet.detect(half)
    assert np.abs(smaller.box * 2 - face.box).max() < 0.05 * width


def test_the_largest_face_comes_first(yunet, frame):
    small = cv2.resize(frame, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    both = np.zeros((720, 1920, 3), np.uint8)
    both[:360, :640], both[:, 640:] = small, frame
    faces = yunet.detect(both)
    assert len(faces) == 2
    first, second = (face.box for face in faces)
    assert first[0] > 640 > second[0]
    assert first[2] > 1.5 * second[2]


@pytest.mark.parametrize("shape", [(1, 1), (31, 31), (481, 641), (777, 333), (5, 900)])
def test_pictures_of_any_size(yunet, shape):
    # A ramp: in noise a face may be seen.
    ramp = np.add.outer(np.arange(shape[0]), np.arange(shape[1])) % 256
    picture = np.repeat(ramp.astype(np.uint8)[..., None], 3, axis=2)
    assert yunet.detect(picture) == []


@pytest.mark.parametrize("angle", [-20, 20])
def test_refined_landmarks_see_more_of_a_tilt(detector_model, face_clips, angle):
    """A face of 100 pixels that is turned by 20 degrees."""
    frame = next(iter(Video(face_clips / "liveportrait_d13.mp4"))).image
    height, width = frame.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), -angle, 1)
    frame = cv2.warpAffine(
        frame, turn, (width, height), borderMode=cv2.BORDER_REPLICATE
    )
    tilt = {}
    for refine in (False, True):
        (face,) = FaceDetector(detector_model, refine=refine).detect(frame)
        between = face.landmarks[1] - face.landmarks[0]
        tilt[refine] = np.degrees(np.arctan2(between[1], between[0]))
        assert face.score > 0.7
    assert abs(tilt[True] - angle) < abs(tilt[False] - angle) - 3


def test_what_is_no_model(tmp_path):
    for content in (b"", b"hello", b"\x08\x07\x12\x00" * 40):
        path = tmp_path / "model.onnx"
        path.write_bytes(content)
        with pytest.raises(InputError, match="model.onnx: cannot be used as a face"):
            FaceDetector(path)
    with pytest.raises(InputError, match="no such file"):
        detector_model(tmp_path / "none.onnx")


def test_names_outside_ascii(detector_model, tmp_path, frame):
    path = tmp_path / "модель é.onnx"
    shutil.copy(detector_model, path)
    assert len(FaceDetector(path).detect(frame)) == 1


@pytest.fixture
def server(tmp_path):
    """Address of a local server of files in a folder, and the folder."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(
        http.server.SimpleHTTPRequestHandler, directory=str(folder)
    )
    handler.log_message = lambda *args: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}", folder
        running.shutdown()


def test_the_model_is_fetched_once_and_compared(server, detector_model, tmp_path):
    pytest.importorskip("keras")
    address, folder = server
    name = "face_detection_yunet_2023mar.onnx"
    cache = tmp_path / "cache"
    # The first address leads nowhere.
    addresses = [f"{address}/none.onnx", f"{address}/{name}"]
    fetch = functools.partial(
        detector.detector_model, addresses=addresses, cache_dir=cache
    )
    with pytest.raises(InputError, match="cannot be downloaded"):
        fetch()
    (folder / name).write_bytes(b"another file")
    with pytest.raises(InputError, match="--detector-model"):
        fetch()
    shutil.copy(detector_model, folder / name)
    path = fetch()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert digest == detector._SHA256
    (folder / name).unlink()
    assert fetch() == path
