"""Labels by time: tables of users, and exports of BORIS and ELAN."""

import numpy as np
import pytest
from PIL import Image

from keras_ddr import InputError
from keras_ddr.datasets import Cropping, Lengths, Splits, Work, videos
from keras_ddr.datasets.label_times import seconds
from keras_ddr.datasets.user_labels import read_labels

_SOURCES = dict.fromkeys(["a.mp4", "b.mp4"], ())


@pytest.fixture
def read(tmp_path):
    """A function from the text of a table to its labels."""

    def read(text, sources=_SOURCES):
        path = tmp_path / "labels.csv"
        path.write_text(text)
        return read_labels(path, sources)

    return read


@pytest.fixture
def refuse(read):
    """A function from the text of a table to the message of the refusal."""

    def refuse(text):
        with pytest.raises(InputError) as error:
            read(text)
        return str(error.value)

    return refuse


def _classes(labels, times, name="x", source="a.mp4", numbers=None, part=""):
    """Names of the classes of frames at some times, "" for none."""
    numbers = np.arange(len(times)) if numbers is None else np.array(numbers)
    about = {"source_frame": numbers, "time": np.array(times, float)}
    return labels.info[name].texts(labels.of(source, part, about)[1][name])


# Times


@pytest.mark.parametrize(
    "text, value",
    [
        ("12.5", 12.5),
        (".5", 0.5),
        ("12", 12),
        ("1:02.5", 62.5),
        ("01:02:03.004", 3723.004),
        ("100:00:00", 360_000),
        ("00:00:01,5", 1.5),
        ("12,5", None),
        ("-1", None),
        ("1:60", None),
        ("1:60:00", None),
        ("00:00:01:12", None),
        ("1e3", None),
        ("nan", None),
        ("x", None),
        ("", None),
    ],
)
def test_seconds(text, value):
    assert seconds(text, False) == value
    assert seconds("12,5", True) == 12.5


def test_a_span_ends_before_its_end(read):
    labels = read("source,start,end,x\na,0.2,0.4,p\na,0.4,0.5,q\nb,0,9,p\n")
    times = np.arange(10) / 20
    expected = [""] * 4 + ["p"] * 4 + ["q"] * 2
    assert _classes(labels, times) == expected
    assert _classes(labels, times, source="b.mp4") == ["p"] * 10


def test_times_that_were_rounded_to_milliseconds(read):
    """As of a film with 23.976 frames a second, marked at its frames 5 and 24."""
    labels = read("source,start,end,x\na,0.209,1.001,p\n")
    times = np.arange(48) * 1001 / 24000
    for stamps in (times, times.round(3)):
        found = _classes(labels, stamps)
        assert found == [""] * 5 + ["p"] * 19 + [""] * 24


def test_a_moment_labels_the_frame_that_is_shown(read):
    labels = read("source,time,x\na,0.1,p\na,0.39,q\na,0.72,p\na,1.25,q\na,9,q\n")
    times, numbers = [0, 0.1, 0.2, 0.3, 0.4, 0.8, 0.9], [0, 1, 2, 3, 4, 8, 9]
    found = _classes(labels, times, numbers=numbers)
    # Frame 7 was left out, and the film ends at 1.0.
    assert found == ["", "p", "", "q", "", "", ""]
    # Of a variable rate frame 4 lasts until the next one.
    assert _classes(labels, times) == ["", "p", "", "q", "p", "", ""]


def test_the_first_of_several_moments_in_a_frame(read):
    labels = read("source,time,x\na,0.04,1\na,0.05,2\na,0.06,3\na,0.08,4\n")
    about = {"source_frame": np.arange(3), "time": np.arange(3) / 25}
    values = labels.of("a.mp4", "", about)[1]["x"]
    assert np.array_equal(values, [np.nan, 1, 4], equal_nan=True)


def test_rows_of_all_kinds_in_one_table(read):
    labels = read(
        "source,frame,time,start,end,x\n"
        "a,,,,,p\na,3,,,,q\na,,0.4,,,r\na,,,0,0.15,q\na#2,,,,,r\n"
    )
    times = np.arange(6) / 10
    assert _classes(labels, times) == ["q", "q", "p", "q", "r", "p"]
    assert _classes(labels, times, part="2") == ["r"] * 6


