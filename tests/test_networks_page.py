"""docs/networks.md draws the networks that the code builds: names, kernels and shapes are theirs.

`python -m tests.test_networks_page` prints the drawings anew.
"""

import re

import pytest

from fcn.settings.network import Network
from fcn.settings.table import Model
from tests.shipped import ROOT, names

PAGE = (ROOT / "docs/networks.md").read_text("utf-8")
ELSEWHERE = {"m2nist": "mnist_small", "m2nist_wide": "mnist_small", "unet": "unet"}
SIZES = {
    "m2nist": (64, 84, 1, 10),
    "m2nist_wide": (64, 84, 1, 10),
    "unet": (128, 128, 3, 21),
}
"""Height, width, channels, classes of the source; else the paper's 500x500x3 and 21."""
HIDDEN = {
    "vgg16": r"normalise|conv\d_\d",
    "mnist_small": "normalise|pad",
    "unet": r"normalise|conv\d_1|up_block\da",
}
"""What the drawings leave out: of several convolutions in a row all, or all but the last."""
PADDED = ("fcn32s", "fcn16s", "fcn8s", "fcn8s_at_once")
"""Published with `padding: pad100`."""


def drawing(head: str, padding: str = "same") -> str:
    """Return a Mermaid flowchart of the network; VGG-16 shows its pooling and fc6, fc7 only."""
    import keras

    from fcn.network import build

    height, width, channels, classes = SIZES.get(head, (500, 500, 3, 21))
    shape = Network(
        width=1.0,
        fc=not head.endswith("_relu"),
        fc6_kernel=1 if head.startswith("m2nist") else 7,
        dropout=0.0,
        mean=0.0,
        std=1.0,
        padding=padding,
    )
    with keras.StatelessScope(initialize_variables=False):  # shapes only
        model = build.network(head, ELSEWHERE.get(head, "vgg16"), shape, channels, classes)
        every = keras.Model(model.input, [layer.output for layer in model.layers])
        shapes = every.compute_output_spec(keras.KerasTensor((1, height, width, channels)))
    sizes = {
        layer.name: "×".join(str(side) for side in spec.shape[1:])
        for layer, spec in zip(model.layers, shapes, strict=True)
    }
    shown = {
        layer.name: layer
        for layer in model.layers
        if not isinstance(layer, keras.layers.Dropout | keras.layers.InputLayer)
        and not re.fullmatch(HIDDEN[ELSEWHERE.get(head, "vgg16")], layer.name)
    }
    lines = ["```mermaid", "flowchart TD", f'  images["images {sizes["images"]}"]']
    for name, layer in shown.items():
        kind = _kind(layer)
        node = f'{name}["{name}{kind}<br>{sizes[name]}"]'
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        for x in inputs[:1] if name.endswith("_crop") else inputs:
            before = x._keras_history.operation
            while before.name not in shown and before.name != "images":
                before = before.input._keras_history.operation
            lines.append(f"  {before.name} --> {node}")
            node = name
    return "\n".join([*lines, "```"])


def _kind(layer) -> str:
    """Return what is worth knowing beside the name."""
    if (offset := getattr(layer, "offset", 0)) and layer.name.endswith("_crop"):
        return f" from {offset}"
    kernel = getattr(layer, "kernel_size", None)
    if kernel is None:
        return ""
    stride = f" /{layer.strides[0]}" if layer.strides[0] > 1 else ""
    return f" {kernel[0]}×{kernel[1]}{stride}"


DRAWINGS = [(head, "same") for head in names("fcn/heads")]
DRAWINGS += [(head, "pad100") for head in PADDED]


@pytest.mark.usefixtures("keras_ready")
@pytest.mark.parametrize(("head", "padding"), DRAWINGS)
def test_every_shipped_head_is_drawn_as_it_is_built(head: str, padding: str) -> None:
    assert between(f"{head} {padding}") == drawing(head, padding)


def between(name: str) -> str:
    found = re.search(rf"<!-- {name} -->\n(.*?)\n<!-- end -->", PAGE, re.DOTALL)
    assert found, name
    return found.group(1)


def test_the_page_explains_every_setting_head_and_backbone() -> None:
    wanted = [*Network.model_fields, *(set(Model.model_fields) & {"upsampling", "freeze"})]
    wanted += names("fcn/heads") + names("fcn/backbones")
    assert [name for name in wanted if f"`{name}`" not in PAGE] == []


def write() -> None:
    """Draw every network anew in the page."""
    page = PAGE
    for head, padding in DRAWINGS:
        mark = f"<!-- {head} {padding} -->\n"
        begin = page.index(mark) + len(mark)
        end = page.index("<!-- end -->", begin)
        page = page[:begin] + drawing(head, padding) + "\n" + page[end:]
    (ROOT / "docs/networks.md").write_text(page, "utf-8")


if __name__ == "__main__":
    write()
