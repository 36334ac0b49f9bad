import importlib
import io
import pkgutil
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copy
from tempfile import TemporaryDirectory
from typing import Any

import pydantic
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

import fcn.settings
from fcn.settings import reader
from fcn.settings.keys import table_of
from fcn.settings.values import Settings
from tests.shipped import SHIPPED

Tree = Callable[[str, str], Path]
TABLE = Path("tables/digits.yaml")
NET, LEARN = "backbones.digits-vgg16.network", "backbones.digits-vgg16.classifier.training"


def refusal(root: Path, file: Path = TABLE) -> str:
    """The message that these settings are refused with; it starts with the file's name."""
    with pytest.raises(ValueError, match=rf"^{file}\b") as caught:
        reader.load("digits", root)
    return str(caught.value)


def problems(message: str) -> list[str]:
    """The problems in a message, without their lines in the file."""
    return [line.partition(": ")[2] for line in message.splitlines()[1:]]


def test_a_problem_names_its_line_in_the_file(tree: Tree) -> None:
    root = tree("epochs: 16", "epochs: 0")
    number = 1 + next(
        number
        for number, line in enumerate((root / TABLE).read_text("utf-8").splitlines())
        if "epochs: 0" in line
    )
    assert refusal(root).splitlines()[1].startswith(f"  line {number}: {LEARN}.epochs: got 0")


def test_the_projects_own_settings_are_accepted(loaded: reader.Loaded) -> None:
    assert set(loaded.table.tables["digits"].rows) == set(loaded.table.models)


def test_a_key_that_begins_with_the_tables_name_finds_its_file(loaded: reader.Loaded) -> None:
    assert reader.load("digits-fcn16s", SHIPPED) == loaded


MISTYPED = {
    "top": ("downloads:", "downlaods:", "downlaods: unknown key; did you mean 'downloads'?"),
    "entry": (
        "    head: fcn32s",
        "    heat: fcn32s",
        "models.digits-fcn32s.heat: unknown key; did you mean 'head'?",
    ),
    "nested": ("epochs: 16", "epoch: 25", f"{LEARN}.epoch: unknown key; did you mean 'epochs'?"),
    "optional": (
        "side: 32",
        "sides: 32",
        "backbones.digits-vgg16.classifier.sides: unknown key; did you mean 'side'?",
    ),
    "alias": (
        "validate: {",
        "validat: {",
        "datasets.digits.validat: unknown key; did you mean 'validate'?",
    ),
    "below an alias": (
        "pictures: 12",
        "picture: 12",
        "datasets.digits.validate.picture: unknown key; did you mean 'pictures'?",
    ),
    "like no other": (
        "{pictures: 12}",
        "{pictures: 12, zzz: 1}",
        "datasets.digits.validate.zzz: unknown key; known: near, pictures, severity",
    ),
}


@pytest.mark.parametrize(("old", "new", "line"), MISTYPED.values(), ids=MISTYPED)
def test_an_unknown_key_is_answered_with_the_nearest(
    old: str, new: str, line: str, tree: Tree
) -> None:
    assert line in refusal(tree(old, new))


def test_a_mistyped_key_is_also_named_as_missing(tree: Tree) -> None:
    assert f"{LEARN}.epochs: missing" in refusal(tree("epochs: 16", "epoch: 25"))


