"""The pages of `docs/` that are made from the tables the code runs on: `make docs` writes them."""

# ruff: noqa: E501 - the lines of a page

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from clients.channel import Echo
from clients.channels.meta import events
from clients.channels.meta.errors import ERRORS, GENERIC, OTHER, SHORTEST_SUBCODE, HeldByAnotherApp, lookup
from clients.channels.meta.graph import AGENTS_WINDOW, IMAGE_LIMIT, REPLY_WINDOW, SHOWN_AS
from clients.channels.meta.kinds import (
    ECHO,
    PAGE_INBOX_APP_IDS,
    REFERENCE,
    ROWS,
    STANDBY,
    UNASKED,
    Row,
    field_of,
    row_of,
)
from clients.channels.meta.messenger import TEXT_LIMIT, Messenger
from clients.channels.meta.past import MOST_SHOWN
from clients.errors import (
    ClientError,
    FileRefused,
    FileTooLarge,
    KindRefused,
    MessageRefused,
    NotFetched,
    OutsideWindow,
    RateLimited,
    RejectedError,
    Unauthorized,
    Unavailable,
    UploadGone,
)
from clients.jsons import decode
from clients.notices import notice, say
from connector.settings import WorkerSettings
from tasks.inbox.personal import DAY, Personal
from tasks.outbound.parts import MOST_PARTS
from tasks.outcomes import JITTER, backoff
from tasks.remotes import (
    LIMITED_RATE,
    LONGEST,
    PAUSE_AT,
    REFUSED_RATE,
    SHORTEST,
    SHORTEST_UNAUTHORIZED,
    SLOW_AT,
)
from tests.conftest import payload
from tests.docs.pictures import ATTACHMENTS, EVENTS, OUTCOMES, PARTS, RECEIPTS, description
from tests.fakes.situations import SITUATIONS, path_of

DOCS = Path(__file__).parents[2] / "docs"
_INTRODUCTION = """\
# What Messenger's events become

Made by `make docs` from `clients/channels/meta/kinds.py` and the situations in `tests/payloads/messenger/`, its pictures by `make pictures`; do not edit it.

Every event that Meta reports about a person stands on their ticket: what the person wrote as a comment of theirs, anything else as an
internal comment. An event of a kind that *opens a ticket* opens one for a person who has none that is open; any other joins the open one, and
without one it is not shown. What was said on Messenger meanwhile, by another app or in standby, is kept for a week, and shown on the next ticket, the
last 20 messages with their links and files.

*Subscribed by* is the field of the webhook that brings it. `connector check --fix` and a login subscribe all of them, but those that Meta
refuses the app, and `response_feedback`, which would show people thumbs to rate each message with.

Pictures of advertisements, products and templates on Meta's hosts (`graph.media_hosts`) become files of the helpdesk, as pictures that people send do. Where
that fails at the first try, the link is shown. So it is for pictures on other hosts, such as a shop's: the connector fetches from none that is not named
there. Links to Meta's hosts expire.

The settings decide otherwise for a kind, by its name in the table:

```yaml
events:
  reaction: open_ticket   # a reaction is worth a ticket
  standby: join_ticket    # what is said while another app answers is not
```

An event that names no person belongs to no ticket: unless it is a receipt it stands in `connector dead list`, whole, with its kind. So does
what is about the page itself, such as a block, whoever it names.

An event counts as the same as one of the last 7 days if it has the same message id; without one, if it says the same, time included. Meta
sends the answers to a survey without a time: the same answer of the same person counts as the same for {redelivered} only, as Meta sends nothing again later.

An event of a kind that is not in the table is shown with the texts and links in it, and kept as it came, with a person or without:
`connector unknown list` shows the newest 1,000 of the last 30 days. Once a version of the connector knows the kind, `connector unknown replay`
has it shown anew, in one more comment. So are items that are no objects, what stands in an `entry` beside its lists (on the ticket of the
person whom it names, if any), and `changes` of the page, such as `feed`, where the app is subscribed to them: connect the page with an app
that is not, and none come. What the test button in Meta's dashboard sends (page `0`) is only counted.
"""


