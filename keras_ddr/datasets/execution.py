"""Many tasks at once: here, in processes of this machine, or on a cluster."""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import (
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    as_completed,
)
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any, TypeAlias

from keras_ddr.errors import InputError

if TYPE_CHECKING:
    from keras_ddr.typing import StrPath

# What is done with the name, the result and the problem of a task.
_Finished: TypeAlias = Callable[[str, Any, str | None], None]

_MOST_WORKERS = 61  # that Windows can wait for
_PATIENCE = 60  # seconds for the first worker of a cluster to come

__all__ = ["place_for", "run"]


def run(
    work: Callable[..., Any],
    tasks: Mapping[str, tuple[Any, ...]],
    finished: _Finished,
    begun: Callable[[Iterable[str]], list[str]],
    workers: int = 0,
    dask: str | None = None,
) -> None:
    """Do all tasks, whatever becomes of one of them.

    Args:
        work: function, importable by workers.
        tasks: dict name -> arguments of `work`.
        finished: called as finished(name, result, problem) in any order; problem is
            None, or one line on why there is no result.
        begun: called as begun(names) after a process has died and before tasks are
            given to processes: which of them were begun and not finished. It clears up
            what such a task left.
        workers: number of processes, or 0 to work in this one.
        dask: address of a Dask scheduler to work on instead.

    Raises:
        OSError: what `work` raises of this kind, such as for a full disk; other
            exceptions become problems.
        InputError: the processes or the cluster cannot be used.
    """
    if not tasks:
        return
    if dask is not None:
        with _dask(dask) as executor:
            _collect(executor, work, tasks, finished)
        return
    if not workers:
        for name, arguments in tasks.items():
            # One after the other, so that progress and Ctrl-C come between them.
            _collect(_Here(), work, {name: arguments}, finished)
        return
    while tasks:
        suspects, tasks = _in_processes(work, tasks, finished, begun, workers)
        # A process that dies takes the futures of all others along. What was under way
        # is tried alone; what dies alone is to blame.
        for name, arguments in suspects.items():
            alone = {name: arguments}
            if any(_in_processes(work, alone, finished, begun, 1)):
                finished(
                    name,
                    None,
                    "the process that read it died (damaged, or too large for the "
                    "memory)",
                )


def place_for(dask: str | None, path: StrPath) -> str:
    """A path as those find it who work on it.

    Args:
        dask: address of a Dask scheduler, whose workers run in folders of their own, or
            None.
        path: file or folder.

    Returns:
        str; absolute where a cluster works.
    """
    return os.fspath(path) if dask is None else os.path.abspath(path)


class _Here(Executor):
    """Works at once, in this process."""

    def submit(
        self, function: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def _in_processes(
    work: Callable[..., Any],
    tasks: Mapping[str, tuple[Any, ...]],
    finished: _Finished,
    begun: Callable[[Iterable[str]], list[str]],
    workers: int,
) -> tuple[dict[str, tuple[Any, ...]], dict[str, tuple[Any, ...]]]:
    """Work with processes.

    Returns:
        Tasks that were under way when a process died, and those not yet begun.
    """
    others = set(multiprocessing.active_children())
    begun(tasks)
    with _light_workers():
        executor = ProcessPoolExecutor(
            min(workers, len(tasks), _MOST_WORKERS),
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_begin_worker,
        )
        try:
            left = _collect(executor, work, tasks, finished)
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()
            raise
        executor.shutdown()
    suspects = {name: tasks[name] for name in begun(left)}
    if left and not suspects:
        raise InputError(
            "workers: the processes end before they begin; in a script, call this "
            'under `if __name__ == "__main__":`, or use workers=0'
        )
    return suspects, {name: tasks[name] for name in left if name not in suspects}


def _collect(
    executor: Executor,
    work: Callable[..., Any],
    tasks: Mapping[str, tuple[Any, ...]],
    finished: _Finished,
) -> list[str]:
    """Submit all tasks and wait; returns those whose process died."""
    left, futures = [], {}
    for name, arguments in tasks.items():
        try:
            futures[executor.submit(work, *arguments)] = name
        except BrokenProcessPool:
            left.append(name)
    for future in as_completed(futures):
        name = futures.pop(future)
        try:
            result = future.result()
        except BrokenProcessPool:
            left.append(name)
        except CancelledError:
            # Not the source's fault: a store of the others must not take its place.
            raise InputError(
                "dask: the connection to the scheduler was lost; run the same again "
                "to go on"
            ) from None
        except OSError:
            raise
        # Whatever a cluster says of a worker that was lost.
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            finished(name, None, reason[:300])
        else:
            finished(name, result, None)
    return left


@contextlib.contextmanager
def _light_workers() -> Iterator[None]:
    """Let processes that start now leave Keras out: they only read and crop."""
    before = os.environ.get("KERAS_DDR_WORKER")
    os.environ["KERAS_DDR_WORKER"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["KERAS_DDR_WORKER"]
        else:
            os.environ["KERAS_DDR_WORKER"] = before


def _begin_worker() -> None:
    # Ctrl-C reaches all processes of a terminal; the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with contextlib.suppress(ImportError):
        import cv2

        # One core a worker.
        cv2.setNumThreads(1)


def _end_with_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


@contextlib.contextmanager
def _dask(address: str) -> Iterator[Executor]:
    try:
        from distributed import Client
    except ImportError:
        raise InputError(
            'dask: the package distributed is missing; pip install "keras_ddr[cluster]"'
        ) from None
    scheme, _, place = address.rpartition("://")
    if scheme not in ("", "tcp", "tls", "ucx", "ws", "wss") or ":" not in place:
        # A client that is made with such an address cannot be closed at once.
        raise InputError(
            f"dask: {address!r} is no address of a scheduler; give one such as "
            "tcp://HOST:8786, which `dask scheduler` prints"
        )
    try:
        client = Client(address, timeout="10s", set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"dask: no scheduler answers at {address} ({reason}); start one with "
            "`dask scheduler`, and workers with `dask worker`"
        ) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=_PATIENCE)
        except TimeoutError:
            raise InputError(
                f"dask: no worker has come to {address} in {_PATIENCE} s; start some "
                f"with `dask worker {address}`"
            ) from None
        yield client.get_executor(retries=1)
