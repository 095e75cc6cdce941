"""The graphs that write characters: one call makes up to BLOCK_CHARS of them, for any texts at any temperatures.

writer = Writer(model, vocabulary, Sampler(top_k=5))
ids, layers, logits = writer.call(writer.network(), forced, seeds, temperatures, position, count, layers, logits)
"""

import dataclasses

import tensorflow as tf

from charrnn.generation import decode_loop
from charrnn.generation.beam import beam_search
from charrnn.generation.decode_loop import BLOCK_CHARS
from charrnn.model.char_model import CharModel, States
from charrnn.model.weights import Network
from charrnn.sampling import NEVER, Sampler, sample
from charrnn.text.vocabulary import Vocabulary


class Writer:
    """Compiled once for each combination of its arguments: temperature and greedy choice are inputs of the graph.

    Args:
        model: whose weights are used, as they are at each call of `network`.
        vocabulary: its characters; the unknown character is never written.
        sampler: which characters are kept; its temperature and `greedy` do not matter.
        end_of_text: the character between documents; "": the model has learnt running text.
        xla: compile the loop with XLA.
    """

    def __init__(self, model: CharModel, vocabulary: Vocabulary, sampler: Sampler, end_of_text: str, xla: bool):
        self.model, self.vocabulary = model, vocabulary
        self.end_id = int(vocabulary.encode(end_of_text)[0]) if end_of_text else None
        self._sampler = dataclasses.replace(sampler, temperature=1.0, greedy=False)
        self._loop = tf.function(self._read_and_write, autograph=False, jit_compile=xla)
        # Two traces, of the first number of texts and of any other, rather than one for each.
        self.call = tf.function(self.block, autograph=False, reduce_retracing=True)
        self.search = tf.function(self._search, autograph=False)

    def network(self) -> Network:
        """Returns the weights as they are now, computed once for all calls. Eager."""
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
        """Reads and writes `count` characters from `position` on, which lie in one block. Graph.

        Args:
            network: from `writing_network`.
            forced: int32 `[B, BLOCK_CHARS]`, the ids to read, or OWN.
            seeds: int32 `[B]`.
            temperatures: float32 `[B]`; 0: the likeliest character always.
            position: int32 `[]`, how many characters were read before.
            count: int32 `[]`.
            layers: the recurrent state before them.
            logits: float32 `[B, V]`, the prediction of the first of them.
            end_from: int32 `[B]`, the position before which no text ends; None: there is none.

        Returns:
            The ids read int32 `[B, BLOCK_CHARS]`, 0 elsewhere; and state and logits after them.
        """
        begin = position % BLOCK_CHARS
        start = position - begin
        noise = decode_loop.choice_noise(forced, seeds, start, temperatures, self.vocabulary.size)
        temperatures = tf.where(temperatures > 0, temperatures, 1.0)[:, None]
        end_penalty = None
        if end_from is not None:
            early = (start + tf.range(BLOCK_CHARS))[:, None] < end_from
            end_penalty = tf.where(early[:, :, None] & (tf.range(noise.shape[-1]) == self.end_id), NEVER, 0.0)
        ids, _, layers, logits = self._loop(
            network, noise, temperatures, end_penalty, layers, logits, begin, begin + count
        )
        return tf.transpose(ids), layers, logits

    def _read_and_write(self, network, noise, temperatures, end_penalty, layers, logits, begin, end):
        """The loop of a call. What does not change from character to character was done before."""

        def choose(logits, t):
            logits = logits if end_penalty is None else logits + end_penalty[t]
            return sample(self._sampler.keep(logits, temperatures), noise[t])

        return decode_loop.read_and_write(network, choose, layers, logits, begin, end)

    def _search(self, network, layers, logits, width, num_chars, min_chars):
        return beam_search(network, layers, logits, width, num_chars, min_chars, self.end_id)


def writing_network(network: Network, vocabulary: Vocabulary) -> Network:
    """Returns the weights for `Writer.block`: with them the unknown character is never chosen."""
    if vocabulary.unknown_id is None:
        return network
    known = tf.range(vocabulary.size) != vocabulary.unknown_id
    kernel = tf.where(known, network.output_kernel, 0.0)
    return network._replace(output_kernel=kernel, output_bias=tf.where(known, network.output_bias, NEVER))
