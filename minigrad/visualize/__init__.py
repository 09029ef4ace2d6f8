"""Pictures of graphs and tapes, as SVG, made without other programs."""
