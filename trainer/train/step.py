"""One optimizer step on the device: gradients in parts, update, average, tally.

This is not left to `keras.Model.fit`, because a run must resume at any position of the stream,
and because fit's own overhead dominates small steps.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from trainer.config import TrainConfig
from trainer.data.on_device import augmented
from trainer.data.stream import Batch
from trainer.devices import Devices
from trainer.models.build import Network
from trainer.models.fused_norm import fused_normalisation
from trainer.models.head import Trainability, frozen_parameters
from trainer.models.weights import model_state
from trainer.runs.checkpoints import Variable
from trainer.train import losses
from trainer.train.losses import Loss
from trainer.train.optim import PacedOptimizer

# What XLA raises before it has run anything: an operation that it lacks, or shapes not known.
CANNOT_COMPILE = (tf.errors.UnimplementedError, tf.errors.InvalidArgumentError)


class Tally(NamedTuple):
    """Sums over the pictures of one or more steps; tallies add.

    Attributes:
      loss: float32, sum of the pictures' losses as trained on.
      right: float32[classes], pictures of each class that are predicted correctly.
      predicted: float32[classes], pictures predicted as each class.
      actual: float32[classes], pictures of each class.
    """

    loss: tf.Tensor | np.ndarray
    right: tf.Tensor | np.ndarray
    predicted: tf.Tensor | np.ndarray
    actual: tf.Tensor | np.ndarray


class Stepper:
    """The compiled training step, and the variables that it changes.

    Attributes:
      model: the network.
      loaded: which of its weights came from --weights; None without.
      frozen: number of parameters in layers that were built frozen, and stay so.
      optimizer: built on all its trainable variables.
      step: int64 variable, optimizer steps done.
      average: moving averages of the model's float variables by name; empty without --ema.
    """

    def __init__(
        self,
        network: Network,
        optimizer: keras.optimizers.Optimizer,
        loss: Loss,
        config: TrainConfig,
        devices: Devices,
    ) -> None:
        model = network.model
        self.model = model
        self.loaded = network.loaded
        self.optimizer = optimizer
        self._loss = loss
        self._config = config
        self._strategy = devices.strategy
        self._jit = devices.jit
        self._on_gpu = devices.kind == "gpu"
        optimizer.build(model.trainable_variables)
        self.step = _counter("step")
        self.average = _averages(model) if config.ema else {}
        self._trainability = Trainability(model)
        self.frozen = frozen_parameters(model)
        self._phase = (0, False)
        self._train_everything()
        self._run: Callable[[Batch], tf.Tensor] = self._compile()

    def run(self, batch: Batch) -> tf.Tensor:
        """Runs one execution, without waiting for a GPU that computes it.

        Where XLA is used by default and cannot compile the step, this says so and goes on without.

        Returns:
          The step's tally, packed as one float32[1 + 3·classes] for `to_host`; of stacked batches
          one row for each.
        """
        try:
            return self._run(batch)
        except CANNOT_COMPILE as error:
            if not self._jit or self._config.jit_compile == "on":
                raise
            reason = error.message.splitlines()[0]
            print(f"note: the step runs without XLA, which cannot compile it: {reason}",
                  file=sys.stderr)  # fmt: skip
        self._jit = False
        self._run = self._compile()
        return self._run(batch)

    @property
    def state(self) -> dict[str, Variable]:
        """Every variable that a resumed run needs, by a stable name."""
        return {
            **model_state(self.model),
            **self.optimizer_state,
            **{f"average/{name}": v for name, v in self.average.items()},
            "step": self.step,
        }

    @property
    def optimizer_state(self) -> dict[str, Variable]:
        """The optimizer's variables, by the names that `state` gives them."""
        return {f"optimizer/{i:04d}": v for i, v in enumerate(self.optimizer.variables)}

    @property
    def optimizer_steps(self) -> int:
        """Steps that the optimizer has counted, those of a run that this one began with too."""
        return int(self._inner_optimizer.iterations)

    def count_from(self, steps: int) -> None:
        """Begins the first phase's schedule where the optimizer has counted so many steps."""
        self._inner_optimizer.count_from(steps)

    @property
    def learning_rate(self) -> float:
        """Of the next step."""
        return float(self._inner_optimizer.learning_rate)

    def enter(self, phase: int, *, frozen: bool, begins: bool) -> None:
        """Makes the step that of a phase of the run; compiles it again where that changes.

        Args:
          phase: from 0; each has a schedule of its own.
          frozen: train the head alone.
          begins: the phase has had no step yet, so the optimizer starts anew.
        """
        if begins and phase:
            self._inner_optimizer.forget()
        if (phase, frozen) == self._phase:
            return
        self._phase = (phase, frozen)
        self._inner_optimizer.enter(phase)
        if frozen:
            self._trainability.head_only()
        else:
            self._train_everything()
        self._run = self._compile()

    def restart_average(self) -> None:
        """Makes the averages equal to the weights."""
        state = model_state(self.model)
        for name, average in self.average.items():
            average.assign(state[name].numpy())

    def unfreeze(self) -> None:
        """Makes every layer trainable that was so when the network was built."""
        self._trainability.everything()

    def _train_everything(self) -> None:
        """Makes everything trainable, but normalisation that keeps its loaded statistics."""
        if self.loaded is None or self._config.train_batch_norm:
            self._trainability.everything()
        else:
            self._trainability.all_but_norms(self.loaded.variables)

    @property
    def _inner_optimizer(self) -> PacedOptimizer:
        return getattr(self.optimizer, "inner_optimizer", self.optimizer)

    def use_average(self) -> dict[str, np.ndarray]:
        """Puts the averages into the model and returns what they replaced, name → array."""
        state = model_state(self.model)
        replaced = {name: np.asarray(state[name].numpy()) for name in self.average}
        for name, variable in self.average.items():
            state[name].assign(variable.numpy())
        return replaced

    def put_back(self, replaced: dict[str, np.ndarray]) -> None:
        """Undoes `use_average`."""
        state = model_state(self.model)
        for name, values in replaced.items():
            state[name].assign(values)

    def _compile(self) -> Callable[[Batch], tf.Tensor]:
        step = tf.function(self._step, jit_compile=self._jit)
        if self._config.steps_per_execution > 1:
            return tf.function(lambda batches: _repeat(step, batches), reduce_retracing=True)
        if self._strategy.num_replicas_in_sync > 1:
            return tf.function(self._on_replicas)
        return step

    def _on_replicas(self, batch: Batch) -> tf.Tensor:
        packed = self._strategy.run(self._step, (batch,))
        return self._strategy.reduce(tf.distribute.ReduceOp.SUM, packed, axis=None)

    def _step(self, batch: Batch) -> tf.Tensor:
        """Runs one step on one replica's batch; returns its tally, packed."""
        batch = batch._replace(images=augmented(batch.images, batch.choices), choices=())
        variables = self.model.trainable_variables
        gradients, tally = self._accumulate(batch, variables)
        if self._config.clip_norm:
            gradients = self._clipped(gradients)
        self.optimizer.apply(gradients, variables)
        self.step.assign_add(1)
        self._update_average()
        return tf.concat([tally.loss[None], *tally[1:]], axis=0)

    def _accumulate(
        self, batch: Batch, variables: list[keras.Variable]
    ) -> tuple[list[tf.Tensor], Tally]:
        """Returns the batch's gradients, computed in --grad_accum parts, one after another."""
        parts = self._config.grad_accum
        if parts == 1:
            return self._gradients(batch, variables)
        split = tf.nest.map_structure(lambda x: tf.reshape(x, [parts, -1, *x.shape[1:]]), batch)
        start = self._gradients_like(variables)

        def add(i: tf.Tensor, gradients: list[tf.Tensor], tally: Tally) -> tuple:
            more, part = self._gradients(_at(split, i), variables)
            summed = [a + b for a, b in zip(gradients, more, strict=True)]
            return i + 1, summed, Tally(*(a + b for a, b in zip(tally, part, strict=True)))

        _, gradients, tally = tf.while_loop(
            lambda i, *_: i < parts,
            add,
            (0, start, self._empty_tally()),
            parallel_iterations=1,  # Parts in parallel would need the memory of all.
        )
        return gradients, tally

    def _gradients(
        self, batch: Batch, variables: list[keras.Variable]
    ) -> tuple[list[tf.Tensor], Tally]:
        """Returns gradients of Σ weight·loss / B, B the whole batch of all parts and replicas."""
        size = self._config.fixed_batch_size
        values = [v.value for v in variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            with fused_normalisation() if self._on_gpu and not self._jit else nullcontext():
                logits = self.model(batch.images, training=True)
            targets = losses.soft_targets(
                batch.labels, batch.partners, batch.share, logits.shape[-1]
            )
            each = self._loss(logits, targets, self.step) * batch.weight
            total = tf.reduce_sum(each)
            scaled = self.optimizer.scale_loss(total / size + self._regularisation())
        gradients = tape.gradient(scaled, values, unconnected_gradients="zero")
        return gradients, _tally(total, logits, batch)

    def _regularisation(self) -> tf.Tensor:
        """Returns the network's own penalties, divided so that parts and replicas add them once."""
        shares = self._config.grad_accum * self._strategy.num_replicas_in_sync
        # Under mixed precision those of a layer's outputs are of half precision.
        penalties = [tf.cast(loss, tf.float32) for loss in self.model.losses]
        return tf.add_n([tf.constant(0.0), *penalties]) / shares

    def _clipped(self, gradients: list[tf.Tensor]) -> list[tf.Tensor]:
        """Returns gradients clipped by the norm of the whole batch's gradient.

        Replicas hold parts of it. The optimizer sums over replicas afterwards, so each gives its
        share of the clipped sum.
        """
        replicas = self._strategy.num_replicas_in_sync
        limit = self.optimizer.scale_loss(tf.constant(self._config.clip_norm))
        if replicas > 1:
            context = tf.distribute.get_replica_context()
            gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        clipped, _ = tf.clip_by_global_norm(gradients, limit)
        return [gradient / replicas for gradient in clipped]

    def _update_average(self) -> None:
        """Moves averages toward the weights, faster at first, while the average means little.

        Source: TensorFlow's ExponentialMovingAverage, min(decay, (1 + step) / (10 + step)).
        """
        if not self.average:
            return
        step = tf.cast(self.step, tf.float32)
        rest = 1 - tf.minimum(self._config.ema, (1 + step) / (10 + step))
        state = model_state(self.model)
        for name, average in self.average.items():
            average.assign(average + rest * (state[name].value - average))

    def _gradients_like(self, variables: list[keras.Variable]) -> list[tf.Tensor]:
        return [tf.zeros(v.shape, v.dtype) for v in variables]

    def _empty_tally(self) -> Tally:
        classes = self.model.output_shape[-1]
        return Tally(tf.zeros([]), *(tf.zeros([classes]) for _ in range(3)))


def empty_tally(classes: int) -> Tally:
    """Returns the tally of nothing, as numpy float64."""
    return Tally(np.zeros([]), *(np.zeros([classes]) for _ in range(3)))


def to_host(packed: tf.Tensor) -> list[Tally]:
    """Returns the tally of each step of an execution as numpy; waits for the device, once.

    Args:
      packed: float32[1 + 3·classes], or a row for each step.
    """
    rows = np.atleast_2d(np.asarray(packed))
    return [Tally(row[0], *np.split(row[1:], 3)) for row in rows]


def steps_in(packed: tf.Tensor) -> int:
    """Returns the number of steps of an execution, without waiting for them."""
    return 1 if packed.shape.rank == 1 else int(packed.shape[0])


def add_tallies(total: Tally, part: Tally) -> Tally:
    """Returns the sum, as numpy float64."""
    return Tally(*(np.asarray(a, np.float64) + b for a, b in zip(total, part, strict=True)))


def train_metrics(tally: Tally) -> dict[str, float]:
    """Returns loss, top1 and macro_f1, the mean over the classes that had pictures.

    A mixed picture counts as its first label.
    """
    actual = np.asarray(tally.actual)
    pictures = float(np.sum(actual))
    there = actual > 0
    f1 = 2 * np.asarray(tally.right)[there] / (actual + tally.predicted)[there]
    return {
        "loss": float(tally.loss) / pictures,
        "top1": float(np.sum(tally.right)) / pictures,
        "macro_f1": float(np.mean(f1)),
    }


def _tally(total: tf.Tensor, logits: tf.Tensor, batch: Batch) -> Tally:
    classes = logits.shape[-1]
    predicted = tf.argmax(logits, axis=-1, output_type=tf.int32)
    weight = batch.weight[:, None]
    predictions = tf.one_hot(predicted, classes) * weight
    labels = tf.one_hot(batch.labels, classes) * weight
    sums = (tf.reduce_sum(x, axis=0) for x in (predictions * labels, predictions, labels))
    return Tally(total, *sums)


def _repeat(step: Callable[[Batch], tf.Tensor], batches: Batch) -> tf.Tensor:
    """Runs a step on each of the stacked batches, [steps, B, …]; returns their tallies, stacked.

    Each batch is sliced from the stack. `tf.map_fn` would first put them into a list, whose
    operations have no kernel for uint8 on a GPU: all pictures would go back to the host.
    """
    count = tf.shape(batches.labels)[0]

    def run_one(i: tf.Tensor, tallies: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
        return i + 1, tallies.write(i, step(_at(batches, i)))

    _, tallies = tf.while_loop(
        lambda i, _: i < count,
        run_one,
        (0, tf.TensorArray(tf.float32, count)),
        parallel_iterations=1,  # Each step changes the weights of the next.
    )
    return tallies.stack()


def _at(batches: Batch, i: tf.Tensor) -> Batch:
    """Returns one of stacked batches."""
    return tf.nest.map_structure(lambda part: part[i], batches)


def _counter(name: str) -> tf.Variable:
    return tf.Variable(
        0,
        trainable=False,
        dtype=tf.int64,
        name=name,
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
    )


def _averages(model: keras.Model) -> dict[str, tf.Variable]:
    return {
        name: tf.Variable(
            v.value,
            trainable=False,
            name=f"average_{v.name}",
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )
        for name, v in model_state(model).items()
        if v.dtype == "float32"
    }