WRONG = {
    "text for a number": ("epochs: 16", "epochs: many", f"{LEARN}.epochs", "'many'", "integer"),
    "fraction for a count": ("epochs: 16", "epochs: 10.0", f"{LEARN}.epochs", "10.0", "integer"),
    "bool for a count": ("epochs: 16", "epochs: true", f"{LEARN}.epochs", "True", "integer"),
    "number for text": ("title: Hand", "title: 3 #", "tables.digits.title", "3", "string"),
    "nothing": ("epochs: 16", "epochs: null", f"{LEARN}.epochs", "None", "integer"),
    "negative rate": ("7.0e-4", "-7.0e-4", f"{LEARN}.learning_rate", "-0.0007", "greater than 0"),
    "no rate": ("7.0e-4", "0", f"{LEARN}.learning_rate", "0", "greater than 0"),
    "infinite rate": ("7.0e-4", ".inf", f"{LEARN}.learning_rate", "inf", "finite"),
    "rate not a number": ("7.0e-4", ".nan", f"{LEARN}.learning_rate", "nan", "finite"),
    "mean not a number": ("mean: 0.0", "mean: .nan", f"{NET}.mean", "nan", "finite"),
    "share not a number": ("dropout: 0.1", "dropout: .nan", f"{NET}.dropout", "nan", "less than 1"),
    "share of all": ("dropout: 0.1", "dropout: 1", f"{NET}.dropout", "1", "less than 1"),
    "no epochs": ("epochs: 16", "epochs: 0", f"{LEARN}.epochs", "0", "greater than 0"),
    "no splits": (
        "{train: 2000, val: 200, test: 400}",
        "{}",
        "datasets.digits.convert.splits",
        "{}",
        "at least 1",
    ),
    "stride of nothing": ("[32,", "[0,", "datasets.digits.ceiling.strides.0", "0", "than 0"),
    "choice": (
        "method: nearest",
        "method: cubic",
        "datasets.digits.ceiling.method",
        "'cubic'",
        "'nearest', 'area' or 'bilinear'",
    ),
    "seed": ("seed: 1337", "seed: -1", "seed", "-1", "greater than or equal to 0"),
    "backend": ("backend: tensorflow", "backend: torch", "backend", "'torch'", "or 'jax'"),
}


@pytest.mark.parametrize(("old", "new", "where", "got", "allowed"), WRONG.values(), ids=WRONG)
def test_a_wrong_value_is_refused_with_its_place_and_what_is_allowed(
    old: str, new: str, where: str, got: str, allowed: str, tree: Tree
) -> None:
    file = reader.PARAMS if where in ("seed", "backend") else TABLE
    (line,) = problems(refusal(tree(old, new), file))
    place, _, rest = line.partition(": got ")
    assert place == where
    assert got in rest.partition(", allowed: ")[0]
    assert allowed in rest.partition(", allowed: ")[2]


def test_settings_that_contradict_each_other_are_refused_in_a_sentence(tree: Tree) -> None:
    (line,) = problems(refusal(tree("weights: classifier", "weights: scratch")))
    assert line == (
        "backbones.digits-vgg16: `classifier:` is required with, and only allowed with, "
        "`weights: classifier`"
    )


def test_a_misspelt_split_is_answered_with_the_nearest(tree: Tree) -> None:
    (line,) = problems(refusal(tree("shards: 2", "shards: 2\n      lists: {trian: all}")))
    assert line == ("datasets.digits.convert: `lists:`: no split 'trian'; did you mean 'train'?")


PUBLISHED = """{epochs: 7, batch: 1, warmup: 0, translate: 0, learning_rate: 1.0e-10,
      optimizer: sgd, momentum: 0.99, reduction: sum, schedule: constant, bias_rate: 2,
      weight_decay: 5.0e-4, class_weights: {background: 0.5}, scale: [0.9, 1.1], crop: [64, 64],
      flip: true, accumulate: 20, ema: 0.99, backbone_rate: 0.1}"""
TRAINING = "{epochs: 5, batch: 8, learning_rate: 2.0e-3, warmup: 0.05, translate: 10}"


def test_a_published_recipe_is_accepted(tree: Tree) -> None:
    recipe = reader.load("digits", tree(TRAINING, PUBLISHED)).table.models["digits-fcn32s"]
    assert recipe.training.scale == (0.9, 1.1)
    assert recipe.training.class_weights == {"background": 0.5}


