"""Commands on a MoCoGAN: with an encoder all of them, without one those that draw."""

import time

import pytest

from keras_ddr.models import MoCoGAN

_SIZES = {"static_dim": 3, "dynamic_dim": 2, "filters": 2, "frames_per_set": 4}
_FIT = ["--model", "mocogan", "--steps", "12", "--save-every", "4", "--batch-size", "4"]
_FIT += [part for name, size in _SIZES.items() for part in ("--set", f"{name}={size}")]
_NO_CODES = (
    "MoCoGAN has no encoder: it only draws; ddr fit --set encoder=true trains one"
)


def _that_need_codes(run, store, folder):
    for figure in ("reconstruction", "manifold", "dynamics", "swap", "latent"):
        yield ["plot", figure, run, store, folder / f"{figure}.png"]
    yield ["explore", run, store, folder / "page.html"]
    yield ["encode", run, store, folder / "codes.csv"]
    yield ["events", run, store, folder / "events.csv"]


@pytest.mark.slow
def test_without_an_encoder_commands_say_so(ddr_here, moving, tmp_path):
    run = tmp_path / "m.keras"
    MoCoGAN((32, 32, 3), frame_stride=1, **_SIZES).save(run)
    fitted = ["plot", "samples", run, moving, tmp_path / "x.png", "--density"]
    for arguments in (
        *_that_need_codes(run, moving, tmp_path),
        [*fitted, "fitted"],
    ):
        result = ddr_here(*arguments)
        assert result.exit_code == 1, arguments
        assert result.output.splitlines()[-1].startswith(f"ddr: error: {_NO_CODES}")
    assert [file.name for file in tmp_path.iterdir()] == ["m.keras"]
    result = ddr_here("evaluate", run, moving)
    assert result.exit_code == 0 and f"judge: {_NO_CODES}" in result.output
    result = ddr_here("plot", "samples", run, moving, tmp_path / "x.png")
    assert result.exit_code == 0, result.output


@pytest.mark.slow
def test_a_run_keeps_its_last_model_and_shows_draws(ddr_here, moving, tmp_path):
    run = tmp_path / "run"
    result = ddr_here("fit", moving, *_FIT, "--out", run)
    assert result.exit_code == 0, result.output
    assert "the loss of MoCoGAN does not say which model is better" in result.output
    assert "densities" not in result.output and "(the last one)" in result.output
    assert len(list((run / "samples").glob("*.png"))) == 3
    assert (run / "model.keras").read_bytes() == (
        run / "checkpoint" / "epoch-000003.keras"
    ).read_bytes()


def _rows(run):
    """history.csv without its last column, the seconds."""
    return [line.rsplit(",", 1)[0] for line in (run / "history.csv").open()]


@pytest.mark.slow
def test_with_an_encoder_it_goes_through_every_command(
    ddr_here, ddr_elsewhere, moving, tmp_path
):
    """Also a training that was killed, which goes on as if it had not been."""
    from keras_ddr.runs import load_model

    fit = [*_FIT, "--set", "encoder=true", "--set", "categories=1"]
    whole, run = tmp_path / "whole", tmp_path / "run"
    assert ddr_here("fit", moving, *fit, "--out", whole).exit_code == 0
    process = ddr_elsewhere.start("fit", moving, *fit, "--out", run)
    while not list(run.glob("checkpoint/epoch-00000[12].keras")):
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.communicate()
    result = ddr_elsewhere("fit", "--resume", run)
    assert result.returncode == 0 and "going on after epoch" in result.stdout
    assert _rows(run) == _rows(whole)
    one, other = (load_model(path).get_weights() for path in (run, whole))
    assert all((a == b).all() for a, b in zip(one, other, strict=True))
    for arguments in (
        *_that_need_codes(run, moving, tmp_path),
        ["plot", "samples", run, moving, tmp_path / "samples.png"],
        ["evaluate", run, moving, "--only", "reconstruction", "--only", "probes"],
    ):
        result = ddr_here(*arguments)
        assert result.exit_code == 0, (arguments, result.output)