def test_overlaps(read, refuse):
    table = "source,start,end,x\na,0,2,p\na,1,3,{}\nb,1,3,q\n"
    times = np.arange(4)
    assert _classes(read(table.format("p")), times) == ["p", "p", "p", ""]
    message = refuse(table.format("q"))
    assert "line 3 has 'q' for x of 'a.mp4' from 1 s, while 'p' of line 2" in message
    assert "x:each" in message
    labels = read(table.format("q").replace("x", "x:each"))
    assert list(labels.info) == ["p", "q"]
    assert _classes(labels, times, "p") == ["yes", "yes", "no", "no"]
    assert _classes(labels, times, "q") == ["no", "yes", "yes", "no"]
    assert _classes(labels, times, "p", "b.mp4") == ["no"] * 4
    # One inside another, a moment inside a span, two values of one moment.
    assert "lasts until 9 s" in refuse("source,start,end,x\na,0,9,p\na,1,2,q\n")
    assert "from 1 s" in refuse("source,start,end,x\na,0,9,p\na,1,1,q\n")
    assert "from 1 s" in refuse("source,time,x\na,1,p\na,1,q\n")


@pytest.mark.parametrize(
    "row, expected",
    [
        ("a,,,-1,2,p", "line 2 has '-1' for start; times count from 0"),
        ("a,,,2,1,p", "line 2 ends at 1 s, before its start at 2 s"),
        ("a,,,2,,p", "only one end of an interval"),
        ("a,,,,2,p", "only one end of an interval"),
        ("a,1,,2,3,p", "a frame and a time"),
        ("a,,1,2,3,p", "a time and an interval"),
        ("a,,x,,,p", "line 2 has 'x' for time; give seconds, or hh:mm:ss.fff"),
        ("a,,00:00:01:12,,,p", "has '00:00:01:12' for time"),
    ],
)
def test_times_that_are_refused(refuse, row, expected):
    assert expected in refuse(f"source,frame,time,start,end,x\n{row}\n")


def test_columns_that_are_refused(refuse):
    for one, other in (("start", "end"), ("stop", "start"), ("end", "start")):
        message = refuse(f"source,{one},x\na,1,p\n")
        assert f"has a column '{one}', but none for the {other}" in message


def test_frames_without_times(read):
    labels = read("source,time,x\na,1,p\n")
    with pytest.raises(InputError, match="line 2 gives a time, but the frames of 'a"):
        _classes(labels, [np.nan] * 3)
    assert _classes(labels, [np.nan] * 3, source="b.mp4") == [""] * 3


# BORIS and ELAN

_BORIS = (
    "Observation id\tObservation date\tDescription\tMedia file\tTotal length\tFPS\t"
    "weather\tSubject\tBehavior\tBehavioral category\tModifiers\tBehavior type\t"
    "Start (s)\tStop (s)\tDuration (s)\tComment start\tComment stop\n"
)


def _boris(*events, subject="No focal subject", file="a.mp4"):
    rows = (
        f"o1\t2016-12-01 23:01:31\t\t{file}\t540\t25.0\tsun\t{subject}\t{behavior}\t\t"
        f"\t{kind}\t{start}\t{stop}\tNA\t\t\n"
        for behavior, kind, start, stop in events
    )
    return "".join(rows)


def test_aggregated_events_of_boris(read, refuse):
    events = ("rest", "STATE", "0.200", "0.600"), ("bite", "POINT", "0.800", "0.800")
    labels = read(_BORIS + _boris(*events) + _boris(("rest", "STATE", 0, 1), file="b"))
    assert list(labels.info) == ["Behavior", "Modifiers"]
    times = np.arange(10) / 10
    expected = [""] * 2 + ["rest"] * 4 + [""] * 2 + ["bite", ""]
    assert _classes(labels, times, "Behavior") == expected
    assert _classes(labels, times, "Behavior", "b.mp4") == ["rest"] * 10
    two = _boris(*events) + _boris(*events[:1], subject="hen")
    assert _classes(read(_BORIS + two), times, "Behavior") == expected
    message = refuse(_BORIS + two + _boris(*events[:1], subject="cock"))
    assert "about 'cock' and 'hen' in 'a.mp4'" in message
    # A column of the user's says who is who.
    header, *rows = (_BORIS + two + _boris(*events[:1], subject="cock")).splitlines()
    names = ["a", "a", "a#person1", "a#person2"]
    named = [f"{name}\t{row}\n" for name, row in zip(names, rows, strict=True)]
    labels = read(f"source\t{header}\n{''.join(named)}")
    found = _classes(labels, times, "Behavior", part="person2-1")
    assert found == expected
    labels = read((_BORIS + two).replace("Behavior\t", "Behavior:each\t"))
    assert _classes(labels, times, "bite") == ["no"] * 8 + ["yes", "no"]
    # A later version, as commas, with the columns of whole observations first.
    labels = read(
        "Observation id,Source,Media duration (s),Subject,Behavior,Behavior type,"
        "Start (s),Stop (s),Media file name,Image index start\n"
        "o1,player #1:a.mp4,540,No focal subject,rest,STATE,0.2,0.6,D:/v/a.mp4,5\n"
    )
    assert _classes(labels, times, "Behavior") == expected[:6] + [""] * 4


