"""Faces of the ICT model: reading it, drawing it, and stores of drawn people."""

import os
import tarfile

import numpy as np
import pytest

from keras_ddr import InputError
from keras_ddr.datasets import Splits, Work, faces3d
from keras_ddr.datasets.faces3d import GRID_EXPRESSIONS, LIGHTS, Faces
from keras_ddr.datasets.faces3d_drawing import (
    Scene,
    enlarged,
    openness,
    picture,
    rasterise,
    rotation,
    turned,
)
from keras_ddr.datasets.faces3d_head import ATTRIBUTES, Figure, Head
from keras_ddr.datasets.faces3d_model import EXPRESSIONS, load_model, shape_weights

LOOKS = {name: list(classes)[1] for name, classes in ATTRIBUTES.items()}


@pytest.fixture(scope="session")
def clone(real_data, tmp_path_factory):
    """A clone of ICT-FaceKit, and a cache of its own."""
    packed = real_data("ict") / "FaceXModel.tar.xz"
    root = tmp_path_factory.mktemp("ict")
    with tarfile.open(packed) as file:
        file.extractall(root, filter="data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_HOME", str(root / "cache"))
        yield root


@pytest.fixture(scope="session")
def head(clone):
    return Head(load_model(clone))


@pytest.fixture(scope="session")
def figure(head):
    return Figure(head, np.zeros(100, np.float32), LOOKS)


def _pixels(surface, size):
    cover = np.zeros(size * size, bool)
    cover[surface.pixels] = True
    return cover.reshape(size, size)


def test_a_background_lies_between_the_values_of_its_grid():
    # A plane stays one; a column alone is the same all across.
    rows, columns = np.mgrid[:5:2, :9:2]
    plane = (3 * rows + columns)[..., None].astype(np.float32)
    y, x = np.mgrid[:1:17j, :1:17j]
    np.testing.assert_allclose(enlarged(plane, 17)[..., 0], 12 * y + 8 * x, atol=1e-5)
    column = np.array([[[0.0]], [[1.0]]], np.float32)
    np.testing.assert_allclose(enlarged(column, 17)[..., 0], y, atol=1e-6)


def test_a_tetrahedron_has_the_silhouette_and_depth_of_geometry():
    corners = np.array([[0, 0, 9], [-8, -6, 0], [9, -5, 1], [1, 10, -1]], np.float64)
    turn = rotation(0.3, -0.2, 0.1).astype(np.float64)
    x, y, z = turn @ corners.T
    size = 96
    screen = np.stack([48 + 4 * x, 48 - 4 * y, -z]).astype(np.float32)
    sides = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]])
    quads = np.column_stack([sides, sides[:, 2]]).T.astype(np.intp)
    surface = rasterise(screen, quads, size)
    # Rays through the centres of pixels against each plane, in float64.
    column, row = np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5)
    nearest = np.full((size, size), np.inf)
    margin = np.full((size, size), np.inf)
    for side in sides:
        a, b, c = screen[:, side].T.astype(np.float64)
        matrix = np.array([[a[0], b[0], c[0]], [a[1], b[1], c[1]], [1, 1, 1]])
        parts = np.linalg.solve(
            matrix, np.stack([column.ravel(), row.ravel(), np.ones(size * size)])
        ).reshape(3, size, size)
        depth = np.tensordot([a[2], b[2], c[2]], parts, 1)
        inside = (parts >= 0).all(0)
        margin = np.minimum(margin, np.abs(parts.min(0)))
        nearest = np.where(inside & (depth < nearest), depth, nearest)
    clear = margin > 1e-3  # away from edges, where rounding decides
    cover = _pixels(surface, size)
    assert np.isfinite(nearest).sum() > 1000
    np.testing.assert_array_equal(cover[clear], np.isfinite(nearest)[clear])
    seen = nearest.ravel()[surface.pixels]
    known = np.isfinite(seen)
    np.testing.assert_allclose(surface.depth[known], seen[known], atol=1e-3)
    np.testing.assert_allclose(surface.weights.sum(0), 1, atol=1e-5)
    # From inside, or turned away, it shows nothing.
    flat_side = screen[:, :3] * 1.0
    one = np.array([[0], [1], [2], [2]], np.intp)
    shown = len(rasterise(flat_side, one, size).pixels)
    hidden = len(rasterise(flat_side, one[[0, 2, 1, 1]], size).pixels)
    assert (shown == 0) != (hidden == 0)


def test_interpolation_is_linear_on_the_screen():
    points = np.array([[2, 60, 4], [3, 8, 61], [5, 5, 5]], np.float32)
    quads = np.array([[0], [2], [1], [1]], np.intp)
    surface = rasterise(points, quads, 64)
    places = surface.interpolate(np.ascontiguousarray(points[:2].T))
    row, column = np.divmod(surface.pixels, 64)
    np.testing.assert_allclose(places, np.stack([column, row], 1) + 0.5, atol=1e-3)


