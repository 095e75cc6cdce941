"""The graphs that write characters: a call writes up to DECODE_BLOCK_CHARS of them, for any texts at any temperatures.

writer = Writer(model, vocabulary, Sampler(top_k=5), end_of_text="", xla=False)
ids, layers, logits = writer.call(writer.network(), forced, seeds, temperatures, position, count, layers, logits)
"""

import dataclasses
import functools

import tensorflow as tf

from charrnn.generation import decode_loop
from charrnn.generation.beam import beam_search
from charrnn.generation.decode_loop import DECODE_BLOCK_CHARS
from charrnn.model.char_model import CharModel, States
from charrnn.model.weights import Network
from charrnn.sampling import NEVER, Sampler, sample
from charrnn.text.vocabulary import Vocabulary


class Writer:
    """Compiled once for each combination of its arguments: temperature and greedy choice are inputs of the graph.

    Args:
        model: its weights are read at each call of `network`.
        vocabulary: the characters; the unknown character is never written.
        sampler: the filters of the choice; its temperature and `greedy` are ignored.
        end_of_text: the character between documents; "": the training text is not documents.
        xla: compile the loop with XLA.
    """

    def __init__(self, model: CharModel, vocabulary: Vocabulary, sampler: Sampler, end_of_text: str, xla: bool):
        self.model, self.vocabulary = model, vocabulary
        self.end_id = int(vocabulary.encode(end_of_text)[0]) if end_of_text else None
        self._sampler = dataclasses.replace(sampler, temperature=1.0, greedy=False)
        self._loop = tf.function(self._read_and_write, autograph=False, jit_compile=xla)
        # Two traces, for the first number of texts and for any other, rather than one for each.
        self.call = tf.function(self.block, autograph=False, reduce_retracing=True)
        self.search = tf.function(functools.partial(beam_search, end_id=self.end_id), autograph=False)

    def network(self) -> Network:
        """Returns the current weights, computed once for all calls. Eager."""
        return writing_network(self.model.network(), self.vocabulary)

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
        ids, _, layers, logits = self._loop(network, noise, divisors, penalty, layers, logits, begin, begin + count)
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
