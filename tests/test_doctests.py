"""The examples in docstrings run."""

import doctest
import importlib
import pkgutil

import pytest

import keras_ddr

_MODULES = [
    module.name
    for module in pkgutil.walk_packages(keras_ddr.__path__, "keras_ddr.")
    if not module.name.endswith("_step")  # each needs a backend of its own
]


@pytest.mark.parametrize("name", _MODULES)
def test_examples(name):
    failures, _ = doctest.testmod(importlib.import_module(name))
    assert failures == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [
        test
        for name in _MODULES
        for test in finder.find(importlib.import_module(name))
        if test.examples
    ]
    assert len(found) >= 4
