from importlib.metadata import version

from fcn.tracking import logged_model


def test_requirements_are_pinned_to_what_is_installed() -> None:
    pinned = dict(line.split("==") for line in logged_model.requirements("tensorflow"))
    assert {"keras", "numpy"} <= pinned.keys()
    assert len({"tensorflow", "tensorflow-cpu"} & pinned.keys()) == 1
    assert all(version(name) == number for name, number in pinned.items())
