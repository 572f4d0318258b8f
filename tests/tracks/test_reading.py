"""The same points in the files of several programs are the same tracks."""

import functools

import numpy as np
import pytest
import track_files

from keras_ddr import InputError
from keras_ddr.tracks.files import read_tracks
from keras_ddr.tracks.track import Points, Track

PARTS = ["nose", "leftear", "tailbase"]
BOTH = Points(("nose",), ("tailbase",))
WRITERS = {
    "DeepLabCut csv": (track_files.dlc_csv, "a.csv"),
    "DeepLabCut table": (track_files.dlc_table, "a.h5"),
    "DeepLabCut fixed": (track_files.dlc_fixed, "a.h5"),
    "SLEAP csv": (track_files.sleap_csv, "a.csv"),
    **{
        f"SLEAP {order}": (
            functools.partial(track_files.sleap_h5, order=order, dims=dims),
            "a.h5",
        )
        for order, dims in (("matlab", False), ("standard", True), ("python", False))
    },
}


@pytest.fixture
def points(rng):
    """Points (N, animals, parts, 3) that all are likely."""
    points = rng.uniform(10, 90, (30, 2, 3, 3))
    points[..., 2] = rng.uniform(0.7, 1, (30, 2, 3))
    return points


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("animals", [("",), ("m1", "m2")])
def test_every_program_says_the_same(kind, animals, points, tmp_path):
    write, name = WRITERS[kind]
    points = points[:, : len(animals)]
    points[4, 0, 0, :2] = np.nan
    points[5, 0, 1, :2] = np.nan  # which is not needed
    path = str(write(tmp_path / name, points, PARTS, animals))
    tracks, remark = read_tracks(path, BOTH)
    assert [track.name for track in tracks] == list(animals) and not remark
    for k, track in enumerate(tracks):
        front, back = points[:, k, 0, :2], points[:, k, 2, :2]
        known = np.flatnonzero(np.isfinite(front[:, 0]))
        assert len(known) == (29 if k == 0 else 30)
        assert track.keys.tolist() == known.tolist()
        ahead = (front - back)[known]
        near = functools.partial(np.allclose, atol=1e-3)
        assert near(track.centre, ((front + back) / 2)[known])
        assert near(track.length, np.hypot(*ahead.T))
        turned = np.exp(1j * np.radians(track.angle))
        assert near(turned * track.length, ahead @ (1, 1j))


@pytest.mark.parametrize("kind", WRITERS)
def test_unlikely_points_are_missing(kind, points, tmp_path):
    write, name = WRITERS[kind]
    points[3, 0, 0, 2], points[6, 0, 0, 2] = 0.59, 0.1
    path = str(write(tmp_path / name, points, PARTS, ("m1", "m2")))

    def missing(least):
        how = Points(BOTH.front, BOTH.back, least)
        return set(range(30)) - set(read_tracks(path, how)[0][0].keys.astype(int))

    assert missing(None) == ({3, 6} if "DeepLabCut" in kind else set())
    assert missing(0.5) == {6} and missing(0) == set()


def test_without_front_and_back(points, tmp_path):
    points[2, 0, 0, :2] = np.nan
    points[3, 0, :2, :2] = np.nan
    path = str(track_files.dlc_csv(tmp_path / "a.csv", points[:, :1], PARTS))
    ((track,), _) = read_tracks(path, Points())
    # Two of three parts are enough, one isn't.
    assert track.keys.tolist() == [k for k in range(30) if k != 3]
    places = points[:, 0, :, :2]
    assert np.allclose(track.centre[0], np.median(places[0], axis=0), atol=1e-3)
    assert np.allclose(track.centre[2], places[2, 1:].mean(axis=0), atol=1e-3)
    farthest = np.linalg.norm(places[0] - track.centre[0], axis=1).max()
    assert np.allclose(track.length[0], 2 * farthest, atol=1e-3)
    assert np.isnan(track.angle).all()


def test_several_parts_in_front_and_parts_of_no_animal(points, tmp_path):
    path = tmp_path / "a.csv"
    track_files.dlc_csv(path, points, PARTS, ("m1", "single"))
    ((track,), _) = read_tracks(str(path), Points(("nose", "leftear"), ("tailbase",)))
    front, back = points[:, 0, :2, :2].mean(axis=1), points[:, 0, 2, :2]
    assert np.allclose(track.centre, (front + back) / 2, atol=1e-3)


