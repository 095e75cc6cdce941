"""A prompt, its text, the next prompt: a loop for a terminal, or a pipe."""

from collections.abc import Callable

from charrnn.errors import UserError
from charrnn.generation.arguments import Stops
from charrnn.generation.generator import Generator


def converse(
    generator: Generator,
    read: Callable[[], str | None],
    write: Callable[[str], None],
    tell: Callable[[str], None],
    num_chars: int,
    seed: int,
    stop: Stops = "",
    min_chars: int = 0,
) -> None:
    """Continues each line that is read, until there are no more.

    Each prompt begins a text of its own, with the next seed. An empty line goes on with the text before, as if it had
    never stopped: over the stop string, where one had ended it. Ctrl-C ends a text.

    Args:
        generator: writes.
        read: returns the next line, in which \\n stands for a line break; None: there is none.
        write: is given each piece of text as it is made.
        tell: is given what is wrong with a prompt.
        num_chars: characters after each prompt, at most.
        seed: of the first text.
        stop: as in `Generator.generate`.
        min_chars: as in `Generator.generate`.
    """
    state = None
    while (line := read()) is not None:
        prompt = line.replace("\\n", "\n")
        goes_on = not prompt and state is not None
        try:
            least = max(min_chars, int(goes_on))
            stream = generator.stream(prompt, num_chars, seed, stop, least, state if goes_on else None)
        except UserError as error:
            tell(str(error))
            continue
        seed += not goes_on
        try:
            write(prompt)
            for piece in stream:
                write(piece)
        except KeyboardInterrupt:
            pass
        write("\n")
        state = stream.state
