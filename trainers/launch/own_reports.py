"""Finds, checks and makes the user's own reports: --report=module:Class, or `reports` of `trainers.train`."""

import inspect
from collections.abc import Iterable, Sequence

from charrnn.errors import UserError
from trainers import own_class
from trainers.reports.reports import Report
from trainers.step import declaration, near_names

OwnReport = type[Report] | Report
"""A class, of which the run makes a report; or a report."""

_METHODS = ("start", "scalars", "samples", "histograms", "flush", "saved", "end")


def resolve(reports: str | OwnReport | Iterable[str | OwnReport]) -> list[OwnReport]:
    """Returns the reports that a user asks for, checked.

    Args:
        reports: each "module:Class", a subclass of `Report`, or an instance of one; or a single one of these.

    Raises:
        UserError: there is no such subclass of `Report`, a method cannot be called, or no method would be called.
    """
    several = [reports] if isinstance(reports, str | type | Report) or not isinstance(reports, Iterable) else reports
    return [_resolved(report) for report in several]


def make(reports: Sequence[OwnReport], run_dir: str) -> dict[str, Report]:
    """Makes the reports of one run.

    Args:
        reports: from `resolve`.
        run_dir: the run directory.

    Returns:
        By name, for messages. If two have one name, it ends with a number.

    Raises:
        UserError: a constructor raised.
    """
    made: dict[str, Report] = {}
    for report in reports:
        cls = report if isinstance(report, type) else type(report)
        name = f"{cls.__module__}:{cls.__qualname__}"
        name = f"{name} ({len(made) + 1})" if name in made else name
        made[name] = _made(report, run_dir, name) if isinstance(report, type) else report
    return made


def _made(cls: type[Report], run_dir: str, name: str) -> Report:
    try:
        return cls(run_dir)
    except UserError:
        raise
    except Exception as error:
        why = f"its constructor raised {own_class.described(error)}"
        raise UserError(f"The report {name} cannot be made, because {why}: correct it, or leave it out.") from error


def _resolved(report: str | OwnReport) -> OwnReport:
    given = f"--report={report}" if isinstance(report, str) else f"reports=[{report!r}]"
    wrong = UserError(f"{given} is not possible: it must be module:Class, of a subclass of trainers.Report.")
    found: object = report
    if isinstance(report, str):
        if not own_class.is_path(report):
            raise wrong
        found = own_class.imported(report, given)
    cls = found if isinstance(found, type) else type(found)
    if not issubclass(cls, Report) or (isinstance(report, str) and found is not cls):
        raise wrong
    _check(cls, made=isinstance(found, type))
    return found  # type: ignore[return-value]


def _check(cls: type[Report], made: bool) -> None:
    """Raises UserError if a method would be ignored, or cannot be called.

    Args:
        cls: the class.
        made: whether the run makes an instance.
    """
    own = {name: value for each in cls.__mro__ if each not in Report.__mro__ for name, value in vars(each).items()}
    for name in own.keys() - _METHODS:
        method = callable(own[name]) and not name.startswith("_")
        meant = near_names.meant(name, _METHODS, _METHODS, lost_words=False) if method else None
        if meant and meant not in own:
            raise UserError(f"{cls.__name__}.{name} would never be called: rename it; nearest: {meant}.")
    overridden = [name for name in _METHODS if name in own]
    if not overridden:
        raise UserError(f"{cls.__name__} would receive nothing: override one of {', '.join(_METHODS)}.")
    for name in overridden:
        declaration.check_hook(cls, name, Report)
    if made:
        _check_constructor(cls)


def _check_constructor(cls: type[Report]) -> None:
    try:
        inspect.signature(cls).bind("run_dir")
    except TypeError as error:
        what = f"{cls.__name__}.__init__ cannot be called ({error})"
        raise UserError(f"{what}: let it take (self, run_dir), or give an instance to trainers.train.") from None
    except ValueError:  # not written in Python
        return
