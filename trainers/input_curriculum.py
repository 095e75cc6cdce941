"""The parent of the curricula whose inputs are the network's own samples and whose targets are the text's characters.

    after_mistake=text       every target counts
    after_mistake=nothing    the targets of a row count up to the first input that differs from the text

After a wrong input, the text's next character is not what should follow the characters that were read. With "text" the
best model is therefore not the distribution of the text (Huszár 2015, arXiv 1511.05101). With "nothing" it is.
"""

import dataclasses

import tensorflow as tf

from charrnn.batches.sources import Batch
from charrnn.errors import require
from trainers.trainer import Rollout, Trainer

AFTER_MISTAKE = ("text", "nothing")


@dataclasses.dataclass(frozen=True)
class InputConfig:
    """The targets after a mistake. As a keyword only, so that the fields of a subclass keep their positions."""

    after_mistake: str = dataclasses.field(default="text", kw_only=True)  # targets of a row after its first wrong input

    def __post_init__(self):
        right = self.after_mistake in AFTER_MISTAKE
        require("trainer.after_mistake", self.after_mistake, right, f"one of {', '.join(AFTER_MISTAKE)}")
        getattr(super(), "__post_init__", lambda: None)()  # of the base beside this one, if there is one


class InputCurriculum(Trainer):
    """Counts all targets, or only those before a row's first mistake.

    With "nothing" the loss is the mean over the counted characters of the whole batch. Its parts count different
    shares, so the loss needs the whole batch.
    """

    @dataclasses.dataclass(frozen=True)
    class Config(InputConfig):
        """The targets after a mistake."""

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        if self.config.after_mistake == "nothing":
            reason = "text with data.order=streams, because a carried state would stay that of a mistake"
            require("trainer.after_mistake", "nothing", not self.source.carries_state, reason)
            self.needs_whole_batch = True

    def loss(self, rollout: Rollout, batch: Batch) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Returns the cross-entropy of the counted characters. With "nothing" it logs the share of the others. Graph.

        Returns:
            The loss float32 `[]`; "strayed", float32 `[]`, only with "nothing".
        """
        if self.config.after_mistake == "text":
            return super().loss(rollout, batch)
        strayed = tf.cast(has_strayed(rollout.fed, batch.inputs), tf.float32)[:, -tf.shape(batch.targets)[1] :]
        loss, extra = super().loss(rollout, batch._replace(weights=batch.weights * (1 - strayed)))
        share = tf.math.divide_no_nan(tf.reduce_sum(batch.weights * strayed), tf.reduce_sum(batch.weights))
        return loss, {**extra, "strayed": share}

    last_suffices = (*Trainer.last_suffices, loss)


def has_strayed(fed: tf.Tensor, text: tf.Tensor) -> tf.Tensor:
    """Returns the positions at which the network has read something else than the text.

    Args:
        fed: the ids that it read, int32 `[B, T]`.
        text: the text's ids, int32 `[B, T]`.

    Returns:
        bool `[B, T]`: whether the ids of the row differ anywhere up to and including the position.
    """
    return tf.cumsum(tf.cast(fed != text, tf.int32), axis=1) > 0
