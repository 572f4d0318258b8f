"""Tables of labels, as people and programs write them."""

import unicodedata
import warnings

import numpy as np
import pytest

from keras_ddr import InputError
from keras_ddr.data.labels import MISSING_TEXTS, Label
from keras_ddr.datasets.user_labels import Extent, read_labels

# With the names of their frames.
_SOURCES = dict.fromkeys(["a/clip 1.mp4", "a/clip 2.mp4", "b/other.avi", "v1.0"], ())


@pytest.fixture
def read(tmp_path):
    """A function from the text of a table to its labels; no warning is expected."""

    def read(text, sources=_SOURCES):
        path = tmp_path / "labels.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            if not isinstance(sources, dict):
                sources = dict.fromkeys(sources, ())
            return read_labels(path, sources)

    return read


@pytest.fixture
def refuse(read, tmp_path):
    """A function from the text of a table to the message of the refusal."""

    def refuse(text, *arguments):
        with pytest.raises(InputError) as error:
            read(text, *arguments)
        message = str(error.value)
        assert message.startswith(f"{tmp_path / 'labels.csv'}: ")
        assert "\n" not in message
        return message

    return refuse


def _of(labels, source, numbers=(), part="", rate=25):
    numbers = np.array(numbers, np.int64)
    frames = {"source_frame": numbers, "time": numbers / rate}
    return labels.of(source, part, frames)


def _sequence(labels, source, part=""):
    return _of(labels, source, part=part)[0]


def _frame(labels, source, name, count=4, part=""):
    return _of(labels, source, range(count), part)[1][name].tolist()


# Sources


@pytest.mark.parametrize(
    "text",
    [
        "a/clip 1.mp4",
        "./a/clip 1.mp4",
        "a\\clip 1.mp4",
        " a/clip 1.mp4 ",
        "a/clip 1",
        "clip 1.mp4",
        "clip 1",
    ],
)
def test_a_source_is_named_by_its_path_or_less(read, text):
    labels = read(f"source,mood\n{text},calm\n")
    assert _sequence(labels, "a/clip 1.mp4") == {"mood": "calm"}
    assert _sequence(labels, "a/clip 2.mp4") == {"mood": None}


def test_folders_are_sources_too(read):
    labels = read("source,x\nv1.0,1\nb/c/,2\nd,3\n", ["v1.0", "b/c", "d/c e", "d"])
    found = [_sequence(labels, source)["x"] for source in ("v1.0", "b/c", "d")]
    assert found == [1, 2, 3]


def test_what_could_be_two_sources_is_refused(read, refuse):
    sources = ["a/1.mp4", "b/1.mp4", "c/2.mp4", "c/2.avi", "3", "x/3"]
    for text in ("1", "1.mp4", "2", "c/2"):
        message = refuse(f"source,x\n3,1\n{text},1\n", sources)
        assert "line 3" in message and "write the whole path" in message
    assert "'a/1.mp4' or 'b/1.mp4'" in refuse("source,x\n1,1\n", sources)
    # The whole path is clear, though it is the name of another one.
    labels = read("source,x\n3,1\na/1,2\n2.avi,3\nx/3,4\n", sources)
    assert _sequence(labels, "3") == {"x": 1} and _sequence(labels, "x/3") == {"x": 4}
    assert _sequence(labels, "a/1.mp4") == {"x": 2}
    assert _sequence(labels, "c/2.avi") == {"x": 3}


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_accents_may_be_written_in_either_way(read, forms):
    here, there = forms

    def written(text, form):
        return unicodedata.normalize(form, text)

    source, name = written("Öffentlich", there), written("é.png", there)
    table = written("source,frame,x\nÖffentlich,é.png,1\n", here)
    assert source not in table and name not in table
    labels = read(table, {source: ("a", "b", name)})
    assert _frame(labels, source, "x")[2] == 1


