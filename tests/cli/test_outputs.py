"""Every command that writes a file leaves one that exists, unless `--overwrite`."""

import pytest

# RUN, STORE and the file are put in; NEW is not there.
_COMMANDS = {
    "codes.csv": "encode RUN STORE FILE",
    "codes.npz": "encode RUN STORE FILE",
    "metrics.json": "evaluate RUN STORE --out FILE",
    "numbers.json": "compare RUN STORE --out FILE",
    "comparison.png": "compare RUN STORE --figure FILE",
    "confounds.json": "confounds RUN STORE --label skin --out FILE",
    "page.html": "explore RUN STORE FILE",
    "figure.pdf": "plot manifold RUN STORE FILE",
    "film.gif": "render walk RUN STORE FILE",
    "events.csv": "events RUN STORE FILE",
    "sheet.png": "events RUN STORE NEW.csv --sheet FILE",
    "judge.keras": "judge STORE FILE",
    "preview.png": "preprocess images STORE NEW --preview FILE",
    "labelled.png": "label STORE TABLE NEW --preview FILE",
    "shown.png": "info STORE --preview FILE",
}


@pytest.mark.parametrize("name", _COMMANDS)
def test_a_file_that_exists_is_left(ddr_here, run_folder, puppets, tmp_path, name):
    file = tmp_path / name
    file.write_bytes(b"older")
    places = {"RUN": run_folder, "STORE": puppets, "FILE": file}
    words = _COMMANDS[name].split()
    names = {word for word in words if word.startswith(("NEW", "TABLE"))}
    places |= {word: tmp_path / word for word in names}
    result = ddr_here(*(places.get(word, word) for word in words))
    assert result.exit_code == 1
    said = f"ddr: error: {file} exists; replace it with --overwrite, or choose another"
    assert result.output == f"{said} name\n"
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert file.read_bytes() == b"older"


def test_with_overwrite_it_is_replaced(ddr_here, run_folder, puppets, tmp_path):
    file = tmp_path / "sheet.png"
    file.write_bytes(b"older")
    result = ddr_here("info", puppets, "--preview", file, "--overwrite")
    assert result.exit_code == 0, result.output
    assert file.read_bytes()[:4] == b"\x89PNG"
