"""What may come of a check, as it is said while it runs."""


class Failed(Exception):
    """The helpdesk does not hold what is checked; `str()` says what was seen."""


class NotChecked(Exception):
    """It could not be checked; `str()` says why."""


class Cannot(Exception):
    """The helpdesk cannot do `what`, which the connector knows how to do without: `instead`."""

    def __init__(self, what: str, instead: str) -> None:
        super().__init__(f"{what}: {instead}")
        self.what, self.instead = what, instead


def expect(holds: object, otherwise: str) -> None:
    """Raise `Failed` with what was seen, unless it holds."""
    if not holds:
        raise Failed(otherwise)