def test_sources_that_are_not_there_are_told_once(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("source,x\nno 1,1\nclip 1,2\nno 2,3\nno 1,4\n")
    with pytest.warns(UserWarning) as caught:
        labels = read_labels(path, _SOURCES)
    (message,) = [str(warning.message) for warning in caught]
    assert "3 rows" in message and "'no 1' first" in message
    assert message.startswith(str(path))
    assert _sequence(labels, "a/clip 1.mp4") == {"x": 2}


# Frames


def test_a_blank_frame_labels_the_whole_source(read):
    labels = read("source,frame,mood,age\nclip 1,,calm,30\nclip 2,,tense,\n")
    assert labels.info["mood"] == Label("sequence", "categorical", ["calm", "tense"])
    assert labels.info["age"] == Label("sequence", "continuous")
    assert _sequence(labels, "a/clip 1.mp4") == {"mood": "calm", "age": 30}
    assert _sequence(labels, "a/clip 2.mp4") == {"mood": "tense", "age": None}
    assert _of(labels, "a/clip 1.mp4", [0, 1])[1] == {}


def test_frames_have_labels_of_their_own(read):
    labels = read(
        "source,frame,mood,pain\n"
        "clip 1,0,calm,0.5\nclip 1,2,tense,\nclip 2,1.0,calm,2\n"
    )
    assert labels.info["mood"].scope == labels.info["pain"].scope == "frame"
    of_sequence, of_frames = _of(labels, "a/clip 1.mp4", [2, 0, 3, 0])
    assert of_sequence == {}
    # Class numbers, in the order that is asked for.
    assert of_frames["mood"].dtype == np.int32
    assert of_frames["mood"].tolist() == [1, 0, -1, 0]
    assert of_frames["pain"].dtype == np.float32
    assert np.array_equal(of_frames["pain"], [np.nan, 0.5, np.nan, 0.5], equal_nan=True)
    assert _frame(labels, "a/clip 2.mp4", "mood") == [-1, 0, -1, -1]
    assert _frame(labels, "b/other.avi", "mood") == [-1] * 4


def test_a_blank_frame_is_the_default_of_the_others(read):
    labels = read(
        "source,frame,mood,pain,sex\n"
        "clip 1,2,tense,3,\nclip 1,,calm,1,f\nclip 2,,calm,,m\n"
    )
    assert labels.info["sex"].scope == "sequence"
    assert _frame(labels, "a/clip 1.mp4", "mood") == [0, 0, 1, 0]
    assert _frame(labels, "a/clip 1.mp4", "pain") == [1, 1, 3, 1]
    assert _frame(labels, "a/clip 2.mp4", "mood") == [0] * 4
    assert _sequence(labels, "a/clip 2.mp4") == {"sex": "m"}


def test_frames_by_the_names_of_pictures(read, refuse):
    sources = {**_SOURCES, "v1.0": ("1.png", "2.png", "10.png", "7")}
    labels = read("source,frame,x\nv1.0,10.png,1\nv1.0,1,2\nv1.0,7,3\n", sources)
    assert _frame(labels, "v1.0", "x")[1:] == [2, 1, 3]
    for frame in ("3.png", "-1", "1.5", "x", "inf", "1e999"):
        message = refuse(f"source,frame,x\nv1.0,{frame},1\n", sources)
        assert "line 2" in message and repr(frame) in message
        assert "or the name of a picture" in message
        message = refuse(f"source,frame,x\nclip 1,{frame},1\n", sources)
        assert "picture" not in message and "from 0" in message


# Kinds and values


def test_kinds(read, refuse):
    labels = read(
        "source,number,text,mixed:categorical,code:categorical,size:continuous,none\n"
        "clip 1,1,a,1,1,1.5,\nclip 2,-2.5e3,b,x,10,,\nother,0,a,,2,2,\n"
    )
    kinds = {name: label.kind for name, label in labels.info.items()}
    assert kinds == {
        "number": "continuous",
        "text": "categorical",
        "mixed": "categorical",
        "code": "categorical",
        "size": "continuous",
        "none": "continuous",
    }
    assert sorted(labels.info["code"].classes) == ["1", "10", "2"]
    assert labels.info["mixed"].classes == ("1", "x")
    assert _sequence(labels, "a/clip 2.mp4") == {
        "number": -2500,
        "text": "b",
        "mixed": "x",
        "code": "10",
        "size": None,
        "none": None,
    }
    assert "line 3 has 'x' for size" in refuse(
        "source,size:continuous\nclip 1,1\nclip 2,x\n"
    )
    assert "'size:number'" in refuse("source,size:number\nclip 1,1\n")
    # Which Python would read as numbers.
    labels = read("source,name\nclip 1,1_2\nclip 2,3_4\n")
    assert labels.info["name"].classes == ("1_2", "3_4")


def test_missing_values(read):
    labels = read(
        "source,frame,number,kind\n"
        "clip 1,0,nan,NaN\nclip 1,1,,\nclip 1,2,inf, \nclip 1,3,5,x\n"
        "clip 2,,NaN,nan\n"
    )
    assert labels.info["number"].kind == "continuous"
    assert labels.info["kind"].classes == ("x",)
    numbers = _frame(labels, "a/clip 1.mp4", "number")
    assert np.isnan(numbers[:3]).all() and numbers[3] == 5
    assert _frame(labels, "a/clip 1.mp4", "kind") == [-1, -1, -1, 0]
    assert np.isnan(_frame(labels, "a/clip 2.mp4", "number")).all()
    # What is missing is no second value.
    labels = read("source,x\nclip 1,nan\nclip 1,3\n")
    assert _sequence(labels, "a/clip 1.mp4") == {"x": 3}


@pytest.mark.parametrize("text", [*sorted(MISSING_TEXTS), "none", "na", "-"])
def test_what_programs_write_for_a_missing_value(read, text):
    labels = read(
        "source,frame,pain,mood,code:categorical\n"
        f"clip 1,0,0.5,{text},1\nclip 1,1,{text},x,{text}\n"
    )
    assert labels.info["pain"].kind == "continuous"
    pain = _frame(labels, "a/clip 1.mp4", "pain")
    assert pain[0] == 0.5 and np.isnan(pain[1:]).all()
    # Three of them may also be names.
    name = [text] * (text in ("none", "na", "-"))
    assert labels.info["mood"].classes == tuple(sorted([*name, "x"]))
    assert labels.info["code"].classes == tuple(sorted([*name, "1"]))


def test_a_second_value_is_refused(read, refuse):
    for kind in ("", ":categorical"):
        for frame in ("", "1"):
            table = f"source,frame,x{kind}\nclip 1,{frame},1\na/clip 1.mp4,{frame},2\n"
            message = refuse(table)
            assert "line 3 gives x of 'a/clip 1.mp4' a second value" in message
    labels = read("source,x\nclip 1,1\nclip 1.mp4,1.0\n")
    assert _sequence(labels, "a/clip 1.mp4") == {"x": 1}


# Persons and splits


def test_persons_and_splits(read, refuse):
    labels = read(
        "source,frame,person,split,x\n"
        "clip 1,,ann,val,\nclip 1,0,,,1\nclip 1,1,ann,val,2\nclip 2,,bob,,\n"
    )
    found = [
        (labels.person(source, "1"), labels.splits.get(source, ""))
        for source in ("a/clip 1.mp4", "a/clip 2.mp4", "b/other.avi")
    ]
    assert found == [("ann", "val"), ("bob", ""), ("", "")]
    assert set(labels.info) == {"x"}
    for column, first, second in (("person", "ann", "bob"), ("split", "val", "test")):
        message = refuse(f"source,{column}\nclip 1,{first}\nclip 1,{second}\n")
        assert f"line 3 gives 'a/clip 1.mp4' the {column} {second!r}" in message
        assert repr(first) in message
    assert "train, val, test" in refuse("source,split\nclip 1,training\n")


# Files


@pytest.mark.parametrize(
    "text",
    [
        "source,x\nclip 1,1\nclip 2,2\n",
        "\ufeffsource,x\r\nclip 1,1\r\nclip 2,2\r\n",
        "source,x\rclip 1,1\rclip 2,2",
        "source , x\nclip 1 , 1\n\nclip 2, 2\n,\n , \n\n",
        '"source","x"\n"clip 1","1"\n"clip 2","2"\n',
        "x,source\n1,clip 1\n2,clip 2\n",
    ],
)
def test_tables_of_many_programs_are_equal(read, text):
    labels = read(text)
    assert labels.info == {"x": Label("sequence", "continuous")}
    assert _sequence(labels, "a/clip 1.mp4") == {"x": 1}
    assert _sequence(labels, "a/clip 2.mp4") == {"x": 2}


def test_cells_may_hold_commas_quotes_and_lines(read):
    labels = read(
        'source,x\n"clip, 1",\'a"\n"two\nlines","b, ""c"""\n', ["clip, 1", "two\nlines"]
    )
    assert _sequence(labels, "clip, 1") == {"x": "'a\""}
    assert _sequence(labels, "two\nlines") == {"x": 'b, "c"'}


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", "no column `source` (found: nothing)"),
        ("clip 1,1\n", "no column `source` (found: clip 1, 1)"),
        ("Video;x\nclip 1;1\n", "no column `source` (found: Video, x)"),
        ("source,x,x\nclip 1,1,2\n", "names a column twice"),
        ("source,,x\nclip 1,1,2\n", "names a column twice or not at all"),
        ("source,x,\nclip 1,1,2\n", "line 2 has 3 cells, but the header 2"),
        ("source,x,x:categorical\nclip 1,1,2\n", "'x:categorical' cannot be a label"),
        ("source,frame:continuous\nclip 1,1\n", "'frame:continuous' cannot be a label"),
        ("source,:categorical\nclip 1,1\n", "':categorical' cannot be a label"),
        ("source,a/b\nclip 1,1\n", "'a/b' cannot be a label"),
        ("source,file\nclip 1,1\n", "'file' cannot be a label"),
        (
            "source,person,split\nclip 1,ann,train\nclip 2,ann,test\n",
            "gives 'ann' the splits train and test",
        ),
        ("source,x\nclip 1,1\nclip 2,1,2\n", "line 3 has 3 cells, but the header 2"),
        ("source,x,y\nclip 1,1\n", "line 2 has 2 cells, but the header 3"),
        ("source,x\nclip 1\n", "line 2 has 1 cells, but the header 2"),
        ("source,x\nclip 1,1\n,2\n", "line 3 names no source"),
        (b"source,x\nclip \xe9,1\n", "is not UTF-8 text"),
        ("source,x\nclip 1,1\n".encode("utf-16-le"), "no column `source`"),
        ("source,x\nclip 1,1\n".encode("utf-16")[:-1], "is not UTF-8 text"),
        (f"source,x\nclip 1,{'y' * 200_000}\n", "cannot be read as a table"),
    ],
)
def test_tables_that_are_refused(refuse, text, expected):
    assert expected in refuse(text)


