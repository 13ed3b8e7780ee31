"""The conversation that most tests are about: who writes to which page, and on which ticket."""

from clients import events
from clients.helpdesk import SOURCE, Attachment
from tasks.accept import inbound_thread, outbound_thread, ticket_thread
from tests.conftest import PAGE_A

PSID = "7623554920995436"
PERSON = events.Thread(PAGE_A, PSID)
IN, OUT, TICKET = inbound_thread(PERSON), outbound_thread(PERSON), ticket_thread("42")
PAGE = f"page:{PAGE_A}"
OURS = {"source": SOURCE, "page_id": PAGE_A, "sender_id": PSID}
SENT_AT = 1795382999900
PHOTO = {"type": "image", "payload": {"url": "https://cdn.fbsbx.com/photo.jpg?oe=1"}}
INVOICE = Attachment("3", "https://acme.example.com/files/3", "invoice.pdf", "application/pdf", 3)
