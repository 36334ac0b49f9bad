import io
from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from fcn.records.sample import Overlap
from fcn.report.table import formats, grids
from fcn.report.table.content import Report, Row
from fcn.report.table.verdicts import Measurement, PublishedCell
from fcn.scores.metrics import ABSENT, SCORES
from fcn.uncertainty.intervals import Interval

ROWS = (
    Row(
        "two-fcn32s",
        "FCN-32s",
        32,
        dict(zip(SCORES, [0.90345, 0.8, 0.7, 1.0], strict=True)),
        {"ground": 0.99, "thing": 0.0123},
        0.456,
        Interval(0.685, 0.7149),
        400,
        None,
        (0.7,),
    ),
    Row(
        "two-fcn8s",
        "FCN-8s, a longer name",
        8,
        dict(zip(SCORES, [0.05, 0.06, 0.07, 0.0], strict=True)),
        {"ground": 1.0, "thing": None},
        None,
        Interval(0.0, 0.1),
        400,
        (-0.63, Interval(-0.7, -0.6)),
        (0.07,),
    ),
)
TWO = Report(
    title="Two classes",
    split="test",
    images=400,
    level=0.95,
    method="nearest",
    rows=ROWS,
    cells=[],
    classifiers={"two-vgg16": 0.98765},
    overlaps=[Overlap("same_group", ("train", "test"), "one film was cut in two")],
    citation="Somebody, 1998.",
)


def parse_grids(text: str) -> list[list[str]]:
    """The lines of each table in a Markdown text."""
    result: list[list[str]] = []
    for before, line in zip(["", *text.splitlines()], text.splitlines(), strict=False):
        if line.startswith("|"):
            if not before.startswith("|"):
                result.append([])
            result[-1].append(line)
    return result


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_numbers_are_in_percent_and_missing_ones_are_dashes() -> None:
    scores, by_class = parse_grids(formats.to_markdown(TWO))
    assert [cells(line) for line in scores[2:]] == [
        ["FCN-32s", "90.3", "80.0", "70.0 [68.5, 71.5]", "100.0", "–", "32", "45.6"],
        [
            "FCN-8s, a longer name",
            "5.0",
            "6.0",
            "7.0 [0.0, 10.0]",
            "0.0",
            "-63.0 [-70.0, -60.0]",
            "8",
            "–",
        ],
    ]
    assert [cells(line) for line in by_class[2:]] == [
        ["FCN-32s", "99.0", "1.2"],
        ["FCN-8s, a longer name", "100.0", "–"],
    ]


def test_heads_name_every_score_and_class() -> None:
    scores, by_class = parse_grids(formats.to_markdown(TWO))
    titles = [grids.TITLES[name] for name in SCORES]
    assert cells(scores[0]) == ["network", *titles, "gain", "stride", "ceiling"]
    assert cells(by_class[0]) == ["network", "ground", "thing"]


def test_columns_are_aligned_with_names_left_and_numbers_right() -> None:
    for grid in parse_grids(formats.to_markdown(TWO)):
        bars = {tuple(column for column, sign in enumerate(line) if sign == "|") for line in grid}
        assert len(bars) == 1
        assert cells(grid[1])[0].strip("-") == ""
        assert [cell.strip("-") for cell in cells(grid[1])[1:]] == [":"] * (len(cells(grid[1])) - 1)
        for line in grid[2:]:
            name, *numbers = line.strip("|").split("|")
            assert name.startswith(" ")
            assert not name.startswith("  ")
            assert all(number.endswith(" ") for number in numbers)
            assert not any(number.endswith("  ") for number in numbers)


def test_a_narrow_column_has_a_valid_markdown_rule() -> None:
    narrow = replace(TWO, rows=[replace(ROWS[0], class_iou={"a": None})])
    rule = cells(parse_grids(formats.to_markdown(narrow))[1][1])
    assert rule[1] == "---:"[-len(rule[1]) :]
    assert len(rule[1]) >= 3


def test_notes_explain_the_numbers() -> None:
    text = formats.to_markdown(TWO)
    assert text.startswith("# Two classes\n")
    assert text.endswith("\n")
    for note in (
        "Split `test`, 400 images",
        ABSENT,
        "(`nearest`)",
        "95 % bootstrap intervals over images",
        "Each row was trained once; the intervals do not include the spread between trainings.",
        "minus the previous row's, on the same images",
        "Backbone `two-vgg16`: its classifier is right on 98.8 % of unseen objects.",
        "Accepted overlap of the splits train and test (`same_group`): one film was cut in two",
        "Data: Somebody, 1998.",
    ):
        assert note in text


