"""Sets of frames for training: uint8 batches (B, N, H, W, C) from a frame store."""

from __future__ import annotations

import dataclasses
import math
import threading
import weakref
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeAlias

import keras
import numpy as np

from keras_ddr.arguments import check_choice, check_whole
from keras_ddr.data.store import FrameStore
from keras_ddr.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from keras_ddr.typing import StrPath

    # Arrays for a model; sequences (D,) and frames (D, N) of an epoch.
    _Batch: TypeAlias = tuple[NDArray[Any], ...]
    _Plan: TypeAlias = tuple[NDArray[np.integer], NDArray[np.integer]]

__all__ = ["FrameSets"]

# Purposes of the random streams of an epoch.
_SOURCES, _FRAMES = 1, 2
ORDERS = ("random", "ordered")  # of the frames of a set


@dataclasses.dataclass(frozen=True)
class _Options:  # of `FrameSets`, that few need
    first: int = 0
    pad: bool = False
    shard: tuple[int, int] = (0, 1)
    workers: int = 1
    max_queue_size: int = 4
    use_multiprocessing: bool = False


class FrameSets(keras.utils.PyDataset):
    """Batches of sets of frames, N frames from each of B sequences.

    Sets are unordered, as in the paper (section 2): N distinct frames of one sequence
    in random order; or they are windows: N frames in order, `stride` frames apart, from
    a random start. Batch `index` of epoch `epoch` follows from `seed` alone, whatever
    was asked for before, on any backend and with any number of workers. Keras does not
    tell a dataset the epoch; call `set_epoch` before each (`DDR.fit` does), or every
    epoch has the same sets.

    Sequences are drawn uniformly by source, then by sequence: sources are visited in
    rounds, each a new permutation of all, and the k-th visit to a source takes the
    k-th sequence of a permutation of its own. A sequence without a source is a source
    of its own.

    Pass `steps` here rather than `steps_per_epoch` to `fit`: Keras carries an iterator
    over into the next epoch and may have read ahead before it begins.

    Args:
        store: A `FrameStore`, or the path of one.
        frames_per_set: N, at least 1; `None` for as many as the model takes that is
            given these sets (`fit`, `evaluate`, `predict`), and 3 until then.
        batch_size: B, sets in a batch.
        sets_per_sequence: Sets drawn of each sequence in an epoch, on average.
        split: "train", "val", "test" or "all".
        seed: Non-negative integer.
        steps: Batches an epoch, all of them full, instead of `sets_per_sequence`.
            Without it the last batch of an epoch may be smaller.
        fixed: The same sets in every epoch, for validation.
        order: "random" or "ordered"; `None` for the model's order, and "random" until
            then.
        stride: Distance of the frames of a window, at least 1, so that a window spans
            (N - 1) · stride + 1 frames; `None` for the model's stride, and 1 until
            then. Sets in random order have none.
        **kwargs: `first`: number of the first batch of an epoch that is given, to go on
            in the middle of one; batches count from 0 there. `pad`: give
            `(x, zeros, sample_weight)`, and fill up a smaller last batch with sets of
            weight 0, for several devices or a backend that would compile anew for
            another size; the loss is the same. `shard`: (index, count), the part of
            each batch for one of `count` hosts that train together; `batch_size` and
            the epoch are those of all together. `workers`: threads that read ahead
            (default 1; 0 for none). `max_queue_size`: batches kept ready (default 4).
            `use_multiprocessing` must be False.

    Raises:
        InputError: The split has no sequence, sequences are too short, or windows are
            asked for of a store whose frames have no order in time.

    Example:
    >>> import tempfile
    >>> import numpy as np
    >>> from keras_ddr.data import write_arrays
    >>> frames = np.zeros((10, 5, 16, 16, 3), "uint8")
    >>> store = write_arrays(tempfile.mkdtemp() + "/store", frames)
    >>> sets = FrameSets(store, frames_per_set=3, batch_size=4)
    >>> [x.shape for (x,) in sets]
    [(4, 3, 16, 16, 3), (4, 3, 16, 16, 3), (2, 3, 16, 16, 3)]
    """

    def __init__(
        self,
        store: FrameStore | StrPath,
        frames_per_set: int | None = None,
        batch_size: int = 120,
        sets_per_sequence: int = 1,
        split: str = "train",
        seed: int = 0,
        steps: int | None = None,
        fixed: bool = False,
        order: str | None = None,
        stride: int | None = None,
        **kwargs: Any,
    ) -> None:
        given = locals()
        given = {k: given[k] for k in given if k not in ("self", "kwargs", "__class__")}
        options = _Options(**kwargs)
        if options.use_multiprocessing:
            raise InputError(
                "use_multiprocessing: frames are read by threads, which is as fast; "
                "leave it out and set workers"
            )
        # With more than one worker Keras starts its enqueuer.
        super().__init__(workers=1)
        self.store = store if isinstance(store, FrameStore) else FrameStore.open(store)
        self._given = {**given, "store": self.store, **kwargs}
        check_whole(
            frames_per_set=3 if frames_per_set is None else frames_per_set,
            batch_size=batch_size,
            sets_per_sequence=sets_per_sequence,
            steps=1 if steps is None else steps,
            stride=1 if stride is None else stride,
        )
        check_whole(0, seed=seed, first=options.first)
        self.frames_per_set = 3 if frames_per_set is None else int(frames_per_set)
        self.batch_size = int(batch_size)
        self.sets_per_sequence = int(sets_per_sequence)
        self.split = split
        self.seed = int(seed)
        self.steps = None if steps is None else int(steps)
        self.fixed = bool(fixed)
        self.order = "random" if order is None else order
        self.stride = 1 if stride is None else int(stride)
        self._check_order()
        self.pad = bool(options.pad)
        self.shard = _check_shard(options.shard, self.batch_size)
        self.first = int(options.first)
        self._epoch = 0
        self._read_ahead = max(options.workers, 0), max(options.max_queue_size, 1)
        self._reader = _Reader(*self._read_ahead)
        self._plan: tuple[int, _Plan] | None = None
        self._choose_sequences()

    def _check_order(self) -> None:
        check_choice(ORDERS, order=self.order)
        if self.order == "random" and self.stride > 1:
            raise InputError(
                f"stride={self.stride}: sets in random order have none; leave it out "
                "or set order='ordered'"
            )
        if self.order == "ordered" and not self.store.ordered:
            raise InputError(
                f"{self.store.path}: its frames are in no order in time, but the model "
                "(or order='ordered') takes frames in order; choose a model of "
                "unordered frames, or make the store of frames in order (pictures of "
                "a recording: ddr preprocess images --frame-rate)"
            )

    def _choose_sequences(self) -> None:
        chosen = self.store.require(self.split)
        short = [s for s in chosen if s.length < self.span]
        if short:
            names = ", ".join(f"{s.name} ({s.length})" for s in short[:5])
            more = f" and {len(short) - 5} more" if len(short) > 5 else ""
            of_what = "set" if self.order == "random" else "window"
            advice = "use fewer frames a set (--frames-per-set)"
            if len(short) < len(chosen):
                leave = f"(ddr preprocess … --min-length {self.span})"
                advice = f"leave them out of the store {leave}, or {advice}"
            raise InputError(
                f"{self.store.path}: {len(short)} of {len(chosen)} sequences have "
                f"fewer frames than the {self.span} of a {of_what}: {names}{more}; "
                f"{advice}"
            )
        self._sequences = np.array([s.index for s in chosen])
        self._lengths = np.array([s.length for s in chosen])
        numbers: dict[tuple[str, str], int] = {}
        keys = [("source", s.source) if s.source else ("name", s.name) for s in chosen]
        self._sources = np.array([numbers.setdefault(k, len(numbers)) for k in keys])
        self._per_source = np.bincount(self._sources)
        self._first_of_source = np.cumsum(self._per_source) - self._per_source

    @property
    def span(self) -> int:
        """Frames from the first to the last of a set, if it is ordered, else N."""
        return (self.frames_per_set - 1) * self.stride + 1

    @property
    def adapts(self) -> bool:
        """Whether N, order or stride are left to the model."""
        names = ("frames_per_set", "order", "stride")
        return any(self._given[name] is None for name in names)

    @property
    def epoch(self) -> int:
        """The epoch whose batches are given, from 0."""
        return self._epoch

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, from 0, whose batches are given from now on."""
        self._epoch = int(epoch)

    def with_steps(self, steps: int) -> FrameSets:
        """Return sets like these, at the same epoch, with `steps` batches an epoch."""
        return self._like(steps=steps)

    def for_model(
        self, frames_per_set: int, order: str = "random", stride: int = 1
    ) -> FrameSets:
        """Return sets like these in which the model's values replace what is open."""
        if self.order == "random" and self._given["order"] is not None:
            stride = 1
        model = {"frames_per_set": frames_per_set, "order": order, "stride": stride}
        return self._like(**{k: v for k, v in model.items() if self._given[k] is None})

    def _like(self, **changes: Any) -> FrameSets:
        sets = FrameSets(**{**self._given, **changes})
        sets.set_epoch(self._epoch)
        return sets

    @property
    def num_draws(self) -> int:
        """Number of sets an epoch, with those before the first batch."""
        if self.steps is not None:
            return self.steps * self.batch_size
        return len(self._sequences) * self.sets_per_sequence

    def __len__(self) -> int:
        """Return the number of batches an epoch."""
        return max(0, math.ceil(self.num_draws / self.batch_size) - self.first)

    def __getitem__(self, index: int) -> tuple[NDArray[Any], ...]:
        """Return batch `index` of the present epoch.

        It is (x,) with x uint8 (B, N, H, W, C); with `pad` (x, zeros, sample_weight),
        float32 (B,): Keras wants something between the two, and no model uses it.
        """
        index = int(index)
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} of {len(self)}")
        epoch = 0 if self.fixed else self._epoch
        return self._reader.get(self, epoch, index)

    def draws(
        self, epoch: int, index: int
    ) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
        """Indices of sequences (B,) and their frames (B, N) in a batch of an epoch."""
        chosen, frames = self._epoch_plan(0 if self.fixed else int(epoch))
        begin = (self.first + index) * self.batch_size
        batch = slice(begin, begin + self.batch_size)
        return self._sequences[chosen[batch]], frames[batch]

    def _batch(self, epoch: int, index: int) -> _Batch:
        sequences, frames = self.draws(epoch, index)
        number = len(sequences)
        rows = np.arange(self.batch_size if self.pad else number)
        part, parts = self.shard
        rows = np.array_split(rows, parts)[part]
        weights = (rows < number).astype("float32")
        rows = rows % number
        x = self.store.gather(sequences[rows], frames[rows])
        return (x, np.zeros_like(weights), weights) if self.pad else (x,)

    def _epoch_plan(self, epoch: int) -> _Plan:
        plan = self._plan
        if plan is None or plan[0] != epoch:
            # One assignment, so that threads see either plan and never a mixture.
            plan = self._plan = (epoch, self._draw_epoch(epoch))
        return plan[1]

    def _draw_epoch(self, epoch: int) -> _Plan:
        random = np.random.default_rng([self.seed, epoch, 0, _SOURCES])
        draws, sources = self.num_draws, len(self._per_source)
        # The sequences of a source in random order, source after source.
        order = np.lexsort((random.random(len(self._sequences)), self._sources))
        rounds = math.ceil(draws / sources)
        visits = np.concatenate([random.permutation(sources) for _ in range(rounds)])
        visit = np.repeat(np.arange(rounds), sources)
        place = self._first_of_source[visits] + visit % self._per_source[visits]
        chosen = order[place][:draws]
        random = np.random.default_rng([self.seed, epoch, 0, _FRAMES])
        lengths = self._lengths[chosen]
        if self.order == "random":
            numbers = random.random((draws, self.frames_per_set))
            return chosen, _distinct(numbers, lengths)
        starts = (random.random(draws) * (lengths - self.span + 1)).astype(np.int64)
        steps = self.stride * np.arange(self.frames_per_set)
        return chosen, starts[:, None] + steps

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_reader": None, "_plan": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reader = _Reader(*self._read_ahead)


