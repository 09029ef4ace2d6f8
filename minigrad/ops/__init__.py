"""The ops, one file per family; an op's kernel, spec, derivative and loop body share a screen."""