SENSELESS = {
    "momentum: 0.9": "`momentum:` is required with, and only allowed with, `optimizer: sgd`",
    "optimizer: sgd": "`momentum:` is required with, and only allowed with, `optimizer: sgd`",
    "nesterov: true": "`nesterov: true` requires a `momentum:` above 0",
    "optimizer: sgd, momentum: 0, nesterov: true": "`nesterov: true` requires a `momentum:` above",
    "schedule: poly": "`power:` is required with, and only allowed with, `schedule: poly`",
    "power: 0.9": "`power:` is required with, and only allowed with, `schedule: poly`",
    "schedule: steps": "`milestones:` is required with, and only allowed with, `schedule: steps`",
    "milestones: [0.5]": "`milestones:` is required with, and only allowed with, `schedule: steps`",
    "gamma: 0.5": "`gamma:` is only allowed with `schedule: steps`",
    "schedule: steps, milestones: [0.5, 0.5]": "milestones: got [0.5, 0.5], allowed: rising shares",
    "scale: [1.1, 0.9]": "scale: got [1.1, 0.9], allowed: the lowest factor, then the highest",
    "ema: 1": "ema: got 1, allowed: less than 1",
    "ema: -0.1": "ema: got -0.1, allowed: greater than or equal to 0",
    "ema: often": "ema: got 'often', allowed: ",
    "backbone_rate: 0": "backbone_rate: got 0, allowed: greater than 0",
    "backbone_rate: .inf": "backbone_rate: got inf, allowed: ",
    "class_weights: often": "class_weights: got 'often', allowed: `median-frequency`, a list",
    "class_weights: [1, -1]": "class_weights: got [1, -1], allowed: `median-frequency`, a list",
    "class_weights: {a: .nan}": "class_weights: got {'a': nan}, allowed: `median-frequency`, a",
    "class_weights: [0, 0]": "class_weights: got [0, 0], allowed: weights of which at least one is",
    "crop: [64]": "crop.1: missing",
}


@pytest.mark.parametrize(("more", "line"), SENSELESS.items(), ids=SENSELESS)
def test_settings_of_a_training_that_do_not_fit_each_other_are_refused(
    more: str, line: str, tree: Tree
) -> None:
    message = refusal(tree(TRAINING, TRAINING.replace("}", f", {more}}}")))
    assert "models.digits-fcn32s.training" in message
    assert line in message


@pytest.mark.parametrize(
    "more",
    ["reduction: sum", "class_weights: median-frequency", "crop: [9, 9]", "backbone_rate: 0.1"],
)
def test_settings_of_a_network_are_refused_for_a_classifier(more: str, tree: Tree) -> None:
    message = refusal(tree("7.0e-4, warmup", f"7.0e-4, {more}, warmup"))
    assert f"{LEARN}.{more.partition(':')[0]}: got" in message
    assert "only allowed in `models`" in message


