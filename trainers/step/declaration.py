"""Checks what the class of a curriculum declares, because a mistyped name would be ignored silently.

    class Mine(Trainer):
        def own_input_probs(self, step): …    # UserError: … nearest: own_input_prob
"""

import dataclasses
import inspect
import types
import typing
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from charrnn.batches.sources import SOURCES
from charrnn.errors import UserError, nearest
from trainers.step import near_names

HOOKS = (
    *("prepare", "initial_state", "batch_at", "own_input_prob", "own_inputs", "choose", "forward", "loss"),
    *("on_step", "on_evaluation"),
)
"""The methods of `Trainer` that a curriculum overrides."""

FINAL = (
    *("train_step", "train_steps", "evaluate", "gradients", "local_batch", "reads_whole_batch", "reads_last_only"),
    *("check", "check_declaration", "make_carried", "carried_by_all", "_hooks", "_compiled"),
)
"""The attributes that are the same for all curricula: the loop relies on them."""

_VALUES = {"orders": Collection, "needs_whole_batch": bool | int | str, "Config": type}
"""The attributes that a curriculum declares, and the type of each value."""


def check_class(cls: Any, base: type, attributes: Mapping[str, object] = types.MappingProxyType({})) -> None:
    """Checks a curriculum's class.

    Args:
        cls: the class.
        base: `Trainer`; its bases are not checked.
        attributes: the attributes of an instance, beside those of the class.

    Raises:
        UserError: a name is near one that `base` knows, a hook does not accept its arguments, or `orders`,
            `needs_whole_batch` or `Config` cannot be used.
    """
    bodies = [vars(each) for each in cls.__mro__ if each not in base.__mro__]
    for body in bodies:
        _check_names(cls, body, (*HOOKS, *_VALUES))
    _check_names(cls, attributes, ("needs_whole_batch",))
    own = set().union(*bodies)
    for name in own.intersection(FINAL):
        raise _wrong(cls, name, "is the same for all curricula", f"rename it, or override one of {', '.join(HOOKS)}")
    for name in own.intersection(HOOKS):
        check_hook(cls, name, base)
    if "__init__" in own:
        _check_init(cls, base)
    _check_orders(cls)
    if not isinstance(cls.needs_whole_batch, bool):
        raise _wrong(cls, "needs_whole_batch", f"is {cls.needs_whole_batch!r}", "set it to True or False")
    _check_config(cls)


def _check_names(cls: type, body: Mapping[str, object], known: Iterable[str]) -> None:
    """Raises UserError for a name that nothing reads and that is near a name that `Trainer` reads.

    If the same body has the right name too, the near one is a helper: a class with `loss` may also have `losses`.
    """
    lost_words = not set(body).intersection(HOOKS)  # a class without any hook probably misspells one
    for name, value in body.items():
        suits = [other for other in known if isinstance(value, _VALUES.get(other, object))]
        meant = None if name.startswith("_") or name in known else near_names.meant(name, known, suits, lost_words)
        if meant and meant not in body:
            raise _wrong(cls, name, "is no attribute of a trainer and would be ignored", f"rename it; nearest: {meant}")


def check_hook(cls: type, name: str, base: type) -> None:
    """Checks that an overridden method can be called as that of a base class.

    Args:
        cls: the class that overrides it.
        name: the method.
        base: the class whose method has the right arguments; those with a default may be left out.

    Raises:
        UserError: it is no method, or does not accept the arguments.
    """
    hook = getattr(cls, name)
    if not callable(hook):
        raise _wrong(cls, name, f"is a {type(hook).__name__}", "make it a method")
    parameters = inspect.signature(getattr(base, name)).parameters
    names = [each for each, parameter in parameters.items() if parameter.default is parameter.empty]
    bound = isinstance(inspect.getattr_static(cls, name), staticmethod | classmethod)
    _check_call(cls, name, names[1:] if bound else names, {})


def _check_init(cls: type, base: Any) -> None:
    names = list(inspect.signature(base.__init__).parameters)
    config = names.index("config") + 1
    _check_call(cls, "__init__", names[:config], dict.fromkeys(names[config:]))


def _check_call(cls: type, name: str, by_position: list[str], by_name: dict[str, None]) -> None:
    try:
        signature = inspect.signature(getattr(cls, name))
    except (TypeError, ValueError):  # not written in Python
        return
    try:
        signature.bind(*by_position, **by_name)
    except TypeError as error:
        arguments = ", ".join([*by_position, *(f"{each}=…" for each in by_name)])
        raise _wrong(cls, name, f"cannot be called ({error})", f"let it take ({arguments})") from None


def _check_orders(cls: Any) -> None:
    orders = cls.orders
    if isinstance(orders, str) or not isinstance(orders, Collection) or not orders:
        remedy = f"give a tuple of one or more of {', '.join(SOURCES)}"
        raise _wrong(cls, "orders", f"is {orders!r}", remedy)
    for order in orders:
        if order not in SOURCES:
            what = f"has {order!r}, no value of data.order{nearest(str(order), SOURCES)}"
            raise _wrong(cls, "orders", what, "rename or remove it")


def _check_config(cls: Any) -> None:
    """Raises UserError unless `Config` is a frozen dataclass whose fields have types and defaults."""
    config, remedy = cls.Config, "decorate it with @dataclasses.dataclass(frozen=True)"
    parameters = vars(config).get("__dataclass_params__") if isinstance(config, type) else None
    if parameters is None:
        raise _wrong(cls, "Config", "is no dataclass", remedy)
    if not parameters.frozen:
        raise _wrong(cls, "Config", "is not frozen", remedy)
    try:
        hints = typing.get_type_hints(config)
    except (NameError, TypeError) as error:
        raise _wrong(cls, "Config", f"has a type that cannot be read ({error})", "import it in its module") from None
    for field in dataclasses.fields(config):
        if field.init and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise _wrong(cls, f"Config.{field.name}", "has no default", f"write {field.name}: type = value")
    for name, value in vars(config).items():
        if not (name.startswith("_") or name in hints or callable(value) or hasattr(value, "__get__")):
            what = f"write {name}: {type(value).__name__} = {value!r}"
            raise _wrong(cls, f"Config.{name}", "has no type and cannot be set", what)


def _wrong(cls: type, name: str, what: str, remedy: str) -> UserError:
    return UserError(f"{cls.__name__}.{name} {what}: {remedy}.")