def _check_shard(shard: tuple[int, int], batch_size: int) -> tuple[int, int]:
    index, count = (int(number) for number in shard)
    if not 0 <= index < count:
        raise InputError(f"shard: {shard!r} is not (index, count) with index < count")
    if batch_size % count:
        raise InputError(
            f"batch_size: {batch_size} sets cannot be shared equally by {count} hosts; "
            f"give a multiple of {count}"
        )
    return index, count


def _distinct(
    numbers: NDArray[np.float64], lengths: NDArray[np.integer]
) -> NDArray[np.int64]:
    """Turn uniform numbers (D, N) into N distinct frames out of lengths (D,)."""
    chosen = np.empty(numbers.shape, np.int64)
    for n in range(numbers.shape[1]):
        left = lengths - n
        # The n-th draw is among the frames left; count past those drawn before.
        pick = np.minimum((numbers[:, n] * left).astype(np.int64), left - 1)
        for taken in np.sort(chosen[:, :n], axis=1).T:
            pick += pick >= taken
        chosen[:, n] = pick
    return chosen


class _Reader:
    """Reads the batches that are likely to be asked for next."""

    # Keras's enqueuer hands left-over batches of one epoch to the next. These are kept
    # by epoch and number: a wrong guess costs time and never gives another batch.

    def __init__(self, workers: int, ahead: int) -> None:
        self.workers = workers
        self.ahead = ahead
        self.lock = threading.Lock()
        self.futures: dict[tuple[int, int], Future[_Batch]] = {}
        self.threads: ThreadPoolExecutor | None = None

    def get(self, sets: FrameSets, epoch: int, index: int) -> _Batch:
        if not self.workers:
            return sets._batch(epoch, index)
        with self.lock:
            if self.threads is None:
                self.threads = ThreadPoolExecutor(self.workers, "FrameSets")
                weakref.finalize(self, self.threads.shutdown, wait=False)
            end = min(index + 1 + self.ahead, len(sets))
            wanted = [(epoch, number) for number in range(index, end)]
            for key in set(self.futures) - set(wanted):
                self.futures.pop(key).cancel()
            for key in wanted:
                if key not in self.futures:
                    self.futures[key] = self.threads.submit(sets._batch, *key)
            future = self.futures.pop(wanted[0])
        return future.result()
