"""Functions for neural networks, without state: activations, losses, layers, convolution, pooling.

Weights are arguments; `mg.Module` keeps them as Variables. Images are (n, height, width, channels).
"""

from ..neighbours.surface import surface
from .activations import elu, gelu, leaky_relu, relu, sigmoid, silu, softplus
from .convolution import conv2d
from .layers import dropout, embedding, layer_norm, one_hot, scaled_dot_product_attention
from .losses import (
    log_softmax,
    logsumexp,
    sigmoid_cross_entropy,
    softmax,
    softmax_cross_entropy,
)
from .pooling import avg_pool2d, max_pool2d

__all__ = [
    "avg_pool2d",
    "conv2d",
    "dropout",
    "elu",
    "embedding",
    "gelu",
    "layer_norm",
    "leaky_relu",
    "log_softmax",
    "logsumexp",
    "max_pool2d",
    "one_hot",
    "relu",
    "scaled_dot_product_attention",
    "sigmoid",
    "sigmoid_cross_entropy",
    "silu",
    "softmax",
    "softmax_cross_entropy",
    "softplus",
]
surface(__name__, __all__)
