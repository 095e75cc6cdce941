"""The replicas of a run: TensorFlow's `tf.distribute` strategies by name.

    strategy = make_strategy(config, run)
    workers = Workers(strategy)         # only the chief of several processes writes
    with workers.strategy.scope():
        trainer = make_trainer(experiment, texts)
"""

import contextlib
import functools
import os
import signal
from collections.abc import Callable, Iterator

import tensorflow as tf

from charrnn.errors import UserError
from trainers.configs import RuntimeConfig
from trainers.distribution.cluster import Cluster
from trainers.loop.checkpoints import Checkpoints
from trainers.loop.stopping import Stopped

_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
)
"""Errors of a collective operation after a worker is lost."""


class WorkerLost(Exception):
    """Another worker is gone or cannot be reached."""


def make_strategy(config: RuntimeConfig, run: str = "") -> tf.distribute.Strategy:
    """Returns the strategy that a config names. Call it before any other use of TensorFlow.

    Args:
        config: "auto" means "multi_worker" if TF_CONFIG is set, "mirrored" on several GPUs, else "one_device".
        run: a fingerprint of the run; must be equal on all workers.

    Raises:
        UserError: the strategy is not possible on this machine.
    """
    if config.virtual_replicas:
        split_cpu(config.virtual_replicas)
    name = name_of(config)
    if name == "mirrored":
        return _mirrored(bool(config.virtual_replicas))
    if name == "multi_worker":
        return _multi_worker(run, config.worker_timeout)
    return _tpu() if name == "tpu" else tf.distribute.get_strategy()


def split_cpu(count: int) -> None:
    """Splits the CPU into several devices, to try replicas on.

    Args:
        count: number of devices.

    Raises:
        UserError: TensorFlow has started already.
    """
    cpu = tf.config.list_physical_devices("CPU")[0]
    try:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
    except RuntimeError as error:
        if len(tf.config.list_logical_devices("CPU")) != count:
            raise UserError(f"runtime.virtual_replicas={count} must be known before TensorFlow starts.") from error


def name_of(config: RuntimeConfig) -> str:
    """Returns the strategy of a config: one of STRATEGIES, but not "auto"."""
    if config.strategy != "auto":
        return config.strategy
    if os.environ.get("TF_CONFIG"):
        return "multi_worker"
    return "mirrored" if len(tf.config.list_physical_devices("GPU")) > 1 or config.virtual_replicas else "one_device"


def _mirrored(on_cpu: bool) -> tf.distribute.Strategy:
    gpus = [] if on_cpu else tf.config.list_logical_devices("GPU")
    devices = gpus or tf.config.list_logical_devices("CPU")
    if len(devices) < 2:
        raise UserError(
            "--strategy=mirrored needs several devices, and there is one: give --strategy=one_device; to try it on a "
            "CPU, add --set runtime.virtual_replicas=2."
        )
    return _mirrored_on(tuple(device.name for device in devices))


@functools.cache  # two of them in one process would receive each other's messages
def _mirrored_on(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    return tf.distribute.MirroredStrategy(devices)


def _multi_worker(run: str, timeout: float) -> tf.distribute.Strategy:
    cluster = Cluster.from_environment()
    cluster.meet(run, timeout)
    handler = signal.getsignal(signal.SIGTERM)
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except tf.errors.OpError as error:
        raise UserError(f"{cluster.addresses[cluster.index]} of TF_CONFIG cannot be used: {error.message}.") from error
    signal.signal(signal.SIGTERM, handler)  # TensorFlow replaced it by one that stops nothing
    return strategy


def _tpu() -> tf.distribute.Strategy:
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=os.environ.get("TPU_NAME", "local"))
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        raise UserError("--strategy=tpu finds no TPU: set TPU_NAME, or give another --strategy.") from error
    return tf.distribute.TPUStrategy(resolver)


def describe(strategy: tf.distribute.Strategy, batch_size: int) -> Iterator[str]:
    """Yields a line for the user if there are several replicas.

    Args:
        strategy: the strategy.
        batch_size: sequences per batch, on all replicas together.
    """
    count = strategy.num_replicas_in_sync
    if count > 1:
        share = f"{batch_size // count} of the {batch_size} sequences of a batch on each"
        yield f"{count} replicas by {type(strategy).__name__}, {share}"


class Workers:
    """The processes that train one run together, and what they must agree on; nothing for a single process."""

    def __init__(self, strategy: tf.distribute.Strategy):
        self.strategy = strategy
        self.several = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
        self.is_chief = not self.several or Cluster.from_environment().is_chief
        self._begun = False  # whether all have come to the first step
        self._sum = tf.function(lambda value: strategy.run(_sum_over_replicas, (value,)), autograph=False)

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Raises WorkerLost if the body loses another worker.

        Raises UserError instead before the first step, because a mistake that one worker alone finds would recur.
        """
        try:
            yield
        except _LOST as error:
            if not self.several:
                raise
            if not self._begun:
                raise UserError("Another worker is gone before the first step: its own message says why.") from error
            raise WorkerLost("another worker is gone or cannot be reached") from error

    def check_same(self, what: str, number: int, remedy: str) -> None:
        """Raises UserError if `number` differs between the workers.

        Args:
            what: names the number.
            number: the value on this worker.
            remedy: what to do.
        """
        if self.several and self.any(self._means([number]) != [number]):
            raise UserError(f"The workers do not have the same {what} ({number:,} on this one): {remedy}.")

    def agreeing_to_stop(self, look: Callable[[], None]) -> Callable[[], None]:
        """Returns a function that raises Stopped on all workers after the same step, if any of them was asked to stop.

        Args:
            look: raises Stopped if this worker was asked to stop.
        """
        if not self.several:
            return look

        def look_at_all() -> None:
            try:
                look()
                asked = False
            except Stopped:
                asked = True
            stops, self._begun = self.any(asked), True
            if stops:
                raise Stopped

        return look_at_all

    def any(self, here: bool) -> bool:
        """Returns whether something holds on any worker, so that all decide alike."""
        return self._means([float(here)]) != [0.0] if self.several else here

    def mean(self, measured: dict[str, float]) -> dict[str, float]:
        """Returns the means of the measurements over all workers, so that all decide alike."""
        if not self.several:
            return measured
        return dict(zip(measured, self._means(list(measured.values())), strict=True))

    def _means(self, values: list[float]) -> list[float]:
        sums = self.strategy.experimental_local_results(self._sum(tf.constant(values, tf.float64)))[0]
        return [total / self.strategy.num_replicas_in_sync for total in sums.numpy().tolist()]


class ReadOnlyCheckpoints(Checkpoints):
    """The checkpoints of a worker that is not the chief: restores them, and gives its rows to those that it saves."""

    def _write(self, write: Callable[[], str | None]) -> str | None:
        """Writes nothing: the chief does."""
        return super()._write(lambda: None)


def _sum_over_replicas(value: tf.Tensor) -> tf.Tensor:
    return tf.distribute.get_replica_context().all_reduce("sum", tf.identity(value))
