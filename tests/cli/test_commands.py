import json
import pathlib
import shutil

import keras
import numpy as np
import pytest
from PIL import Image

from keras_ddr.data import FrameStore, write_arrays
from keras_ddr.runs import Run, load_model
from keras_ddr.visualization import plot_swap, save_figure


def fails(result, message):
    assert result.exit_code == 1, result.output
    assert result.stderr.startswith("ddr: error: ")
    assert result.stderr.count("\n") == 1
    assert message in result.stderr
    return True


def test_preprocess_puppets(ddr_here, tmp_path):
    path = tmp_path / "puppets"
    options = ["--identities", 10, "--size", 16, "--seed", 3]
    result = ddr_here("preprocess", "puppets", path, *options)
    assert result.exit_code == 0, result.output
    assert (
        "10 sequences (7 train, 1 val, 2 test), 960 frames of 16×16×3" in result.output
    )
    store = FrameStore.open(path)
    assert len(store) == 10 and store.meta["seed"] == 3
    assert fails(ddr_here("preprocess", "puppets", path, *options), str(path))
    result = ddr_here("preprocess", "puppets", path, *options, "--overwrite")
    assert result.exit_code == 0, result.output
    result = ddr_here("preprocess", "puppets", tmp_path / "odd", "--size", 40)
    assert fails(result, "multiple")
    assert [p.name for p in tmp_path.iterdir()] == ["puppets"]


def test_preprocess_sprites(ddr_here, lpc_root, tmp_path):
    result = ddr_here(
        "preprocess", "sprites", lpc_root, tmp_path / "sprites", "--identities", 6
    )
    assert result.exit_code == 0, result.output
    store = FrameStore.open(tmp_path / "sprites")
    assert (len(store), store.num_frames) == (6, 6 * 178)


def test_preprocess_puppets_that_move(ddr_here, tmp_path):
    path, options = tmp_path / "S", ["--identities", 6, "--size", 16]
    command = ["preprocess", "puppets", path, *options]
    result = ddr_here(*command, "--motion", "--length", 5, "--clips", 2, "--seed", 3)
    assert result.exit_code == 0, result.output
    assert "12 sequences (8 train, 2 val, 2 test), 60 frames of 16×16" in result.output
    store = FrameStore.open(path)
    assert store.label_values(0, "time").tolist() == [0, 0.04, 0.08, 0.12, 0.16]
    assert store.meta["seed"] == 3
    result = ddr_here(*command, "--overwrite", "--clips", 2)
    assert result.exit_code == 2
    assert "--clips: changes nothing without --motion; add it, or" in result.stderr


@pytest.mark.parametrize("sequences, number", [("clips", 27), ("characters", 3)])
def test_preprocess_sprites9(ddr_here, lpc_root, tmp_path, sequences, number):
    command = ["preprocess", "sprites9", lpc_root, tmp_path / "S", "--identities", 3]
    if sequences != "clips":
        command += ["--sequences", sequences]
    result = ddr_here(*command, "--val", 500)
    assert result.exit_code == 0, result.output
    assert f"{number} of {number} sequences written" in result.output
    store = FrameStore.open(tmp_path / "S")
    assert (len(store), store.num_frames) == (number, 216)
    assert len(store.select("val")) == number // 3
    assert store.meta["arguments"]["val"] == 500
    assert fails(ddr_here(*command), "exists already")
    assert fails(ddr_here(*command, "--val", 1000, "--overwrite"), "val=1000; it must")


def test_preprocess_sprites_from_what_is_not_there(ddr_here, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    for source in (empty, tmp_path / "missing"):
        result = ddr_here("preprocess", "sprites", source, tmp_path / "sprites")
        assert fails(result, str(source))
        assert not (tmp_path / "sprites").exists()


def test_preprocess_sprites_from_what_is_not_a_sheet(ddr_here, lpc_root, tmp_path):
    sheets = [p.relative_to(lpc_root) for p in lpc_root.rglob("*.png")]
    for sheet in sheets:
        (tmp_path / "lpc" / sheet).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "lpc" / sheet).write_bytes((lpc_root / sheet).read_bytes())
    damaged = tmp_path / "lpc" / "body/male/light.png"
    for change in ("not an image", "wrong size"):
        if change == "not an image":
            damaged.write_text("hello")
        else:
            Image.new("RGBA", (64, 64)).save(damaged)
        result = ddr_here("preprocess", "sprites", tmp_path / "lpc", tmp_path / "S")
        assert fails(result, "light.png")
        assert not (tmp_path / "S").exists()


