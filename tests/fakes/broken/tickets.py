"""Adapters, or helpdesks, that break what is promised of the token and of tickets."""

import contextlib
import dataclasses
from typing import ClassVar

import httpx

from clients.channel import Conversation
from clients.errors import ClientError, NotFound, RejectedError, TicketClosed, Unauthorized, Unavailable
from clients.helpdesk import Customer, NewComment, NewTicket, Ticket
from clients.helpdesks.rest import RestHelpdesk
from tests.fakes.broken.registry import COUNT, red


@red("a ping is answered")
class Asleep(RestHelpdesk):
    def ping(self) -> None:
        raise Unavailable("it does not answer")


@red("a wrong token is known as such")
class BlamesItself(RestHelpdesk):
    def ping(self) -> None:
        try:
            super().ping()
        except Unauthorized:
            raise Unavailable("something is wrong") from None


@red("a wrong token is known as such")
class LetsAnybodyIn(RestHelpdesk):
    def ping(self) -> None:
        pass


@red("a new ticket says whom it is about")
class ForgetsWhom(RestHelpdesk):
    def get_ticket(self, ticket_id: str) -> Ticket:
        return dataclasses.replace(super().get_ticket(ticket_id), customer=None)


@red("a ticket is where it was asked for, and in its customer's name")
class IgnoresTheDesk(RestHelpdesk):
    def create_ticket(self, ticket: NewTicket, key: str) -> Ticket:
        return super().create_ticket(dataclasses.replace(ticket, desk_id="8"), key)


@red("a ticket is where it was asked for, and in its customer's name")
class IgnoresTheCategory(RestHelpdesk):
    def create_ticket(self, ticket: NewTicket, key: str) -> Ticket:
        return super().create_ticket(dataclasses.replace(ticket, category_id=None), key)


@red("a ticket is where it was asked for, and in its customer's name")
class IgnoresTheName(RestHelpdesk):
    def create_ticket(self, ticket: NewTicket, key: str) -> Ticket:
        assert ticket.customer
        customer = dataclasses.replace(ticket.customer, display_name="Messenger")
        return super().create_ticket(dataclasses.replace(ticket, customer=customer), key)


@red("a ticket needs no category")
class NeedsACategory(RestHelpdesk):
    def create_ticket(self, ticket: NewTicket, key: str) -> Ticket:
        if ticket.category_id is None:
            raise RejectedError("422")
        return super().create_ticket(ticket, key)


@red("a ticket without a customer is nobody's")
class NeedsACustomer(RestHelpdesk):
    def create_ticket(self, ticket: NewTicket, key: str) -> Ticket:
        if ticket.customer is None:
            raise RejectedError("422")
        return super().create_ticket(ticket, key)


@red("a ticket without a customer is nobody's")
class MakesUpACustomer(RestHelpdesk):
    def get_ticket(self, ticket_id: str) -> Ticket:
        ticket = super().get_ticket(ticket_id)
        return dataclasses.replace(
            ticket, customer=ticket.customer or Customer("facebook_messenger", "1", "1")
        )


@red("a ticket without a customer is nobody's")
class SaysItClosed(RestHelpdesk):
    def close_ticket(self, ticket_id: str) -> bool:
        return True


@red("a customer's open ticket is found", "a ticket that is opened again takes messages")
class FindsNothing(RestHelpdesk):
    def find_open_ticket(self, conversation: Conversation) -> Ticket | None:
        return None


@red("nobody else's ticket is found")
class TrustsFilters(RestHelpdesk):
    def find_open_ticket(self, conversation: Conversation) -> Ticket | None:
        found = self.call("GET", "/tickets", params={"closed": "false", "limit": "1"})["tickets"]
        return Ticket(found[0]["id"], False, None) if found else None


@red("the newest open ticket is found")
class FindsTheOldest(RestHelpdesk):
    def find_open_ticket(self, conversation: Conversation) -> Ticket | None:
        found = self.call("GET", "/tickets", params={"sender_id": conversation.person_id})["tickets"]
        return Ticket(found[-1]["id"], False, None) if found else None


