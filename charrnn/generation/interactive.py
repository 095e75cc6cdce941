"""The loop of --interactive: a prompt, its text, the next prompt."""

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
    """Continues each prompt until there are no more.

    Each prompt begins a new text, with the next seed. An empty line continues the last text as if it had never stopped,
    across a stop string that ended it. Ctrl-C ends a text.

    Args:
        generator: writes the texts.
        read: returns the next line, in which \\n stands for a line break; None at the end.
        write: called with each piece of text.
        tell: called with a sentence if a prompt is refused.
        num_chars: the most characters to write after each prompt.
        seed: of the first text.
        stop: as in `Generator.generate`.
        min_chars: as in `Generator.generate`.
    """
    state = None
    while (line := read()) is not None:
        prompt = line.replace("\\n", "\n")
        continues = not prompt and state is not None
        try:
            least = max(min_chars, int(continues))
            stream = generator.stream(prompt, num_chars, seed, stop, least, state if continues else None)
        except UserError as error:
            tell(str(error))
            continue
        seed += not continues
        try:
            write(prompt)
            for piece in stream:
                write(piece)
        except KeyboardInterrupt:
            pass
        write("\n")
        state = stream.state
