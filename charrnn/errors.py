"""The one exception that means: the user can mend this."""


class UserError(ValueError):
    """The user's mistake, told in one plain sentence.

    The sentence names what was given, what is allowed and what to do. Commands print it on standard error and
    exit with status 2; nothing has been written when it is raised.
    """


def check(name: str, value: object, right: bool, allowed: str) -> None:
    """Raises UserError for the setting `name` unless `right`.

    Args:
        name: as the user writes it, "group.field".
        value: what was given.
        right: whether the value may stand.
        allowed: the values allowed, to follow "must be".
    """
    if not right:
        raise UserError(f"{name}={value} is not possible: it must be {allowed}.")
