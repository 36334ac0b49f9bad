"""Keys of table files."""


def table_of(key: str) -> str:
    """Return the name of the table that a key belongs to: `digits` of `digits-fcn16s`."""
    return key.partition("-")[0]
