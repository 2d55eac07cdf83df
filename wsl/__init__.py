"""Weakly-supervised object localization: the library behind the reproducibility study.

For measuring any model's predictions: `read_predictions`, `load_voc`, `load_coco`, `evaluate`, `compare` (wsl/api.py).
"""

__version__ = "0.1.0"
__all__ = ["read_predictions", "load_voc", "load_coco", "evaluate", "compare"]


def __getattr__(name: str):
    """The five functions, when one asks for them: `import wsl` alone takes no time."""
    if name in __all__:
        from wsl import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
