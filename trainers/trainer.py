"""One training step, and the hooks that a curriculum overrides.

    batch = batch_at(step)                      # eager; all that follows is one graph
    state = zero, or carried over from the batch before
    with GradientTape:
        rollout = forward(batch, state)         # own_inputs, and choose for each of them
        loss, extra metrics = loss(rollout, batch)
    gradients -> all-reduce -> finite? -> clip by global norm -> apply
    now and then on_evaluation(step, measured)  # eager

A curriculum is a subclass that overrides the part it changes:

    class Warmup(Trainer):
        def own_input_prob(self, step):
            return tf.minimum(0.5, tf.cast(step, tf.float32) / 2000)
"""

import dataclasses
from collections.abc import Iterable
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from charrnn import coins, masks, metrics, passes, randomness, sampling
from charrnn.batches import SOURCES, Batch, Source
from charrnn.errors import UserError
from charrnn.model import CharModel, States
from trainers import hooks


class Rollout(NamedTuple):
    """What the network read and predicted in one batch."""

    logits: tf.Tensor  # float32 [B, T, V]
    fed: tf.Tensor  # int32 [B, T], the ids that were read
    own: tf.Tensor  # bool [B, T], which of them the network wrote itself
    state: States  # after the last character
    extra: Any = ()  # what a curriculum's `forward` hands to its `loss`


