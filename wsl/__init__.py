"""Weakly-supervised object localization: the library behind the reproducibility study."""

__version__ = "0.1.0"
