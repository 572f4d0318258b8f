"""Disks that are full or read-only, and what is written to them."""

import contextlib
import os
import resource
import signal
import subprocess
import time

import pytest
from click.testing import CliRunner

from ddr_cli.main import ddr

DISK = 24 << 20  # bytes of the small disk
# What is never left behind, whatever happens: only the lock of a run stays.
LOCK = ".lock"
SMALL = (
    "--config tiny --schedule constant --steps 2 --save-every 1 --batch-size 2 "
    "--filters 2 --pair-filters 2 --hidden-units 4 --static-dim 2"
).split()


def run_ddr(*arguments):
    """Run `ddr` in this process."""
    return CliRunner().invoke(ddr, [str(argument) for argument in arguments])


def must(*arguments):
    """Run `ddr`, which has to succeed."""
    result = run_ddr(*arguments)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """A store made by `ddr preprocess puppets`."""
    path = tmp_path_factory.mktemp("stores") / "puppets"
    must("preprocess", "puppets", path, "--identities", 12, "--size", 16)
    return path


@pytest.fixture(scope="session")
def run(store, tmp_path_factory):
    """A run made by `ddr fit`; tests leave it as it is."""
    path = tmp_path_factory.mktemp("runs") / "run"
    must("fit", store, "--out", path, *SMALL)
    return path


class Disk:
    """A place with a set number of free bytes, in one of two ways.

    Attributes:
        path: folder to write in.
    """

    def __init__(self, path):
        self.path = path

    @contextlib.contextmanager
    def free(self, size):
        """Let no more than `size` bytes be written, for a while."""
        raise NotImplementedError


class SmallDisk(Disk):
    """A file system of its own that a file fills up but for `size` bytes."""

    @contextlib.contextmanager
    def free(self, size):
        ballast = self.path / "ballast"
        about = os.statvfs(self.path)
        with open(ballast, "wb") as file:
            os.posix_fallocate(
                file.fileno(), 0, max(about.f_bavail * about.f_bsize - size, 1)
            )
        try:
            yield
        finally:
            ballast.unlink()


class SmallFiles(Disk):
    """Any file system, on which no file may grow beyond `size` bytes."""

    @contextlib.contextmanager
    def free(self, size):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, before)


def _mount(path, *options):
    command = ["mount", "-t", "tmpfs", *options, "tmpfs", str(path)]
    return subprocess.run(command, capture_output=True, text=True)


def _unmount(path):
    for _ in range(50):
        if subprocess.run(["umount", str(path)], capture_output=True).returncode == 0:
            return
        time.sleep(0.1)
    subprocess.run(["umount", "-l", str(path)], check=True)


class CannotMount(Exception):
    """Only root may, and not everywhere."""


@contextlib.contextmanager
def _mounted(path):
    """A tmpfs at `path`."""
    path.mkdir()
    if os.geteuid() != 0:
        raise CannotMount("only root may mount a small disk")
    done = _mount(path, "-o", f"size={DISK}")
    if done.returncode != 0:
        raise CannotMount(f"a small disk cannot be mounted: {done.stderr.strip()}")
    try:
        yield path
    finally:
        _unmount(path)


@pytest.fixture
def disk(tmp_path):
    """A `Disk`: a small one, or a limit of the size of files where none is mounted."""
    with contextlib.ExitStack() as stack:
        try:
            found = SmallDisk(stack.enter_context(_mounted(tmp_path / "disk")))
        except CannotMount:
            found = SmallFiles(tmp_path / "disk")
        yield found


@pytest.fixture
def read_only(tmp_path):
    """A folder, and a function after which it can no longer be written."""
    if os.geteuid() != 0:
        folder = tmp_path / "folder"
        folder.mkdir()
        yield folder, lambda: _without_write_bits(folder)
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755)
        return
    # Permissions do not bind root; a read-only file system does.
    with contextlib.ExitStack() as stack:
        try:
            path = stack.enter_context(_mounted(tmp_path / "disk"))
        except CannotMount as error:
            pytest.skip(str(error))
        yield path, lambda: _remount_read_only(path)


def _without_write_bits(folder):
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)


def _remount_read_only(path):
    subprocess.run(["mount", "-o", "remount,ro", str(path)], check=True)