def test_a_turned_head_looks_to_the_right_and_up():
    ahead = np.array([[0.0, 0.0, 1.0]], np.float32)
    assert turned(ahead, rotation(0.5, 0, 0))[0] > 0
    assert turned(ahead, rotation(0, 0.5, 0))[1] > 0
    above = np.array([[0.0, 1.0, 0.0]], np.float32)
    assert turned(above, rotation(0, 0, 0.5))[0] < 0


def test_the_sky_is_seen_from_a_plate_but_not_below_another():
    square = np.array([[-1, 0, -1], [-1, 0, 1], [1, 0, 1], [1, 0, -1]], np.float32)
    points = np.concatenate([square * 9, square + (0, 0.6, 0)])
    middle = np.zeros((1, 3), np.float32)
    points = np.concatenate([points, middle]).astype(np.float32)
    normals = np.tile(np.float32([0, 1, 0]), (9, 1))
    quads = np.arange(8).reshape(2, 4)
    both = np.concatenate([quads, quads[:, ::-1]]).T.astype(np.intp)
    sky = openness(points, normals, both)
    assert sky[4:8].min() > 0.9
    assert sky[8] < 0.5


@pytest.mark.slow
def test_the_cache_holds_what_the_files_say(clone):
    model = load_model(clone)
    again = load_model(clone)
    for one, other in zip(model, again, strict=True):
        np.testing.assert_array_equal(one, other)
    [kept] = (clone / "cache" / "keras_ddr").glob("ict-*.npz")
    kept.write_bytes(kept.read_bytes()[:1000])
    np.testing.assert_array_equal(load_model(clone).quads, model.quads)


@pytest.mark.slow
def test_shapes_are_those_of_the_files(clone):
    model = load_model(clone)
    assert model.neutral.shape == (26719, 3)
    assert model.quads.shape == (26384, 4)
    text = (clone / "FaceXModel" / "jawOpen.obj").read_text().splitlines()
    vertices = np.array([line.split()[1:] for line in text if line[:2] == "v "], float)
    shape = model.neutral + model.expressions[EXPRESSIONS.index("jawOpen")]
    np.testing.assert_allclose(shape, vertices, atol=1e-5)
    # Regression: the largest movement of the jaw, as measured once.
    moves = np.abs(model.expressions).max((1, 2))
    assert moves[EXPRESSIONS.index("jawOpen")] == pytest.approx(3.5, abs=0.1)


def _moved(figure, expression, size=128):
    """Which pixels an expression changes, in a large picture of the middle."""
    frames = [
        picture(figure.shape(shape_weights(e)), figure.quads, (0, 0, 0), Scene(), size)
        for e in ({}, expression)
    ]
    return np.abs(frames[0].astype(int) - frames[1]).max(-1) > 20


# Rows, as shares of the picture from above, where things move.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("expression", "top", "bottom"),
    [
        ({"eyeBlink": 1}, 0.4, 0.5),
        ({"browInnerUp": 1}, 0.15, 0.5),
        ({"jawOpen": 1}, 0.6, 1.0),
        ({"mouthPucker": 1}, 0.55, 0.85),
    ],
)
def test_an_expression_moves_only_what_it_should(figure, expression, top, bottom):
    rows = np.flatnonzero(_moved(figure, expression)) // 128 / 128
    assert len(rows) > 60
    assert np.mean((rows >= top) & (rows <= bottom)) > 0.9


@pytest.mark.slow
def test_one_eye_blinks_on_its_side(figure):
    columns = np.flatnonzero(_moved(figure, {"eyeBlink_L": 1})) % 128
    assert len(columns) > 30
    assert np.mean(columns > 64) > 0.9


