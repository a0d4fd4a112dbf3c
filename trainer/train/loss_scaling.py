"""Loss scaling for float16 without a branch, so that a GPU is never waited for.

Keras' own applies a step's gradients in one branch of a conditional and skips them in the other.
Without XLA the host decides between them, so it waits at each step until the gradients are there.
Here each step is applied, and what it would write is masked where a gradient is not finite.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf


class Maskable:
    """Mixed into an optimizer of Keras: its next step may be one that changes nothing.

    The optimizers of Keras write by these three methods only.
    """

    # Keras' own.
    iterations: keras.Variable

    _applies: tf.Tensor | None = None

    def apply_if(
        self,
        applies: tf.Tensor,
        gradients: Sequence[tf.Tensor],
        variables: Sequence[keras.Variable] | None,
    ) -> None:
        """Applies gradients where `applies`, bool[], is true; else leaves every variable as it is.

        Gradients that are not applied may hold anything, NaN too.
        """
        self._applies = applies
        try:
            self.apply(gradients, variables)  # type: ignore[attr-defined]
        finally:
            self._applies = None
        # Keras counts the step in either case.
        skipped = tf.cast(tf.logical_not(applies), self.iterations.dtype)
        self.iterations.assign_sub(skipped)

    def assign(self, variable: keras.Variable | tf.Variable, value: tf.Tensor) -> None:
        """Sets a variable; part of Keras' interface."""
        if self._applies is not None:
            value = tf.where(self._applies, tf.cast(value, variable.dtype), variable)
        super().assign(variable, value)  # type: ignore[misc]

    def assign_add(self, variable: keras.Variable | tf.Variable, value: tf.Tensor) -> None:
        """Adds to a variable; part of Keras' interface."""
        super().assign_add(variable, self._masked(value))  # type: ignore[misc]

    def assign_sub(self, variable: keras.Variable | tf.Variable, value: tf.Tensor) -> None:
        """Subtracts from a variable; part of Keras' interface."""
        super().assign_sub(variable, self._masked(value))  # type: ignore[misc]

    def _masked(self, value: tf.Tensor) -> tf.Tensor:
        if self._applies is None:
            return value
        return tf.where(self._applies, value, tf.zeros_like(value))


class LossScale(keras.optimizers.LossScaleOptimizer):
    """Keras' own, without a branch; its inner optimizer is `Maskable`.

    The scale, when it grows and falls, and every weight are those of Keras to the bit. With
    --distribute=mirrored the branch may stay: it is then taken outside of the replicas.
    """

    def check_finite(self, grads: Sequence[tf.Tensor]) -> tf.Tensor:
        """Returns bool[], whether every gradient of every replica is finite.

        Keras looks at the first replica's alone. Gradients are summed over replicas afterwards, so
        an overflow on another one would be applied, and leave weights that are not finite.
        """
        finite = tf.convert_to_tensor(super().check_finite(grads))
        context = tf.distribute.get_replica_context()
        if context is None or context.num_replicas_in_sync == 1:
            return finite
        overflows = tf.cast(tf.logical_not(finite), tf.float32)
        return tf.equal(context.all_reduce(tf.distribute.ReduceOp.SUM, overflows), 0)

    def _common_apply(
        self,
        grads: Sequence[tf.Tensor],
        trainable_variables: Sequence[keras.Variable] | None = None,
    ) -> None:
        finite = self.check_finite(grads)
        scale, counted = self.dynamic_scale.value, self.step_counter.value
        unscaled = [gradient / scale for gradient in grads]
        self.inner_optimizer.apply_if(finite, unscaled, trainable_variables)
        grows = tf.equal(counted, self.dynamic_growth_steps - 1)
        goes_on = tf.logical_and(finite, tf.logical_not(grows))
        self.step_counter.assign(tf.where(goes_on, counted + 1, tf.zeros_like(counted)))
        factor = tf.where(finite, tf.where(grows, 2.0, 1.0), 0.5)
        self.dynamic_scale.assign(scale * factor)
