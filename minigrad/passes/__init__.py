"""Passes: each is a function from a graph to a graph that gives the same values."""
