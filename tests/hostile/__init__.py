"""Inputs and moments meant to break the study. `make torture` tries them all; the tests try some.

    inputs.py    hostile files: heads, manifests, profiles, annotations, tables, pictures, targets of output
    own.py       files of our own, cut, emptied, zeroed or changed: detected, named and made again
    kills.py     the workflow, killed at random moments: it goes on to the same bytes
    network.py   the system calls of commands: no internet socket
"""
