"""Originals that are made once, and the tally."""

import pytest
from hostile import corpus

tally = {corpus.REFUSED: 0, corpus.SURVIVES: 0, "failed": 0}


@pytest.fixture(scope="session")
def originals(tmp_path_factory):
    return corpus.Originals(tmp_path_factory.mktemp("originals"))


@pytest.fixture(scope="session")
def counts():
    """How many cases ended in which way; told at the end."""
    return tally


def pytest_terminal_summary(terminalreporter):
    tried = sum(tally.values())
    if tried:
        terminalreporter.write_line(
            f"hostile files: {tried} tried, {tally[corpus.REFUSED]} refused, "
            f"{tally[corpus.SURVIVES]} survived, {tally['failed']} otherwise"
        )