def test_files_that_are_none(tmp_path):
    with pytest.raises(InputError, match="none.csv: no such file"):
        read_labels(tmp_path / "none.csv", _SOURCES)
    with pytest.raises(InputError, match=f"{tmp_path.name}: cannot be read as a table"):
        read_labels(tmp_path, _SOURCES)


def test_a_table_without_rows_or_labels(read):
    for text in ("source\n", "source,x", "source,frame,person,split\nclip 1,,,\n"):
        labels = read(text)
        assert labels.persons.get("a/clip 1.mp4", "") == ""
        assert set(_sequence(labels, "a/clip 1.mp4").values()) <= {None}


def test_no_row_is_of_a_source(refuse):
    message = refuse("source,mood\n/home/me/clip 1.avi,calm\nelsewhere/x.mp4,glad\n")
    assert "'/home/me/clip 1.avi' is first" in message
    assert "as 'a/clip 1.mp4' is" in message


# Spreadsheets


def test_what_spreadsheets_save(read):
    german = "source;pain;size\nclip 1;0,5;1.5\nclip 2;-,25;2\n"
    tabs = german.replace(";", "\t")
    for text in (
        german.encode("utf-8-sig"),
        f"sep=;\r\n{german}".encode(),
        tabs.encode("utf-16"),
        tabs.replace("\n", "\t\t\r\n").encode("utf-16-be").join([b"\xfe\xff", b""]),
        f"sep=\t\n# a remark\n\n{tabs}".encode(),
    ):
        labels = read(text)
        assert {label.kind for label in labels.info.values()} == {"continuous"}
        assert _sequence(labels, "a/clip 1.mp4") == {"pain": 0.5, "size": 1.5}
        assert _sequence(labels, "a/clip 2.mp4") == {"pain": -0.25, "size": 2}
    labels = read("Source,Frame,x,,\nclip 1,1,a;b,,\nclip 2,,c,,\n")
    assert labels.info["x"].classes == ("a;b", "c")
    assert _frame(labels, "a/clip 1.mp4", "x") == [-1, 0, -1, -1]


