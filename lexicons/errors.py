"""What is wrong with the lexicon, and where."""


class LexiconError(ValueError):
    """A lexicon that does not load; `problems` name file, entry and field, one line each."""

    def __init__(self, problems: list[str]):
        self.problems = problems
        super().__init__("\n".join(problems))
