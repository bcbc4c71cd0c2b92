"""hggbook: teaches and reproduces Differentiable Hierarchical Graph Grouping for multi-person pose estimation.

``hggbook.load(name)`` is `hggbook.weights.load`: a trained model and its config, by name or from a file.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hggbook.weights import load

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def __getattr__(name: str) -> Any:
    # Looked up when it is asked for, because `import hggbook` should not wait for torch.
    if name == "load":
        from hggbook.weights import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