@pytest.mark.parametrize(
    "rows, line, text",
    [
        (('"0,5"', '"0,25"'), 2, "0,5"),
        (("0.5", "50%"), 3, "50%"),
        (("50 %", "60 %"), 2, "50 %"),
        (("0.5", "−0.5"), 3, "−0.5"),
        (("1 000", "x"), 2, "1 000"),
        (("O.5", "0.5"), 2, "O.5"),
        (("0..5", "0.5"), 2, "0..5"),
        (("calm", "1"), 2, "calm"),
    ],
)
def test_what_looks_like_a_number_becomes_no_class(read, refuse, rows, line, text):
    table = "source,pain\nclip 1,{}\nclip 2,{}\n".format(*rows)
    message = refuse(table)
    assert f"line {line} has {text!r} for pain" in message
    assert "pain:categorical" in message
    classes = read(table.replace("pain", "pain:categorical")).info["pain"].classes
    assert text in classes


def test_points_and_commas_of_one_column_are_unclear(refuse):
    # A thousand and a half, or one and a half?
    message = refuse("source;pain\nclip 1;1,500\nclip 2;2.5\n")
    assert "line 2 has '1,500' for pain" in message


def test_texts_with_digits_are_classes(read):
    names = ["2024-01-02", "0-5 years", "3a", "12:30", "#1"]
    table = "".join(f"clip 1,{k},{name}\n" for k, name in enumerate(names))
    assert set(read(f"source,frame,x\n{table}").info["x"].classes) == set(names)


