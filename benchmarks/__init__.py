"""How fast the study is beside what one would use in its place: `make bench`, or `python -m benchmarks --help`.

A group of measurements a file (maps, training, scoring, decoding, growth, book); each side of a comparison runs in a process of
its own. The other scripts of this folder are the evidence for choices that the Deviations page names; each runs by itself.
"""
