import pytest

from fcn.serving import function


def test_a_missing_package_is_named_with_the_next_step() -> None:
    with pytest.raises(ValueError, match=r"no_such_package is not installed; `make setup`"):
        function.require_module("no_such_package")
