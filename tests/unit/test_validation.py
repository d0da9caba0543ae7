"""What is wrong with what came from outside."""

from typing import Annotated

import pytest
from pydantic import AfterValidator, BaseModel, ValidationError

from bridge import validation


def _even(number: int) -> int:
    if number % 2:
        raise ValueError("Odd numbers are not taken")
    return number


class Item(BaseModel):
    name: str
    count: Annotated[int, AfterValidator(_even)] = 0


class Order(BaseModel):
    items: list[Item]


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ({"items": [{"name": "a"}, {"name": 1}]}, "items[1].name: input should be a valid string"),
        ({"items": [{"name": "a", "count": 1}]}, "items[0].count: Odd numbers are not taken"),
        ({}, "items: field required"),
        ({"items": [{}, {}]}, "items[0].name: field required"),
        ([], "the order: input should be a valid dictionary or instance of Order"),
    ],
)
def test_first_fault(raw: object, sentence: str) -> None:
    """It names where the first fault stands, as Kubernetes does, and what is wrong there."""
    with pytest.raises(ValidationError) as raised:
        Order.model_validate(raw)
    assert validation.first_fault(raised.value).sentence("the order") == sentence


def test_very_many_faults() -> None:
    """Are counted and not written out: it would take long, and nobody reads them."""
    with pytest.raises(ValidationError) as raised:
        Order.model_validate({"items": [{}] * 1001})
    assert validation.first_fault(raised.value).sentence("the order") == (
        "the order: 1001 parts of it have the wrong type"
    )
