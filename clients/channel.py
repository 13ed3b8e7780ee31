"""A channel: what the core asks of one, and the values that go back and forth."""

import msgspec


class Conversation(msgspec.Struct, frozen=True):
    """One person with one account of a channel, such as a page of Messenger."""

    channel: str
    account_id: str
    person_id: str

    def __str__(self) -> str:
        """Return it as one word, `<channel>/<account id>/<person id>`, which a field can hold and search."""
        return f"{self.channel}/{self.account_id}/{self.person_id}"
