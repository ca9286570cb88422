"""Attributes that are computed once, at first use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

_T = TypeVar("_T")


class cached_property(Generic[_T]):
    """As that of `functools`, without a lock for all objects of a class.

    Before Python 3.12 that has one, and tasks in step (`motifgpu.core.lockstep`) would wait for it for ever.
    """

    def __init__(self, function: Callable[[Any], _T]) -> None:
        self._function, self.__doc__, self._name = function, function.__doc__, function.__name__

    @overload
    def __get__(self, instance: None, owner: type) -> cached_property[_T]: ...

    @overload
    def __get__(self, instance: object, owner: type) -> _T: ...

    def __get__(self, instance: object, owner: type) -> cached_property[_T] | _T:
        if instance is None:
            return self
        value = vars(instance)[self._name] = self._function(instance)
        return value
