"""From a predictions table to numbers: the table itself, runs on disk, average precision, intervals, paired differences.

May import: `wsl.data`. Never imports torch, openvino or timm, so that it serves any model's predictions.
"""