def test_tabular_events_of_boris(read, refuse):
    above = "Observation id\to1\t\t\t\t\n\t\t\t\t\t\nMedia file(s)\t\t\t\t\t\n"
    header = "Time\tMedia file path\tSubject\tBehavior\tComment\tStatus\n"
    rows = [
        "0.2\ta.mp4\t\trest\t\tSTART\n",
        "0.4\ta.mp4\t\tbite\t\tPOINT\n",
        "0.4\ta.mp4\t\trest\t\tSTOP\n",
    ]
    labels = read(above + header + "".join(rows))
    expected = ["", "", "rest", "rest", "bite", ""]
    assert _classes(labels, np.arange(6) / 10, "Behavior") == expected
    for k, line in ((0, 6), (2, 5)):
        message = refuse(above + header + "".join(rows[:k] + rows[k + 1 :]))
        assert f"line {line} is a {'STOP' if k == 0 else 'START'!r}" in message or (
            f"line {line} is a START that has no STOP" in message
        )


@pytest.mark.parametrize("unit, ends", [("ss.msec", "0.2\t0.6"), ("msec", "200\t600")])
def test_tab_delimited_text_of_elan(read, unit, ends):
    clock = "00:00:00.200\t00:00:00.600"
    labels = read(
        '"#file:///D:/study/a.mp4 -- offset: 0"\n'
        "Begin Time - hh:mm:ss.ms\tEnd Time - hh:mm:ss.ms\t"
        f"Begin Time - {unit}\tEnd Time - {unit}\tDuration - {unit}\t"
        "gaze\tspeech\tFile Name\tFile Path\n"
        f"{clock}\t{ends}\t0.4\taway\t\ta.eaf\tD:/study/a.eaf\n"
        f"{clock}\t{ends}\t0.4\t\tyes\tb.eaf\tD:/study/b.eaf\n"
    )
    times = np.arange(8) / 10
    expected = [""] * 2 + ["away"] * 4 + [""] * 2
    assert list(labels.info) == ["gaze", "speech"]
    assert _classes(labels, times, "gaze") == expected
    assert _classes(labels, times, "speech") == [""] * 8


def test_elan_in_another_language_and_with_addresses(read):
    labels = read(
        "Anfangszeit - hh:mm:ss.ms\tstart\tEndzeit - hh:mm:ss.ms\tend\t"
        "Dauer - ss.msec\tgaze\tsource\n"
        "00:00:00.200\t0.2\t00:00:00.600\t0.6\t0.4\taway\tfile:///D:/my%20study/a.eaf\n"
    )
    expected = [""] * 2 + ["away"] * 4 + [""] * 2
    assert list(labels.info) == ["gaze"]
    assert _classes(labels, np.arange(8) / 10, "gaze") == expected


# Videos


def test_a_video_of_a_variable_rate(tmp_path):
    picture = np.random.default_rng(0).integers(0, 200, (32, 32), np.uint8)
    frames = [Image.fromarray(picture + np.uint8(n)) for n in range(30)]
    (tmp_path / "v").mkdir()
    frames[0].save(
        tmp_path / "v" / "a.gif",
        save_all=True,
        append_images=frames[1:],
        duration=[100] * 10 + [40] * 20,
    )
    table = tmp_path / "labels.csv"
    table.write_text("start,end,x,pain\n0.3,0.5,p,\n1.04,1.2,q,0.5\n1.7,3,q,\n2,9,,1\n")
    with pytest.warns(UserWarning, match="'a.gif' ends at 1.76 s and has a label from"):
        store = videos.prepare(
            tmp_path / "S",
            tmp_path / "v",
            cropping=Cropping(crop="none", size=32),
            lengths=Lengths(min_length=3, cuts=False),
            splits=Splits((1, 0, 0), labels=table),
            work=Work(workers=1),
        )
    found = store.labels["x"].texts(store.label_values(0, "x"))
    expected = {**dict.fromkeys((3, 4), "p"), **dict.fromkeys((11, 12, 13, 14), "q")}
    expected.update({29: "q", 28: "q"})
    assert {k: text for k, text in enumerate(found) if text} == expected
    assert np.flatnonzero(store.label_values(0, "pain") == 0.5).tolist() == [
        11,
        12,
        13,
        14,
    ]
