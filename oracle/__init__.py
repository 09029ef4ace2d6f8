"""Real TensorFlow as the oracle: the same small programs in both frameworks, compared."""
