"""Nine of ten functions fit into a glance, nine of ten files into a sitting, and no file is beyond reading."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.config.sources_kit import PRODUCT, ROOT, TESTS, python_files

#: Lines of a function from its `def` to its end, and non-blank lines of a file, that nine of ten keep to.
FUNCTION_LINES = 25
FILE_LINES = 200
#: What no file has more of.
MOST_FILE_LINES = 400


def file_sizes(paths: Iterator[Path]) -> dict[str, int]:
    """Return each file's number of lines that are not blank."""
    return {str(path.relative_to(ROOT)): sum(map(bool, map(str.strip, path.open()))) for path in paths}


def function_sizes(paths: Iterator[Path]) -> list[int]:
    """Return each function's number of lines, decorators apart, docstring and comments included."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    trees = (ast.parse(path.read_text()) for path in paths)
    functions = (node for tree in trees for node in ast.walk(tree) if isinstance(node, kinds))
    return [(node.end_lineno or node.lineno) - node.lineno + 1 for node in functions]


def ninety_percent(sizes: list[int]) -> int:
    """Return what nine of ten do not exceed."""
    return sorted(sizes)[(len(sizes) * 9 - 1) // 10]


@pytest.mark.parametrize("folders", [PRODUCT, TESTS], ids=["product", "tests"])
def test_nine_of_ten_functions_fit_into_a_glance(folders: tuple[str, ...]) -> None:
    sizes = function_sizes(python_files(folders))

    assert len(sizes) > 1000
    assert ninety_percent(sizes) <= FUNCTION_LINES


@pytest.mark.parametrize("folders", [PRODUCT, TESTS], ids=["product", "tests"])
def test_nine_of_ten_files_fit_into_a_sitting(folders: tuple[str, ...]) -> None:
    assert ninety_percent(list(file_sizes(python_files(folders)).values())) <= FILE_LINES


def test_no_file_is_beyond_reading() -> None:
    sizes = file_sizes(python_files((*PRODUCT, *TESTS)))

    assert {name: size for name, size in sizes.items() if size > MOST_FILE_LINES} == {}


def test_the_measure_is_that_of_nine_of_ten() -> None:
    assert ninety_percent([*range(1, 11)]) == 9
    assert ninety_percent([1] * 9 + [100]) == 1
    assert ninety_percent([1] * 8 + [100] * 2) == 100