@pytest.mark.slow
def test_expressions_add_up(head):
    likeness = head.mean
    nothing = head.points(likeness, shape_weights({}))
    jaw = head.points(likeness, shape_weights({"jawOpen": 0.6})) - nothing
    smile = head.points(likeness, shape_weights({"mouthSmile": 0.5})) - nothing
    both = shape_weights({"jawOpen": 0.6, "mouthSmile": 0.5})
    np.testing.assert_allclose(
        head.points(likeness, both) - nothing, jaw + smile, atol=1e-4
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_closed_lids_cover_the_eyes(head, seed):
    """The colour of the iris, here one that is nowhere else, is gone."""
    identity = np.random.default_rng(seed).normal(size=100).astype(np.float32)
    figure = Figure(head, identity, {**LOOKS, "iris": "blue"})
    scene = Scene(light=(0, 0, 1), background=((0, 0, 0), (0, 0, 0)), ambient=1)

    def blue(expression):
        shape = figure.shape(shape_weights(expression))
        frame = picture(shape, figure.quads, (0, 0, 0), scene, 128).astype(int)
        return (frame[..., 2] > frame[..., 0] + 10).sum()

    assert blue({}) > 8
    assert blue({"eyeBlink": 1}) <= 1


@pytest.mark.slow
@pytest.mark.parametrize("name", list(ATTRIBUTES))
def test_each_attribute_shows(head, name):
    frames = []
    for value in ATTRIBUTES[name]:
        figure = Figure(head, np.zeros(100, np.float32), {**LOOKS, name: value})
        shape = figure.shape(shape_weights({}))
        frames.append(picture(shape, figure.quads, (0.2, 0, 0), Scene(), 64))
    for number, frame in enumerate(frames):
        for other in frames[:number]:
            assert (np.abs(frame.astype(int) - other).max(-1) > 20).sum() >= 4


def _prepare(path, clone, **given):
    given = {"people": 4, "size": 32, "set": "pose-jaw", **given}
    workers = given.pop("workers", 0)
    return faces3d.prepare(
        path,
        clone,
        faces=Faces(**given),
        splits=Splits((0.5, 0.25, 0.25)),
        work=Work(workers=workers),
    )


def test_a_store_of_the_grid(tmp_path, clone, head):
    store = _prepare(
        tmp_path / "S",
        clone,
        set="grid",
        people=3,
        expressions="neutral jaw-half mouthFunnel=0.5",
    )
    assert len(store) == 3 and store.frame_shape == (32, 32, 3)
    assert [len(store.select(s)) for s in ("train", "val", "test")] == [1, 1, 1]
    assert "MIT" in store.meta["licence"] and not store.ordered
    labels = store.frame_labels(0)
    number = np.arange(7 * 3 * 3)
    np.testing.assert_array_equal(labels["pose"], number)
    np.testing.assert_array_equal(labels["source_frame"], number)
    np.testing.assert_array_equal(labels["expression"], number % 3)
    assert list(store.labels["expression"].classes)[2] == "mouthFunnel=0.5"
    assert list(store.labels["pose"].classes)[4] == "yaw-0-pitch-1-jaw-half"
    np.testing.assert_allclose(labels["jaw"], np.array([0, 0.45, 0])[number % 3])
    assert labels["yaw"].min() == pytest.approx(-np.rad2deg(0.7))
    for sequence in store.sequences:
        assert sequence.person == sequence.source
        for name, classes in {**ATTRIBUTES, "light": LIGHTS}.items():
            assert sequence.labels[name] in classes
    # A frame is what its labels say.
    looks, place = store.sequences[1].labels, 37
    random = np.random.default_rng([0, 1, 6])
    figure = Figure(head, random.normal(size=100).astype(np.float32), looks)
    labels = {name: values[place] for name, values in store.frame_labels(1).items()}
    shape = figure.shape(shape_weights(GRID_EXPRESSIONS["jaw-half"]))
    pose = (*np.deg2rad([labels["yaw"], labels["pitch"]]), 0)
    drawn = picture(shape, figure.quads, pose, Scene(**LIGHTS[looks["light"]]), 32)
    assert np.abs(drawn.astype(int) - store.frames(1)[place]).max() <= 1


@pytest.mark.slow
def test_frames_do_not_depend_on_the_workers(tmp_path, clone):
    stores = [
        _prepare(tmp_path / str(n), clone, set="wild", people=3, workers=n)
        for n in (0, 1, 2)
    ]
    for store in stores[1:]:
        assert [s.name for s in store.sequences] == [
            s.name for s in stores[0].sequences
        ]
        for n in range(3):
            np.testing.assert_array_equal(store.frames(n), stores[0].frames(n))
            for name, values in stores[0].frame_labels(n).items():
                np.testing.assert_array_equal(store.frame_labels(n)[name], values)


@pytest.mark.slow
def test_more_people_are_others_besides(tmp_path, clone):
    few, many = (_prepare(tmp_path / str(n), clone, people=n) for n in (3, 5))
    for n in range(3):
        np.testing.assert_array_equal(few.frames(n), many.frames(n))
        assert few.sequences[n].labels == many.sequences[n].labels
    assert few.frames(0).shape[0] == 13 * 9
    assert len(np.unique(few.frames(0).reshape(117, -1), axis=0)) == 117


@pytest.mark.slow
def test_a_part_of_the_frames_is_that_of_all(tmp_path, clone):
    every, some = (
        _prepare(tmp_path / str(n), clone, people=3, frames=n) for n in (117, 5)
    )
    for n in range(3):
        labels = some.frame_labels(n)
        places = labels["source_frame"]
        assert len(places) == 5 and (np.diff(places) > 0).all()
        np.testing.assert_array_equal(labels["pose"], places)
        np.testing.assert_array_equal(some.frames(n), every.frames(n)[places])
    chosen = [tuple(some.frame_labels(n)["pose"]) for n in range(3)]
    assert len(set(chosen)) == 3


def test_poses_share_expressions_equally(tmp_path, clone):
    store = _prepare(tmp_path / "S", clone, set="grid", people=3, frames=6, poses=2)
    chosen = [store.frame_labels(n)["pose"] for n in range(3)]
    for poses in chosen:
        numbers, counts = np.unique(poses // 8, return_counts=True)
        assert len(numbers) == 2 and list(counts) == [3, 3]
        assert len(set(poses)) == 6
    assert len(set(map(tuple, chosen))) == 3


@pytest.mark.slow
def test_the_wild_differs_for_each_person(tmp_path, clone):
    store = _prepare(tmp_path / "S", clone, set="wild", people=3)
    corners = [store.frames(n)[:, 0, 0].astype(int) for n in range(3)]
    assert np.abs(np.diff([np.median(c, 0) for c in corners], axis=0)).max(1).min() > 5
    labels = store.frame_labels(0)
    assert {"yaw", "pitch", "roll", "jaw", "smile", "blink"} < set(labels)
    for name in ("jaw", "smile", "blink"):
        assert 0 <= labels[name].min() and labels[name].max() <= 1
    assert labels["yaw"].std() > 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 40}, "size=40; it must be a multiple of 16"),
        ({"set": "faces"}, "set='faces'; use one of grid, pose-jaw, wild"),
        ({"people": 2}, "people=2; it must be a whole number of at least 3"),
        ({"expressions": "neutral grin"}, "expressions: expression 'grin' is no shape"),
        ({"expressions": "jawOpen=2"}, "'jawOpen=2' needs a weight from 0 to 1"),
        ({"expressions": "jawOpen=x"}, "'jawOpen=x' needs a weight from 0 to 1"),
        ({"expressions": " "}, "expressions: names none"),
        ({"poses": 4}, "poses=4: frames=0 must be that many times 1 to 8 expressions"),
        ({"poses": 4, "frames": 10}, "poses=4: frames=10 must be that many times"),
        ({"poses": 22, "frames": 22}, "there are 21 head poses"),
        ({"set": "wild", "poses": 2}, "poses: changes nothing with the set wild"),
        ({"set": "wild", "expressions": "smile"}, "changes nothing with the set wild"),
    ],
)
def test_bad_arguments_are_named(tmp_path, arguments, message):
    with pytest.raises(InputError) as error:
        faces3d.prepare(tmp_path / "S", tmp_path, faces=Faces(**arguments))
    assert message in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "S").exists()


