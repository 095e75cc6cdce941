"""The exact source of a built-in text as a teacher: the same numbers as `ExactSource`, computed in the graph.

The source's state is unknown at the start of a row, and each character excludes states. As every state has one
successor by a character, the number of possible states never grows until a character is impossible. While it is large,
the distribution depends on the few characters since the start, and stands in a tree of them. As soon as it is at most
K, a row carries its possible states with their weights.
"""

import hashlib
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from charrnn.batches.sources import Batch
from charrnn.measures.exact_source import ExactSource
from charrnn.model import loops

MOST_STATES = 64
"""K: fewer make the tree larger, more make a step slower."""


class State(NamedTuple):
    """The possible states of the source in each row."""

    node: tf.Tensor  # node of the tree of beginnings, int32 [B, 1]; -1: the possible states are listed
    states: tf.Tensor  # int32 [B, K]
    weights: tf.Tensor  # float32 [B, K], sum 1; 0 for entries that are no possible state


class SourceTeacher:
    """The exact distribution of a built-in source, given the characters of the row so far.

    Args:
        reference: the source, its vocabulary, and the share of the uniform distribution.
        most_states: K.
    """

    def __init__(self, reference: ExactSource, most_states: int = MOST_STATES):
        probs, following, visits = reference.source.tables()
        ids = reference.vocabulary.encode(reference.source.characters)
        self._slip, self._size, self._most = reference.slip, reference.vocabulary.size, most_states
        self._num_symbols = probs.shape[1]
        symbols = np.full(self._size, self._num_symbols)  # the last number stands for all other ids
        symbols[ids] = np.arange(len(ids))
        if reference.vocabulary.unknown_id is not None:
            symbols[reference.vocabulary.unknown_id] = self._num_symbols
        to_ids = np.eye(self._size)[ids]
        tree = _Tree(probs, following, visits, most_states)
        none = np.zeros((len(probs), 1))
        self._symbols, self._children, self._listed_states, self._following = (
            tf.constant(table, tf.int32)
            for table in (symbols, tree.children, tree.states, np.concatenate([following, none], 1).ravel())
        )
        self._listed_weights, self._probs, self._by_state, self._by_node = (
            tf.constant(table, tf.float32)
            for table in (tree.weights, np.concatenate([probs, none], 1).ravel(), probs @ to_ids, tree.probs @ to_ids)
        )
        digest = hashlib.sha256(probs.tobytes() + symbols.tobytes()).digest()
        self.fingerprint = int.from_bytes(digest[:8], "big") >> 1

    def initial_state(self, batch_size: int | tf.Tensor) -> State:
        """Returns that nothing is known. Eager or graph."""
        listed = [batch_size, self._most]
        return State(tf.zeros([batch_size, 1], tf.int32), tf.zeros(listed, tf.int32), tf.zeros(listed, tf.float32))

    def __call__(self, ids: tf.Tensor, state: State, batch: Batch | None = None) -> tuple[tf.Tensor, State]:
        """Reads ids int32 `[B, T]`; returns ln p float32 `[B, T, V]` and the state. Eager or graph."""
        by_time = tf.transpose(tf.gather(self._symbols, ids))
        num_steps = loops.length(by_time)
        like = tf.zeros([ids.shape[0] or tf.shape(ids)[0], self._size])

        def body(t, state, found):
            state = self._after(State(*state), by_time[t])
            return t + 1, tuple(state), found.write(t, self._next(state))

        start = (tf.constant(0), tuple(state), loops.array(num_steps, like))
        _, last, found = tf.while_loop(lambda t, *_: t < num_steps, body, start, maximum_iterations=num_steps)
        probs = (1 - self._slip) * found.stack() + self._slip / self._size
        return tf.stop_gradient(tf.transpose(tf.math.log(probs), [1, 0, 2])), State(*last)

    def _after(self, state: State, symbols: tf.Tensor) -> State:
        """Returns the state after each row's next symbol, int32 `[B]`."""
        places = state.states * (self._num_symbols + 1) + symbols[:, None]
        weights = state.weights * tf.gather(self._probs, places)
        total = tf.reduce_sum(weights, 1, keepdims=True)
        stays = (state.node < 0) & (total > 0)
        # In the tree, or at its root again after an impossible character.
        child = tf.gather(self._children, tf.maximum(state.node, 0) * (self._num_symbols + 1) + symbols[:, None])
        entry = tf.maximum(-1 - child, 0)[:, 0]
        return State(
            tf.where(stays, -1, tf.maximum(child, -1)),
            tf.where(stays, tf.gather(self._following, places), tf.gather(self._listed_states, entry)),
            tf.where(stays, tf.math.divide_no_nan(weights, total), tf.gather(self._listed_weights, entry)),
        )

    def _next(self, state: State) -> tf.Tensor:
        """Returns the source's distribution of the next character, float32 `[B, V]`."""
        listed = tf.reduce_sum(state.weights[:, :, None] * tf.gather(self._by_state, state.states), 1)
        return tf.where(state.node < 0, listed, tf.gather(self._by_node, tf.maximum(state.node[:, 0], 0)))


class _Tree:
    """The beginnings of a row after which more than K states are possible; 0 is the root, the empty beginning.

    Attributes:
        probs: the distribution of the next symbol at each node, float64 `[N, C]`.
        children: of each node and symbol, flat, int64 `[N * (C + 1)]`: the node of the longer beginning, or -1 - i for
            entry i of the lists. After an impossible symbol the beginning is that symbol alone; after the last number,
            which is no symbol, it is empty.
        states, weights: the lists of at most K possible states, `[L, K]`.
    """

    def __init__(self, probs: np.ndarray, following: np.ndarray, visits: np.ndarray, most_states: int):
        nodes = [(np.arange(len(probs)), visits)]
        lists: list[tuple[np.ndarray, np.ndarray]] = []
        children: list[np.ndarray] = []
        num_symbols = probs.shape[1]
        for states, weights in nodes:  # which grows
            row = np.zeros(num_symbols + 1, np.int64)
            for symbol in range(num_symbols):
                mass = weights * probs[states, symbol]
                if not mass.any():
                    row[symbol] = children[0][symbol] if children else 0
                    continue
                after, inverse = np.unique(following[states[mass > 0], symbol], return_inverse=True)
                mass = np.bincount(inverse, mass[mass > 0]) / mass.sum()
                several = len(after) > most_states
                row[symbol] = len(nodes) if several else -1 - len(lists)
                (nodes if several else lists).append((after, mass))
            children.append(row)
        self.children = np.concatenate(children)
        self.probs = np.stack([weights @ probs[states] for states, weights in nodes])
        shape = max(1, len(lists)), most_states
        self.states, self.weights = np.zeros(shape, np.int64), np.zeros(shape)
        for i, (states, weights) in enumerate(lists):
            self.states[i, : len(states)], self.weights[i, : len(states)] = states, weights