def events_page() -> str:
    """Write `docs/events.md`."""
    redelivered = f"{timedelta(milliseconds=events.REDELIVERED_WITHIN).total_seconds() / 3600:g} hours"
    introduction = _INTRODUCTION.replace("{redelivered}", redelivered)
    return "\n".join([introduction, *_table(), "", *_pictures(), *_situations()])


_REPLIES = """\
# What becomes of an agent's reply

Made by `make docs` from `clients/channels/meta/` and `tasks/`: the error table, and the numbers that the code goes by; do not edit it.

## How it is sent

| in the comment | on Messenger |
| --- | --- |
| text | plain text, in messages of at most {text_limit} characters |
| a quotation at its beginning | an answer to the message of the last {window} that says this, if Meta shows one among the last {shown}; or one that alone has it in common with the quotation; else it is sent as it stands, but without what the connector had added to it on the ticket |
| {images} pictures of up to {image_limit} | pictures; those that follow each other in one message, of at most {most_images}; one by one, if Meta refuses them together |
| {audio} audio; {video} video | a player |
| any other file, such as a {others} picture, or a larger one | a file |
| a file over {file_limit}, or over `attachments.max_bytes` | nothing, and the agent is told; with `link_large_files` a link to it, and the agent is told that |

A comment that would take more than {parts} messages is not sent, and the agent is told.

Messenger cannot change or take back what was sent. Where the helpdesk sends `comment.updated` and `comment.deleted` (the `rest` API), an internal comment
says so to the agent, once, however long ago the comment was sent, as long as the webhook has its `config.delivery`; without that, for {remembered}. A helpdesk that is polled, and
django-helpdesk, send no such changes: there nobody is told.

Within {window} after the person wrote a reply goes as `RESPONSE`. After that Meta takes it for {agents_window} with the tag `HUMAN_AGENT`, which is used for a
comment that a person wrote, if the connection has `human_agent`; for no other comment, and no other tag. If Meta refuses that, the note says when the
window closed, and what Meta gives as the reason.

## What Meta answers

A reply is sent part by part, text first, each part once. What Meta answers decides what happens next. A final failure stands in
`config.delivery` of the comment and in an internal comment, in the language of the connection, with the code; then the reply waits in
`connector dead list`. A subcode of {subcode_digits} digits or more is known under any code, and alone. A subcode that is not listed counts as its bare code, a code
that is not listed is final, or tried again where Meta says that it passes (`is_transient`, or a status of 500 or more): for such a code, and for a bare {generic}, the note of a final failure has Meta's own words where it sends some.

Meta allows a reply for {window} after a customer's last message. With `remind_before` of a connection an internal comment reminds its agents so many
hours before of a customer whom nobody answered. A reply of which at least a part was sent is an answer; one that no person wrote is none.

A page sends {texts} texts and {files} messages with a file a second at most; what is beyond that waits. Once Meta's answers say that a page, or its app with all its pages, has used
{slow_at} of its limits, its replies go out more slowly, and from {pause_at} on with pauses, so that Meta does not limit it (codes {limits}).

What is tried again waits up to {waits} seconds in turn (`worker.attempts`: {attempts}; `worker.retry_max`: {longest_wait}), by up to {jitter} less at
random. If it may have been sent, its echo is waited for {echo_wait} seconds (`worker.echo_wait`), then Meta is asked for it.

"""
_WORKER = WorkerSettings()
_BACKOFFS = [backoff(attempt, _WORKER.retry_max) for attempt in range(_WORKER.attempts - 1)]
_OUTCOMES: Mapping[type[ClientError], str] = {
    HeldByAnotherApp: "final, unless `take_control` is set: then the conversation is taken over, and it is sent",
    KindRefused: "sent once more as a plain file; then that file is left out",
    NotFetched: "uploaded and sent once more if it was sent by its address; else that file is left out",
    UploadGone: "uploaded and sent once more; then that file is left out",
    FileTooLarge: "sent as a link with `link_large_files`; else that file is left out, the rest is sent",
    FileRefused: "that file is left out, the rest is sent",
    OutsideWindow: "sent with HUMAN_AGENT if `human_agent` is set and a person wrote it; else final, with the time at which the window closed",
    RateLimited: f"the page pauses as long as Meta asks, or where it does not say for {SHORTEST:g} seconds, twice as long each time, up to {LONGEST:g} seconds; then {LIMITED_RATE} conversations a second go on, and soon more",
    Unauthorized: f"all replies of the page wait, in order, and some are tried every {SHORTEST_UNAUTHORIZED:g} seconds; once one goes out all follow, {REFUSED_RATE} conversations a second at first; each waiting ticket has one note, with what Meta enforces against the page if it says so, and an internal ticket of the desk tells the operator",
    Unavailable: f"tried {_WORKER.attempts} times, then final; before each, it is looked up whether it was sent",
    MessageRefused: "a reply that quotes is sent with its quotation, pictures are sent one by one; else final",
    RejectedError: "final",
}
"""What becomes of a reply, by the class of its error; of several that fit, the first."""
_MEDIA_NAMES = {
    "mpeg": "MP3",
    "quicktime": "MOV",
    "webm": "WebM",
    "x-m4a": "M4A",
    "x-msvideo": "AVI",
    "x-wav": "WAV",
}
"""How people call a media type where it is not its subtype in capitals."""
_OTHER_PICTURES = {"image/heic": "HEIC", "image/webp": "WebP", "image/svg+xml": "SVG", "image/tiff": "TIFF"}