UNKNOWN = {
    "raw": (
        "    raw: digits\n    convert",
        "    raw: digit\n    convert",
        "datasets.digits.raw: got 'digit', which does not exist; did you mean 'digits'?",
    ),
    "data set of a model": (
        "    dataset: digits\n    backbone",
        "    dataset: digit\n    backbone",
        "models.digits-fcn32s.dataset: got 'digit', which does not exist; did you mean 'digits'?",
    ),
    "data set of a table": (
        "dataset: digits\n    source",
        "dataset: digit\n    source",
        "tables.digits.dataset: got 'digit', which does not exist; did you mean 'digits'?",
    ),
    "init_from": (
        "init_from: digits-vgg16",
        "init_from: digits-vgg19",
        "models.digits-fcn32s.init_from: got 'digits-vgg19', which does not exist; "
        "did you mean 'digits-vgg16'?",
    ),
    "row": (
        "digits-fcn8s: FCN-8s",
        "digits-fcn4s: FCN-4s",
        "tables.digits.rows: got 'digits-fcn4s', which does not exist; did you mean 'digits-fcn",
    ),
    "split of the ceiling": (
        "{split: test, strides",
        "{split: tests, strides",
        "datasets.digits.ceiling.split: got 'tests', which does not exist; did you mean 'test'?",
    ),
    "split of the evaluation": (
        "{split: test, batch",
        "{split: dev, batch",
        "tables.digits.evaluation.split: got 'dev', which does not exist; known: test, train, val",
    ),
    "a backbone's file other than that of its network": (
        "backbone: vgg16",
        "backbone: vgg19",
        "models.digits-fcn32s.backbone: got 'vgg19', but digits-vgg16 is 'vgg16'",
    ),
    "a network other than that of the initial weights": (
        "network: digits-vgg16",
        "network: digits-scratch",
        "models.digits-fcn32s.network: got 'digits-scratch', allowed: 'digits-vgg16', the backbone",
    ),
    "source of other files": (
        "source: digits\n    module",
        "source: mnist\n    module",
        "backbones.digits-vgg16.source: got 'mnist', allowed: 'digits'",
    ),
    "citation of other data": (
        "source: digits\n    evaluation",
        "source: mnist\n    evaluation",
        "tables.digits.source: got 'mnist', allowed: 'digits'",
    ),
    "key without the table's prefix": (
        "  digits-fcn8s:\n",
        "  fcn8s:\n",
        "models.fcn8s: keys of this file begin with its name, 'digits'",
    ),
    "entry of another table": (
        "downloads:\n  digits:\n    table: digits",
        "downloads:\n  digits:\n    table: camvid",
        "downloads.digits.table: got 'camvid', allowed: 'digits'",
    ),
    "other table": (
        "tables:\n  digits:",
        "tables:\n  camvid:",
        "tables: got ['camvid'], allowed: one key, 'digits'",
    ),
}


@pytest.mark.parametrize(("old", "new", "line"), UNKNOWN.values(), ids=UNKNOWN)
def test_a_name_that_leads_nowhere_is_refused(old: str, new: str, line: str, tree: Tree) -> None:
    assert line in refusal(tree(old, new))


@pytest.mark.parametrize(
    ("init_from", "cycle"),
    [
        ("digits-fcn32s", "digits-fcn32s <- digits-fcn32s"),
        ("digits-fcn8s", "digits-fcn32s <- digits-fcn8s <- digits-fcn16s <- digits-fcn32s"),
    ],
)
def test_a_cycle_of_initial_weights_is_shown(init_from: str, cycle: str, tree: Tree) -> None:
    message = refusal(tree("init_from: digits-vgg16", f"init_from: {init_from}"))
    assert f"models.digits-fcn32s.init_from: a cycle: {cycle}" in message.splitlines()[1]


def test_all_that_is_wrong_is_said_at_once(tree: Tree) -> None:
    root = tree("epochs: 16", "epochs: 0")
    path = root / TABLE
    path.write_text(path.read_text().replace("side: 32", "side: 0").replace("shards: 2", ""))
    assert refusal(root).splitlines()[0] == f"{TABLE}: 3 wrong setting(s)"


def test_a_number_may_be_written_without_a_point_as_dvc_reads_it(tree: Tree) -> None:
    classifier = (
        reader.load("digits", tree("learning_rate: 7.0e-4", "learning_rate: 1e-3"))
        .table.backbones["digits-vgg16"]
        .classifier
    )
    assert classifier is not None
    assert classifier.training.learning_rate == 0.001


def test_yes_is_text_as_dvc_reads_it(tree: Tree) -> None:
    message = refusal(tree("deterministic: true", "deterministic: yes"), reader.PARAMS)
    assert "deterministic: got 'yes'" in message


@pytest.mark.parametrize(
    ("line", "other"),
    [
        ("backend: tensorflow", "backend: jax"),
        ("precision: float32", "precision: mixed_bfloat16"),
    ],
)
def test_portable_bits_are_those_of_tensorflow_in_float32(
    tree: Tree, line: str, other: str
) -> None:
    root = tree("deterministic: true", "deterministic: portable")
    assert reader.load("digits", root).common.compute().deterministic == "portable"
    params = root / reader.PARAMS
    params.write_text(params.read_text().replace(line, other))
    assert f"`deterministic: portable` with `{line}`" in refusal(root, reader.PARAMS)


