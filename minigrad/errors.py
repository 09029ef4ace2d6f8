"""The errors of minigrad: each says what was asked, what came, the rule broken, and what to write.

MinigradError
|-- SpecError               shapes, dtypes, axes or arguments that do not fit an op
|   |-- IndexSpecError          an index that the tensor does not have
|   `-- AllocationError         more elements than memory holds
|-- TraceError              Python asked a tensor for a value that a trace does not have
|-- GradientError           a derivative that does not exist, or a tape that cannot give it
|   |-- EscapedGradientError    a value left the tape through NumPy and came back
|   `-- DegenerateError         of vectors that the matrix does not determine; a LinAlgError too
|-- LinAlgError             a matrix that has no such decomposition, inverse or solution
|-- NumericsError           a NaN or an infinity was made while mg.debug.check_numerics looked
|-- UncompilableError       `jit_compile=True` met something that cannot be compiled
|-- CallbackError           a Python body returned something else than it declared
|-- DefinitionError         an op of your own under a name that is taken, or is none
|-- SaveError               an object or a file that cannot be saved or loaded
`-- ClientOnlyError         a callback that must stay in the process that made it
"""

from __future__ import annotations

from typing import Any

from numpy.linalg import LinAlgError as NumpyLinAlgError


class MinigradError(Exception):
    """Base of all errors that minigrad raises on purpose."""


class SpecError(MinigradError, ValueError, TypeError):
    """Shapes, dtypes, axes or arguments that do not fit an op.

    Symptom: an op refuses its inputs. Cause: the rule named in the message. Remedy: the edit it
    ends with. Eager, traced and compiled code raise the same words::

        mg.ones((2, 3)) + mg.ones((4,))   # SpecError: add: float32[2,3] and float32[4] ...
    """


class IndexSpecError(SpecError, IndexError):
    """An index out of range, or of a kind that does not index.

    Symptom: `x[i]` refuses. Remedy: the range that the message names::

        mg.ones((2, 3))[5]   # IndexSpecError: index 5 on axis 0 ... from -2 to 1
    """


class AllocationError(SpecError, MemoryError):
    """A tensor that would take more memory than there is.

    Symptom: an op refuses a shape, at once. Remedy: a smaller shape, or parts of it one by one::

        mg.zeros((10**9, 10**9))   # AllocationError: fill: float32[1000000000,1000000000] ...
    """


class TraceError(MinigradError, TypeError):
    """Python asked for the value of a tensor that has none yet.

    Symptom: `if tensor:`, `float(tensor)` or `tensor.numpy()` inside a traced function. Cause:
    the function is run once to record a graph; values come later. Remedy: `mg.cond`, `mg.where`,
    `mg.while_loop`, or `mg.py_function` around the part that must see values::

        @mg.function
        def f(x):
            if x > 0:          # TraceError, at this line
                return x
            return -x          # write: return mg.where(x > 0, x, -x)
    """


class GradientError(MinigradError, ValueError):
    """A derivative that does not exist, or a tape that cannot give it.

    Symptom: `tape.gradient` or `tape.watch` refuses. Remedy: the message names the op, the line,
    and the edit; `tape.explain(target, source)` says more::

        tape.watch(mg.constant([1, 2]))   # GradientError: cast first, mg.astype(x, mg.float32)

    explanation: what `tape.explain` says, where a path was missing; else None.
    """

    explanation: object = None


class EscapedGradientError(GradientError):
    """A followed tensor became a NumPy value inside a body whose result is differentiated.

    Symptom: `gradient` refuses to answer, for the answer would be silently wrong. Remedy: use
    minigrad's functions on the tensor, or say that the cut is meant::

        mg.stop_gradient(x).numpy()
    """


class LinAlgError(MinigradError, NumpyLinAlgError):
    """A matrix that has no inverse, no solution, or no such decomposition.

    Symptom: an op of `mg.linalg` refuses the values of its input, or a derivative does that needs
    one. Cause: it is singular, not positive definite, or holds inf or nan. It is a
    `numpy.linalg.LinAlgError` too::

        mg.linalg.inv(mg.zeros((2, 2)))   # LinAlgError: inv: ... is singular; ...
    """


class DegenerateError(GradientError, LinAlgError):
    """A derivative of vectors that the matrix leaves free to turn.

    Symptom: the gradient of eigenvectors or singular vectors refuses to answer, for no derivative
    exists. Cause: two of their values are equal, or the vectors only fill up a basis. Remedy: a
    function of the values alone, or a matrix away from that point::

        mg.linalg.eigh(mg.eye(2)).eigenvectors   # its gradient: DegenerateError
    """


class NumericsError(MinigradError, ArithmeticError):
    """An op made the first NaN or infinity inside `with mg.debug.check_numerics():`.

    Symptom: the op, forward or backward, and your line. Cause: the values it was given, whose
    range the message states. Remedy: the edit it ends with, such as the double `where`::

        mg.where(x > 0, mg.log(mg.where(x > 0, x, 1.0)), 0.0)
    """


class UncompilableError(MinigradError, TypeError):
    """`function(jit_compile=True)` met nodes that have no compiled form.

    Symptom: raised before anything runs, listing every such node: function, file:line, why.
    Remedy: write the body with minigrad's functions as `mg.py_function`, or move it outside::

        @mg.function(jit_compile=True)
        def f(x):
            return mg.numpy_function(np.sinh, [x], mg.float32)    # write: mg.sinh(x)
    """


class CallbackError(MinigradError, ValueError, TypeError):
    """A Python body returned something else than its `Tout` declares.

    Symptom: the number, dtype, shape or structure of what came differs. Remedy: the one-line
    edit in the message, such as `.astype(np.float32)`.
    """


class DefinitionError(MinigradError, ValueError):
    """An op of your own that cannot be made.

    Symptom: `mg.define` refuses a function. Cause: its name is taken by another op, or is none.
    Remedy: another name; `mg.define.forget` for one that is no longer wanted::

        @mg.define.pointwise()
        def exp(x): ...   # DefinitionError: ... minigrad has one; ... such as my_exp
    """


class SaveError(MinigradError, ValueError):
    """An object that cannot be saved, or a file that cannot be loaded safely."""


class ClientOnlyError(MinigradError, RuntimeError):
    """A callback that lives in this process was asked to go to another one."""


class RetraceWarning(UserWarning):
    """A function is traced again and again; the message names the argument that changes."""


# words that several share


def made_at(symbol: Any) -> str:
    """Where `symbol` was made, as the end of a message."""
    return f" (it was made at {symbol.where})" if symbol.where is not None else ""


def leak_message(symbol: Any) -> str:
    """What to say of a symbol that is used after its trace."""
    return (
        f"{symbol.spec} was made while {symbol._owner} was traced, and is used after that: "
        "a traced tensor has a meaning only inside its trace; return it from the function "
        f"instead of keeping it in a variable, list or attribute{made_at(symbol)}"
    )