@red("a ticket is found by its external id")
@red("a ticket that is created twice is one", "ten first messages at once are one ticket")
class ForgetsTickets(RestHelpdesk):
    def ticket_by_external_id(self, external_id: str) -> Ticket | None:
        return None


@red("a ticket is found by its external id")
class FindsAnyTicket(RestHelpdesk):
    def ticket_by_external_id(self, external_id: str) -> Ticket | None:
        return Ticket("1", False, None)


@red("odd external ids are kept")
class QuotesNothing(RestHelpdesk):
    def ticket_by_external_id(self, external_id: str) -> Ticket | None:
        return super().ticket_by_external_id(external_id.partition("&")[0])


@red("a closed ticket takes no message", "messages to a merged ticket stand on the one that is left, once")
@red("a ticket that was merged into another person's takes no message")
class WritesOnClosedTickets(RestHelpdesk):
    def add_comment(self, ticket_id: str, comment: NewComment, key: str) -> str:
        with contextlib.suppress(TicketClosed):
            return super().add_comment(ticket_id, comment, key)
        return "1"


@red("a closed ticket is not found as open")
class FindsClosedTickets(RestHelpdesk):
    def find_open_ticket(self, conversation: Conversation) -> Ticket | None:
        found = self.call("GET", "/tickets", params={"sender_id": conversation.person_id})["tickets"]
        return Ticket(found[0]["id"], False, None) if found else None


@red("a closed ticket is found by its external id")
class SearchesOpenTickets(RestHelpdesk):
    def ticket_by_external_id(self, external_id: str) -> Ticket | None:
        found = super().ticket_by_external_id(external_id)
        return found if found and not found.closed else None


@red("what does not exist is not found")
class KnowsNoNotFound(RestHelpdesk):
    def get_ticket(self, ticket_id: str) -> Ticket:
        try:
            return super().get_ticket(ticket_id)
        except NotFound:
            raise RejectedError("no") from None


@red("a ticket that the token may not see makes room for a new one")
class TakesItForAnOutage(RestHelpdesk):
    def _forbidden(self, response: httpx.Response) -> ClientError:
        return Unavailable("the helpdesk answered 403")


@red("a ticket that the token may not see makes room for a new one")
class TakesItForTheToken(RestHelpdesk):
    def _forbidden(self, response: httpx.Response) -> ClientError:
        return Unauthorized("the helpdesk does not accept the access token")


@red("a ticket that the token may not see makes room for a new one")
class RemembersTickets(RestHelpdesk):
    """Finds a ticket from its own memory, whoever may see it."""

    made: ClassVar[dict[str, Ticket]] = {}

    def create_ticket(self, ticket: NewTicket, key: str) -> Ticket:
        made = super().create_ticket(ticket, key)
        assert ticket.customer
        return self.made.setdefault(ticket.customer.person_id, made)

    def find_open_ticket(self, conversation: Conversation) -> Ticket | None:
        return self.made.get(conversation.person_id)


class FollowsBlindly(RestHelpdesk):
    """Writes on the newest open ticket where one is closed."""

    def add_comment(self, ticket_id: str, comment: NewComment, key: str) -> str:
        try:
            return super().add_comment(ticket_id, comment, key)
        except TicketClosed:
            newest = self.call("GET", "/tickets", params={"closed": "false", "limit": "1"})["tickets"][0]
            return super().add_comment(newest["id"], comment, f"{key}:{next(COUNT)}")


@red("a ticket that was merged into another person's takes no message")
class FollowsIntoAnotherPersons(FollowsBlindly):
    pass


@red("messages to a merged ticket stand on the one that is left, once")
class RepeatsWhatWasMerged(FollowsBlindly):
    def comment_by_external_id(self, ticket_id: str, external_id: str) -> str | None:
        return None

    def add_comment(self, ticket_id: str, comment: NewComment, key: str) -> str:
        return super().add_comment(ticket_id, comment, f"{key}:{next(COUNT)}")
