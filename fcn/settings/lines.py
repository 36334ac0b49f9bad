"""Line numbers of settings in a YAML file, for messages."""

from collections.abc import Callable
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq


def numbers(text: str) -> Callable[[str], int]:
    """Return a function from a dotted key (`models.digits-fcn8s.head`) to its line, from 1.

    A key that is missing has the line of the group that lacks it. The YAML is valid.
    """
    tree = YAML(pure=True).load(text)

    def number(key: str) -> int:
        node, line = tree, 0
        while (part := _first(node, key)) is not None:
            line = (node.lc.data or {}).get(part, [line])[0]  # a merged key (`<<`) has none
            node, key = node[part], key[len(str(part)) + 1 :]
        return line + 1

    return number


def _first(node: Any, key: str) -> str | int | None:
    """Return the key or index of a node with which a dotted key begins; a name may hold dots."""
    if isinstance(node, CommentedMap):
        parts = list(node)
    elif isinstance(node, CommentedSeq):
        parts = list(range(len(node)))
    else:
        return None
    return next((part for part in parts if f"{key}.".startswith(f"{part}.")), None)