def test_a_missing_table_file_is_answered_with_the_nearest(tree: Tree) -> None:
    root = tree("seed", "seed")
    with pytest.raises(ValueError, match=r"tables/digit\.yaml for 'digit-x'; did you mean 'dig"):
        reader.load("digit-x", root)


def test_a_folder_without_tables_says_that_none_is_known(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no table file tables/digits\.yaml .*known: none"):
        reader.load("digits", tmp_path)


def test_missing_common_settings_say_where_to_run_from(tree: Tree) -> None:
    root = tree("seed", "seed")
    (root / reader.PARAMS).unlink()
    assert "run from the project's folder" in refusal(root, reader.PARAMS)


NO_SETTINGS = {
    "not YAML": (b"tables: [\n", "is not valid YAML"),
    "not UTF-8": (b"tables: \xff\n", "is not valid YAML"),
    "two documents": (b"a: 1\n---\nb: 2\n", "is not valid YAML"),
    "empty": (b"", "(the whole file): got None"),
    "a list": (b"- 1\n", "(the whole file): got [1]"),
}


@pytest.mark.parametrize(("content", "said"), NO_SETTINGS.values(), ids=NO_SETTINGS)
def test_a_file_that_holds_no_settings_is_named(content: bytes, said: str, tree: Tree) -> None:
    root = tree("seed", "seed")
    (root / TABLE).write_bytes(content)
    assert said in refusal(root)


def test_a_key_that_stands_twice_is_refused_with_both_lines(tree: Tree) -> None:
    message = refusal(tree("seed: 1337", "seed: 1\nseed: 2"), reader.PARAMS)
    assert 'duplicate key "seed"' in message
    lines = (SHIPPED / reader.PARAMS).read_text().splitlines()
    first = 1 + lines.index("seed: 1337")
    assert f"line {first}," in message
    assert f"line {first + 1}," in message


def places(content: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The place of every key of nested settings."""
    if isinstance(content, dict):
        for key, value in content.items():
            yield (*above, key)
            yield from places(value, (*above, key))


PLACES = list(places(YAML(typ="safe", pure=True).load(SHIPPED / TABLE)))
NEEDED = [
    place
    for place in PLACES
    if place[-2:-1] not in (("rows",), ("splits",)) and place[-1] != "freeze"
]
NONSENSE = [None, [{}], float("nan"), float("-inf"), True]


def altered(place: tuple[str, ...], alter: Callable[[dict[str, Any], str], None]) -> str:
    """The table file with one place altered."""
    content = YAML(typ="safe", pure=True).load(SHIPPED / TABLE)
    inside = content
    for key in place[:-1]:
        inside = inside[key]
    alter(inside, place[-1])
    text = io.StringIO()
    YAML(typ="safe", pure=True).dump(content, text)
    return text.getvalue()


def refusal_of(table: str) -> str:
    with TemporaryDirectory() as folder:
        (Path(folder) / "tables").mkdir()
        (Path(folder) / TABLE).write_text(table)
        copy(SHIPPED / "params.yaml", folder)
        return refusal(Path(folder))


@hypothesis_settings(deadline=None, max_examples=40)
@given(place=st.sampled_from(PLACES), value=st.sampled_from(NONSENSE))
def test_nonsense_anywhere_is_refused_with_its_place(place: tuple[str, ...], value: Any) -> None:
    message = refusal_of(altered(place, lambda inside, key: inside.update({key: value})))
    assert [part for part in place if part not in message] == []


@hypothesis_settings(deadline=None, max_examples=40)
@given(place=st.sampled_from(NEEDED))
def test_a_key_that_is_not_there_is_missed(place: tuple[str, ...]) -> None:
    message = refusal_of(altered(place, lambda inside, key: inside.pop(key)))
    assert place[-1] in message


def test_every_model_finds_the_shape_at_the_end_of_its_chain(loaded: reader.Loaded) -> None:
    shape = loaded.table.backbones["digits-vgg16"].network
    assert [loaded.table.network(key) for key in loaded.table.models] == [shape] * 4


def test_settings_cannot_be_changed(loaded: reader.Loaded) -> None:
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        loaded.common.seed = 1  # type: ignore[misc]


def test_an_entry_that_is_not_there_is_answered_with_the_nearest(loaded: reader.Loaded) -> None:
    assert reader.entry(loaded.table.models, "digits-fcn8s", "models").head == "fcn8s"
    with pytest.raises(ValueError, match="models: no key 'digits-fcn8'; did you mean 'digits-fcn8"):
        reader.entry(loaded.table.models, "digits-fcn8", "models")


def test_a_key_names_its_table() -> None:
    assert table_of("digits-fcn16s-wide") == table_of("digits") == "digits"


def test_active_tables_are_those_that_the_graph_lists(tmp_path: Path) -> None:
    listed = "vars:\n  - params.yaml\n  - tables/digits.yaml\n  - tables/camvid.yaml\n"
    (tmp_path / "dvc.yaml").write_text(listed)
    assert reader.active(tmp_path) == ["digits", "camvid"]
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    assert reader.active(tmp_path) == []


DEFAULTS = {
    "Common.devices": 1,
    "Compute.devices": 1,
    "Folder.ignore": None,
    "Folder.channels": 3,
    "Folder.shares": {},
    "Folder.group": None,
    "Convert.lists": {},
    "Convert.labels": None,
    "Convert.classes": None,
    "Convert.encoding": "index",
    "Convert.folder": None,
    "Validate.severity": {},
    "Validate.near": 4,
    "Training.accumulate": 1,
    "Training.optimizer": "adam",
    "Training.momentum": None,
    "Training.nesterov": False,
    "Training.bias_rate": 1.0,
    "Training.backbone_rate": 1.0,
    "Training.ema": None,
    "Training.weight_decay": 0.0,
    "Training.schedule": "cosine",
    "Training.power": None,
    "Training.milestones": None,
    "Training.gamma": 0.1,
    "Training.reduction": "mean",
    "Training.class_weights": None,
    "Training.flip": False,
    "Training.scale": None,
    "Training.crop": None,
    "Training.brightness": 0.0,
    "Training.contrast": 0.0,
    "Training.saturation": 0.0,
    "Training.patience": None,
    "Training.keep": "last",
    "Backbone.classifier": None,
    "Model.seed": None,
    "Model.upsampling": None,
    "Model.freeze": (),
    "Network.fc": True,
    "Network.fc_width": None,
    "Network.channel_order": "rgb",
    "Network.padding": "same",
    "Network.batch_norm": "folded",
    "Network.resize": 1.0,
    "Published.row": None,
    "Published.convention": "berkeley",
    "Published.differs": None,
    "Published.not_run": None,
    "Evaluation.scales": (1.0,),
    "Evaluation.flip": False,
    "Evaluation.window": None,
    "Table.replicas": {},
    "Table.gate": None,
    "Backbone.file": None,
    "WeightsFile.scratch": (),
}


def test_a_default_that_can_change_a_result_stays_as_it_is() -> None:
    """DVC tracks values in the files only: with another default, old results would stay."""
    modules = [
        importlib.import_module(f"fcn.settings.{found.name}")
        for found in pkgutil.iter_modules(fcn.settings.__path__)
    ]
    groups = [
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Settings) and value is not Settings
    ]
    defaults = {
        f"{group.__name__}.{name}": field.get_default(call_default_factory=True)
        for group in groups
        for name, field in group.model_fields.items()
        if not field.is_required()
    }
    change_no_result = {"checkpoints", "minutes", "steps", "workers", "mirror"}
    assert {
        name: default
        for name, default in defaults.items()
        if name.partition(".")[2] not in change_no_result
    } == DEFAULTS