def test_a_table_of_your_own(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(
        "\ufeffsource,animal,frame,x,y,angle,length,area\n"
        "a.mp4,w,1,10,20,370,8,x\na.mp4,w,0,11,21,-90,9,\nb.mp4,w,0,1,2,0,3,\n"
        "a.mp4,v,7,,30,0,8,\na.mp4,v,8,12,30,0,,\na.mp4,v,9,12,30,,8,\n"
    )
    tracks, _ = read_tracks(str(path), Points(), {"a.mp4"})
    assert {track.name: track.keys.tolist() for track in tracks} == {
        "w": [0, 1],
        "v": [8],
    }
    assert tracks[0].angle.tolist() == [-90, 370]
    assert tracks[0].length.tolist() == [9, 8]
    path.write_text("time,x,y,angle_rad\n0,1,2,1.5\n0.1,2,3,-1.5\n0.2,3,4,0\n")
    ((track,), remark) = read_tracks(str(path), Points())
    assert np.allclose(track.angle, np.degrees([1.5, -1.5, 0])) and not remark
    # Rows belong to frames within half their distance.
    assert [track.row(99, t) for t in (0.04, 0.06, 0.24, 0.26)] == [0, 1, 2, None]
    path.write_text(path.read_text().replace("angle_rad", "angle"))
    assert "radians" in read_tracks(str(path), Points())[1]


GOOD = "scorer,s,s,s\nbodyparts,nose,nose,nose\ncoords,x,y,likelihood\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("frame,x\n0,1\n", "is no table of tracks"),
        ("time,x,y\n-1,2,3\n", "line 2 has the time '-1'"),
        ("frame,x,y\n0.5,2,3\n", "line 2 has the frame '0.5'"),
        ("frame,x,y\n0,2,3\n0,4,5\n", "has frame 0 twice"),
        ("frame,x,y\n0,2,3,4\n", "line 2 has 4 cells"),
        ('frame,x,y\n0,"2,5",3\n', "line 2 has '2,5' for x"),
        ("frame,x,y\n0,,\n", "has no frame with an animal"),
        ("scorer,s\nbodyparts,nose\n0,1\n", "begins with '0'"),
        ("scorer,s\nbodyparts,nose\n", "ends in its header"),
        (GOOD + "0,1,2\n", "line 4 has 3 cells"),
        (GOOD + "img001.png,1,2,.9\n", "begins with 'img001.png'"),
        (GOOD + "0,1,2,\n", "has no frame with an animal"),
        (GOOD.replace("likelihood", "z"), "points in space"),
        (GOOD.replace("likelihood", "x"), "twice"),
        (b"\x80\x04\x95\xff\xfe", "neither HDF5 nor text"),
        (b"\x89HDF\r\n\x1a\n123", "cannot be read (truncated"),
    ],
)
def test_what_is_no_table_of_tracks(text, message, tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError) as caught:
        read_tracks(str(path), Points())
    line = str(caught.value)
    assert line.startswith(str(path)) and message in line and "\n" not in line


def test_a_part_that_is_not_there_is_named(points, tmp_path):
    for kind, (write, name) in WRITERS.items():
        path = str(write(tmp_path / f"{kind} {name}", points, PARTS, ("m1", "m2")))
        with pytest.raises(InputError, match="has no body part 'snout' .front.; its"):
            read_tracks(path, Points(("snout",), ("tailbase",)))


def test_pixels_that_are_shown_wider():
    """A track where each stored pixel is shown two wide, and one by hand."""
    rows = [[10, 20, 45, 8], [0, 0, 90, 4], [3, 1, np.nan, 5]]
    track = Track.of_rows("t.csv", "m", range(3), rows, False).stretched(2, 1)
    np.testing.assert_allclose(track.centre, [[20.5, 20], [0.5, 0], [6.5, 1]])
    angle = np.degrees(np.arctan2(1, 2))
    np.testing.assert_allclose(track.angle, [angle, 90, np.nan])
    long = np.sqrt(2.5)
    np.testing.assert_allclose(track.length, [8 * long, 4, 5 * long])
