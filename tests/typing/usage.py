"""The package as its users write it; type checkers read this, nothing runs it.

A line with an ignored error is one that must stay an error.
"""

import collections.abc
from pathlib import Path
from typing import Any, assert_type

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from keras_ddr import DDR, Codes, DiagonalGaussian, LogLikelihood
from keras_ddr.data import (
    FrameSets,
    FrameStore,
    Label,
    Sequence,
    SequenceRecord,
    StoreWriter,
    assign_splits,
    write_arrays,
    write_store,
)
from keras_ddr.datasets import Cropping, Splits, Work, puppets, videos
from keras_ddr.encoding import encode_sequences, write_codes
from keras_ddr.evaluation import (
    EvaluationReport,
    Judge,
    evaluate,
)
from keras_ddr.events import Event, find_events
from keras_ddr.layers import PairwiseStaticEncoder
from keras_ddr.likelihoods import Likelihood, Normal
from keras_ddr.likelihoods import get as get_likelihood
from keras_ddr.visualization import (
    plot_dynamics,
    plot_latent,
    plot_manifold,
    plot_reconstruction,
    plot_samples,
    plot_store,
    plot_swap,
    save_figure,
)


def stores() -> FrameStore:
    """Make, open and read stores."""
    frames = np.zeros((4, 8, 64, 64, 3), np.uint8)
    store = write_arrays("STORE", frames, labels={"pose": [0, 1, 2, 3]})
    store = write_arrays(Path("STORE"), list(frames), splits={"train": 1.0})
    assert_type(store, FrameStore)
    assert_type(FrameStore.open("STORE"), FrameStore)
    assert_type(puppets.prepare(Path("STORE"), progress=print), FrameStore)
    store = videos.prepare(
        "STORE",
        ["a.mp4", Path("b.mp4")],
        cropping=Cropping(crop="none", size=32),
        splits=Splits((1, 0, 0), labels=Path("labels.csv")),
        work=Work(workers=2, progress=print),
    )
    videos.prepare("STORE", "VIDEOS", cropping="none")  # type: ignore[arg-type]
    assert_type(store.frames(0), NDArray[np.uint8])
    assert_type(store.gather([0, 1], [[0, 1], [2, 3]]), NDArray[np.uint8])
    assert_type(store.frame_labels(0), dict[str, NDArray[Any]])
    assert_type(store.sequences, list[Sequence])
    assert_type(store.select("train")[0].labels["hair"], str | float | None)
    assert_type(store.frame_shape, tuple[int, int, int])
    assert_type(store.labels, dict[str, Label])
    assert_type(store.labels["pose"].classes, collections.abc.Sequence[str] | None)
    record = SequenceRecord("a", frames[0], labels={"hair": "red"})
    assert_type(write_store("STORE", [record], frame_shape=(64, 64, 3)), FrameStore)
    with StoreWriter("STORE") as writer:
        writer.append(record)
    assert_type(assign_splits(["a", "b"], {"train": 0.5, "val": 0.5}), list[str])
    FrameStore.open(3)  # type: ignore[arg-type]
    assert_type(store.frames("first"), NDArray[np.uint8])
    store.frames(1.5)  # type: ignore[arg-type]
    return store


def models(store: FrameStore) -> None:
    """Train a model and use it."""
    model = DDR.from_preset("small")
    assert_type(model, DDR)
    assert_type(DDR((32, 32, 1), static_dim=8, likelihood=Normal()), DDR)
    model.compile()
    model.fit(FrameSets(store, batch_size=40, steps=500), epochs=6)
    codes = [model.encode(store.frames(i)) for i in range(4)]
    assert_type(codes, list[Codes])
    assert_type(codes[0].static, DiagonalGaussian[NDArray[np.float32]])
    assert_type(codes[0].static.mean, NDArray[np.float32])
    assert_type(codes[0].dynamic.stddev, NDArray[np.float32])
    assert_type(codes[0].standardized, NDArray[np.float32])
    f, z = codes[0].static.mean, codes[0].dynamic.mean
    assert_type(model.decode(f, z), NDArray[np.float32])
    assert_type(model.sample(2, frames=3), NDArray[np.float32])
    assert_type(model.swap(codes[0], store.frames(1)), NDArray[np.float32])
    assert_type(model.prior_of(f).sample(z), NDArray[np.float32])
    found = model.log_likelihood(store.frames(0, [0, 1, 2]))
    assert_type(found, LogLikelihood)
    assert_type(found.value, float)
    assert_type(model.image_shape, tuple[int, int, int])
    assert_type(get_likelihood("normal"), Likelihood)
    PairwiseStaticEncoder(8, aggregation="mean")
    DDR((32, 32))  # type: ignore[arg-type]
    model.encode(store.frames(0), sets="all")  # type: ignore[arg-type]
    codes[0].static.mode  # type: ignore[attr-defined]  # noqa: B018


def figures(model: DDR, store: FrameStore, codes: list[Codes]) -> None:
    """Draw figures and save them."""
    assert_type(plot_manifold(model, codes), Figure)
    assert_type(plot_manifold(model, [c.static.mean for c in codes], grid=5), Figure)
    assert_type(plot_reconstruction(model, store, ["a", "b"], [0, 1]), Figure)
    assert_type(plot_swap(model, store, dynamics=[("a", 0), (1, 2)]), Figure)
    assert_type(plot_dynamics(model, store, "a", 1), Figure)
    assert_type(plot_latent(model, store, "pose", split="test"), Figure)
    assert_type(plot_samples(model), Figure)
    assert_type(plot_store(store, 3), Figure)
    assert_type(save_figure(plot_store(store), "store.png"), Path)
    plot_store("STORE")  # type: ignore[arg-type]


def measures(model: DDR, store: FrameStore) -> None:
    """Measure a model, write its codes and find events."""
    report = evaluate(model, store, metrics="all", sequences=10)
    assert_type(report, EvaluationReport)
    assert_type(report.scores, dict[str, Any])
    evaluate(model, store, metrics=["probes", Judge(steps=5, attributes="hair")])
    assert_type(report.table(), str)
    assert_type(report.to_dict(), dict[str, Any])
    assert_type(write_codes("codes.npz", model, store), Path)
    for sequence, codes in encode_sequences(model, store, "test"):
        assert_type(sequence, Sequence)
        events = find_events(sequence, codes, store.frame_labels(sequence.index))
        assert_type(events, list[Event])
    evaluate(model, store, metrics=3)  # type: ignore[arg-type]
