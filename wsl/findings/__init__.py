"""What the runs say: numbers with their uncertainty, the paper's numbers, its claims and the verdicts. No HTML.

May import: `wsl.data`, `wsl.evaluation`. Never imports torch, openvino or timm.
"""
