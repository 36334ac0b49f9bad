from pathlib import Path

import pytest

from fcn.prediction import outputs
from fcn.prediction.predictor import Failure


def stems(*names: str, beside: bool = False) -> dict[str, str]:
    """The stems of pictures that are named one by one."""
    pictures = {name: Path("stdin" if name == "-" else Path(name).name) for name in names}
    return {name: str(path) for name, path in outputs.stems(pictures, beside).items()}


def test_files_have_the_name_of_their_picture_whatever_its_script_and_spaces() -> None:
    names = ["z.png", "a b/été à midi.jpg", "日本.webp", "v1.2.png", "-"]
    assert list(stems(*names).values()) == ["z", "été à midi", "日本", "v1.2", "stdin"]


def test_files_of_pictures_with_one_name_are_in_their_folders() -> None:
    assert stems("in/a/x.jpg", "in/b/x.jpg", "in/z.jpg") == {
        "in/a/x.jpg": "a/x",
        "in/b/x.jpg": "b/x",
        "in/z.jpg": "z",
    }
    assert stems("/in/a/x.jpg", "/in/b/../b/x.jpg")["/in/b/../b/x.jpg"] == "b/x"


def test_files_of_pictures_that_differ_in_suffix_or_case_do_not_collide() -> None:
    assert stems("a/y.png", "a/Y.jpg") == {"a/y.png": "y.png", "a/Y.jpg": "Y.jpg"}
    assert stems("-", "stdin.png") == {"-": "stdin", "stdin.png": "stdin.png"}
    same = stems("a/y.png", "./a/y.png", "a/Y.png")
    assert len({stem.lower() for stem in same.values()}) == 3


def test_files_below_a_pattern_mirror_its_folders() -> None:
    pictures = {"in/a/x.jpg": Path("a/x.jpg"), "in/a/b/x.jpg": Path("a/b/x.jpg")}
    assert outputs.stems(pictures) == {
        "in/a/x.jpg": Path("a/x"),
        "in/a/b/x.jpg": Path("a/b/x"),
    }


def test_files_beside_their_pictures_are_unique_in_each_folder() -> None:
    beside = stems("a/x.jpg", "b/x.jpg", "a/y.png", "a/Y.jpg", "-", beside=True)
    assert beside == {
        "a/x.jpg": "a/x",
        "b/x.jpg": "b/x",
        "a/y.png": "a/y.png",
        "a/Y.jpg": "a/Y.jpg",
        "-": "stdin",
    }


def test_long_names_are_cut_and_stay_different() -> None:
    long = [f"{'é' * 100}{number}.png" for number in range(2)]
    cut = stems(*long)
    assert len(set(cut.values())) == 2
    for stem in cut.values():
        assert stem.startswith("é" * 60)
        assert len(stem.encode()) < 255 - len("-probabilities.npz") - len("..partial")


def test_a_name_that_is_no_folder_of_pictures_has_a_stem() -> None:
    assert outputs.stems({".": Path(), "a.png": Path("a.png")})["a.png"] == Path("a")


@pytest.mark.parametrize(("done", "left", "code"), [(2, 0, 0), (2, 1, 3), (0, 1, 1)])
def test_the_exit_code_tells_whether_pictures_were_skipped(
    done: int, left: int, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert outputs.summarise(done, [Failure("a.png", "broken")] * left, "in out") == code
    shown = capsys.readouterr().err
    assert shown.count("skipped a.png: broken") == left
    assert f"{done} picture(s) done" in shown
