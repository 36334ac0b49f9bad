"""Where the servers listen."""

import pytest

from flows.serving import servers


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
    ],
)
def test_only_loopback_needs_no_password(host: str, loopback: bool) -> None:
    address = servers.Address(host, 1, 2)
    assert address.loopback == loopback
    if not loopback:
        with pytest.raises(AssertionError, match="password"):
            servers.define(address, None)
