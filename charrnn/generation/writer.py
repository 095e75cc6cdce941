"""The graphs that write characters: a call writes up to DECODE_BLOCK_CHARS of them, for any texts at any temperatures.

writer = Writer(model, vocabulary, Sampler(top_k=5), end_of_text="", xla=False)
ids, layers, logits = writer.call(writer.network(), forced, seeds, temperatures, position, count, layers, logits)
"""

import dataclasses
import functools
import math

import tensorflow as tf

from charrnn.generation import decode_loop
from charrnn.generation.beam import beam_search
from charrnn.generation.decode_loop import DECODE_BLOCK_CHARS
from charrnn.model.char_model import CharModel, States
from charrnn.model.weights import Network
from charrnn.sampling import NEVER, Sampler, sample
from charrnn.text.vocabulary import Vocabulary

XLA_PLACE = 1024  # characters of a text before XLA's loop; a multiple of DECODE_BLOCK_CHARS
_MOST_XLA_TEXTS = 5  # written at once; with more, XLA's loop of a large model is no faster


class Writer:
    """Compiled once for each combination of its arguments: temperature and greedy choice are inputs of the graph.

    Args:
        model: its weights are read at each call of `network`.
        vocabulary: the characters; the unknown character is never written.
        sampler: the filters of the choice; its temperature and `greedy` are ignored.
        end_of_text: the character between documents; "": the training text is not documents.
        xla: as in `Generator`.
    """

    def __init__(self, model: CharModel, vocabulary: Vocabulary, sampler: Sampler, end_of_text: str, xla: bool | None):
        self.model, self.vocabulary = model, vocabulary
        self.end_id = int(vocabulary.encode(end_of_text)[0]) if end_of_text else None
        self._sampler = dataclasses.replace(sampler, temperature=1.0, greedy=False)
        self._xla = xla
        self._loop, self._compiled_loop = (
            tf.function(self._read_and_write, autograph=False, jit_compile=compiled) for compiled in (False, True)
        )
        # Two traces with XLA and two without, for the first number of texts and for any other, not one for each.
        self.call = tf.function(self.block, autograph=False, reduce_retracing=True)
        self.search = tf.function(functools.partial(beam_search, end_id=self.end_id), autograph=False)

    def network(self) -> Network:
        """Returns the current weights, computed once for all calls. Eager."""
        return writing_network(self.model.network(), self.vocabulary)

    def xla_from(self, num_texts: int) -> float:
        """Returns the position in a text from which XLA runs the loop; inf: it runs none of it.

        The position does not depend on the number of characters asked for, so a long text begins with the bits of a
        short one. A short text is not compiled, because that takes longer than it saves (docs/notes/performance.md).

        Args:
            num_texts: the number of texts written at once.
        """
        if self._xla is not None:
            return 0 if self._xla else math.inf
        on_cpu = tf.test.is_built_with_xla() and not tf.config.list_logical_devices("GPU")
        return XLA_PLACE if on_cpu and num_texts <= _MOST_XLA_TEXTS else math.inf

    def block(
        self,
        network: Network,
        forced: tf.Tensor,
        seeds: tf.Tensor,
        temperatures: tf.Tensor,
        position: tf.Tensor,
        count: tf.Tensor,
        layers: States,
        logits: tf.Tensor,
        end_from: tf.Tensor | None = None,
        xla: bool = False,
    ) -> tuple[tf.Tensor, States, tf.Tensor]:
        """Reads and writes `count` characters of one block. Graph.

        Args:
            network: from `writing_network`.
            forced: int32 `[B, DECODE_BLOCK_CHARS]`, the ids to read, or OWN.
            seeds: int32 `[B]`.
            temperatures: float32 `[B]`; 0: the likeliest character always.
            position: int32 `[]`, the number of characters read before.
            count: int32 `[]`.
            layers: the recurrent state before them.
            logits: float32 `[B, V]`, the prediction of the first of them.
            end_from: int32 `[B]`, the position before which no text ends; None: any text may end anywhere.
            xla: whether XLA compiles the loop. The noise is drawn outside of the loop, so XLA changes rounding only.

        Returns:
            The ids int32 `[B, DECODE_BLOCK_CHARS]`, 0 outside of the `count` places; and state and logits after them.
        """
        begin = position % DECODE_BLOCK_CHARS
        start = position - begin
        noise = decode_loop.choice_noise(forced, seeds, start, temperatures, self.vocabulary.size)
        divisors = tf.where(temperatures > 0, temperatures, 1.0)[:, None]
        penalty = None
        if end_from is not None:
            early = (start + tf.range(DECODE_BLOCK_CHARS))[:, None] < end_from
            penalty = tf.where(early[:, :, None] & (tf.range(noise.shape[-1]) == self.end_id), NEVER, 0.0)
        loop = self._compiled_loop if xla else self._loop
        ids, _, layers, logits = loop(network, noise, divisors, penalty, layers, logits, begin, begin + count)
        return tf.transpose(ids), layers, logits

    def _read_and_write(self, network, noise, divisors, penalty, layers, logits, begin, end):
        """Runs the loop of a call. Everything that is the same for all characters was computed before."""

        def choose(logits, t):
            logits = logits if penalty is None else logits + penalty[t]
            return sample(self._sampler.keep(logits, divisors), noise[t])

        return decode_loop.read_and_write(network, choose, layers, logits, begin, end)


def writing_network(network: Network, vocabulary: Vocabulary) -> Network:
    """Returns weights with which the unknown character is never chosen, for `Writer.block`."""
    if vocabulary.unknown_id is None:
        return network
    known = tf.range(vocabulary.size) != vocabulary.unknown_id
    kernel = tf.where(known, network.output_kernel, 0.0)
    return network._replace(output_kernel=kernel, output_bias=tf.where(known, network.output_bias, NEVER))