def _media(kind: str) -> str:
    """Name the media types that Meta shows as such."""
    names = sorted({_MEDIA_NAMES.get(subtype, subtype.upper()) for subtype in SHOWN_AS[kind]}, key=str.upper)
    return _listed(names, "and")


def _listed(names: Sequence[str], word: str) -> str:
    *others, last = names
    return f"{', '.join(others)} {word} {last}" if others else last


def _days(time: timedelta) -> str:
    return f"{time.days} days" if time.days > 1 else f"{time.total_seconds() / 3600:g} hours"


def _mib(size: int) -> str:
    return f"{size / 1024**2:g} MiB"


def replies_page() -> str:
    """Write `docs/replies.md`."""
    rows = [
        f"| {_number(code, subcode)} | {_outcome(kind)} | {_said(ours)} |"
        for (code, subcode), (kind, ours) in sorted(
            ERRORS.items(), key=lambda row: (row[0][0], (row[0][1] or 0) % 10**9)
        )
    ]
    head = ["| Meta's code | what happens | what the note says |", "| --- | --- | --- |"]
    rows.append(f"| any other | {_outcome(lookup(0, 0)[0])} | {_said(lookup(0, 0)[1])} |")
    introduction = _REPLIES.format(**_numbers())
    pictures = (
        f"| {description(name)} | ![internal comment by Messenger (system)](pictures/{name}.png) |"
        for name in OUTCOMES
    )
    return introduction + "\n".join([*head, *rows, "", _REPLIES_SHOWN, *pictures, ""])


def _numbers() -> dict[str, object]:
    """Return what the page says how much it is of, by the constants that the code goes by."""
    messenger = Messenger()
    limits = sorted({code for (code, _), (kind, _) in ERRORS.items() if issubclass(kind, RateLimited)})
    return {
        "text_limit": f"{TEXT_LIMIT:,}",
        "remembered": _days(timedelta(seconds=Personal.OURS.seconds)),
        "window": _days(REPLY_WINDOW),
        "agents_window": _days(AGENTS_WINDOW),
        "shown": MOST_SHOWN,
        "image_limit": _mib(IMAGE_LIMIT),
        "most_images": messenger.most_files("image"),
        "file_limit": _mib(messenger.max_file_bytes),
        "images": _media("image"),
        "audio": _media("audio"),
        "video": _media("video"),
        "others": _listed(
            [name for type_, name in _OTHER_PICTURES.items() if messenger.kind_of_file(type_, 1) == "file"],
            "or",
        ),
        "parts": MOST_PARTS,
        "subcode_digits": len(str(SHORTEST_SUBCODE)),
        "generic": _listed([*map(str, sorted(GENERIC))], "or"),
        "texts": messenger.rate_of(has_file=False).per_second,
        "files": messenger.rate_of(has_file=True).per_second,
        "slow_at": f"{SLOW_AT:.0%}",
        "pause_at": f"{PAUSE_AT:.0%}",
        "limits": ", ".join(map(str, limits)),
        "attempts": _WORKER.attempts,
        "waits": _listed([f"{seconds:g}" for seconds in _BACKOFFS], "and"),
        "longest_wait": f"{_WORKER.retry_max:g}",
        "jitter": f"{JITTER:.0%}",
        "echo_wait": f"{_WORKER.echo_wait:g}",
    }


