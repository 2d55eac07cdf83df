"""The command line `wsl`: arguments in, one function of the library called, one line for bad input.

May import everything; heavy imports stay inside the functions, so that `wsl --help` is quick.
"""
