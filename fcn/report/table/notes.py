"""What the table's numbers mean, in sentences for its reader."""

from fcn.report.table.content import Report
from fcn.report.table.verdicts import FIELD_SPREAD
from fcn.scores.metrics import ABSENT
from fcn.uncertainty.intervals import MIN_UNITS


def describe_scores(report: Report) -> list[str]:
    """Return what the scores mean, as lines of Markdown."""
    return [
        f"Split `{report.split}`, {report.images} images, scored at the labels' own size. "
        "Scores are in percent.",
        f"One confusion matrix over the whole split; {ABSENT}.",
        f"In brackets: {100 * report.level:g} % bootstrap intervals over {_name_units(report)}. "
        "Gain: mean IoU minus the previous row's, on the same images. "
        f"{_describe_trainings(report)}",
        "Ceiling: mean IoU of the ground-truth masks after downsampling by the stride and "
        f"upsampling again (`{report.method}`). It is a reference, not a bound: learned "
        "upsampling can exceed it.",
        *(
            f"Backbone `{name}`: its classifier is right on {100 * value:.1f} % of unseen objects."
            for name, value in report.classifiers.items()
        ),
        *(
            f"Accepted overlap of the splits {' and '.join(overlap.splits)} (`{overlap.rule}`): "
            f"{overlap.reason}"
            for overlap in report.overlaps
        ),
        f"Data: {report.citation}",
    ]


def describe_verdicts(report: Report) -> str:
    """Return what the verdicts on published numbers mean."""
    trained_once = any(cell.measured and cell.measured.trainings == 1 for cell in report.cells)
    points = f"{100 * FIELD_SPREAD:g} points"
    return (
        "In brackets: the range expected from another set of images and another training. "
        f"Reproduced: the published number lies within it, at most {points} away. Within noise: "
        f"it lies within the range, but further than {points} away. Missed by, better by: it lies "
        "outside; the difference is in points."
        + (
            f" For a row that was trained once, the spread between trainings is set to ±{points}, "
            "about what the field reports."
            if trained_once
            else ""
        )
    )


def _name_units(report: Report) -> str:
    units = report.rows[0].units
    if units == report.images:
        return "images"
    groups = f"{units} groups of images, each resampled as a whole (the frames of one video)"
    return groups if units >= MIN_UNITS else f"{groups}; with so few groups they are unreliable"


def _describe_trainings(report: Report) -> str:
    once = [row.name for row in report.rows if len(row.trainings) == 1]
    if len(once) == len(report.rows):
        return (
            "Each row was trained once; the intervals do not include the spread between trainings."
        )
    text = "Trainings: how many, with different seeds, and mean ± standard deviation of mean IoU"
    return f"{text}; trained once: {', '.join(once)}." if once else f"{text}."
