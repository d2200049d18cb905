"""The one error that means: the caller's input is at fault, not the program."""


class InputError(ValueError):
    """An input that cannot be used; the message says what, where and how to mend it."""


class ScreeningError(RuntimeError):
    """A fault inside a detector or the grader; the screening it belongs to is marked incomplete."""
