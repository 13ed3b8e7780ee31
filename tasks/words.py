"""The sentences of `tasks`, and `say`, which knows those of all helpdesks and channels, too."""

from dataclasses import replace

from clients.channels import registry as channels  # noqa: F401 - their sentences
from clients.findings import Level, Meaning, add_meanings
from clients.helpdesks import registry as helpdesks  # noqa: F401 - the same
from clients.notices import N_, Plural, add_sentences, decode, say

__all__ = ["described", "say"]


def described(reason: str) -> str:
    """Return a reason as an operator reads it: the code, and its English sentence."""
    what = decode(reason)
    sentence = say(what)
    return f"{what.code}: {sentence}" if sentence != str(what) else sentence


add_sentences(
    {
        # What becomes of a job.
        "tried": Plural("It was tried {count} time.", "It was tried {count} times."),
        "internal_error": N_("internal error ({error}); the connector's log has the details"),
        "machine_fault": N_("a fault of the connector's server ({detail})"),
        "unknown_queue": N_("this version of the connector does not know queues of the kind “{direction}”"),
        "unknown_job": N_("this version of the connector cannot read it ({detail})"),
        "person_at_work": N_(
            "a request about this person may still be under way; the helpdesk is told once more"
        ),
        "unreadable_letter": N_(
            "another version of the connector wrote this, and this version cannot read it"
        ),
        # From a channel to the helpdesk.
        "message_not_added": N_(
            "A message from the customer could not be added to this ticket: {reason}. Nothing is lost: an "
            "administrator can view it with “connector dead show {id}” "
            "and deliver it again with “connector dead retry {id}”."
        ),
        "contradictory_ticket": N_("the helpdesk returned contradictory ticket states"),
        "unknown_channel": N_("this version of the connector does not know the channel {channel}"),
        "no_person": N_("it names no person, so it belongs to no ticket (kind: “{kind}”)"),
        "about_the_page": N_(
            "it is about the page and no person, so it belongs to no ticket (kind: “{kind}”): {told}"
        ),
        "unknown_kind": N_("this version of the connector does not know events of the kind “{kind}”"),
        "echo_of_unknown_outcome": N_("it may be a reply that is just being sent"),
        "receipt_on_ticket": N_("a receipt is not shown on tickets"),
        "refused_with_file": N_("the helpdesk rejected the message with this file"),
        "empty_message": N_("The message is empty."),
        "name_told_later": N_("The sender of this ticket is {name}; the name was not available before."),
        "missing_messages": N_(
            "Messages of this conversation may be missing here, written between {first} and {last}: "
            "{channel} does not provide them. See the whole conversation in the page's own inbox."
        ),
        "written_before_connected": N_("History: written before this page was connected."),
        "history_first": N_("what was said before the page was connected is fetched first"),
        "sent_before_ticket": N_("Before this ticket, the following was said:"),
        "sent_before_ticket_last": N_(
            "{total} messages were sent before this ticket; these are the last {count}:"
        ),
        "answered_by": N_("It is answered by {owner} now."),
        "owner_unknown": N_("Which app answers it now is not known."),
        # Messages that others are about, as they stand in a sentence.
        "in_reply_to": N_("In reply to {message}:"),
        "customer_message": N_("the message “{words}”"),
        "page_message": N_("the page's message “{words}”"),
        "customer_message_without_text": N_("a message without text"),
        "page_message_without_text": N_("a message from the page without text"),
        "first_message": N_("the first message of this ticket (“{words}”)"),
        "first_message_without_words": N_("the first message of this ticket"),
        "earlier_message": N_("an earlier message"),
        "message_edited": N_("The customer edited {message}. It now reads:"),
        "message_edited_before": N_("The customer had edited {message} before. It read:"),
        "edited_at": N_("Edited by the customer on {time}. The earlier text:"),
        # Attachments, as they stand behind “sent” in a sentence.
        "sent_image": N_("an image"),
        "sent_video": N_("a video"),
        "sent_audio": N_("an audio recording"),
        "sent_file": N_("a file"),
        "sent_sticker": N_("a sticker"),
        "the_page": N_("The page"),
        "customer_file_not_downloaded": N_(
            "The customer sent {kind} that could not be downloaded: {reason}."
        ),
        "customer_file_not_added": N_(
            "The customer sent {kind} that could not be added to the ticket: {reason}."
        ),
        "page_file_not_downloaded": N_("The page sent {kind} that could not be downloaded: {reason}."),
        "page_file_not_added": N_("The page sent {kind} that could not be added to the ticket: {reason}."),
        "original_link": N_("Link to the original"),
        # From the helpdesk to a channel.
        "reply_not_delivered": N_("Your reply was not delivered to the customer: {reason}."),
        "reply_untraceable": N_(
            "It is not known whether your reply reached the customer: {reason}. It was not sent again, so "
            "that they do not get it twice."
        ),
        "send_again": N_(
            "If it did not, an administrator can send it again with “connector dead retry {id}”."
        ),
        "reply_partly_delivered": N_("Part of it was delivered."),
        "retry_reply": N_(
            "Once this is fixed, an administrator can send what is missing with “connector dead retry {id}”."
        ),
        "reply_sent_later": N_(
            "The reply that was not delivered at first has now been sent to the customer."
        ),
        "files_sent_as_links": N_(
            "Too large to be sent, so the customer got a link instead of the file: {files}."
        ),
        "reply_waiting": N_(
            "Your reply has not been sent yet: {reason}. It will be sent automatically once this is fixed."
        ),
        "reply_updated_later": N_(
            "You changed this reply after it was sent. {channel} cannot change it: "
            "the customer still sees it as you first wrote it."
        ),
        "reply_deleted_later": N_(
            "You deleted this reply after it was sent. {channel} cannot take it back: "
            "the customer still has it."
        ),
        "unanswered": N_("Nobody has answered the customer yet. {channel} allows a reply until {time}."),
        "unanswered_by_agent": N_(
            "Nobody has answered the customer yet. {channel} allows any reply until {time}; after that, "
            "agents can still answer until {until}."
        ),
        "sending_at_full_speed": N_(
            "the page is sending as fast as it may; this message has to wait its turn"
        ),
        "usage_high": N_(
            "{percent} percent of the allowed calls have been used; "
            "replies are sent more slowly, so that the page is not blocked"
        ),
        "send_unconfirmed": N_("it is not known yet whether the message was sent"),
        "comment_not_shown": N_("the helpdesk does not show the comment yet"),
        "nothing_to_send": N_("it contains nothing that can be sent to the customer"),
        "too_many_messages": Plural(
            "it would take {count} message, but at most {most} can be sent; shorten it or attach a file",
            "it would take {count} messages, but at most {most} can be sent; shorten it or attach a file",
        ),
        "files_not_sent": Plural(
            "a file could not be sent: {files}", "{count} files could not be sent: {files}"
        ),
        "file_not_sent": N_("“{filename}” ({reason})"),
        # Reports: what stops messages, on an internal ticket.
        "messages_stopped": N_("Messages of the page {page} do not get through"),
        "all_messages_stopped": N_("Messages of all pages may not get through"),
        "wrong_since": N_("(Found on {time}.)"),
        "report_is_internal": N_(
            "This ticket is internal: what is written here is not sent to anyone. The connector adds what "
            "changes, and says when all is well again."
        ),
        "report_changed": N_("It has changed. What is wrong now:"),
        "report_over": N_("It is over: the last check found nothing that stops messages."),
        "report_ends": N_(
            "The page is not connected any more, or its connection is not active, so it is not checked."
        ),
        "report_of_desk_ends": N_(
            "No page of this desk is connected any more, or no connection is active, so this is not checked."
        ),
        # Checks.
        "todo_for_operator": N_("To do, for whoever runs the connector:"),
        "webhook_wrong_secret": N_("they are not signed with helpdesk.webhook_secret"),
        "webhook_unsigned": N_("they are not signed as helpdesk.adapter expects"),
        "webhook_clock": N_("their timestamps are more than five minutes off"),
        "webhook_not_understood": N_("they are not as the helpdesk's API describes them"),
        "helpdesk_sends_none_on_request": N_("the helpdesk cannot be asked for one"),
        "helpdesk_does_not_tell": N_("the helpdesk does not offer to look it up"),
    }
)

