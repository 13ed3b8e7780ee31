"""Which channels there are."""

from clients.channel import Channel
from clients.channels.meta.messenger import Messenger


def make_channels(app_id: str = "") -> dict[str, Channel]:
    """Return the channels by their names; `app_id` is the id of our app at Meta, if it is known."""
    return {channel.name: channel for channel in (Messenger(app_id),)}


CHANNELS = make_channels()
"""The channels where nobody reads what they say: an app of ours goes by its number."""
