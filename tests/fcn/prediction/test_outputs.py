import pytest

from fcn.prediction import outputs
from fcn.prediction.predictor import Failure


def test_files_of_pictures_with_one_name_do_not_collide() -> None:
    names = ["a/x.jpg", "b/x.jpg", "a/y.png", "a/Y.jpg", "-"]
    short = outputs.stems(names)
    assert len(set(short.values())) == len(names)
    assert short["-"] == "stdin"
    assert outputs.stems(["a/z.png"]) == {"a/z.png": "z"}
    beside = outputs.stems(names, beside=True)
    assert (beside["a/x.jpg"], beside["b/x.jpg"]) == ("x", "x")
    assert beside["a/y.png"] != beside["a/Y.jpg"]


@pytest.mark.parametrize(("done", "left", "code"), [(2, 0, 0), (2, 1, 3), (0, 1, 1)])
def test_the_exit_code_tells_whether_pictures_were_skipped(
    done: int, left: int, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert outputs.summarise(done, [Failure("a.png", "broken")] * left, "in out") == code
    shown = capsys.readouterr().err
    assert shown.count("skipped a.png: broken") == left
    assert f"{done} picture(s) done" in shown
