"""The one exception that means: the user can mend this."""


class UserError(ValueError):
    """The user's mistake, told in one plain sentence.

    The sentence names what was given, what is allowed and what to do. Commands print it on standard error and
    exit with status 2; nothing has been written when it is raised.
    """