def test_fit_says_what_it_does(ddr_here, fitted, puppets, small):
    run, output = fitted
    assert (run / "model.keras").is_file()
    config = json.loads((run / "config.json").read_text())
    assert config["model"]["config"]["static_dim"] == 4
    assert config["training"]["steps"] == 4
    [line] = [x for x in output.splitlines() if x.startswith("step 4/4  loss ")]
    for part in ("reconstruction", "kl_static", "kl_dynamic", "val_loss"):
        assert f"  {part} " in line
    # Within an epoch, where there is no terminal.
    [line] = [x for x in output.splitlines() if x.startswith("step 1/4")]
    assert " left  loss " in line and "  kl_dynamic " in line
    assert f"model: {run / 'model.keras'} (best on val: step " in output
    assert "no GPU" not in output
    assert fails(ddr_here("fit", puppets, "--out", run, *small), "exists")
    result = ddr_here("fit", "--resume", run)
    assert result.exit_code == 0, result.output
    assert "going on after epoch 2, step 4 of 4: nothing is left" in result.output
    assert "training" not in result.output


@pytest.mark.slow
def test_fit_notes_that_val_is_empty_and_a_gpu_missing(
    ddr_here, puppets, small, tmp_path, monkeypatch
):
    monkeypatch.setattr("ddr_cli.fit.devices", lambda: ["cpu:0"])
    monkeypatch.setattr("ddr_cli.fit._WIDE", 2)
    frames = [FrameStore.open(puppets).frames(k) for k in range(4)]
    store = write_arrays(tmp_path / "S", frames)
    result = ddr_here("fit", store.path, "--out", tmp_path / "run", *small)
    assert result.exit_code == 0, result.output
    assert "no sequences for validation" in result.output
    assert "note: no GPU is found" in result.output
    assert f"{tmp_path / 'run' / 'model.keras'} (the last one)" in result.output


def test_fit_on_what_cannot_be_used(ddr_here, puppets, small, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    out = tmp_path / "run"
    assert fails(ddr_here("fit", empty, "--out", out, *small), str(empty))
    assert fails(ddr_here("fit", tmp_path / "no", "--out", out, *small), "no")
    result = ddr_here("fit", puppets, "--out", out, *small, "--frames-per-set", 97)
    assert fails(result, "fewer frames than the 97")
    result = ddr_here("fit", puppets, "--out", puppets, *small, "--overwrite")
    assert fails(result, "is not a run")
    assert fails(ddr_here("fit", "--resume", empty), "no config.json")
    assert not out.exists()


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("reconstruction", ["--sequences", 2, "--frames", 3]),
        ("manifold", ["--sequences", 2, "--grid", 3, "--components", 2, 1]),
        ("swap", ["--sequences", 2, "--dynamics", 3, "--align", "prior"]),
        ("samples", ["--sequences", 2, "--frames", 3]),
        ("latent", ["--sequences", 2, "--label", "pose", "--code", "raw"]),
        ("dynamics", ["--component", 2, "--frames", 3, "--prominence", 0]),
    ],
)
def test_plots(ddr_here, run_folder, puppets, tmp_path, kind, options):
    out = tmp_path / f"{kind}.png"
    result = ddr_here("plot", kind, run_folder, puppets, out, *options)
    assert result.exit_code == 0, result.output
    assert result.output.strip() == str(out)
    assert Image.open(out).size[0] > 100


def test_a_model_that_predicts_nothing(ddr_here, run_folder, puppets, tmp_path):
    out = tmp_path / "a.png"
    result = ddr_here("plot", "prediction", run_folder, puppets, out)
    assert fails(result, "DDR has no predict_frames; take a model that predicts frames")


def test_plots_of_named_sequences(ddr_here, run_folder, puppets, tmp_path):
    names = [sequence.name for sequence in FrameStore.open(puppets).sequences[:2]]
    chosen = [option for name in names for option in ("--sequence", name)]
    out = tmp_path / "a.svg"
    result = ddr_here(
        "plot", "reconstruction", run_folder / "model.keras", puppets, out, *chosen
    )
    assert result.exit_code == 0, result.output
    assert all(name in out.read_text() for name in names)


