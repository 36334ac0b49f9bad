import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from fcn.records.example import Example, _Message

EXAMPLES = st.builds(
    Example,
    id=st.text(),
    image=st.binary(),
    format=st.sampled_from(["jpeg", "png"]),
    height=st.integers(0, 2**31),
    width=st.integers(0, 2**31),
    label=st.binary(),
    label_format=st.sampled_from(["png", "onehot"]),
)
WHOLE = Example("one", b"image", "png", 2, 3, b"label")
NAMES = [f"image/{name}" for name in ("encoded", "format", "height", "id", "width")]


@hypothesis_settings(deadline=None)
@given(example=EXAMPLES)
def test_an_example_reads_back_as_written(example: Example) -> None:
    assert Example.from_bytes(example.to_bytes()) == example


@hypothesis_settings(deadline=None)
@given(example=EXAMPLES)
def test_the_same_content_gives_the_same_bytes(example: Example) -> None:
    assert Example.from_bytes(example.to_bytes()).to_bytes() == example.to_bytes()


def test_features_stand_in_the_order_of_their_names() -> None:
    names = [name.encode() for name in sorted([*NAMES, "label/encoded", "label/format"])]
    places = [WHOLE.to_bytes().index(name) for name in names]
    assert places == sorted(places)


@hypothesis_settings(deadline=None)
@given(data=st.binary())
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"tf\.train\.Example"):
        Example.from_bytes(data)


@pytest.mark.parametrize("name", [*NAMES, "label/encoded", "label/format"])
def test_a_feature_that_is_not_there_is_named_with_those_that_are(name: str) -> None:
    message = _Message.FromString(WHOLE.to_bytes())
    del message.features.feature[name]
    there = sorted({*NAMES, "label/encoded", "label/format"} - {name})
    with pytest.raises(ValueError, match=f"without one {name}; it has") as caught:
        Example.from_bytes(message.SerializeToString())
    assert str(caught.value).endswith(str(there))


def test_two_values_are_not_one() -> None:
    message = _Message.FromString(WHOLE.to_bytes())
    message.features.feature["image/height"].int64_list.value.append(2)
    with pytest.raises(ValueError, match="without one image/height"):
        Example.from_bytes(message.SerializeToString())


def test_a_value_of_another_kind_is_refused() -> None:
    message = _Message.FromString(WHOLE.to_bytes())
    message.features.feature["image/encoded"].int64_list.value.append(2)
    with pytest.raises(ValueError, match="without one image/encoded"):
        Example.from_bytes(message.SerializeToString())