_REPLIES_SHOWN = """\
## What agents see

The pictures are taken by `make pictures`, of the sandbox helpdesk's page of a ticket. How a helpdesk shows comments is up to it.

| of a | the agent sees |
| --- | --- |"""


def _number(code: int, subcode: int | None) -> str:
    if subcode == OTHER:
        return f"{code}, any other subcode"
    return f"{code}/{subcode}" if subcode else str(code)


def _outcome(kind: type[ClientError]) -> str:
    return next(words for known, words in _OUTCOMES.items() if issubclass(kind, known))


def _said(code: str) -> str:
    return say(notice(code, owner=notice("an_app"))).replace("|", "\\|")


_PRIVACY = """\
# What is kept of a person

Made by `make docs` from `tasks/inbox/personal.py`; do not edit it.

Conversations live at Meta and in your helpdesk. The connector keeps what it has not delivered yet, and for a while what it needs to know so that
nothing is doubled or shown in the wrong place. A person is known by their id for one page (PSID).

| what | of whom | where | until |
| --- | --- | --- | --- |
| messages and events on their way to the helpdesk, whole, and how far each got | who wrote | `mc:jobs:in:…`, `mc:job:<id>` | they stand on the ticket |
| agents' replies, receipts and reminders on their way, whole, and how far each got | whom they go to | `mc:jobs:out:…`, `mc:job:<id>` | they are sent, or shown |
| replies whose ticket has to be read first | whom the ticket is about | `mc:jobs:ticket:<id>` | the ticket is read |
| what could not be delivered, whole, with the reasons | who wrote, or whom it was to go to | `mc:dead`, `mc:job:<id>`; their ids: `mc:dead:…` | it is retried or dropped (`connector dead`, the board): no time limit |
| events of kinds that this version does not know, whole | who they are about | `mc:unknown` | they are replayed or dropped; 30 days |
| names of their queues, without any text | everybody with work that waits | `mc:oldest`, `mc:later`, `mc:ready:…`, `mc:fresh:…`, `mc:lease:…`, `mc:taken:…`, `mc:reminders` | the work is done, or for `mc:fresh:…` a hundred others came |
"""
_PRIVACY_END = """\
| how many events came to a page, or replies left, in each hour | nobody | `mc:day:…` | 2 days |
| that an event came already: a digest of the page's id, the kind and the message's id, or of all that an event without one says, and of what tells of missing messages; of a reply the helpdesk's id of the comment | nobody that could be told from it | `mc:seen:…` | 7 days |
| a wish to be forgotten that waits for the helpdesk | who asked | `mc:jobs:erase:…` | the helpdesk is told |
| a data deletion request that waits for Meta to name the conversations: the id of who asked, for the app (app-scoped) | who asked | `mc:jobs:match:…` | Meta answers |
| that a person was forgotten, and when: a digest of their id | nobody that could be told from it | `mc:forgotten:…` | 31 days: nothing older is fetched again |
| ids of the people whose conversations are still to be fetched | who wrote to the page in that time | `mc:backfill:…` | they are fetched |
| what came of such a wish: its code, when it came, how it ended | nobody that could be told from it | `mc:erasure:<code>` | 90 days |
| names and tokens of the pages that a login gave, encrypted, and the id of who logged in | who connects pages | `mc:login:<random>` | they have chosen; 15 minutes |
| the id of who logged in to connect a page, for the app (app-scoped), and when | who connected pages | `mc:connections` | the page gets a token another way, or is removed; they have their data deleted |

Files are passed on and not kept. Counters and times of the last event are kept for each page, not for each person.

## Export and forget

`connector export --page P --sender S` prints all of this that there is of a person, as JSON. Whoever asked has to be known to be that person; that is up to you.

`connector forget --page P --sender S` deletes it:

1. The helpdesk is told to delete what it keeps (`createErasure` of [helpdesk-api.yaml](helpdesk-api.yaml)). While it is away the wish waits in a queue of its own, for however long,
   and nothing is deleted yet; the command then ends with 3.
2. All that is in the table goes, but for the digests and the outcome. What is being relayed for the person at that moment is stopped: its worker loses the lease, and can
   save nothing more. A call that is under way cannot be called back, so the helpdesk is told once more when it must be over.

| what came of it | what is left to do |
| --- | --- |
| the helpdesk was told | nothing |
| the helpdesk offers no erasures (404, 405 or 501; so does django-helpdesk) | delete the person's tickets in the helpdesk |
| the helpdesk refused (any other 4xx, or `worker.attempts` failures) | forgotten here; `connector dead list` has the wish, with the reason: `retry` it, or delete the tickets by hand and `drop` it |

A person who writes again later is a new one.

**What it does not reach.** Messages that Meta keeps. A reply in the queue of a ticket (`ticket:…`) whose ticket could not be read yet, if nothing else says whose ticket it is: it waits no
longer than the helpdesk is away, but as a dead letter it has to be dropped by hand. Logs name people by their ids, and hold no text and no name: let them expire. Backups of `data_dir`. The store's own
file holds what was deleted until it is written anew: after each erasure, whoever wanted it, the store is asked for that (`BGREWRITEAOF`), once a minute at most for all of that minute. A hosted
store may refuse it: then see how it treats its files and backups.

## Meta's data deletion requests

Enter `<public_url>/social_media/facebook/data_deletion` at Meta (*Facebook Login → Settings → Data Deletion Request URL*), and `<public_url>/social_media/facebook/deauthorize` as the
deauthorize callback. A request counts only if the app of `graph.app_secret`, or of a connection, signed it.

Only people who logged in at the app can make such a request: in practice those who connected pages. Meta names them by an id of the app's (app-scoped), which is another than the PSID
by which a page, and so the connector, knows who writes to it.

| what is found by that id | what is done |
| --- | --- |
| pages that they connected by a login of this app | switched off; who connected them is kept no longer. The tokens stay, encrypted, until the page is connected again or removed; they stop working when the person removes the app |
| conversations, if Meta tells the PSIDs (`ids_for_pages`: for the app of `graph.app_id`, if app and pages belong to one business in the Business Manager) | forgotten, as by `connector forget`, and the helpdesk is told |
| nothing while Meta does not answer, or wants fewer calls | the request waits in a queue of its own, and Meta is asked again each minute, or when it wants to be, until it answers; the status page says that it is being carried out |
| nothing else: no conversation is kept under that id | the status page says so, and asks them to write to the page and name the code |

The answer has the code and the address of a status page, `<public_url>/data_deletion/<code>`, which says in English or Polish what came of it, for 90 days. Where no conversation was
found, the log has a line `deletion_not_matched` with the code. When the person has written: find their ticket, take `page_id` and `sender_id` from its `config`, and run
`connector forget --page … --sender … --code …`, which brings the status page up to date.
"""


