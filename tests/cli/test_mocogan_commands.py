"""A MoCoGAN without an encoder only draws, and commands that need codes say so."""

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