@pytest.mark.parametrize(
    ("units", "note"),
    [
        (12, "over 12 groups of images, each resampled as a whole (the frames of one video). Gain"),
        (
            3,
            "over 3 groups of images, each resampled as a whole (the frames of one video); with",
        ),
    ],
)
def test_notes_name_the_groups_that_intervals_resample(units: int, note: str) -> None:
    assert note in formats.to_markdown(replace(TWO, rows=[replace(ROWS[0], units=units)]))


def test_a_table_without_classifiers_does_not_mention_them() -> None:
    assert "classifier" not in formats.to_markdown(replace(TWO, classifiers={}))


FRACTIONS = st.floats(0, 1)
CLASSES = ["a", "b b", "c,d", 'e"f']
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1)


@st.composite
def reports(draw: st.DrawFn) -> Report:
    classes = draw(st.lists(st.sampled_from(CLASSES), unique=True, min_size=1))
    rows = [
        Row(
            f"two-{number}",
            draw(NAMES),
            draw(st.integers(1, 64)),
            {name: draw(FRACTIONS) for name in SCORES},
            {name: draw(st.none() | FRACTIONS) for name in classes},
            draw(st.none() | FRACTIONS),
            Interval(draw(FRACTIONS), draw(FRACTIONS)),
            400,
            draw(st.none() | st.just((0.1, Interval(0.0, 0.2)))),
            (0.5,),
        )
        for number in range(draw(st.integers(1, 4)))
    ]
    return replace(TWO, rows=rows)


@hypothesis_settings(deadline=None)
@given(content=reports())
def test_the_csv_holds_the_same_fractions_to_the_last_bit(content: Report) -> None:
    text = io.StringIO(formats.to_csv(content))
    table = pd.read_csv(text, dtype=str, keep_default_na=False)
    assert table["row"].tolist() == [row.key for row in content.rows]
    assert table["name"].tolist() == [row.name for row in content.rows]
    assert table["stride"].tolist() == [str(row.stride) for row in content.rows]
    for row, (_, read) in zip(content.rows, table.iterrows(), strict=True):
        numbers = {**row.scores, "ceiling": row.ceiling}
        numbers |= {"mean_iou_low": row.interval.low, "mean_iou_high": row.interval.high}
        numbers |= {f"iou_{name}": value for name, value in row.class_iou.items()}
        assert {name: float(read[name] or "nan") for name in numbers} == pytest.approx(
            {name: float("nan") if value is None else value for name, value in numbers.items()},
            rel=0,
            abs=0,
            nan_ok=True,
        )


def test_pandas_reads_the_csv_with_its_defaults() -> None:
    table = pd.read_csv(io.StringIO(formats.to_csv(TWO)), index_col="row")
    assert table.loc["two-fcn32s", list(SCORES)].tolist() == pytest.approx(
        list(ROWS[0].scores.values())
    )
    assert table.loc["two-fcn8s", ["iou_thing", "ceiling"]].isna().all()


def test_every_score_has_a_title() -> None:
    assert grids.TITLES.keys() == SCORES.keys()


CELL = PublishedCell(
    network="FCN-8s",
    row="two-fcn8s",
    metric="mean_iou",
    convention="berkeley",
    published=62.7,
    measured=Measurement(0.0712, Interval(-0.01, 0.11), 1),
    verdict="missed by 55.6",
    reason="",
    source="Somebody, 2015, table 2",
    split="val",
    conditions="as in the paper",
)
NOT_RUN = replace(
    CELL,
    row=None,
    convention="zero",
    measured=None,
    verdict="not run here",
    reason="its data cannot be had",
    source="A post (unconfirmed)",
)


def test_published_numbers_are_compared_with_verdict_and_source() -> None:
    text = formats.to_markdown(replace(TWO, cells=[CELL, NOT_RUN]))
    comparison = parse_grids(text)[2]
    assert [cells(line) for line in comparison[2:]] == [
        [
            *("FCN-8s [1]", "mean IoU", "62.7", "FCN-8s, a longer name"),
            *("7.1 [-1.0, 11.0]", "missed by 55.6"),
        ],
        [
            *("FCN-8s [2]", "mean IoU, zero", "62.7", "–", "–"),
            "not run here: its data cannot be had",
        ],
    ]
    assert "1. Somebody, 2015, table 2\n2. A post (unconfirmed)\n" in text
    assert "±0.6 points" in text


def test_a_table_without_published_numbers_does_not_mention_them() -> None:
    assert "published" not in formats.to_markdown(TWO)


def test_rows_trained_several_times_show_the_spread_between_their_trainings() -> None:
    first, second = ROWS
    text = formats.to_markdown(
        replace(TWO, rows=(first, replace(second, trainings=(0.07, 0.08, 0.09))))
    )
    scores = parse_grids(text)[0]
    assert [cells(line)[-1] for line in scores[2:]] == ["1", "3: 8.0 ± 1.0"]
    assert "trained once: FCN-32s." in text
    assert "trainings" not in parse_grids(formats.to_markdown(TWO))[0][0]
