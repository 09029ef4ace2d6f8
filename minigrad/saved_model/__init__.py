"""Models in files: graphs, Variables and signatures, without Python code.

    mg.saved_model.save(model, "model.mg")
    model = mg.saved_model.load("model.mg")      # in another process, without the source

A file is a zip of readable JSON and .npy members. Loading one runs nothing that is in it.
"""

from .loaded import LoadedConcrete, LoadedFunction, LoadedModule
from .model import load, save
from .shipping import reduced

__all__ = ["LoadedConcrete", "LoadedFunction", "LoadedModule", "load", "reduced", "save"]
