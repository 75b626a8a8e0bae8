"""Progress for tests that look at the steps of getting a runtime."""


class Steps:
    """Progress that remembers the names of the steps."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def step(self, text: str) -> None:
        self.texts.append(text)

    def amount(self, done: float, total: float) -> None:
        assert 0 <= done <= total
