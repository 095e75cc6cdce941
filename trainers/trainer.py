"""One training step, and the hooks that a curriculum overrides.

    batch = batch_at(step)                      # eager; all that follows is one graph
    state = zero, or carried over from the batch before
    with GradientTape:
        rollout = forward(batch, state)         # own_inputs, and choose for each of them
        loss, extra metrics = loss(rollout, batch)
    on_step(rollout, batch)
    gradients -> sum over parts and replicas -> finite? -> clip by global norm -> apply
    now and then on_evaluation(step, measured)  # eager

A curriculum is a subclass that overrides the part it changes:

    class Warmup(Trainer):
        def own_input_prob(self, step):
            return tf.minimum(0.5, tf.cast(step, tf.float32) / 2000)
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from charrnn import metrics, randomness, sampling
from charrnn.batches import evaluation_batches
from charrnn.batches.sources import SOURCES, Batch, Source
from charrnn.errors import UserError
from charrnn.model.char_model import CharModel, States
from trainers.step import coins, declaration, hook_checks, whole_batch
from trainers.step.update import Update


class Rollout(NamedTuple):
    """What the network read and predicted in one batch."""

    logits: tf.Tensor  # float32 [B, T, V]
    fed: tf.Tensor  # int32 [B, T], the ids that were read
    own: tf.Tensor  # bool [B, T], which of them the network wrote itself
    state: States  # after the last character
    extra: Any = ()  # what a curriculum's `forward` hands to its `loss`; for `whole_batches` tensors, rows first


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
        accumulate: in how many parts, one after the other, a replica works on its rows; for memory. The update is that
            of the whole batch.

    It runs on the replicas of the `tf.distribute` strategy in whose scope it is made. Each works on its rows of the
    batch, and their numbers are those of one replica but for rounding.
    """

    @dataclasses.dataclass(frozen=True)
    class Config:
        """The curriculum's own settings, set by `--set trainer.FIELD=VALUE`. Teacher forcing has none."""

    orders: tuple[str, ...] = tuple(SOURCES)
    """The values of data.order that the curriculum can work with."""

    whole_batches: bool = False
    """Set this to True if the loss of one row depends on other rows. `loss` then always receives the whole batch, even
    with several replicas or gradient accumulation. Cost: the forward pass runs twice with accumulation; replicas
    exchange their logits."""

    def __init_subclass__(cls, **named):
        super().__init_subclass__(**named)
        declaration.check(cls, Trainer)

    def __init__(
        self,
        model: CharModel,
        source: Source,
        optimizer: keras.optimizers.Optimizer,
        config: "Trainer.Config | None" = None,
        seed: int = 0,
        clip_norm: float = 0.0,
        xla: bool = False,
        accumulate: int = 1,
        averaging: float = 0.0,
        label_smoothing: float = 0.0,
    ):
        super().__init__(name="trainer")
        strategy = tf.distribute.get_strategy()
        self._num_replicas, self._accumulate = strategy.num_replicas_in_sync, accumulate
        possible = [order for order in self.orders if isinstance(source, SOURCES[order])]
        if isinstance(source, tuple(SOURCES.values())) and not possible:
            allowed = " or ".join(f"data.order={order}" for order in self.orders)
            raise UserError(f"The trainer {type(self).__name__} works with {allowed} only: set that.")
        self._check_parts(source.batch_size, xla)
        self.model, self.source, self.optimizer = model, source, optimizer
        self.config = self.Config() if config is None else config
        self.seed, self.label_smoothing = seed, label_smoothing
        self.averaged = model.copy() if averaging else model  # what is evaluated, sampled from, and used later on
        self.step = self.new_variable(tf.constant(0, tf.int64), "step")
        self.skipped_updates = self.new_variable(tf.constant(0, tf.int64), "skipped_updates")
        zero = model.initial_state(source.batch_size) if source.carries_state else ()
        self.carried = tf.nest.map_structure(lambda s: self.new_variable(s, "carried"), zero)
        optimizer.build(model.trainable_variables)
        self._update = Update(model, optimizer, self.step, self.skipped_updates, clip_norm, averaging, self.averaged)
        # Without AutoGraph: a hook needs no source text, and what it does is what it says. `if` on a tensor is refused.
        several = self._num_replicas > 1
        update = functools.partial(_on_replicas, strategy, self._one_update) if several else self._one_update
        self._train_step = tf.function(update, autograph=False, jit_compile=xla)
        self._train_steps = tf.function(self._updates, autograph=False)
        begin = functools.partial(_on_replicas, strategy, self._begun_update) if several else self._begun_update
        self._begin_step = tf.function(begin, autograph=False, jit_compile=xla)
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

        With gradient accumulation or several replicas, each part's loss is weighted by its share of the target weights,
        so a per-character mean stays correct. If your loss is not such a mean, set `whole_batches` to True.
        """
        nats = metrics.nats(rollout.logits, batch.targets, batch.weights, self.label_smoothing)
        return tf.math.divide_no_nan(nats, tf.reduce_sum(batch.weights)), {}

    def on_step(self, rollout: Rollout, batch: Batch) -> None:
        """Assigns variables of the curriculum's own, made by `new_variable`, from what the step has read. Graph.

        Always of the whole batch: whoever overrides it has `whole_batches`. All else was computed from what they were.
        """

    def on_evaluation(self, step: int, measured: dict[str, float]) -> None:
        """Called after each evaluation with its measurements, "nats_per_char" among them. Eager.

        Not for one that only the end of a run brought about: a run that is made longer is the same run.
        """

    # What every curriculum has in common.

    def new_variable(self, value: tf.Tensor | float, name: str) -> tf.Variable:
        """A variable that starts at `value` and that `on_step` may assign. Eager."""
        same = tf.VariableAggregation.ONLY_FIRST_REPLICA
        return tf.Variable(value, trainable=False, name=name, aggregation=same)

    def random_seed(self, purpose: randomness.Purpose) -> tf.Tensor:
        """The seed int32 `[2]` for this step's random numbers of one purpose. Graph."""
        return randomness.seed_for(self.seed, purpose, self.step)

    def mask_key(self) -> tf.Tensor:
        """What the step's dropout masks are functions of; whoever reads twice in a step reads with one set. Graph."""
        return self.random_seed(randomness.Purpose.DROPOUT)

    def own_mask(self, batch: Batch) -> tf.Tensor | None:
        """What `own_inputs` returns, checked, and without each row's first character. Graph."""
        own = self.own_inputs(self.step, batch)
        if own is None:
            return None
        own = hook_checks.tensor(self, "own_inputs", own, tf.bool, batch.inputs.shape, "[B, T], or None")
        return tf.logical_and(own, tf.range(tf.shape(own)[1]) > 0)

    def noise(self, batch: Batch) -> tf.Tensor:
        """The step's Gumbel noise, float32 `[T, B, V]`; entry t is for what is written at position t. Graph."""
        rows, length = tf.unstack(tf.shape(batch.inputs))
        seed = self.random_seed(randomness.Purpose.CHOICES)
        return randomness.gumbel([length, rows, self.model.vocabulary_size], seed, rows=1)

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
        declaration.check(type(self), Trainer, vars(self))
        step = int(self.step.numpy())
        hook_checks.probability(self, self.own_input_prob, num_steps)
        batch = hook_checks.batch(self, self.batch_at(step))
        self._train_step.get_concrete_function(*self._arguments(batch, self.source.continues(step)))

    def train_step(self, batch: Batch, continues: bool | np.ndarray) -> dict[str, tf.Tensor]:
        """One update. Not overridden, so that every curriculum reports the same numbers.

        Args:
            batch: int32 `[B, T]` twice and float32 `[B, T]`.
            continues: whether the rows go on from the state after the batch before, or which: bool `[B]`.

        Returns:
            float32 `[]` each: "nats" summed over the batch, "chars", the sum of its weights, and "chars_read", all that
            the network read; "gradient_norm" before clipping, "own_input_prob" as scheduled and "own_input_share" as
            it was, "learning_rate", and what `loss` adds.
        """
        return self._train_step(*self._arguments(batch, continues))

    def train_steps(self, batches: Sequence[Batch], continues: Sequence[bool | np.ndarray]) -> list[dict[str, float]]:
        """Several updates in one call, to the bit those of `train_step`. Not overridden.

        Args:
            batches: all of one shape; how many there are may differ from call to call.
            continues: of each.

        Returns:
            Of each, what `train_step` says.
        """
        stacked, starts = Batch(*map(tf.stack, zip(*batches, strict=True))), tf.constant(continues)
        any_number = tf.nest.map_structure(lambda t: tf.TensorSpec([None, *t.shape[1:]], t.dtype), (stacked, starts))
        measured = self._train_steps.get_concrete_function(*any_number)(*stacked, starts)
        by_step = zip(*(values.numpy().tolist() for values in measured.values()), strict=True)
        return [dict(zip(measured, values, strict=True)) for values in by_step]

    def gradients(self, batch: Batch, continues: bool | np.ndarray) -> dict[str, tf.Tensor]:
        """What `train_step` with the same arguments would begin with. Changes nothing. Eager.

        Returns:
            By the path of each trainable variable: the loss's gradient over the batch, neither scaled nor clipped.
        """
        return self._begin_step(*self._arguments(batch, continues))

    def evaluate(
        self, batches: Iterable[tuple[Batch, bool]], look: Callable[[], None] = lambda: None
    ) -> dict[str, float]:
        """Closed-loop loss, of the averaged weights where they are averaged. Not overridden. Eager.

        Args:
            batches: (batch, whether it continues the one before), all of one shape.
            look: is called before each batch; what it raises ends the evaluation.

        Returns:
            "nats_per_char" and "bits_per_char".
        """

        def step(batch, state):
            look()
            return self._evaluate_step(batch, state)

        nats = float(evaluation_batches.closed_loop_loss(step, self.model.initial_state, batches))
        return {"nats_per_char": nats, "bits_per_char": metrics.bits_per_char(nats)}

    def _arguments(self, batch: Batch, continues: bool | np.ndarray) -> tuple[Batch, tf.Tensor]:
        return Batch(*map(tf.convert_to_tensor, batch)), tf.constant(continues)

    def _chosen(self, logits: tf.Tensor, noise: tf.Tensor, gold: tf.Tensor) -> tf.Tensor:
        return hook_checks.tensor(self, "choose", self.choose(logits, noise, gold), tf.int32, gold.shape, "[B]")

    def _one_evaluation(self, batch: Batch, state: States):
        logits, state = self.averaged(batch.inputs, state)
        return metrics.cross_entropy(logits, batch.targets, batch.weights), state

    def _updates(self, batches: Batch, continues: tf.Tensor) -> dict[str, tf.Tensor]:
        count, names = tf.shape(continues)[0], []

        def body(i, numbers):
            measured = self._train_step(Batch(*(part[i] for part in batches)), continues[i])
            names[:] = measured
            return i + 1, numbers.write(i, tf.stack(list(measured.values())))

        start = (0, tf.TensorArray(tf.float32, count))
        _, numbers = tf.while_loop(lambda i, _: i < count, body, start, parallel_iterations=1)
        return dict(zip(names, tf.unstack(numbers.stack(), len(names), 1), strict=True))

    def _one_update(self, batch: Batch, continues: tf.Tensor) -> dict[str, tf.Tensor]:
        own_input_prob = self.own_input_prob(self.step)  # before `on_step`, which may change what it depends on
        learning_rate = tf.convert_to_tensor(self.optimizer.learning_rate)  # before the update, which moves it on
        gradients, measured, state, rollout = self._all_gradients(batch, self._start_state(batch, continues))
        if rollout is not None:
            self.on_step(rollout, batch)
        measured = {
            **measured,
            "gradient_norm": self._update(gradients),
            "own_input_prob": own_input_prob,
            "learning_rate": learning_rate,
        }
        if self.source.carries_state:
            tf.nest.map_structure(lambda variable, s: variable.assign(s), self.carried, state)
        self.step.assign_add(1)
        return {name: tf.cast(value, tf.float32) for name, value in measured.items()}

    def _begun_update(self, batch: Batch, continues: tf.Tensor) -> dict[str, tf.Tensor]:
        """An update as far as the gradients, by the paths of their variables."""
        gradients, *_ = self._all_gradients(batch, self._start_state(batch, continues))
        paths = [variable.path for variable in self.model.trainable_variables]
        return {path: gradient / self._update.loss_scale() for path, gradient in zip(paths, gradients, strict=True)}

    def _all_gradients(
        self, batch: Batch, state: States
    ) -> tuple[list[tf.Tensor], dict[str, tf.Tensor], States, Rollout | None]:
        """The gradients of the loss, scaled, and what was measured; the same everywhere.

        Then the state after the batch, and what was read; None where no one has read the whole batch.
        """
        count = self._num_replicas * self._accumulate
        if count == 1:
            gradients, measured, rollout = self._gradients_of(batch, state)
            return gradients, measured, rollout.state, rollout
        if batch.inputs.shape[0] % count:
            raise UserError(f"{type(self).__name__}.batch_at returned {_uneven(batch.inputs.shape[0], count)}.")
        replica = tf.distribute.get_replica_context()
        first = self._accumulate * (replica.replica_id_in_sync_group if self._num_replicas > 1 else 0)
        if self.whole_batches or type(self).on_step is not Trainer.on_step:
            gradients, measured, rollout = self._gradients_of_whole(batch, state, first)
            return gradients, measured, rollout.state, rollout
        gradients, measured, state = self._gradients_in_parts(batch, state, first)
        if self._num_replicas == 1:
            return gradients, measured, state, None
        *gradients, numbers = replica.all_reduce("sum", [*gradients, tf.stack(list(measured.values()))])
        measured = dict(zip(measured, tf.unstack(numbers), strict=True))
        return gradients, measured, whole_batch.gathered(state if self.source.carries_state else ()), None

    def _gradients_of_whole(self, batch: Batch, state: States, first: int | tf.Tensor):
        """Gradients, measurements and what was read, where the loss is given the whole batch."""
        count = self._num_replicas * self._accumulate

        def read(index):
            with randomness.part_of_batch(index, count):
                return self._read(*whole_batch.cut((batch, state), index, count))

        def judge(rollout):
            loss, extra = hook_checks.loss(self, self.loss(rollout, batch))
            return self.optimizer.scale_loss(loss), self._measured(rollout, batch, extra)

        weights = [variable.value for variable in self.model.trainable_variables]
        return whole_batch.gradients(read, judge, weights, first, self._accumulate, count)

    def _gradients_in_parts(self, batch: Batch, state: States, first: int | tf.Tensor):
        """Gradients, measurements and state of one replica's rows, from part `first` on."""
        count = self._num_replicas * self._accumulate

        def part(index):
            mine = whole_batch.cut((batch, state), index, count)
            weight = tf.math.divide_no_nan(tf.reduce_sum(mine[0].weights), tf.reduce_sum(batch.weights))
            with randomness.part_of_batch(index, count):
                gradients, measured, rollout = self._gradients_of(*mine, weight, 1 / count)
                return gradients, measured, rollout.state

        return part(first) if self._accumulate == 1 else self._sum_in_turn(part, first, state)

    def _sum_in_turn(self, part: Callable, first: int | tf.Tensor, state: States):
        """The sums over this replica's parts, of which no two are in memory at a time."""
        names: list[str] = []

        def body(i, sums, numbers, states):
            gradients, measured, after = part(first + i)
            names[:] = measured
            sums = [total + gradient for total, gradient in zip(sums, gradients, strict=True)]
            states = tf.nest.map_structure(lambda array, s: array.write(i, s), states, after)
            return i + 1, sums, numbers.write(i, tf.stack(list(measured.values()))), states

        count = self._accumulate
        zeros = [tf.zeros_like(variable) for variable in self.model.trainable_variables]
        states = tf.nest.map_structure(lambda s: tf.TensorArray(s.dtype, count), state)
        start = (0, zeros, tf.TensorArray(tf.float32, count), states)
        loop = tf.while_loop(lambda i, *_: i < count, body, start, maximum_iterations=count, parallel_iterations=1)
        _, sums, numbers, states = loop
        measured = dict(zip(names, tf.unstack(tf.reduce_sum(numbers.stack(), 0), len(names)), strict=True))
        return sums, measured, tf.nest.map_structure(lambda array: array.concat(), states)

    def _gradients_of(self, batch: Batch, start: States, weight: tf.Tensor | None = None, share: float = 1.0):
        """Of some rows: the gradients of the scaled loss, measurements that are summed over parts, and what was read.

        Args:
            batch: the rows.
            start: the state before them.
            weight: these rows' part of the whole batch's weights, float32 `[]`; None: they are the batch.
            share: their part of the batch's rows.
        """
        with tf.GradientTape() as tape:
            rollout = self._read(batch, start)
            loss, extra = hook_checks.loss(self, self.loss(rollout, batch))
            scaled_loss = self.optimizer.scale_loss(loss if weight is None else loss * weight)
        gradients = tape.gradient(scaled_loss, self.model.trainable_variables, unconnected_gradients="zero")
        # A stock embedding's are rows, of which those of one id would each count for themselves in the norm.
        gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
        measured = self._measured(rollout, batch, extra)
        if weight is not None:
            weights = {"own_input_share": share, **dict.fromkeys(extra, weight)}
            measured = {name: tf.cast(value, tf.float32) * weights.get(name, 1.0) for name, value in measured.items()}
        return gradients, measured, rollout

    def _read(self, batch: Batch, start: States) -> Rollout:
        return hook_checks.rollout(self, self.forward(batch, start), Rollout, batch, start)

    def _measured(self, rollout: Rollout, batch: Batch, extra: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {
            "nats": metrics.nats(rollout.logits, batch.targets, batch.weights),
            "chars": tf.reduce_sum(batch.weights),
            "chars_read": tf.size(batch.inputs),
            "own_input_share": tf.reduce_mean(tf.cast(rollout.own, tf.float32)),
            **extra,
        }

    def _start_state(self, batch: Batch, continues: tf.Tensor) -> States:
        zero = self.model.initial_state(tf.shape(batch.inputs)[0])
        if not self.source.carries_state:
            return zero
        return tf.nest.map_structure(lambda z, s: tf.where(tf.reshape(continues, [-1, 1]), s, z), zero, self.carried)

    def _check_parts(self, rows: int, xla: bool) -> None:
        """UserError where the batch cannot be worked on in the parts that were asked for."""
        count = self._num_replicas * self._accumulate
        if rows % count:
            raise UserError(f"data.batch_size asks for {_uneven(rows, count)}: give a multiple of {count}.")
        if xla and self._num_replicas > 1:
            raise UserError("--xla compiles for one device: give --strategy=one_device, or leave it out.")


def _on_replicas(strategy: tf.distribute.Strategy, update: Callable, *arguments):
    """What `update` returns on one replica, for it is the same on all."""
    results = strategy.run(update, arguments)
    return {name: strategy.experimental_local_results(value)[0] for name, value in results.items()}


def _uneven(rows: int, count: int) -> str:
    return f"{rows} rows, which replicas times optimizer.accumulate = {count} does not divide"
