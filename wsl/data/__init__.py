"""Pictures and annotations: the official layouts on disk, image-level labels and boxes, every pixel-to-cell conversion.

May import: `wsl.errors`, `wsl.files`. Knows nothing of networks, runs or pages.
"""