def test_columns_of_a_swap_are_chosen(ddr_here, run_folder, puppets, tmp_path):
    store = FrameStore.open(puppets)
    one, other = (sequence.name for sequence in store.sequences[:2])
    out = tmp_path / "a.png"
    swap = ["plot", "swap", run_folder, puppets, out, "--sequence", one]
    result = ddr_here(*swap, "--column", other, 7, "--column", one, 3)
    assert result.exit_code == 0, result.output
    drawn = plot_swap(load_model(run_folder), store, [one], [(other, 7), (one, 3)])
    wanted = save_figure(drawn, tmp_path / "b.png").read_bytes()
    assert out.read_bytes() == wanted
    swap[4] = tmp_path / "c.png"
    assert fails(ddr_here(*swap, "--column", other, 96), "frames 0 to 95")
    assert fails(ddr_here(*swap, "--column", "me", 0), "no sequence named 'me'")


def test_plots_of_what_cannot_be_used(ddr_here, run_folder, puppets, tmp_path):
    def plot(*arguments):
        return ddr_here("plot", "reconstruction", *arguments)

    good = tmp_path / "a.png"
    assert fails(plot(run_folder, puppets, tmp_path / "a.gif"), "'.gif'; use one of")
    assert fails(plot(run_folder, puppets, tmp_path / "no" / "a.png"), "does not exist")
    assert fails(plot(run_folder, tmp_path, good), "not a frame store")
    assert fails(plot(puppets, puppets, good), "no config.json")
    assert fails(plot(tmp_path / "no.keras", puppets, good), "no.keras: no such run")
    (tmp_path / "bad.keras").write_text("hello")
    assert fails(plot(tmp_path / "bad.keras", puppets, good), "cannot be loaded")
    assert fails(plot(run_folder, puppets, good, "--sequence", "me"), "named 'me'")
    frames = FrameStore.open(puppets).frames(0)[:, :16, :16]
    other = write_arrays(tmp_path / "other", [frames])
    assert fails(plot(run_folder, other.path, good), "(16, 16, 3)")
    assert not good.exists()


def test_films(ddr_here, run_folder, puppets, tmp_path):
    one, other, third = (s.name for s in FrameStore.open(puppets).sequences[:3])
    out = tmp_path / "a.gif"
    swap = ["render", "swap", run_folder, puppets, out, "--scale", 2, "--frames", 5]
    swap += ["--static", one, "--static", third, "--dynamic", other, "--start", 4]
    result = ddr_here(*swap, "--code", "raw", "--moving")
    assert result.exit_code == 0, result.output
    assert f"warning: {other!r} has no times of frames: its 5 frames" in result.stderr
    assert result.stderr.count("\n") == 1
    last = f"{out}: GIF, 240×232, 25 frames a second, 5 frames (0.2 s)"
    assert result.stdout.splitlines()[-1] == last
    content = out.read_bytes()
    assert fails(ddr_here(*swap), "a.gif exists; replace it with --overwrite")
    assert out.read_bytes() == content
    result = ddr_here(*swap, "--overwrite", "--fps", 5)
    assert result.exit_code == 0 and result.stderr == ""
    assert "5 frames a second, 5 frames (1 s)" in result.output
    walk = ["render", "walk", run_folder, puppets, tmp_path / "b.webp"]
    result = ddr_here(*walk, "--frames", 3, "--scale", 1, "--components", 2, 1)
    assert result.exit_code == 0 and "WebP, 188×74, 25 frames a second" in result.output


def test_films_of_what_cannot_be_used(ddr_here, run_folder, puppets, tmp_path):
    def film(*options, store=puppets, out="a.gif"):
        return ddr_here("render", "swap", run_folder, store, tmp_path / out, *options)

    assert fails(film(out="a.avi"), "'.avi'; use one of .mp4, .webm, .gif, .webp")
    assert fails(film("--static", "me"), "named 'me'; there are ")
    assert fails(film("--start", 95), "has 96 frames, and a film from frame 95 needs 2")
    assert fails(film("--lossless"), "a.gif: only .webp is without loss (--lossless)")
    frames = FrameStore.open(puppets).frames(0)
    small = write_arrays(tmp_path / "small", [frames[:, :16, :16]])
    assert fails(film(store=small.path), "(16, 16, 3)")
    single = write_arrays(tmp_path / "single", [frames], names=["a"])
    result = film(store=single.path)  # after a warning that it is another source
    assert result.exit_code == 1 and "single: holds one sequence" in result.stderr
    assert not list(tmp_path.glob("a.*"))


