"""The systems of Tables 1 and 2: training, prediction, proposals, extent, and the units of work of the study (torch).

May import: `wsl.data`, `wsl.scenes`, `wsl.network`, `wsl.evaluation`, `wsl.profile`.
"""
