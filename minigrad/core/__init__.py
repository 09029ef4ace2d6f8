"""The five words: Tensor, Spec, Op, Node, and `apply`, the one door through which ops pass."""
