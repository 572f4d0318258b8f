"""Many tasks at once: here, in processes of this machine, or on a cluster."""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import (
    FIRST_COMPLETED,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from keras_ddr.datasets.option_fields import Options, option
from keras_ddr.errors import InputError, reason_of

if TYPE_CHECKING:
    from keras_ddr.typing import Progress, StrPath

# Called with the name of a task, its result, and one line on why there is none.
_Finished: TypeAlias = Callable[[str, Any, str | None], None]
_Tasks: TypeAlias = Mapping[str, tuple[Any, ...]]
# Called with names of tasks; says which were begun and not finished.
_Begun: TypeAlias = Callable[[Iterable[str]], list[str]]

_MOST_WORKERS = 61  # that Windows can wait for
_PAUSE = 0.5  # seconds between two ticks
_PATIENCE = 60  # seconds for the first worker of a cluster to come


@dataclass(frozen=True)
class Work(Options):
    """Where the work is done, and who hears of it.

    A script that asks for processes needs the guard `if __name__ == "__main__":`.
    `progress` is called as progress(done, total) with numbers of sources, `frames`
    about twice a second with numbers of frames: those that are read, and those of all
    sources by what headers declare, 0 while nothing is known.
    """

    workers: int = option(
        0, "Processes, one core each.", kind=int, least=1, unset="all cores"
    )
    dask: str | None = option(
        None,
        "Work on the Dask cluster whose scheduler is there, such as tcp://host:8786; "
        "its workers need the same paths and this package.",
        metavar="ADDRESS",
    )
    progress: Progress | None = None
    frames: Progress | None = None

    def path_for_workers(self, path: StrPath) -> str:
        """A path as workers find it: absolute for a cluster, which runs elsewhere."""
        return os.fspath(path) if self.dask is None else os.path.abspath(path)

    def run(
        self,
        task: Callable[..., Any],
        tasks: _Tasks,
        finished: _Finished,
        begun: _Begun,
        tick: Callable[[], object] | None = None,
    ) -> None:
        """Do all tasks, name -> arguments of `task`, whatever becomes of one of them.

        An `OSError` of a task ends the run, other exceptions become its problem.
        `begun` is asked before tasks are given to processes and after one has died; it
        removes the leftovers of tasks that were begun and not finished, and names them.
        `tick` is called now and then; a task that runs here does it by its own `tick`.
        """
        if not tasks:
            return
        if self.dask is not None:
            with _dask(self.dask) as executor:
                _collect(executor, task, tasks, finished, tick)
            return
        if not self.workers:
            here = task if tick is None else functools.partial(task, tick=tick)
            for name, arguments in tasks.items():
                # One after the other, so that progress and Ctrl-C come between them.
                _collect(_Here(), here, {name: arguments}, finished, tick)
            return
        in_processes = functools.partial(
            _in_processes, task, finished=finished, begun=begun, tick=tick
        )
        while tasks:
            suspects, tasks = in_processes(tasks, workers=self.workers)
            # A process that dies takes the futures of all others along. Unfinished
            # tasks are tried alone; a task that dies alone is to blame.
            for name, arguments in suspects.items():
                alone = {name: arguments}
                if any(in_processes(alone, workers=1)):
                    finished(
                        name,
                        None,
                        "the process that read it died (damaged, or too large for the "
                        "memory)",
                    )


def decoding_threads() -> int:
    """Threads for decoding: one in a worker, since there is one worker a core."""
    return 1 if multiprocessing.parent_process() else os.cpu_count() or 1


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
    task: Callable[..., Any],
    tasks: _Tasks,
    *,
    finished: _Finished,
    begun: _Begun,
    tick: Callable[[], object] | None,
    workers: int,
) -> tuple[_Tasks, _Tasks]:
    """Work with processes; returns tasks that died with one, and those not begun."""
    others = set(multiprocessing.active_children())
    begun(tasks)
    with _light_workers():
        executor = ProcessPoolExecutor(
            min(workers, len(tasks), _MOST_WORKERS),
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_begin_worker,
        )
        try:
            left = _collect(executor, task, tasks, finished, tick)
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
    task: Callable[..., Any],
    tasks: _Tasks,
    finished: _Finished,
    tick: Callable[[], object] | None,
) -> list[str]:
    """Submit all tasks and wait; returns those whose process died."""
    left, futures = [], {}
    for name, arguments in tasks.items():
        try:
            futures[executor.submit(task, *arguments)] = name
        except BrokenProcessPool:
            left.append(name)
    for future in _as_completed(futures, tick):
        name = futures.pop(future)
        try:
            result = future.result()
        except BrokenProcessPool:
            left.append(name)
        except CancelledError:
            # A store without these sources must not take the place of the whole one.
            raise InputError(
                "dask: the connection to the scheduler was lost; run the same again "
                "to go on"
            ) from None
        except OSError:
            raise
        # Dask promises no type for a worker that was lost.
        except Exception as error:
            reason = f"{type(error).__name__}: {reason_of(error)}"
            finished(name, None, reason)
        else:
            finished(name, result, None)
    return left


def _as_completed(
    futures: Iterable[Future[Any]], tick: Callable[[], object] | None
) -> Iterator[Future[Any]]:
    left = set(futures)
    while left:
        done, left = wait(left, _PAUSE, FIRST_COMPLETED)
        yield from done
        if tick is not None:
            tick()


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
    # Ctrl-C reaches all processes of a terminal; the main one ends the others.
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
    scheme, _, host = address.rpartition("://")
    if scheme not in ("", "tcp", "tls", "ucx", "ws", "wss") or ":" not in host:
        # Closing a client of such an address would take long.
        raise InputError(
            f"dask: {address!r} is no address of a scheduler; give one such as "
            "tcp://HOST:8786, which `dask scheduler` prints"
        )
    try:
        client = Client(address, timeout="10s", set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise InputError(
            f"dask: no scheduler answers at {address} ({reason_of(error)}); start one "
            "with `dask scheduler`, and workers with `dask worker`"
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
