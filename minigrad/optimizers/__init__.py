"""Optimizers, written in minigrad's own ops: a whole training step traces and compiles.

optimizer = mg.optimizers.Adam(1e-3)
with mg.GradientTape() as tape:
    loss = model(x)
optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
"""

from ..neighbours.surface import surface
from .base import Optimizer, clip_by_global_norm, global_norm
from .rules import SGD, Adagrad, Adam, AdamW, RMSprop
from .schedules import Constant, CosineDecay, ExponentialDecay, Warmup

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Constant",
    "CosineDecay",
    "ExponentialDecay",
    "Optimizer",
    "RMSprop",
    "Warmup",
    "clip_by_global_norm",
    "global_norm",
]
surface(__name__, __all__)
