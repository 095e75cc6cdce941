"""What the class of a curriculum declares, checked before the first step: a mistyped name would be ignored in silence.

    class Mine(Trainer):
        def own_input_probs(self, step): …    # UserError: … nearest: own_input_prob
"""

import dataclasses
import difflib
import inspect
import re
import typing
from collections.abc import Collection, Iterable

from charrnn.batches import SOURCES
from charrnn.errors import UserError, nearest

HOOKS = ("batch_at", "own_input_prob", "own_inputs", "choose", "forward", "loss", "on_step", "on_evaluation")
"""The methods of `Trainer` that a curriculum overrides."""

FINAL = ("train_step", "train_steps", "evaluate", "gradients")
"""Those that are the same for all curricula: the loop relies on them."""

_DECLARED = ("orders", "whole_batches", "Config")
_OTHER_NAMES = {  # in other programs, and in earlier versions of this one
    "divisible": "whole_batches",
    "compute_loss": "loss",
    "loss_fn": "loss",
    "training_step": "loss",
    "on_step_end": "on_step",
    "on_train_batch_end": "on_step",
    "on_validation_end": "on_evaluation",
    "on_epoch_end": "on_evaluation",
}


def check(cls: type, base: type, attributes: Iterable[str] = ()) -> None:
    """Checks a curriculum's class.

    Args:
        cls: the class.
        base: `Trainer`; its own bases are not looked at.
        attributes: names that an instance has beside the class's.

    Raises:
        UserError: a name is near one that `base` knows, a hook cannot be called as it will be, or `orders`,
            `whole_batches` or `Config` cannot be used.
    """
    own = {name for each in cls.__mro__ if each not in base.__mro__ for name in vars(each)}
    _check_names(cls, own, set(attributes))
    for name in own.intersection((*FINAL, *filter(_is_private, vars(base)))):
        raise _wrong(cls, name, "is the same for all curricula", f"rename it, or override one of {', '.join(HOOKS)}")
    for name in own.intersection(HOOKS):
        _check_hook(cls, name, base)
    if "__init__" in own:
        _check_init(cls, base)
    _check_orders(cls)
    if not isinstance(cls.whole_batches, bool):
        raise _wrong(cls, "whole_batches", f"is {cls.whole_batches!r}", "set it to True or False")
    _check_config(cls)


def _check_names(cls: type, own: set[str], attributes: set[str]) -> None:
    """Raises UserError for a name that nothing reads, near one that `Trainer` does read.

    Beside the right name a near one is a helper: a class with `loss` may have `losses` too. An instance's attributes
    are data, so that only those near `orders` and `whole_batches` are wrong.
    """
    lost_words = not own.intersection(HOOKS)  # a class that changes no hook has missed one
    wrong = {name: _meant(name, (*HOOKS, *_DECLARED), lost_words) for name in own}
    wrong.update({name: _meant(name, ("orders", "whole_batches"), False) for name in attributes})
    for name, meant in sorted(wrong.items()):
        if meant and meant not in own and not name.startswith("_"):
            raise _wrong(cls, name, "is no attribute of a trainer and would be ignored", f"rename it; nearest: {meant}")


def _meant(name: str, known: Iterable[str], lost_words: bool) -> str | None:
    """The name in `known` that a wrong one was meant to be."""
    if name in known:
        return None
    if _OTHER_NAMES.get(name.lower()) in known:
        return _OTHER_NAMES[name.lower()]
    near = [other for other in known if _near(_words(name), _words(other), lost_words)]
    return max(near, key=lambda other: difflib.SequenceMatcher(None, name.lower(), other.lower()).ratio(), default=None)


def _near(ours: list[str], theirs: list[str], lost_words: bool) -> bool:
    """Whether two names have the same words, each but for its spelling; with `lost_words`, or two words of three."""
    if "".join(ours) == "".join(theirs):
        return True
    if len(ours) == len(theirs):
        return all(_same_word(*pair, len(ours) == 1) for pair in zip(ours, theirs, strict=True))
    rest = iter(theirs)
    in_order = all(any(_same_word(word, other, False) for other in rest) for word in ours)
    return lost_words and in_order and 2 <= len(ours) < len(theirs)


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def _words(name: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower())


def _same_word(ours: str, theirs: str, alone: bool) -> bool:
    """Whether a word is another one, but for its spelling; among others also where one is short for the other."""
    if min(len(ours), len(theirs)) <= 3:
        return sorted(ours) == sorted(theirs)
    begins = ours.startswith(theirs) or theirs.startswith(ours)
    if begins and (not alone or abs(len(ours) - len(theirs)) <= 2):
        return True
    return difflib.SequenceMatcher(None, ours, theirs).ratio() > (0.8 if alone else 0.75)


def _check_hook(cls: type, name: str, base: type) -> None:
    """Raises UserError where a hook is no method, or cannot be called with the arguments of `base`'s."""
    hook = getattr(cls, name)
    if not callable(hook):
        raise _wrong(cls, name, f"is a {type(hook).__name__}", "make it a method")
    names = list(inspect.signature(getattr(base, name)).parameters)
    bound = isinstance(inspect.getattr_static(cls, name), staticmethod | classmethod)
    _check_call(cls, name, names[1:] if bound else names, {})


def _check_init(cls: type, base: type) -> None:
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


def _check_orders(cls: type) -> None:
    orders = cls.orders
    if isinstance(orders, str) or not isinstance(orders, Collection) or not orders:
        remedy = f"give a tuple of one or more of {', '.join(SOURCES)}"
        raise _wrong(cls, "orders", f"is {orders!r}", remedy)
    for order in orders:
        if order not in SOURCES:
            what = f"has {order!r}, no value of data.order{nearest(str(order), SOURCES)}"
            raise _wrong(cls, "orders", what, "rename or remove it")


def _check_config(cls: type) -> None:
    """Raises UserError unless `Config` is a frozen dataclass whose fields have types and defaults."""
    config, remedy = cls.Config, "decorate it with @dataclasses.dataclass(frozen=True)"
    parameters = vars(config).get("__dataclass_params__") if isinstance(config, type) else None
    if parameters is None:
        raise _wrong(cls, "Config", "is no dataclass", remedy)
    if not parameters.frozen:
        raise _wrong(cls, "Config", "is not frozen", remedy)
    try:
        types = typing.get_type_hints(config)
    except (NameError, TypeError) as error:
        raise _wrong(cls, "Config", f"has a type that cannot be read ({error})", "import it in its module") from None
    for field in dataclasses.fields(config):
        if field.init and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise _wrong(cls, f"Config.{field.name}", "has no default", f"write {field.name}: type = value")
    for name, value in vars(config).items():
        if not (name.startswith("_") or name in types or callable(value) or hasattr(value, "__get__")):
            what = f"write {name}: {type(value).__name__} = {value!r}"
            raise _wrong(cls, f"Config.{name}", "has no type and cannot be set", what)


def _wrong(cls: type, name: str, what: str, remedy: str) -> UserError:
    return UserError(f"{cls.__name__}.{name} {what}: {remedy}.")
