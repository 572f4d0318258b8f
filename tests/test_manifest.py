"""Manifests: files and their sums change together."""

import hashlib

import pytest

from keras_ddr import manifest


def _sums(folder):
    return [
        line.split("  ")
        for line in (folder / manifest.NAME).read_text().split("\n")
        if line
    ]


def test_a_replaced_file_has_both_sums_until_it_is_in_place(tmp_path):
    (tmp_path / "a").write_text("old")
    manifest.write(tmp_path, ["a"])
    old, new = (hashlib.sha256(text).hexdigest() for text in (b"old", b"new"))
    with manifest.replacing(tmp_path, "a") as temporary:
        temporary.write_text("new")
    assert _sums(tmp_path) == [[new, "a"]]
    assert not manifest.verify(tmp_path, ["a"])
    # As a process leaves it that is killed before or after the file is in place.
    (tmp_path / manifest.NAME).write_text(f"{new}  a\n{old}  a\n")
    for content in ("old", "new"):
        (tmp_path / "a").write_text(content)
        assert not manifest.verify(tmp_path)
    (tmp_path / "a").write_text("other")
    assert len(manifest.verify(tmp_path)) == 1


def test_a_failure_keeps_the_old_file_and_its_sum(tmp_path):
    (tmp_path / "a").write_text("old")
    manifest.write(tmp_path, ["a"])
    with pytest.raises(RuntimeError):
        with manifest.replacing(tmp_path, "a") as temporary:
            temporary.write_text("new")
            raise RuntimeError
    assert not manifest.verify(tmp_path, ["a"])
    assert (tmp_path / "a").read_text() == "old"


def test_files_that_are_removed_lose_their_line_first(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    manifest.write(tmp_path, ["a", "b"])
    manifest.remove(tmp_path, ["b", "c"])
    (tmp_path / "b").unlink()
    assert not manifest.verify(tmp_path, ["a"])
    assert manifest.verify(tmp_path, ["b"]) == [
        f"{tmp_path / 'b'}: is missing; restore it"
    ]


@pytest.mark.parametrize("line", ["", "abc  a", "g" * 64 + "  a", "0" * 64 + "  ../a"])
def test_a_damaged_manifest_is_named(tmp_path, line):
    (tmp_path / manifest.NAME).write_text(f"{line}\n")
    found = manifest.verify(tmp_path, ["a"])
    assert len(found) == 1 and "SHA256SUMS: line 1 is no checksum" in found[0]
