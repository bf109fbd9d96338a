"""Outcomes of a later release: what this release does not know is plain text, or left out."""

from __future__ import annotations

import copy
import types
from enum import Enum
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from booking_tasks.contracts.base import OutcomeT


def read_outcome(contract: type[OutcomeT], answer: Any) -> OutcomeT:
    """Read the outcome of a service of this or a later release. Raises ValidationError.

    A code, status or other word that this release does not have is a plain string; a field that it does not
    have is left out.
    """
    try:
        return contract.model_validate(answer)
    except ValidationError:
        return _tolerant(contract).model_validate(answer)  # type: ignore[no-any-return]  # a subclass


@cache
def _tolerant(model: type[BaseModel]) -> Any:
    """Return a subclass that accepts any text for a closed set of words, and ignores unknown fields."""
    wider: dict[str, Any] = {}
    annotations: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        annotations[name] = _widened(field.annotation)
        wider[name] = copy.copy(field)
        wider[name].annotation = annotations[name]
    namespace = wider | {
        "__module__": model.__module__,
        "__qualname__": model.__qualname__,
        "__annotations__": annotations,
        "model_config": ConfigDict(extra="ignore"),
    }
    return type(model.__name__, (model,), namespace)


def _widened(annotation: Any) -> Any:
    origin, parts = get_origin(annotation), get_args(annotation)
    if _is_closed_set(annotation):
        return _or_text(annotation)
    if isinstance(annotation, type) and origin is None and issubclass(annotation, BaseModel):
        return _tolerant(annotation)
    if origin is Annotated:
        return Annotated[_widened(parts[0]), *parts[1:]]
    if origin in (Union, types.UnionType):
        if any(map(_is_closed_set, parts)):  # text comes last, behind every known word
            return _or_text(*(one if _is_closed_set(one) else _widened(one) for one in parts))
        return Union[tuple(map(_widened, parts))]  # noqa: UP007 - made while the program runs
    return annotation if origin is None else origin[tuple(map(_widened, parts))]


def _is_closed_set(annotation: Any) -> bool:
    if get_origin(annotation) is Literal:
        return True
    return isinstance(annotation, type) and issubclass(annotation, Enum)


def _or_text(*annotations: Any) -> Any:
    return Annotated[Union[(*annotations, str)], Field(union_mode="left_to_right")]
