"""hggbook: teaches and reproduces Differentiable Hierarchical Graph Grouping for multi-person pose estimation."""

__version__ = "0.1.0"