class Trainer(tf.Module):
    """Teacher forcing; the parent of every curriculum.

    Variables that a subclass holds as attributes are saved and resumed with the rest.

    Args:
        model: whose weights are trained.
        source: where batches come from.
        optimizer: a Keras optimizer; for float16 a LossScaleOptimizer.
        config: the curriculum's own settings, an instance of the class's `Config`.
        seed: all random numbers are functions of it and of the step.
        clip_norm: the largest global gradient norm; 0: no limit.
        averaging: the decay of the weights' moving average, which evaluation, samples and checkpoints use; 0: none.
        label_smoothing: the share of the target's probability that is spread over all characters.
        xla: whether the step is compiled by XLA.
    """

    @dataclasses.dataclass(frozen=True)
    class Config:
        """The curriculum's own settings, set by `--set trainer.FIELD=VALUE`. Teacher forcing has none."""

    orders: tuple[str, ...] = tuple(SOURCES)
    """The values of data.order that the curriculum can work with."""

    def __init__(
        self,
        model: CharModel,
        source: Source,
        optimizer: keras.optimizers.Optimizer,
        config: "Trainer.Config | None" = None,
        seed: int = 0,
        clip_norm: float = 0.0,
        xla: bool = False,
        averaging: float = 0.0,
        label_smoothing: float = 0.0,
    ):
        super().__init__(name="trainer")
        possible = [order for order in self.orders if isinstance(source, SOURCES[order])]
        if isinstance(source, tuple(SOURCES.values())) and not possible:
            allowed = " or ".join(f"data.order={order}" for order in self.orders)
            raise UserError(f"The trainer {type(self).__name__} works with {allowed} only: set that.")
        self.model, self.source, self.optimizer = model, source, optimizer
        self.config = self.Config() if config is None else config
        self.seed, self.clip_norm = seed, clip_norm
        self.averaging, self.label_smoothing = averaging, label_smoothing
        self.averaged = model.copy() if averaging else model  # what is evaluated, sampled from, and used later on
        self.step = tf.Variable(0, trainable=False, dtype=tf.int64, name="step")
        self.skipped_updates = tf.Variable(0, trainable=False, dtype=tf.int64, name="skipped_updates")
        zero = model.initial_state(source.batch_size) if source.carries_state else ()
        self.carried = tf.nest.map_structure(lambda s: tf.Variable(s, trainable=False, name="carried"), zero)
        optimizer.build(model.trainable_variables)
        # Without AutoGraph: a hook needs no source text, and what it does is what it says. `if` on a tensor is refused.
        self._train_step = tf.function(self._one_update, autograph=False, jit_compile=xla)
        self._evaluate_step = tf.function(self._one_evaluation, autograph=False, jit_compile=xla)

    # Hooks, in the order in which a step calls them.

    def batch_at(self, step: int) -> Batch:
        """The batch of a step. Eager. A pure function of the step: it is called anew after a resume.

        The step is compiled anew for each new shape: few distinct ones. Whoever takes other batches than the source's,
        or in another order, leaves "streams" out of `orders`: the carried state would be that of another text.
        """
        return self.source.batch_at(step)

    def own_input_prob(self, step: tf.Tensor) -> tf.Tensor | float:
        """The probability that a character which is read is the network's own. Graph.

        Args:
            step: int64 `[]`.

        Returns:
            float32 `[]` in [0, 1]: 0 is teacher forcing, 1 open loop. A plain Python 0 says "at no step", and the
            closed loop is taken. It is logged as own_input_prob; where `own_inputs` decides without it, see
            own_input_share, which is counted.
        """
        return 0.0

    def own_inputs(self, step: tf.Tensor, batch: Batch) -> tf.Tensor | None:
        """Which characters are the network's own: bool `[B, T]`, or None for none at any step. Graph.

        The first character of a row is always the text's, whatever is returned for it.
        """
        prob = self.own_input_prob(step)
        if not tf.is_tensor(prob) and prob == 0:
            return None
        return coins.per_character(tf.shape(batch.inputs), prob, self.random_seed(randomness.Purpose.OWN_INPUTS))

    def choose(self, logits: tf.Tensor, noise: tf.Tensor, gold: tf.Tensor) -> tf.Tensor:
        """What the network writes at one position, row by row. Graph.

        Args:
            logits: float32 `[B, V]`, its prediction of this position.
            noise: float32 `[B, V]`, Gumbel noise: arg-max(logits + noise) is a sample.
            gold: int32 `[B]`, the text at this position.

        Returns:
            ids int32 `[B]`. No gradient flows through them.
        """
        return sampling.sample(logits, noise)

    def forward(self, batch: Batch, state: States) -> Rollout:
        """Reads the batch: closed loop if nothing is ever the network's own, else open loop. Graph.

        A subclass that has its own finds of use: `own_mask`, `noise`, `choices`, the model's `open_loop`, `soft_loop`,
        `hidden`. The model is given `training=self.mask_key()` wherever something is learnt from what it says.
        """
        own = self.own_mask(batch)
        if own is None:
            logits, state = self.model(batch.inputs, state, training=self.mask_key())
            return Rollout(logits, batch.inputs, tf.zeros_like(batch.inputs, tf.bool), state)
        gold, noise = tf.transpose(batch.inputs), self.noise(batch)
        logits, fed, state = self.model.open_loop(
            batch.inputs, own, lambda logits, t: self._chosen(logits, noise[t], gold[t]), state, self.mask_key()
        )
        return Rollout(logits, fed, own, state)

    def loss(self, rollout: Rollout, batch: Batch) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """What is minimised, nats per character, float32 `[]`; and scalars `[]` to log, by name. Graph.

        Variables of the curriculum's own are assigned here: all else of the step was computed from what they were.
        """
        nats = metrics.nats(rollout.logits, batch.targets, batch.weights, self.label_smoothing)
        return tf.math.divide_no_nan(nats, tf.reduce_sum(batch.weights)), {}

    def on_evaluation(self, step: int, measured: dict[str, float]) -> None:
        """Called after each evaluation with its measurements, "nats_per_char" among them. Eager.

        Not for one that only the end of a run brought about: a run that is made longer is the same run.
        """

    # What every curriculum has in common.

    def random_seed(self, purpose: randomness.Purpose) -> tf.Tensor:
        """The seed int32 `[2]` for this step's random numbers of one purpose. Graph."""
        return randomness.seed_for(self.seed, purpose, self.step)

    def mask_key(self) -> masks.Key:
        """What the step's dropout masks are functions of; whoever reads twice in a step reads with one set. Graph."""
        context = tf.distribute.get_replica_context()
        seed = self.random_seed(randomness.Purpose.DROPOUT)
        return masks.Key(seed, context.replica_id_in_sync_group, context.num_replicas_in_sync)

    def own_mask(self, batch: Batch) -> tf.Tensor | None:
        """What `own_inputs` returns, checked, and without each row's first character. Graph."""
        own = self.own_inputs(self.step, batch)
        if own is None:
            return None
        own = hooks.tensor(self, "own_inputs", own, tf.bool, batch.inputs.shape, "[B, T], or None")
        return tf.logical_and(own, tf.range(tf.shape(own)[1]) > 0)

    def noise(self, batch: Batch) -> tf.Tensor:
        """The step's Gumbel noise, float32 `[T, B, V]`; entry t is for what is written at position t. Graph."""
        rows, length = tf.unstack(tf.shape(batch.inputs))
        seed = self.random_seed(randomness.Purpose.CHOICES)
        return randomness.gumbel([length, rows, self.model.vocabulary_size], seed)

    def choices(self, logits: tf.Tensor, batch: Batch) -> tf.Tensor:
        """What the network writes at all positions, given its predictions float32 `[B, T, V]`. Graph.

        The same noise as in open loop decides.

        Returns:
            ids int32 `[B, T]`, to be read at these positions; the first character of a row is the text's.
        """
        flat = [tf.transpose(logits[:, :-1], [1, 0, 2]), self.noise(batch)[1:], tf.transpose(batch.inputs[:, 1:])]
        merged = [tf.reshape(tensor, [-1, *tensor.shape[2:]]) for tensor in flat]
        chosen = tf.reshape(self._chosen(*merged), tf.shape(flat[-1]))
        return tf.concat([batch.inputs[:, :1], tf.transpose(chosen)], 1)

    def check(self, num_steps: int) -> None:
        """Calls every hook of a step, and compiles the step without running it. Eager.

        Args:
            num_steps: the run's length: so far `own_input_prob` is looked at.

        Raises:
            UserError: a hook returns what it must not.
        """
        step = int(self.step.numpy())
        hooks.probability(self, self.own_input_prob, num_steps)
        batch = hooks.batch(self, self.batch_at(step))
        self._train_step.get_concrete_function(*self._arguments(batch, self.source.continues(step)))

    def train_step(self, batch: Batch, continues: bool) -> dict[str, tf.Tensor]:
        """One update. Not overridden, so that every curriculum reports the same numbers.

        Args:
            batch: int32 `[B, T]` twice and float32 `[B, T]`.
            continues: whether the rows go on where those of the batch before ended.

        Returns:
            float32 `[]` each: "nats" summed over the batch, "chars", the sum of its weights, and "chars_read", all that
            the network read; "gradient_norm" before clipping, "own_input_prob" as scheduled and "own_input_share" as
            it was, "learning_rate", and what `loss` adds.
        """
        return self._train_step(*self._arguments(batch, continues))

    def evaluate(self, batches: Iterable[tuple[Batch, bool]]) -> dict[str, float]:
        """Closed-loop loss, of the averaged weights where they are averaged. Not overridden. Eager.

        Args:
            batches: (batch, whether it continues the one before), all of one shape.

        Returns:
            "nats_per_char" and "bits_per_char".
        """
        nats = passes.closed_loop_loss(self._evaluate_step, self.model.initial_state, batches)
        return {"nats_per_char": nats, "bits_per_char": metrics.bits_per_char(nats)}

    def _arguments(self, batch: Batch, continues: bool) -> tuple[Batch, tf.Tensor]:
        return Batch(*map(tf.convert_to_tensor, batch)), tf.constant(continues)

    def _chosen(self, logits: tf.Tensor, noise: tf.Tensor, gold: tf.Tensor) -> tf.Tensor:
        return hooks.tensor(self, "choose", self.choose(logits, noise, gold), tf.int32, gold.shape, "[B]")

    def _one_evaluation(self, batch: Batch, state: States):
        logits, state = self.averaged(batch.inputs, state)
        return metrics.nats(logits, batch.targets, batch.weights), state

    def _one_update(self, batch: Batch, continues: tf.Tensor) -> dict[str, tf.Tensor]:
        variables = self.model.trainable_variables
        own_input_prob = self.own_input_prob(self.step)  # before `loss`, which may change what it depends on
        learning_rate = tf.convert_to_tensor(self.optimizer.learning_rate)  # before the update, which moves it on
        with tf.GradientTape() as tape:
            start = self._start_state(batch, continues)
            rollout = hooks.rollout(self, self.forward(batch, start), Rollout, batch, start)
            loss, extra = hooks.loss(self, self.loss(rollout, batch))
            scaled_loss = self.optimizer.scale_loss(loss)
        gradient_norm = self._apply(tape.gradient(scaled_loss, variables, unconnected_gradients="zero"), variables)
        measured = {
            "nats": metrics.nats(rollout.logits, batch.targets, batch.weights),
            "chars": tf.reduce_sum(batch.weights),
            "chars_read": tf.size(batch.inputs),
            "gradient_norm": gradient_norm,
            "own_input_prob": own_input_prob,
            "own_input_share": tf.reduce_mean(tf.cast(rollout.own, tf.float32)),
            "learning_rate": learning_rate,
            **extra,
        }
        if self.source.carries_state:
            tf.nest.map_structure(lambda variable, s: variable.assign(s), self.carried, rollout.state)
        self.step.assign_add(1)
        return {name: tf.cast(value, tf.float32) for name, value in measured.items()}

    def _start_state(self, batch: Batch, continues: tf.Tensor) -> States:
        zero = self.model.initial_state(tf.shape(batch.inputs)[0])
        if not self.source.carries_state:
            return zero
        return tf.nest.map_structure(lambda z, s: tf.where(continues, s, z), zero, self.carried)

    def _apply(self, gradients: list[tf.Tensor], variables: list) -> tf.Tensor:
        """The update: all-reduce, check finite, clip by global norm, apply. Returns the norm before clipping.

        Keras would check and clip on each replica for itself, before the sum. Its loss scale, where there is one,
        skips the update by itself when it is handed gradients that are not finite.
        """
        scaler = self.optimizer if isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer) else None
        gradients = tf.distribute.get_replica_context().all_reduce("sum", gradients)
        scale = tf.cast(scaler.dynamic_scale, tf.float32) if scaler else 1.0
        norm = tf.linalg.global_norm(gradients) / scale
        finite = tf.math.is_finite(norm)
        self.skipped_updates.assign_add(tf.cast(~finite, tf.int64))
        if self.clip_norm:
            factor = self.clip_norm / tf.maximum(norm, self.clip_norm)
            gradients = [gradient * factor for gradient in gradients]
        if scaler:
            # The norm may overflow where no gradient does; clipped by it, they would be zeros and look finite.
            scaler.apply([tf.where(finite, gradient, float("nan")) for gradient in gradients], variables)
        else:
            tf.cond(finite, lambda: self._apply_finite(gradients, variables), lambda: False)
        return norm

    def _apply_finite(self, gradients, variables):
        self.optimizer.apply(gradients, variables)
        self._average()
        return True

    def _average(self) -> None:
        """Moves the averages towards the weights; over few steps only at first, so that the start is forgotten soon."""
        if not self.averaging:
            return
        step = tf.cast(self.step, tf.float32)
        decay = tf.minimum(self.averaging, step / (step + 10.0))
        for average, weight in zip(self.averaged.trainable_variables, self.model.trainable_variables, strict=True):
            average.assign(weight + decay * (average - weight))