def privacy_page() -> str:
    """Write `docs/privacy.md`."""
    rows = [
        f"| {name.holds} | the person of the conversation | `mc:{name}:…` | {_lasts(name.seconds)}, if not sooner |"
        for name in Personal
    ]
    return _PRIVACY + "\n".join([*rows, ""]) + _PRIVACY_END


def _lasts(seconds: int) -> str:
    days = seconds // DAY
    return "1 day" if days == 1 else f"{days} days"


PAGES: dict[str, Callable[[], str]] = {
    "events.md": events_page,
    "replies.md": replies_page,
    "privacy.md": privacy_page,
}


def _table() -> Iterator[str]:
    yield "| kind | opens a ticket | shown to | without a person | subscribed by | Meta's page |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for kind, row in ROWS.items():
        yield f"| `{kind}` | {_opens(row)} | {_readers(row)} | {_operator(row)} | {_field(row)} | {_page(row)} |"
    message, other = ROWS["message"], row_of("any other")
    inbox, another = (_message_of_the_page(app_id) for app_id in (*PAGE_INBOX_APP_IDS, "999")[-2:])
    opens = {(True, True): "yes", (True, False): "if somebody wrote it in Meta's inbox", (False, False): "no"}
    yield (
        f"| `{STANDBY}` | {_opens(message)} | {_readers(message)}, marked as another app's | "
        f"{_operator(message)} | `standby` | {_link('standby')} |"
    )
    yield (
        f"| `{ECHO}` | {opens[inbox.opens_ticket, another.opens_ticket]} | {_readers(message)} | "
        f"{_operator(message)} | `message_echoes` | {_link('message-echoes')} |"
    )
    yield f"| any other | {_opens(other)} | {_readers(other)} | {_operator(other)}, as an unknown event | | |"


