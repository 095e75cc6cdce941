"""Distillation: the targets are a teacher's distributions, also after characters that the network wrote itself.

    no mistake yet:   (1 - s) · (-ln Q(text)) + s · D(T, Q)
    after a mistake:  D(T, Q)
    D:  forward KL(T‖Q);  reverse KL(Q‖T);  jsd β · KL(T‖M) + (1 - β) · KL(Q‖M), M = β · T + (1 - β) · Q

Q is the network's distribution of the next character, T the teacher's after the same characters. All are exact sums
over the vocabulary. If the teacher is the text's source, Q = T is the optimum for every share of own characters, unlike
with the text's characters as targets (Huszár 2015, arXiv 1511.05101). This is imitation learning: DAgger (Ross et al.
2011, arXiv 1011.0686), ImitKD (Lin et al. 2020, arXiv 2009.07253), GKD (Agarwal et al. 2023, arXiv 2306.13649). A
teacher must know more than the network. Reverse KL alone, from random weights, may collapse to few characters; it needs
the text's share (s below 1) or a warm start.
"""

import dataclasses
import math
from typing import Any

import numpy as np
import tensorflow as tf

from charrnn import metrics, randomness
from charrnn.batches.sources import Batch, DataConfig
from charrnn.batches.texts import Texts
from charrnn.errors import UserError, check_row_chars, require
from charrnn.measures.exact_source import exact_source
from trainers.input_curriculum import has_strayed
from trainers.step import coins
from trainers.teachers import networks
from trainers.teachers.exact_source import SourceTeacher
from trainers.teachers.networks import Networks
from trainers.teachers.ngrams import Ngrams
from trainers.teachers.stored import Stored
from trainers.teachers.teacher import Teacher
from trainers.trainer import Rollout, Trainer

_MOST_COUNTED_CHARS = 10_000_000

DIVERGENCES = ("forward", "reverse", "jsd")


