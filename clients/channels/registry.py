"""Which channels there are."""

from clients.channel import Channel
from clients.channels.meta.messenger import Messenger

CHANNELS: dict[str, Channel] = {channel.name: channel for channel in (Messenger(),)}