def test_info(ddr_here, puppets, run_folder):
    output = ddr_here("info").output
    for text in ("keras_ddr", "backend", "devices", "tensorflow", "jax", "torch"):
        assert text in output
    output = ddr_here("info", puppets).output
    for text in ("puppets", "24, 96 frames long", "label hair", "of 32×32×3"):
        assert text in output
    output = ddr_here("info", run_folder).output
    for text in ("tiny", "step 4 of 4", "static_dim 4", "best val_loss"):
        assert text in output


@pytest.mark.slow
def test_demo(ddr_here, puppets, run_folder, tmp_path, monkeypatch):
    """In place of an older one, in the folder that it takes by itself."""
    monkeypatch.chdir(tmp_path)
    out = pathlib.Path("ddr-demo")
    shutil.copytree(puppets, out / "puppets")
    shutil.copytree(run_folder, out / "run")
    options = ["--identities", 20, "--steps", 2]
    assert fails(ddr_here("demo", *options), "not empty")
    result = ddr_here("demo", *options, "--overwrite")
    assert result.exit_code == 0, result.output
    for name in ("reconstruction", "manifold", "swap"):
        assert str(out / f"{name}.png") in result.output
        assert (out / f"{name}.png").is_file()
    assert str(out / "explorer.html") in result.output
    assert (out / "explorer.html").stat().st_size > 100_000
    metrics = json.loads((out / "metrics.json").read_text())
    assert {"skin", "arm_angle", "leg_angle"} <= set(metrics["probes"])
    for text in ("chance", "mean image", "f of A, z of B"):
        assert text in result.output


def test_explore(ddr_here, run_folder, puppets, tmp_path):
    out = tmp_path / "page.html"
    options = ["--sequences", 2, "--frames", 5]
    result = ddr_here("explore", run_folder, puppets, out, *options)
    assert result.exit_code == 0, result.output
    said = result.output.splitlines()
    assert "4 of 4 identities decoded" in said[0] and said[-1] == str(out)
    before = out.read_bytes()
    assert before.startswith(b"<!doctype html>")
    again = ["explore", run_folder, puppets, out, "--overwrite"]
    assert fails(ddr_here(*again, "--sequence", "me"), "named 'me'")
    for wrong in ("a.pdf", "no/a.html"):
        result = ddr_here("explore", run_folder, puppets, tmp_path / wrong)
        assert fails(result, wrong)
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]
    assert out.read_bytes() == before


@pytest.mark.slow
def test_fit_in_half_precision_with_averaged_gradients(
    ddr_here, puppets, small, tmp_path
):
    out = tmp_path / "R"
    options = ["--mixed-precision", "bfloat16", "--accumulate", 2]
    result = ddr_here("fit", puppets, "--out", out, *small, *options)
    assert result.exit_code == 0, result.output
    config = json.loads((out / "config.json").read_text())
    assert config["model"]["config"]["dtype"]["config"]["name"] == "mixed_bfloat16"
    assert config["training"]["accumulate"] == 2
    result = ddr_here("evaluate", out, puppets, "--only", "reconstruction")
    assert result.exit_code == 0, result.output
    for option in (options[:2], options[2:]):
        result = ddr_here("fit", "--resume", out, *option)
        assert result.exit_code == 2
        assert f"{option[0]} cannot be changed with --resume" in result.stderr


@pytest.mark.slow
def test_fit_refuses_devices_that_cannot_be_had(ddr_here, puppets, small, tmp_path):
    options = [puppets, "--out", tmp_path / "R", *small, "--distribute", "auto"]
    result = ddr_here("fit", *options)
    if keras.backend.backend() == "torch":
        assert result.exit_code == 1
        assert "no training on several devices for torch" in result.stderr
        assert not (tmp_path / "R").exists()
    else:
        assert result.exit_code == 0, result.output
        assert "devices: " in result.output


