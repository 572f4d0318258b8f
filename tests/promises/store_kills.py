"""Kill the making of stores before each of its file operations, and look.

    KERAS_DDR_WORKER=1 python tests/promises/store_kills.py puppets FOLDER

Each attempt runs in a child of this process, which has loaded no backend: a fork takes
milliseconds where a new `ddr` takes seconds. The child is killed (SIGKILL) right before
its n-th operation on a file of the folder, for every n, and besides at random moments.
After each kill the store must be the old one, the new one or none, and the same work
must succeed without cleaning up. Prints a line of JSON.
"""

import argparse
import collections
import json
import os
import pathlib
import random
import shutil
import signal
import sys
import time
import warnings

import numpy as np

from keras_ddr import InputError
from keras_ddr.data import FrameStore
from keras_ddr.data.store import verify_store

# Audit events of operations on files -> which of their arguments are paths, and where
# their folders stand as descriptors.
_EVENTS = {
    "open": ((0,), ()),
    "os.mkdir": ((0,), (2,)),
    "os.rename": ((0, 1), (2, 3)),
    "os.remove": ((0,), (1,)),
    "os.rmdir": ((0,), (1,)),
}


class Wrong(AssertionError):
    """A promise that was not kept."""


def draw_videos(folder):
    """Two short videos without loss."""
    import cv2

    folder.mkdir()
    for number in range(2):
        path = str(folder / f"{number}.avi")
        writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"FFV1"), 25.0, (32, 32))
        picture = np.random.default_rng(number).integers(60, 180, (32, 32, 3))
        for frame in range(24):
            writer.write((picture + frame).astype(np.uint8))
        writer.release()


def make_puppets(folder, seed, overwrite=True):
    """A store of puppets."""
    from keras_ddr.datasets import Splits, puppets

    puppets.prepare(
        folder / "S",
        identities=6,
        size=16,
        arms=2,
        legs=2,
        splits=Splits(seed=seed),
        overwrite=overwrite,
    )


def make_videos(folder, seed, overwrite=True):
    """A store of whole frames of videos."""
    from keras_ddr.datasets import Cropping, Splits, videos

    if not (folder / "sources").exists():
        draw_videos(folder / "sources")
    cropping = Cropping(crop="none", size=16 if seed else 32)
    videos.prepare(
        folder / "S",
        folder / "sources",
        cropping=cropping,
        splits=Splits(seed=seed),
        overwrite=overwrite,
    )


WORKS = {"puppets": make_puppets, "videos": make_videos}


def child(work, point=None, seconds=None, folder=""):
    """Do work in a child.

    Args:
        work: Function without arguments.
        point: Kill it before this operation on a file below `folder`, from 1.
        seconds: Kill it after this time.
        folder: Text.

    Returns:
        Whether it was killed, and the number of its operations on files.
    """
    reading, writing = os.pipe()
    process = os.fork()
    if not process:
        try:
            os.close(reading)
            count = _count_operations(folder, point)
            warnings.simplefilter("ignore")
            work()
            os.write(writing, str(count[0]).encode())
            os._exit(0)
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
            os._exit(1)
    os.close(writing)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(process, signal.SIGKILL)
    with open(reading, "rb") as pipe:
        text = pipe.read()
    _, status = os.waitpid(process, 0)
    code = os.waitstatus_to_exitcode(status)
    if code not in (0, -signal.SIGKILL):
        raise Wrong(f"the work ended with {code}")
    return code != 0, int(text or 0)


def _count_operations(folder, point):
    count = [0]

    def hook(event, arguments):
        places, descriptors = _EVENTS.get(event, ((), ()))
        paths = [arguments[i] for i in places if isinstance(arguments[i], str | bytes)]
        if any(os.fsdecode(path).startswith(folder) for path in paths) or any(
            arguments[i] not in (-1, None) for i in descriptors
        ):
            count[0] += 1
            if count[0] == point:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    return count


def content(path):
    """What is in a store, or None where nothing opens; a half one is wrong."""
    try:
        store = FrameStore.open(path)
    except InputError as error:
        if "no such frame store" in str(error):
            return None
        raise Wrong(f"{path}: {error}") from None
    if found := verify_store(path):
        raise Wrong(f"{path}: {found}")
    return store.meta["sha256"], len(store)


def attempt(name, folder, replaced, **when):
    """Kill once, look, and do the same again.

    Args:
        name: Key of `WORKS`.
        folder: Folder to work in, with its `sources`; emptied but for them before.
        replaced: Whether an older store lies there.
        **when: As for `child`.

    Returns:
        What was found after the kill: "none", "old" or "new"; or None where it ended
        before.
    """
    for entry in folder.iterdir():
        if entry.name != "sources":
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    work = WORKS[name]
    old = None
    if replaced:
        child(lambda: work(folder, seed=1))
        old = content(folder / "S")
    killed, _ = child(
        lambda: work(folder, seed=0, overwrite=replaced), folder=str(folder), **when
    )
    found = content(folder / "S")
    if old is not None and found is None:
        raise Wrong("the older store is gone")
    if killed and not (found == old or found == WHOLE[name]):
        raise Wrong(f"neither the old nor the new store: {found}")
    for left in folder.iterdir():
        if left.name.startswith(".S.tmp-") and content_opens(left):
            raise Wrong(f"{left.name} opens")
    # A store that was finished is refused without --overwrite.
    child(lambda: work(folder, seed=0, overwrite=replaced or found is not None))
    if content(folder / "S") != WHOLE[name]:
        raise Wrong("the same work again gave another store")
    left = {e.name for e in folder.iterdir()} - {"S", "sources", "S.report.csv"}
    if left:
        raise Wrong(f"left behind: {sorted(left)}")
    if not killed:
        return None
    return "new" if found == WHOLE[name] else "old" if replaced else "none"


def content_opens(path):
    """Whether a folder opens as a store."""
    try:
        FrameStore.open(path)
    except InputError:
        return False
    return True


WHOLE = {}


def main():
    """Kill at all points and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", choices=WORKS)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--every", type=int, default=1, help="points to go on by")
    parser.add_argument("--random", type=int, default=10, help="kills by time")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    work = WORKS[arguments.work]
    folder.mkdir(exist_ok=True)
    if arguments.work == "videos":
        # Decoders start threads, which do not outlive a fork.
        child(lambda: draw_videos(folder / "sources"))
    began = time.perf_counter()
    _, points = child(lambda: work(folder, seed=0), folder=str(folder))
    took = time.perf_counter() - began
    WHOLE[arguments.work] = content(folder / "S")
    draw = random.Random(0)
    tally = collections.Counter()
    for replaced in (False, True):
        # Replacing takes some more operations than making.
        whens = [{"point": n} for n in range(1, points + 40, arguments.every)]
        whens += [{"seconds": draw.uniform(0, took)} for _ in range(arguments.random)]
        for when in whens:
            try:
                found = attempt(arguments.work, folder, replaced, **when)
            except Wrong as error:
                raise Wrong(f"replaced={replaced}, {when}: {error}") from None
            what = "replacing" if replaced else "making"
            tally[f"{what}: {found or 'ended before'}"] += 1
    print(json.dumps(dict(tally)))


if __name__ == "__main__":
    main()
