"""The core types are what `dataclass(frozen=True, slots=True)` makes, but for the time it takes."""

import copy
import inspect
import pickle
from dataclasses import FrozenInstanceError, dataclass, fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picojoule.workload import Access, Operator, Tensor, Work
from picojoule.workload._frozen import frozen

VALUES: dict[type, tuple[Any, ...]] = {
    Tensor: ("x", (2, 3)), Work: (), Access: ("x", (), 6),
    Operator: ("o", "relu", "activation", "", (("d0", 2),), (), (), Work()),
}  # fmt: skip


@pytest.mark.parametrize("kind", VALUES)
def test_core_types_are_frozen_dataclasses(kind: type) -> None:
    """Equality: values, signature, text, hash, copies and pickles; nothing can be set, no other field exists."""
    one, other = kind(*VALUES[kind]), kind(*VALUES[kind])
    assert one == other
    assert hash(one) == hash(other)
    assert copy.deepcopy(one) == pickle.loads(pickle.dumps(one)) == replace(one) == one
    assert not hasattr(one, "__dict__")
    name = fields(one)[0].name  # type: ignore[arg-type]
    assert f"{name}={getattr(one, name)!r}" in repr(one)
    with pytest.raises(FrozenInstanceError):
        setattr(one, name, 1)
    with pytest.raises((AttributeError, TypeError)):
        one.another = 1
    with pytest.raises(TypeError):
        kind(*VALUES[kind], unknown=1)
    assert list(inspect.signature(kind).parameters) == [f.name for f in fields(one)]  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Plain:
    a: int
    b: str = "b"
    c: tuple[int, ...] = ()


@frozen
class Quick:
    a: int
    b: str = "b"
    c: tuple[int, ...] = ()


@given(st.lists(st.integers(), max_size=4), st.dictionaries(st.sampled_from("abcd"), st.integers(), max_size=4))
def test_the_same_calls_succeed(args: list[int], kwargs: dict[str, int]) -> None:
    """Equality: for any positional and named arguments both make the same value, or both refuse."""

    def made(kind: Any) -> Any:
        try:
            one = kind(*args, **kwargs)
        except TypeError:
            return None
        return one.a, one.b, one.c

    assert made(Plain) == made(Quick)
