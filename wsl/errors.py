"""The one exception for bad input: the command line prints it in one line and exits with status 2."""


class StudyError(Exception):
    """Bad input. The message names the file, the value and the remedy; it never ends in a traceback."""
