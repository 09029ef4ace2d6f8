"""At home with its neighbours: what other libraries ask of tensors, by their own protocols."""
