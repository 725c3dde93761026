"""The checks that are compiled from AWS's models."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.model import ShapeResolver

from sandbox.world.aws_shapes import Problem, ShapeCompiler

SHAPES = {
    "Tree": {
        "type": "structure",
        "required": ["Name"],
        "members": {
            "Name": {"shape": "Name"},
            "Kind": {"shape": "Kind"},
            "Size": {"shape": "Size"},
            "Alive": {"shape": "Alive"},
            "Branches": {"shape": "Trees"},
            "Tags": {"shape": "Tags"},
        },
    },
    "Trees": {"type": "list", "member": {"shape": "Tree"}, "max": 2},
    "Tags": {"type": "map", "key": {"shape": "Name"}, "value": {"shape": "Name"}, "max": 1},
    "Name": {"type": "string", "min": 1, "max": 5, "pattern": "[a-z]+"},
    "Kind": {"type": "string", "enum": ["OAK", "ELM"]},
    "Size": {"type": "integer", "min": 1, "max": 9},
    "Alive": {"type": "boolean"},
}


def problems(value: Any) -> list[Problem]:
    check = ShapeCompiler().compile(ShapeResolver(SHAPES).get_shape_by_name("Tree"))
    collected: list[Problem] = []
    check(value, "", collected)
    return collected


def test_what_fits_passes_at_any_depth() -> None:
    leaf = {"Name": "leaf", "Kind": "ELM", "Size": 9, "Alive": False, "Tags": {"a": "b"}}
    assert problems({"Name": "a", "Branches": [leaf, {"Name": "b", "Branches": [leaf]}]}) == []


def test_null_is_the_same_as_absent() -> None:
    assert problems({"Name": "a", "Kind": None}) == []
    assert [problem.kind for problem in problems({"Name": None})] == ["missing"]


@pytest.mark.parametrize(
    ("change", "where", "kind"),
    [
        ({"Name": ""}, "Name", "value"),
        ({"Name": "abcdef"}, "Name", "value"),
        ({"Name": "ab1"}, "Name", "value"),
        ({"Name": 1}, "Name", "type"),
        ({"Kind": "PALM"}, "Kind", "value"),
        ({"Size": 0}, "Size", "value"),
        ({"Size": 10}, "Size", "value"),
        ({"Size": True}, "Size", "type"),
        ({"Size": 1.5}, "Size", "type"),
        ({"Alive": "yes"}, "Alive", "type"),
        ({"Branches": {}}, "Branches", "type"),
        ({"Branches": [{"Name": "a"}] * 3}, "Branches", "value"),
        ({"Branches": [{"Name": "a"}, {}]}, "Branches.2.member.Name", "missing"),
        ({"Tags": {"a": "b", "c": "d"}}, "Tags", "value"),
        ({"Tags": {"a": 1}}, "Tags.a", "type"),
        ({"Leaves": 3}, "Leaves", "unknown"),
    ],
)
def test_each_problem_says_where_and_of_what_kind(change: dict[str, Any], where: str, kind: str) -> None:
    [problem, *_] = problems({"Name": "a"} | change)

    assert (problem.where, problem.kind) == (where, kind)
    assert where in problem.text
