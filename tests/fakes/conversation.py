"""The conversation that most tests are about: who writes to which page, and on which ticket."""

from clients.channel import Conversation
from clients.channels.meta.events import CHANNEL
from clients.helpdesk import Attachment, Author, Customer
from tasks.inbox.queues import inbound_queue, outbound_queue, ticket_queue
from tests.conftest import PAGE_A

PSID = "7623554920995436"
PERSON = Conversation(CHANNEL, PAGE_A, PSID)
IN, OUT, TICKET = inbound_queue(PERSON), outbound_queue(PERSON), ticket_queue("42")
PAGE = f"{CHANNEL}:{PAGE_A}"
CUSTOMER = Customer(CHANNEL, PAGE_A, PSID)
SENT_AT = 1795382999900
PHOTO = {"type": "image", "payload": {"url": "https://cdn.fbsbx.com/photo.jpg?oe=1"}}
INVOICE = Attachment("3", "https://acme.example.com/files/3", "invoice.pdf", "application/pdf", 3)
SNAP = Attachment("5", "https://acme.example.com/files/5", "snap.png", "image/png", 3)

SYSTEM = Author("system", "Messenger")
