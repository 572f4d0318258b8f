"""Options of `ddr fit` that replace a value of the configuration."""

from __future__ import annotations

from typing import Any, NamedTuple

import click

_WHOLE, _NUMBER = click.IntRange(1), click.FloatRange(0)
_ABOVE_0 = click.FloatRange(0, min_open=True)


class Setting(NamedTuple):
    """An option that replaces a value of the preset, by the name that Python knows."""

    option: str
    type: Any
    help: str
    name: str = ""

    @property
    def key(self) -> str:
        """Argument of `Training`, the objective or the class."""
        return self.name or self.option.strip("-").replace("-", "_")


SETTINGS = {
    "training": (
        Setting(
            "--steps",
            _WHOLE,
            "Training steps in all. With --resume, another number is possible only "
            "where the schedule is constant: a cosine decay depends on its last step.",
        ),
        Setting("--batch-size", _WHOLE, "Sequences in a batch."),
        Setting(
            "--optimizer",
            click.Choice(["adam", "muon"]),
            "Adam, or Muon, which needs fewer steps and takes longer for each.",
        ),
        Setting("--lr", _ABOVE_0, "Learning rate of the optimizer.", "learning_rate"),
        Setting(
            "--schedule",
            click.Choice(["constant", "cosine"]),
            "Learning rate over time: constant, or cosine decay to 0.",
        ),
        Setting(
            "--clipnorm",
            _NUMBER,
            "Largest norm of the gradient of all weights together; 0 for any.",
        ),
        Setting(
            "--accumulate",
            _WHOLE,
            "Steps whose gradients are averaged before the weights change: batches "
            "larger than memory allows.",
        ),
        Setting(
            "--save-every",
            _WHOLE,
            "Steps between checkpoints; each comes with a validation, a row of "
            "history.csv and a picture.",
        ),
    ),
    "model": (
        Setting("--static-dim", _WHOLE, "Dimensions of f."),
        Setting("--dynamic-dim", _WHOLE, "Dimensions of z."),
        Setting(
            "--frames-per-set",
            _WHOLE,
            "N, frames drawn from each sequence; 1 with --aggregation pooled only.",
        ),
        Setting("--filters", _WHOLE, "Channels of the frame encoder and decoder."),
        Setting("--pair-filters", _WHOLE, "Channels of the convolutions over pairs."),
        Setting("--hidden-units", _WHOLE, "Units of dense layers."),
        Setting(
            "--aggregation",
            click.Choice(["concat", "mean", "pooled"]),
            "How frames are joined for f: pairs with concat (the paper) or mean, which "
            "does not depend on the order of the frames; single frames with pooled.",
        ),
        Setting(
            "--dynamic-frames",
            click.Choice(["shared", "distinct"]),
            "Decode the frames from which f comes (shared, the paper), or N others.",
        ),
        Setting(
            "--dynamic-prior",
            click.Choice(["conditional", "standard"]),
            "p(z | f): learned (conditional, the paper) or a standard normal.",
        ),
        Setting(
            "--decoder",
            click.Choice(["direct", "warping", "components"]),
            "How frames are decoded: from f and z at once (direct, the paper), or, for "
            "faces, as a picture of f that z moves (warping), or to the scores of "
            "principal components, which the encoder reads, too (components).",
        ),
        Setting(
            "--components", _WHOLE, "Principal components of --decoder components."
        ),
        Setting(
            "--likelihood",
            click.Choice(["bernoulli", "continuous_bernoulli", "normal"]),
            "p(x | f, z) of a frame; bernoulli is the paper's.",
        ),
        Setting(
            "--mixed-precision",
            click.Choice(["none", "bfloat16", "float16"]),
            "Compute in half precision, with weights and losses in float32: for recent "
            "GPUs.",
            "dtype",
        ),
    ),
    "objective": (
        Setting("--kl-weight", _NUMBER, "Factor on both KL terms; 1 is the ELBO."),
        Setting(
            "--static-kl-weight",
            _NUMBER,
            "Further factor on the KL of f: N frames pay for one f; of a sequence of T "
            "frames they would pay N / T of it.",
        ),
        Setting(
            "--kl-warmup",
            click.IntRange(0),
            "Steps in which --kl-weight rises from 0, against a posterior that "
            "collapses early.",
        ),
        Setting(
            "--free-bits",
            _NUMBER,
            "Nats that each dimension of f and of z may take for nothing, against a "
            "posterior that collapses.",
        ),
        Setting(
            "--independence-weight",
            _NUMBER,
            "Nats a frame for each unit of distance between the codes of one sequence "
            "and those of all; about 10 helps to find all of the dynamics.",
        ),
        Setting(
            "--motion-weight",
            _NUMBER,
            "Further weight of the squared error of what moves within a set; about 10 "
            "for small motions, as those of faces.",
        ),
        Setting(
            "--change-weight",
            _NUMBER,
            "Nats a frame for the share of each change between two frames that is not "
            "explained, so that small changes count as much as large ones.",
        ),
    ),
}
"""Options by the argument of `Run.create` that takes their values."""
