"""What the book shows: tables, charts and pictures from findings. All HTML of the study is here.

May import: `wsl.data`, `wsl.evaluation`, `wsl.findings`, `wsl.profile`. Never imports torch, openvino or timm.
"""