class Distillation(Trainer):
    """Learns a teacher's distributions, on the text and on rows that are the network's own after a beginning.

    No gradient flows through the choice of an own character, nor through the teacher, which is no part of a checkpoint:
    it is read again when the run resumes, and must have the same weights. The network's average is a teacher that moves
    with the network.
    """

    @dataclasses.dataclass(frozen=True)
    class Config:
        """The teacher, the divergence, and the own characters."""

        teacher: str = "source"  # "source": the exact one of a built-in text; "average": the run's averaged weights;
        # "ngram": Kneser-Ney of the training text, each place without itself; else run directories with commas between
        # them, whose probabilities are averaged
        divergence: str = "forward"  # D: "forward" is KL(teacher‖network), "reverse" KL(network‖teacher), or "jsd"
        beta: float = 0.5  # β of jsd, the teacher's share of the mixture
        soft_share: float = 0.5  # s, the teacher's share of the loss where the text's character is a right target too
        own_share: float = 0.0  # share of the rows whose inputs are the network's own after a beginning
        beginning: int = 16  # characters of the text at the start of such a row
        after_mistake: str = "teacher"  # targets of a row after its first wrong input: "teacher", or "nothing"
        stored: bool = False  # whether run directories read the text once, before the first step, so that they cost
        # nothing later; takes 2 bytes times the vocabulary's size for each character of the training text

        def __post_init__(self):
            known = self.divergence in DIVERGENCES
            require("trainer.divergence", self.divergence, known, f"one of {', '.join(DIVERGENCES)}")
            require("trainer.beta", self.beta, 0 < self.beta < 1, "above 0 and below 1")
            require("trainer.soft_share", self.soft_share, 0 <= self.soft_share <= 1, "from 0 to 1")
            require("trainer.own_share", self.own_share, 0 <= self.own_share <= 1, "from 0 to 1")
            check_row_chars("trainer.beginning", self.beginning)
            right = self.after_mistake in ("teacher", "nothing")
            require("trainer.after_mistake", self.after_mistake, right, "teacher or nothing")
            runs = self.teacher not in ("source", "average", "ngram")
            require("trainer.stored", self.stored, runs or not self.stored, "false unless runs teach")
            possible = not (self.stored and self.own_share)
            require("trainer.stored", self.stored, possible, "false with own inputs")

    def __init__(self, *arguments, **named):
        self._teacher: Teacher | None = None
        super().__init__(*arguments, **named)
        if self.config.after_mistake == "nothing":
            reason = "teacher with data.order=streams, because a carried state would stay that of a mistake"
            require("trainer.after_mistake", "nothing", not self.source.carries_state, reason)
            self.needs_whole_batch = True  # a mean over the counted characters, of which parts have different shares
        self.fingerprint = self.new_variable(tf.constant(0, tf.int64), "fingerprint")
        self._compared = False

    def prepare(self, texts: Texts) -> None:
        """Loads the teacher. Eager.

        Raises:
            UserError: there is no such teacher, or it is one of another text.
        """
        self._teacher = self._load(texts)
        self.fingerprint.assign(self._teacher.fingerprint)
        self.make_carried()

    def _load(self, texts: Texts) -> Teacher:
        given = self.config.teacher
        require("trainer.teacher", given, given.strip() != "", "source, average, ngram, or run directories")
        if given == "average":
            averaged = self.averaged is not self.model
            require("trainer.teacher", given, averaged, "another one unless optimizer.averaging is above 0")
            return Networks([self.averaged], fixed=False)
        if given == "ngram":
            short = f"another one for more than {_MOST_COUNTED_CHARS:,} characters of training text"
            require("trainer.teacher", given, len(texts.train) <= _MOST_COUNTED_CHARS, short)
            return Ngrams(np.asarray(texts.train), texts.vocabulary.size)
        if given == "source":
            return self._source(texts)
        teacher = networks.load("trainer.teacher", given.split(","), texts.vocabulary)
        if not self.config.stored:
            return teacher
        require("trainer.stored", True, self.source.order != "lines", "false with data.order=lines")
        return Stored(teacher, texts.train, texts.vocabulary.size)

    def _source(self, texts: Texts) -> SourceTeacher:
        reference = exact_source(texts, texts.data or DataConfig())
        if reference is None:
            raise UserError(
                f"trainer.teacher=source is not possible: the exact source of {texts.name}, as it is read here, is not "
                "known; give run directories, or average."
            )
        return SourceTeacher(reference)

    def initial_state(self, batch_size: int | tf.Tensor) -> Any:
        """Returns the states of network and teacher, and that no row has strayed, bool `[B, 1]`. Eager or graph."""
        if self._teacher is None:
            return super().initial_state(batch_size)
        strayed = tf.zeros([batch_size, 1], tf.bool)
        return super().initial_state(batch_size), self._teacher.initial_state(batch_size), strayed

    def batch_at(self, step: int, rows: range | None = None) -> Batch:
        """Returns the source's batch, or these rows of it. Eager.

        Raises:
            UserError: the run has resumed with another teacher than it started with; or the teacher is stored, and the
                batch's places in the text are unknown.
        """
        if self._teacher is not None and not self._compared:
            if int(self.fingerprint.numpy()) != self._teacher.fingerprint:
                raise UserError(
                    f"trainer.teacher={self.config.teacher} is not possible: this run started with another teacher, or "
                    "with other weights of it; give a copy with those weights there, or another --run_dir."
                )
            self._compared = True
        batch = super().batch_at(step, rows)
        if self.config.stored and np.min(batch.places) < 0:
            raise UserError(
                "trainer.stored=true is not possible: the source of these batches does not tell their places in the "
                "text; set it to false."
            )
        return batch

    def own_inputs(self, step: tf.Tensor, batch: Batch) -> tf.Tensor | None:
        """Returns whole rows except for their beginnings, bool `[B, T]`; None without own rows. Graph."""
        if not self.config.own_share:
            return None
        shape, seed = tf.shape(batch.inputs), self.random_seed(randomness.Purpose.OWN_INPUTS)
        return coins.per_row(shape, self.config.own_share, seed) & (tf.range(shape[1]) >= self.config.beginning)

    def forward(self, batch: Batch, state: Any) -> Rollout:
        """Reads the batch, and lets the teacher read the same characters. Graph."""
        if self._teacher is None:
            return super().forward(batch, state)
        own, teachers, before = state
        rollout = super().forward(batch, own)
        log_probs, teachers = self._teacher(rollout.fed, teachers, batch)
        strayed = has_strayed(rollout.fed, batch.inputs) | before
        return rollout._replace(state=(rollout.state, teachers, strayed[:, -1:]), extra=(log_probs, strayed))

    def loss(self, rollout: Rollout, batch: Batch) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Returns the cross-entropy and the divergence, each with its share. Graph.

        Returns:
            The loss float32 `[]`; "teacher_gap", the mean of KL(T‖Q), "own_entropy", the entropy of Q, and
            "teacher_entropy", that of T after the same characters, nats per character;
            "strayed", the share of the targets after a mistake; each float32 `[]`.
        """
        s = self.config.soft_share
        if self._teacher is None:
            if s or self.config.own_share:
                raise UserError("Distillation has no teacher: call its prepare(texts) before the first step.")
            return super().loss(rollout, batch)
        log_t, after_mistake = rollout.extra
        log_q = tf.nn.log_softmax(rollout.logits)
        strayed = tf.cast(after_mistake, tf.float32)
        on_text = batch.weights * (1 - strayed)
        off_text = tf.zeros_like(strayed) if self.config.after_mistake == "nothing" else batch.weights * strayed
        nats = metrics.nats(rollout.logits, batch.targets, on_text * (1 - s), self.label_smoothing)
        if s or self.config.own_share:
            apart = divergence(self.config.divergence, log_t, log_q, self.config.beta)
            nats += tf.reduce_sum((s * on_text + off_text) * apart)
        loss = tf.math.divide_no_nan(nats, tf.reduce_sum(on_text + off_text))

        def mean(values):
            return tf.math.divide_no_nan(tf.reduce_sum(batch.weights * values), tf.reduce_sum(batch.weights))

        return loss, {
            "teacher_gap": mean(kl(log_t, log_q)),
            "own_entropy": mean(entropy(log_q)),
            "teacher_entropy": mean(entropy(log_t)),
            "strayed": mean(strayed),
        }


def divergence(name: str, log_t: tf.Tensor, log_q: tf.Tensor, beta: float = 0.5) -> tf.Tensor:
    """Returns D(T, Q) of each pair of distributions, nats, float32 `[B, T]`. Differentiable in both.

    Args:
        name: one of DIVERGENCES.
        log_t: ln T, the teacher's, float32 `[B, T, V]`.
        log_q: ln Q, the network's, float32 `[B, T, V]`.
        beta: β of jsd.
    """
    if name == "forward":
        return kl(log_t, log_q)
    if name == "reverse":
        return kl(log_q, log_t)
    mixed = tf.reduce_logsumexp(tf.stack([log_t + math.log(beta), log_q + math.log(1 - beta)]), 0)
    return beta * kl(log_t, mixed) + (1 - beta) * kl(log_q, mixed)


def kl(log_a: tf.Tensor, log_b: tf.Tensor) -> tf.Tensor:
    """Returns KL(A‖B) = Σ A · (ln A - ln B) over the last axis, nats: two `[B, T, V]` -> float32 `[B, T]`."""
    return tf.reduce_sum(tf.exp(log_a) * (log_a - log_b), -1)


def entropy(log_probs: tf.Tensor) -> tf.Tensor:
    """Returns the entropies over the last axis, nats: ln p `[B, T, V]` -> float32 `[B, T]`."""
    return -tf.reduce_sum(tf.exp(log_probs) * log_probs, -1)
