"""Losses of other systems than the model alone, on the same text.

    evaluate(run_dir, protocol, print, others=[dynamic(Dynamic()), ngrams, calibration])

Each takes the model, the texts and their reference, and returns losses by name. Eager.
"""

import functools
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from charrnn import metrics
from charrnn.batches import evaluation_batches
from charrnn.batches.carried_state import StatefulPass
from charrnn.batches.sources import Batch, DataConfig
from charrnn.batches.texts import Texts
from charrnn.measures.dynamic_evaluation import Dynamic, dynamic_loss
from charrnn.measures.ngrams import KneserNey
from charrnn.measures.reference import Reference
from charrnn.model.char_model import CharModel, States
from trainers.evaluation.evaluation import OtherSystem, closed_loop_step, training_ngrams
from trainers.teachers import networks

_TEMPERATURES = np.arange(60, 161, dtype=np.float32) / 100


def dynamic(config: Dynamic) -> OtherSystem:
    """Returns dynamic evaluation as a system: the model continues to learn; loss "nats_per_char_dynamic".

    Args:
        config: how the model adapts.
    """

    def measure(model: CharModel, texts: Texts, reference: Reference) -> dict[str, float]:
        return {"nats_per_char_dynamic": dynamic_loss(model, texts.train, texts.validation, config)}

    return measure


def ensemble(run_dirs: Sequence[str]) -> OtherSystem:
    """Returns the mean of the model's probabilities and those of other runs' models as a system.

    Its losses are "nats_per_char_ensemble", with the state carried, and "nats_per_char_window_256_ensemble".

    Args:
        run_dirs: the other runs.
    """

    def measure(model: CharModel, texts: Texts, reference: Reference) -> dict[str, float]:
        others = networks.load("--ensemble", run_dirs, texts.vocabulary)
        averaged = networks.Networks([model, *others.models])

        @tf.function(autograph=False)
        def step(batch: Batch, state: tuple[States, ...]) -> tuple[tf.Tensor, tuple[States, ...]]:
            log_probs, state = averaged(batch.inputs, state)
            return metrics.cross_entropy(log_probs, batch.targets, batch.weights), state

        passes = evaluation_batches.passes_for(texts.validation, DataConfig())
        return {
            f"{name}_ensemble": float(evaluation_batches.closed_loop_loss(step, averaged.initial_state, make_pass()))
            for name, make_pass in passes.items()
        }

    return measure


def ngrams(model: CharModel, texts: Texts, reference: Reference) -> dict[str, float]:
    """Returns the losses of n-grams of the training text, alone and interpolated with the model."""
    counted = reference if isinstance(reference, KneserNey) else training_ngrams(texts)
    others = counted.log_probs(np.asarray(texts.validation)[None])[0, 1:]
    step, batches = functools.partial(closed_loop_step, model), StatefulPass(texts.validation)
    own = -evaluation_batches.losses_in_order(step, model.initial_state, batches)
    return {
        f"nats_per_char_{counted.order}_gram": -float(others.mean()),
        f"nats_per_char_with_{counted.order}_gram": metrics.interpolated_loss(own, others),
    }


def calibration(model: CharModel, texts: Texts, reference: Reference) -> dict[str, float]:
    """Returns the best `model.temperature` for the validation text, and the loss at it.

    Searches from 0.6 to 1.6 times the model's own temperature; the state is carried over the text.

    Returns:
        "best_temperature", and "nats_per_char_at_best_temperature".
    """

    @tf.function(autograph=False)
    def step(batch: Batch, state: States) -> tuple[tf.Tensor, States]:
        logits, state = model(batch.inputs, state)
        of_rows = lambda t: tf.reduce_sum(metrics.cross_entropy(logits / t, batch.targets, batch.weights), 1)  # noqa: E731
        return tf.map_fn(of_rows, _TEMPERATURES)[..., None], state

    losses = evaluation_batches.closed_loop_loss(step, model.initial_state, StatefulPass(texts.validation))
    best = float(_TEMPERATURES[losses.argmin()]) * model.config.temperature
    return {"best_temperature": round(best, 4), "nats_per_char_at_best_temperature": float(losses.min())}