_STOPS, _WARNING = Level.STOPS_MESSAGES, Level.WARNING
_NO_TICKETS = N_("Messages wait and become tickets once this is fixed.")
_REPLIES_LATE = N_("Agents' replies are only sent once they are looked for (helpdesk.poll_every).")
_REPLIES_STAY = N_(
    "Agents' replies are not sent, as they are not looked for either (helpdesk.poll_every: 0)."
)
_DEAD_LETTERS = N_("Messages from customers without an open ticket become dead letters.")
_MAY_BE_LOST = N_("Accepted messages may be lost.")
_MORE_MEMORY = N_("Give it more memory (maxmemory), or find out why waiting messages are not relayed.")

_WEBHOOKS_REFUSED = Meaning(
    _WARNING,
    N_("The helpdesk's webhooks are refused: {reason}."),
    _REPLIES_LATE,
    N_(
        "Give the helpdesk and helpdesk.webhook_secret the same secret, and have both machines keep "
        "their time by a time server (NTP); the log has more (webhook_refused)."
    ),
    is_for_operator=True,
)
_WEBHOOKS_ELSEWHERE = Meaning(
    _WARNING,
    N_("The helpdesk sends its webhooks to {url} instead of {ours}, and they do not arrive."),
    _REPLIES_LATE,
    N_("Set that address in the helpdesk, or correct public_url."),
    is_for_operator=True,
)
_WEBHOOK_MISSING = Meaning(
    _WARNING,
    N_("A webhook that the helpdesk was asked for did not arrive within {seconds} seconds."),
    _REPLIES_LATE,
    N_("Check that the connector runs, and that the helpdesk sends its webhooks to {ours}."),
    may_pass=True,
    is_for_operator=True,
)


