"""The parent of every curriculum: its hooks, and what they may call.

    prepare(texts)                              # eager, once, before the first step or the restored one
    batch = batch_at(step)                      # eager; all that follows is one graph
    state = initial_state, or carried over from the batch before
    rollout = forward(batch, state)             # reads the batch: own_inputs, and choose for each of them
    loss, extra measurements = loss(rollout, batch)
    on_step(rollout, batch)
    gradients -> summed over parts and replicas -> finite? -> clipped by global norm -> applied
    after each evaluation on_evaluation(step, measured)  # eager

A curriculum is a subclass that overrides the part it changes. `trainers/step` has the machinery.

    class Warmup(Trainer):
        def own_input_prob(self, step):
            return tf.minimum(0.5, tf.cast(step, tf.float32) / 2000)
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from charrnn import metrics, randomness, sampling
from charrnn.batches.sources import SOURCES, Batch
from charrnn.batches.texts import Texts
from charrnn.model.char_model import States
from trainers.step import coins, declaration
from trainers.step.base import BaseTrainer
from trainers.step.rollout import Rollout

__all__ = ["Rollout", "Trainer"]


class Trainer(BaseTrainer):
    """Teacher forcing (closed loop: reads the text); the parent of every curriculum.

    The arguments are those of `BaseTrainer`. Variables that a subclass holds as attributes are saved and restored with
    the rest. A trainer runs on the replicas of the `tf.distribute` strategy in whose scope it is made. Each works on
    its rows of the batch, and the numbers are those of one replica except for rounding.
    """

    @dataclasses.dataclass(frozen=True)
    class Config:
        """The curriculum's own settings, set by `--set trainer.FIELD=VALUE`. Teacher forcing has none."""

    orders: tuple[str, ...] = tuple(SOURCES)
    """The values of data.order that the curriculum can work with."""

    needs_whole_batch: bool = False
    """Set this to True if the loss of one row depends on other rows. `loss` then always receives the whole batch, even
    with several replicas or gradient accumulation. Cost: the forward pass runs twice with accumulation; replicas
    exchange their logits."""

    def __init_subclass__(cls, **named):
        super().__init_subclass__(**named)
        declaration.check_class(cls, Trainer)

    # Hooks, in the order in which they are called.

    def prepare(self, texts: Texts) -> None:
        """Receives the run's texts and their vocabulary, once, before a checkpoint is restored. Eager.

        Args:
            texts: the training and the validation text, encoded.

        Raises:
            UserError: the curriculum cannot work with them.
        """

    def initial_state(self, batch_size: int | tf.Tensor) -> Any:
        """Returns the state before a row's first character, for `forward`. Eager or graph.

        Args:
            batch_size: the number of rows, B.

        Returns:
            A nest of tensors `[B, N]`: the model's states, and whatever else a curriculum carries over with streams.
        """
        return self.model.initial_state(batch_size)

    def batch_at(self, step: int, rows: range | None = None) -> Batch:
        """Returns the batch of a step. Eager; a pure function of the step, because a resumed run calls it again.

        A curriculum may leave out the argument `rows`; each of several processes then makes the whole batch and takes
        its rows from it. Each new shape is compiled: keep to few. A curriculum that takes other batches than the
        source's, or in another order, leaves "streams" out of `orders`, or the carried state would be that of another
        text.

        Args:
            step: the step.
            rows: the indices of the wanted rows among the data.batch_size of the source; None: all.
        """
        return self.source.batch_at(step, rows)

    def own_input_prob(self, step: tf.Tensor) -> tf.Tensor | float:
        """Returns the probability that an input character is the network's own. Graph.

        Args:
            step: int64 `[]`.

        Returns:
            float32 `[]` in [0, 1]: 0 is teacher forcing (closed loop), 1 free running (open loop). A plain Python 0
            means "at no step" and selects the closed loop. It is logged as own_input_prob; own_input_share is counted.
        """
        return 0.0

    def own_inputs(self, step: tf.Tensor, batch: Batch) -> tf.Tensor | None:
        """Returns which input characters are the network's own: bool `[B, T]`, or None for none at any step. Graph.

        The first character of a row is always the text's, whatever is returned for it.
        """
        prob = self.own_input_prob(step)
        if not tf.is_tensor(prob) and prob == 0:
            return None
        return coins.per_character(tf.shape(batch.inputs), prob, self.random_seed(randomness.Purpose.OWN_INPUTS))

    def choose(self, logits: tf.Tensor, noise: tf.Tensor, gold: tf.Tensor) -> tf.Tensor:
        """Returns the characters that the network writes at one position, row by row. Graph.

        It is called for some of the rows at a time, so it must not depend on the others.

        Args:
            logits: the prediction of this position, float32 `[N, V]`.
            noise: Gumbel noise, float32 `[N, V]`: arg-max(logits + noise) is a sample.
            gold: the text at this position, int32 `[N]`.

        Returns:
            ids int32 `[N]`. No gradient flows through them.
        """
        return sampling.sample(logits, noise)

    def forward(self, batch: Batch, state: States) -> Rollout:
        """Reads the batch: closed loop if `own_inputs` gives None, else open loop. Graph.

        An override may use `own_mask`, `noise`, `choices`, and the model's `open_loop`, `soft_loop` and `hidden`. It
        gives the model `training=self.mask_key()` in each forward pass that is trained.
        """
        own = self.own_mask(batch)
        if own is None:
            logits, _, state = self.model.hidden(batch.inputs, state, self.mask_key(), self.reads_last_only)
            return Rollout(logits, batch.inputs, tf.zeros_like(batch.inputs, tf.bool), state)
        logits, fed, state = self.model.open_loop(
            batch.inputs, own, self._hooks.choose, self.noise(batch), state, self.mask_key(), self.reads_last_only
        )
        return Rollout(logits, fed, own, state)

    def loss(self, rollout: Rollout, batch: Batch) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Returns the loss in nats per character, float32 `[]`, and scalars `[]` to log, by name. Graph.

        With gradient accumulation or several replicas, each part's loss is weighted by its share of the target weights,
        so a per-character mean stays correct. If your loss is not such a mean, set `needs_whole_batch` to True.
        """
        nats = metrics.nats(rollout.logits, batch.targets, batch.weights, self.label_smoothing)
        return tf.math.divide_no_nan(nats, tf.reduce_sum(batch.weights)), {}

    def on_step(self, rollout: Rollout, batch: Batch) -> None:
        """Assigns the curriculum's own variables, made by `new_variable`, from what the step has read. Graph.

        It always receives the whole batch, as with `needs_whole_batch`. All else in the step uses their values before.
        """

    def on_evaluation(self, step: int, measured: dict[str, float]) -> None:
        """Receives the measurements of each evaluation, "nats_per_char" among them. Eager.

        It is not called for an evaluation that only the end of a run causes, so a longer run is the same run.
        """

    # What the hooks may call.

    def new_variable(self, value: tf.Tensor | float, name: str) -> tf.Variable:
        """Returns a variable that starts at `value` and that `on_step` may assign. Eager."""
        same = tf.VariableAggregation.ONLY_FIRST_REPLICA
        return tf.Variable(value, trainable=False, name=name, aggregation=same)

    def random_seed(self, purpose: randomness.Purpose) -> tf.Tensor:
        """Returns the seed int32 `[2]` of this step's random numbers for one purpose. Graph."""
        return randomness.seed_for(self.seed, purpose, self.step)

    def mask_key(self) -> tf.Tensor:
        """Returns the key of this step's dropout masks. All forward passes of a step use the same. Graph."""
        return self.random_seed(randomness.Purpose.DROPOUT)

    def own_mask(self, batch: Batch) -> tf.Tensor | None:
        """Returns what `own_inputs` returns, without each row's first character. Graph."""
        own = self._hooks.own_inputs(batch)
        return None if own is None else tf.logical_and(own, tf.range(tf.shape(own)[1]) > 0)

    def noise(self, batch: Batch) -> tf.Tensor:
        """Returns this step's Gumbel noise, float32 `[T, B, V]`; entry t is for the choice at position t. Graph."""
        rows, length = tf.unstack(tf.shape(batch.inputs))
        seed = self.random_seed(randomness.Purpose.CHOICES)
        return randomness.gumbel([length, rows, self.model.vocabulary_size], seed, rows=1)

    def choices(self, logits: tf.Tensor, batch: Batch) -> tf.Tensor:
        """Returns what the network writes at all positions, by `choose` and the same noise as in open loop. Graph.

        Args:
            logits: its predictions, float32 `[B, T, V]`.
            batch: the text, of which the first characters are taken.

        Returns:
            ids int32 `[B, T]`, to be read at these positions; the first character of a row is the text's.
        """
        flat = [tf.transpose(logits[:, :-1], [1, 0, 2]), self.noise(batch)[1:], tf.transpose(batch.inputs[:, 1:])]
        merged = [tf.reshape(tensor, [-1, *tensor.shape[2:]]) for tensor in flat]
        chosen = tf.reshape(self._hooks.choose(*merged), tf.shape(flat[-1]))
        return tf.concat([batch.inputs[:, :1], tf.transpose(chosen)], 1)

    # Used by `BaseTrainer`.

    def check_declaration(self) -> None:
        """Raises UserError if the class or the instance declares a name that nothing reads."""
        declaration.check_class(type(self), Trainer, vars(self))

    @property
    def reads_whole_batch(self) -> bool:
        """True if a step needs one rollout of the whole batch."""
        return self.needs_whole_batch or type(self).on_step is not Trainer.on_step

    last_suffices: tuple[Callable, ...] = (batch_at, forward, loss, on_step)
    """These hooks do the same if the rollout has each row's last logits only. A hook that overrides one may not."""

    @property
    def reads_last_only(self) -> bool:
        """True if a step needs the logits after each row's last character only, because no hook sees the others."""
        hooks = (self.batch_at, self.forward, self.loss, self.on_step)
        return self.source.last_only and all(getattr(hook, "__func__", None) in self.last_suffices for hook in hooks)
