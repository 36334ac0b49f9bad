from pathlib import Path

import pytest

import fcn.datasets
from fcn.datasets.shared import catalogue
from fcn.settings.data import Convert
from tests import fabricated

ROOT = Path(__file__).parents[3]


def test_the_names_are_the_files() -> None:
    there = (ROOT / "fcn/datasets").glob("[!_]*.py")
    assert catalogue.names() == sorted(path.stem for path in there)


def test_a_new_file_is_found_without_any_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "letters.py").write_text("DATASET = 'the letters'\n")
    monkeypatch.setattr(fcn.datasets, "__path__", [*fcn.datasets.__path__, str(tmp_path)])
    assert "letters" in catalogue.names()
    assert catalogue.load("letters") == "the letters"  # type: ignore[comparison-overlap]


@pytest.mark.parametrize("name", ["digit", "dataset", "", "../digits", "__init__"])
def test_a_name_without_a_file_is_refused_with_what_there_is(name: str) -> None:
    with pytest.raises(ValueError, match=rf"no data set '{name}' in fcn/datasets/; .*digits"):
        catalogue.load(name)


def convert(**settings: object) -> Convert:
    return Convert.model_validate({"splits": {"train": 1}, "shards": 1, **settings})


def test_without_a_convention_it_is_the_first() -> None:
    assert catalogue.load("kitti_road", convert()) == catalogue.load("kitti_road")
    assert catalogue.load("kitti_road", convert(labels="black_ignored")) == catalogue.load(
        "kitti_road"
    )


def test_a_convention_is_found_by_its_name() -> None:
    assert len(catalogue.load("cityscapes", convert(labels="colours29")).classes) == 29


@pytest.mark.parametrize(
    ("name", "labels", "message"),
    [
        ("kitti_road", "black_rode", "did you mean 'black_road'"),
        ("camvid", "void_kept", "known: none"),
        ("folder", "any", "known: none"),
    ],
)
def test_an_unknown_convention_is_refused(name: str, labels: str, message: str) -> None:
    folder = fabricated.FOLDER if name == "folder" else None
    with pytest.raises(ValueError, match=f"{name} has no label convention '{labels}'; {message}"):
        catalogue.load(name, convert(labels=labels, folder=folder))


def test_classes_are_those_of_the_chosen_convention() -> None:
    few = catalogue.load("cityscapes", convert(labels="colours29", classes=["caravan"]))
    assert few.classes == ("background", "caravan")
    with pytest.raises(ValueError, match="cityscapes has no 'caravan'"):
        catalogue.load("cityscapes", convert(classes=["caravan"]))


def test_a_folder_is_what_the_settings_describe() -> None:
    described = catalogue.load("folder", convert(folder=fabricated.FOLDER, classes=["leaf"]))
    assert described.title == "Leaves"
    assert described.classes == ("background", "leaf")
    assert described.colours[1] == (0, 200, 0)