def _message_of_the_page(app_id: str) -> Echo:
    item = {"message": {"mid": "m_1", "is_echo": True, "app_id": app_id}}
    event = events.parse(json.dumps(item).encode())
    assert isinstance(event, Echo)
    return event


def _opens(row: Row) -> str:
    if row.is_receipt:
        return "no; it shows in `config.delivery` of replies"
    if row.about_page:
        return "no; it is about the page"
    return "yes" if row.opens_ticket else "no"


def _readers(row: Row) -> str:
    if row.about_page:
        return "the operator, and with each reply that fails"
    return "agents" if row.internal else "everybody"


def _operator(row: Row) -> str:
    return "counted" if row.is_receipt else "kept"


def _field(row: Row) -> str:
    field = field_of(row)
    how = " (by hand only)" if field in UNASKED else " (if Meta lets the app)" if row.is_extra else ""
    return f"`{field}`{how}" if field else ""


def _page(row: Row) -> str:
    return _link(row.page) if row.page else ""


def _link(page: str) -> str:
    return f"[{page}]({REFERENCE}/{page})"


_SECTIONS = (
    ("Events", EVENTS),
    ("Receipts, on an agent's comment", RECEIPTS),
    ("Attachments of a message", ATTACHMENTS),
    ("What else a message holds", PARTS),
)


def _pictures() -> Iterator[str]:
    """Show a picture for each kind that becomes a comment."""
    yield "## What agents see\n"
    yield "The pictures are taken by `make pictures`, of the sandbox helpdesk's page of a ticket. How a helpdesk shows comments is up to it.\n"
    for title, kinds in _SECTIONS:
        yield f"### {title}\n\n| kind | on the ticket |\n| --- | --- |"
        for kind in kinds:
            name = "any other" if kind.startswith("any_other") else f"`{kind}`"
            yield f"| {name} | ![{description(kind)}](pictures/{kind}.png) |"
        yield ""


def _situations() -> Iterator[str]:
    """Show each situation: what Meta sends, and the comments that it becomes."""
    yield "## Situations\n"
    yield "Before each of them the customer wrote “Where is my parcel?” on an open ticket, and the page answered “It arrives tomorrow.”\n"
    for name in SITUATIONS:
        yield f"### {name.replace('_', ' ')}\n"
        yield f"```json\n{_items(name)}\n```\n"
        yield f"```\n{path_of(name).read_text().rstrip()}\n```\n"


_ENDS = {"sender", "recipient", "timestamp"}


def _items(name: str) -> str:
    """Return the events of a webhook, one on a line, without their ends."""
    entries = decode(payload(f"messenger/{name}"))["entry"]
    shown = [
        item
        for entry in ([entries] if isinstance(entries, dict) else entries)
        for key, value in entry.items()
        if key not in {"id", "time"} | _ENDS
        for item in _of_key(key, value)
    ]
    return "\n".join(json.dumps(one, ensure_ascii=False) for one in shown)


def _of_key(key: str, value: Any) -> list[Any]:
    """Return the items that stand under a key of an entry; of any other key than those of Meta's all of it."""
    if key not in {"messaging", STANDBY, "changes"}:
        return [{key: value}]
    return [
        {key: one for key, one in item.items() if key not in _ENDS} if isinstance(item, dict) else item
        for item in ([value] if isinstance(value, dict) else value)
    ]


def main() -> None:
    """Write all pages."""
    for name, page in PAGES.items():
        (DOCS / name).write_text(page())


if __name__ == "__main__":
    main()