def test_no_clone(tmp_path):
    with pytest.raises(InputError, match="holds no folder FaceXModel; give a clone"):
        faces3d.prepare(tmp_path / "S", tmp_path)


def test_files_that_are_missing_are_listed(tmp_path):
    folder = tmp_path / "FaceXModel"
    folder.mkdir()
    for name in ("generic_neutral_mesh", *EXPRESSIONS[3:]):
        (folder / f"{name}.obj").touch()
    for number in range(99):
        (folder / f"identity{number:03}.obj").touch()
    with pytest.raises(InputError) as error:
        load_model(tmp_path)
    names = ["identity099", *EXPRESSIONS[:3]]
    assert f"lacks {', '.join(f'{n}.obj' for n in names)}; " in str(error.value)


@pytest.fixture
def broken(clone, tmp_path):
    """A clone whose files may be changed."""
    root = tmp_path / "clone"
    (root / "FaceXModel").mkdir(parents=True)
    for path in (clone / "FaceXModel").iterdir():
        os.symlink(path, root / "FaceXModel" / path.name)
    return root


def _replaced(root, name, text):
    path = root / "FaceXModel" / name
    path.unlink()
    path.write_bytes(text)


@pytest.mark.slow
def test_files_that_are_cut_off_or_of_another_mesh_are_named(broken, clone):
    source = clone / "FaceXModel"
    whole = (source / "identity001.obj").read_bytes()
    _replaced(broken, "identity001.obj", whole[: len(whole) // 3])
    faces = (source / "identity002.obj").read_bytes()
    faces = faces.replace(b"\nf 874/1 12/2 ", b"\nf 12/2 874/1 ", 1)
    _replaced(broken, "identity002.obj", faces)
    _replaced(broken, "jawOpen.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    with pytest.raises(InputError) as error:
        load_model(broken)
    message = str(error.value)
    assert "\n" not in message
    assert "identity001.obj: has " in message
    assert "identity002.obj: has other polygons than generic_neutral_mesh" in message
    assert "jawOpen.obj: has" in message
    assert message.count(".obj: ") == 3
