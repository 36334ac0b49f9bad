"""Pausing the garbage collector."""

import gc

from fcn.runtime import collection


def test_nothing_is_collected_inside_the_block() -> None:
    gc.enable()  # A job that was refused in an earlier test has left it paused.
    with collection.paused():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_a_collector_that_was_paused_before_stays_paused() -> None:
    collection.pause()
    try:
        with collection.paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()