def test_components_are_counted_from_1(ddr_here, run_folder, puppets, tmp_path):
    out = tmp_path / "a.png"
    plot = "plot", "dynamics", run_folder, puppets, out, "--component", 3
    assert fails(ddr_here(*plot), "component 3: z has 2, counted from 1")
    for kind in ("manifold", "latent"):
        result = ddr_here("plot", kind, run_folder, puppets, out, "--components", 1, 3)
        assert fails(result, "component 3: z has 2, counted from 1")


@pytest.mark.slow
def test_frames_cut_out_in_another_way_are_told(ddr_here, small, tmp_path):
    for number in range(4):
        for name in "ab":
            (tmp_path / "P" / name).mkdir(parents=True, exist_ok=True)
            picture = Image.new("RGB", (48, 32), (60 * number, 99, 0))
            picture.save(tmp_path / "P" / name / f"{number}.png")
    for crop in ("none", "center"):
        options = ["--crop", crop, "--size", 16, "--splits", 1, 0, 0]
        result = ddr_here(
            "preprocess", "images", tmp_path / "P", tmp_path / crop, *options
        )
        assert result.exit_code == 0, result.output
    run = tmp_path / "R"
    assert ddr_here("fit", tmp_path / "none", "--out", run, *small).exit_code == 0
    for crop, differs in (("center", True), ("none", False)):
        result = ddr_here("encode", run, tmp_path / crop, tmp_path / f"{crop}.csv")
        assert result.exit_code == 0, result.output
        assert ("prepared with crop center, not none" in result.stderr) == differs


@pytest.mark.slow
def test_a_store_of_another_source_is_told(ddr_here, puppets, run_folder, tmp_path):
    """Puppets of another command are the same source; arrays are not."""
    moving, arrays = tmp_path / "MOVING", tmp_path / "ARRAYS"
    options = ["--motion", "--identities", 10, "--length", 8]
    frames = FrameStore.open(puppets)
    options += ["--size", frames.frame_shape[0]]
    assert ddr_here("preprocess", "puppets", moving, *options).exit_code == 0
    write_arrays(arrays, [frames.frames(k) for k in range(3)])
    for store, differs in ((moving, False), (arrays, True)):
        page = tmp_path / f"{store.name}.html"
        result = ddr_here("explore", run_folder, store, page)
        assert result.exit_code == 0, result.output
        assert ("not puppets as the frames" in result.stderr) == differs


@pytest.mark.slow
def test_a_run_begins_with_the_weights_of_another(
    ddr_here, puppets, run_folder, tmp_path
):
    out = tmp_path / "further"
    arguments = ["fit", puppets, "--init", run_folder, "--out", out]
    short = "--steps 1 --save-every 1 --batch-size 4 --lr 1e-9 --schedule constant"
    result = ddr_here(*arguments, "--motion-weight", 3, *short.split())
    assert result.exit_code == 0, result.output
    run = Run.open(out)
    assert run.config["preset"] == Run.open(run_folder).config["preset"] == "tiny"
    begun = load_model(run_folder).get_weights()
    for one, other in zip(begun, run.model("last").get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    assert run.model().objective.motion_weight == 3
    assert int(run.model().optimizer.iterations) == 1
    assert "step 2" in ddr_here("fit", "--resume", out, "--steps", 2).output
    # Its sizes stay, and frames have to be of them.
    arguments[-1] = tmp_path / "no"
    assert fails(ddr_here(*arguments, "--filters", 3), "filters: a run that begins")
    ddr_here("preprocess", "puppets", tmp_path / "S", "--identities", 10, "--size", 16)
    arguments[1] = tmp_path / "S"
    assert fails(ddr_here(*arguments), "image_shape=(32, 32, 3), but the frames of")
    assert not (tmp_path / "no").exists()


def test_a_preset_with_weights_stands_for_a_run(ddr_here, tmp_path):
    from ddr_cli.arguments import WITH_WEIGHTS
    from keras_ddr import DDR

    known = [name for name, preset in DDR.presets.items() if preset.weights]
    assert sorted(known) == sorted(WITH_WEIGHTS)
    ddr_here("preprocess", "puppets", tmp_path / "S", "--identities", 10)
    out = tmp_path / "codes.csv"
    result = ddr_here("encode", "puppets", tmp_path / "S", out, "--split", "test")
    assert result.exit_code == 0, result.output
    assert out.is_file()
    result = ddr_here("encode", "tiny", tmp_path / "S", out)
    assert fails(result, "a preset that comes with weights (puppets)")