def _unpolled(meaning: Meaning) -> Meaning:
    """Return what it means where nothing else brings agents' replies."""
    return replace(meaning, level=_STOPS, means=_REPLIES_STAY)


add_meanings(
    {
        "store_works": Meaning(Level.OK, N_("The store answers, takes writes and has memory left.")),
        "store_away": Meaning(
            _STOPS,
            N_("The store cannot be used: {reason}."),
            N_("No webhook is accepted and nothing is relayed until it is back."),
            N_("Start “connector up”, or check redis_url and the server that it names."),
            hides_others=True,
            is_for_operator=True,
        ),
        "store_full": Meaning(
            _STOPS,
            N_("The store is full."),
            N_("New webhooks are refused, and sent again later by their senders."),
            _MORE_MEMORY,
            is_for_operator=True,
        ),
        "store_nearly_full": Meaning(
            _WARNING,
            N_("The store uses {percent} percent of its memory."),
            N_("From 90 percent on, new webhooks are refused."),
            _MORE_MEMORY,
            is_for_operator=True,
        ),
        "store_keeps_data": Meaning(Level.OK, N_("The store keeps its data when it is restarted.")),
        "store_persistence_unknown": Meaning(
            Level.UNKNOWN,
            N_(
                "Whether the store keeps its data cannot be seen, as it hides its settings; check by hand, "
                "or with its provider, that “appendonly” is “yes” and “appendfsync” “always” or “everysec”."
            ),
        ),
        "store_writes_late": Meaning(
            _WARNING,
            N_("The store leaves it to the operating system when its data is written (appendfsync no)."),
            N_(
                "If the machine loses power, messages that were accepted in the last half minute may be lost."
            ),
            N_("Set “appendfsync always” or “appendfsync everysec” there."),
            is_for_operator=True,
        ),
        "store_keeps_all": Meaning(Level.OK, N_("The store never deletes data to make room.")),
        "store_eviction_unknown": Meaning(
            Level.UNKNOWN,
            N_(
                "Whether the store deletes data when it is full cannot be seen, as it hides its settings; "
                "check by hand, or with its provider, that “maxmemory-policy” is “noeviction”."
            ),
        ),
        "store_keeps_nothing": Meaning(
            _WARNING,
            N_("The store keeps nothing when it is restarted."),
            _MAY_BE_LOST,
            N_("Set “appendonly yes” there."),
            is_reported=True,
            is_for_operator=True,
        ),
        "store_evicts": Meaning(
            _WARNING,
            N_("The store deletes data when its memory is full (maxmemory-policy {policy})."),
            _MAY_BE_LOST,
            N_("Set “maxmemory-policy noeviction” there."),
            is_reported=True,
            is_for_operator=True,
        ),
        "checks_limited": Meaning(
            _WARNING,
            N_("This could not be checked: too many requests have been made recently."),
            N_("This is not a fault of the connection, and it stops no messages."),
            N_("Check again after {time}. Scheduled checks wait until then by themselves."),
            hides_others=True,
            is_momentary=True,
        ),
        "test_broke_off": Meaning(
            Level.UNKNOWN,
            N_(
                "The test broke off here, by a fault of the connector itself. Test the connection again; if "
                "it breaks off once more, ask whoever runs the connector to look at its log (test_broke_off)."
            ),
        ),
        "settings_good": Meaning(Level.OK, N_("The settings can be used.")),
        "setting_doubtful": Meaning(_WARNING, N_("The setting {setting} is doubtful: {advice}.")),
        "no_connections": Meaning(
            _WARNING,
            N_("No page is connected."),
            N_("Nothing is relayed."),
            N_("Add a connection, or set active: true."),
        ),
        "helpdesk_works": Meaning(Level.OK, N_("The helpdesk answers and accepts the token.")),
        "helpdesk_token_wrong": Meaning(
            _STOPS,
            N_("The helpdesk rejects the token: {reason}."),
            _NO_TICKETS,
            N_("Set helpdesk.api_token to a valid one, and check what its user is allowed to do."),
            hides_others=True,
            is_for_operator=True,
        ),
        "helpdesk_away": Meaning(
            _STOPS,
            N_("The helpdesk cannot be used: {reason}."),
            _NO_TICKETS,
            N_("Check that it runs, and that helpdesk.base_url leads to it."),
            hides_others=True,
            is_for_operator=True,
        ),
        "helpdesk_refuses_check": Meaning(
            _WARNING,
            N_("The helpdesk rejects a search for tickets: {reason}."),
            _DEAD_LETTERS,
            N_("Check helpdesk.base_url, then run “connector conformance”."),
            hides_others=True,
            is_for_operator=True,
        ),
        "helpdesk_webhook_arrives": Meaning(Level.OK, N_("The helpdesk's webhooks reach the connector.")),
        "helpdesk_webhook_unknown": Meaning(
            Level.UNKNOWN, N_("Whether the helpdesk's webhooks reach the connector is not known: {reason}.")
        ),
        "helpdesk_webhook_refused": _WEBHOOKS_REFUSED,
        "helpdesk_webhook_refused_unpolled": _unpolled(_WEBHOOKS_REFUSED),
        "helpdesk_webhook_elsewhere": _WEBHOOKS_ELSEWHERE,
        "helpdesk_webhook_elsewhere_unpolled": _unpolled(_WEBHOOKS_ELSEWHERE),
        "helpdesk_webhook_missing": _WEBHOOK_MISSING,
        "helpdesk_webhook_missing_unpolled": _unpolled(_WEBHOOK_MISSING),
        "desk_exists": Meaning(Level.OK, N_("The helpdesk has the desk {desk_id}.")),
        "desk_unknown": Meaning(
            Level.UNKNOWN, N_("Whether the helpdesk has the desk {desk_id} is not known: {reason}.")
        ),
        "desk_missing": Meaning(
            _STOPS,
            N_("The helpdesk has no desk {desk_id}."),
            _DEAD_LETTERS,
            N_("Correct desk_id, then run “connector dead retry --all”."),
            is_for_operator=True,
        ),
        "category_exists": Meaning(Level.OK, N_("The helpdesk has the category {category_id}.")),
        "category_missing": Meaning(
            _STOPS,
            N_("The helpdesk has no category {category_id}."),
            _DEAD_LETTERS,
            N_("Correct category_id, then run “connector dead retry --all”."),
            is_for_operator=True,
        ),
        "repair_failed": Meaning(
            _WARNING,
            N_("It could not be repaired ({what}): {reason}."),
            remedy=N_("Do it in the settings of the app, or try again."),
        ),
    }
)
