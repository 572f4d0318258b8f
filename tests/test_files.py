"""Files that are either whole or not there."""

import os

import pytest

from keras_ddr import InputError
from keras_ddr.files import check_output_path, write_json


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_what_a_link_leads_to_is_written(tmp_path):
    (tmp_path / "shared").mkdir()
    target, link = tmp_path / "shared" / "metrics.json", tmp_path / "metrics.json"
    link.symlink_to(target)
    for content in ({"a": 1}, {"a": 2}):  # not there at first
        write_json(check_output_path(link, [".json"]), content)
        assert link.is_symlink() and target.read_text().split() == [
            "{",
            '"a":',
            str(content["a"]),
            "}",
        ]
    assert os.listdir(tmp_path / "shared") == ["metrics.json"]
    link.unlink()
    link.symlink_to(tmp_path / "gone" / "metrics.json")
    with pytest.raises(InputError, match="gone does not exist; make it first"):
        check_output_path(link, [".json"])


def test_a_path_that_begins_with_the_home_folder_is_refused():
    with pytest.raises(InputError, match="~ was not replaced by your home folder"):
        check_output_path("~/a.json", [".json"])
