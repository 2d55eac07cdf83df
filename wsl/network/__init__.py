"""The network of Section 3: frozen trunk, its features, and the adaptation layers with global max-pooling (torch).

May import: `wsl.data`. Knows nothing of systems, predictions tables or pages.
"""
