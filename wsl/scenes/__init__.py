"""Generated scenes: the data set that the study carries in itself, drawn by code in the official layouts.

May import: `wsl.errors`, `wsl.files`. What it writes is read by `wsl.data`, like any other data set.
"""