# Paths and parts of sources


def test_absolute_paths_of_this_and_of_other_machines(read, refuse):
    for path in ("/home/me/a/clip 1.mp4", "C:\\study\\a\\clip 1.mp4"):
        labels = read(f"source,x\n{path},1\nclip 2,2\n")
        assert _sequence(labels, "a/clip 1.mp4") == {"x": 1}
    message = refuse("source,x\n/day1/clip 1.mp4,1\n/day2/clip 1.mp4,2\n")
    assert "line 3" in message and "'/day1/clip 1.mp4'" in message


def test_a_single_source_needs_no_name(read, refuse):
    labels = read("frame,x\n0,1\n2,3\n", ["a.mp4"])
    assert np.array_equal(_frame(labels, "a.mp4", "x", 3), [1, np.nan, 3], True)
    assert "has no column `source`" in refuse("frame,x\n0,1\n")


def test_one_of_several_people(read, refuse):
    source = "a/clip 1.mp4"
    labels = read(
        "source,frame,mood,age,person\n"
        "clip 1,,calm,,\nclip 1#person2,,tense,30,ann\n"
        "clip 1#person2-2,,,,bob\nclip 1.mp4#person2,1,glad,,\n"
    )
    frames = {part: _frame(labels, source, "mood", 3, part) for part in _PARTS}
    assert labels.info["mood"].classes == ("calm", "glad", "tense")
    assert frames["person1-1"] == [0, 0, 0]
    assert frames["person2-1"] == frames["person2-2"] == [2, 1, 2]
    ages = [_sequence(labels, source, part)["age"] for part in _PARTS]
    assert ages == [None, 30, 30]
    assert [labels.person(source, part) for part in _PARTS] == ["", "ann", "bob"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        labels.warn_of_unused({source: Extent(2, 1.0, _PARTS)})
    with pytest.warns(UserWarning, match="no such person or sequence") as caught:
        labels.warn_of_unused({source: Extent(2, 1.0, _PARTS[:1])})
    assert f"'{source}#person2', '{source}#person2-2': " in str(caught[0].message)
    assert "a second value" in refuse("source,x\nclip 1#1,1\nclip 1#1,2\n")


_PARTS = ["person1-1", "person2-1", "person2-2"]
