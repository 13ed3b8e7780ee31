"""A job: what was accepted, from the endpoint to the dead letter, and the steps that were taken of it."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from clients.channel import Conversation

T = TypeVar("T")
History = tuple[dict[str, str], ...]

UNTRACED = "0"
"""When a part was sent of which no trace is found: it is sent once more if a person has the reply retried."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Something to do, in a queue.

    `key` is the same for every delivery of the same event; nobody needs it once the job is accepted, nor
    `known_for`: how long (ms) it is remembered, if that is shorter than for others. In ms,
    `time` is when it happened, by its sender's clock, and `accepted` when it came, by the store's. What only
    the store knows is empty before: `id`, `accepted`, how often it failed and why, and the steps taken.
    """

    queue: str
    time: int
    body: bytes
    key: str = ""
    known_for: int = 0
    id: int = 0
    accepted: int = 0
    attempts: int = 0
    history: History = ()
    steps: Mapping[str, str] = {}


class PartEcho(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a reply that came back from its channel; the reply may wait to know its `message_id`.

    `echo_metadata` is what the part was sent with; `time` is when it was sent, in ms by the channel's clock.
    """

    conversation: Conversation
    echo_metadata: str
    message_id: str
    time: int


class Step(str):
    """The name of a step, and of what is kept of it while the job is under way.

    | step         | is kept                     | its value                | then follows                  |
    | ------------ | --------------------------- | ------------------------ | ----------------------------- |
    | `reply_to`   | before a reply that quotes  | the message, or nothing  | any of the next               |
    | `late`       | once the reply window has   | nothing                  | any of the next               |
    |              | closed, but not for agents  |                          |                               |
    | `way:N`      | once file N was refused     | `apart`, `link`          | any of the next               |
    | `upload:N`   | once file N is uploaded     | what it is called there  | `call`, `sending:N` or undo   |
    | `history`    | once it waits for what was  | when; the store's clock  | `call`                        |
    |              | said before it              |                          |                               |
    | `call`       | before a ticket or comment  | `ticket`, `comment:<id>` | `call`, `notified:X`, the end |
    | `unanswered` | once a message is noted as  | when its window closes   | the end                       |
    |              | not answered yet            |                          |                               |
    | `edited`     | before a comment is changed | its new body             | the end, or `call`            |
    | `sending:N`  | before part N is sent       | when; the store's clock  | `at`, `sent:N` or undo        |
    |              |                             | (0: no trace of it)      |                               |
    | `at`         | once a part was sent        | when; the channel's      | `sent:N`                      |
    | `sent:N`     | once part N was sent        | its message id           | the next part, the end        |
    | `notified:X` | before internal comment X   | `called`                 | any of them, the end          |
    | `told_anew`  | once a person is forgotten  | `soon`                   | the end                       |
    |              | whom a worker was at        |                          |                               |
    | `report`     | before an internal ticket   | what it is to say        | `notified:X`, the end         |
    | `failed`     | once it is given up         | the reason               | `notified:X`, the dead letter |
    | `replayed`   | as it is put back           | when; the store's clock  | any of them                   |

    What is kept before a call says that it may have worked: whoever finds it looks first. It is undone if the
    remote says that it did not work. Times are in ms. A job that is requeued keeps all of them but `failed`
    and `late`.
    """

    __slots__ = ()

    @classmethod
    def call(cls) -> "Step":
        """Name the create of a ticket or a comment."""
        return cls("call")

    @classmethod
    def history(cls) -> "Step":
        """Name the wait for what was said before the account was connected."""
        return cls("history")

    @classmethod
    def edited(cls) -> "Step":
        """Name the change of a comment."""
        return cls("edited")

    @classmethod
    def reply_to(cls) -> "Step":
        """Name the search for the message that a reply quotes."""
        return cls("reply_to")

    @classmethod
    def late(cls) -> "Step":
        """Name that a reply is sent as an agent's late one."""
        return cls("late")

    @classmethod
    def way(cls, number: int) -> "Step":
        """Name the decision to send a file, or the files from this number on, in another way."""
        return cls(f"way:{number}")

    @classmethod
    def unanswered(cls) -> "Step":
        """Name that a message was noted as not answered yet."""
        return cls("unanswered")

    @classmethod
    def upload(cls, number: int) -> "Step":
        """Name the upload of a file."""
        return cls(f"upload:{number}")

    @classmethod
    def sending(cls, number: int) -> "Step":
        """Name the attempt to send a part."""
        return cls(f"sending:{number}")

    @classmethod
    def sent(cls, number: int) -> "Step":
        """Name the sending of a part, which worked."""
        return cls(f"sent:{number}")

    @classmethod
    def sent_at(cls) -> "Step":
        """Name the time at which the last part was sent."""
        return cls("at")

    @classmethod
    def notified(cls, external_id: str) -> "Step":
        """Name an internal comment."""
        return cls(f"notified:{external_id}")

    @classmethod
    def told_anew(cls) -> "Step":
        """Name that the helpdesk has to be told of an erasure once more."""
        return cls("told_anew")

    @classmethod
    def report(cls) -> "Step":
        """Name the create of an internal ticket."""
        return cls("report")

    @classmethod
    def failed(cls) -> "Step":
        """Name the decision that the job cannot be done."""
        return cls("failed")

    @classmethod
    def replayed(cls) -> "Step":
        """Name an operator's wish that an event is shown anew, as its kind may be known by now."""
        return cls("replayed")


def sent_ids(steps: Mapping[str, str]) -> list[str]:
    """Return the message ids of the parts that were sent, in their order."""
    return [steps[Step.sent(number)] for number in _numbers(steps, "sent")]


def last_sending(steps: Mapping[str, str]) -> int:
    """Return when the last part was about to be sent, in ms by the store's clock; 0 if none was."""
    return max((int(steps[Step.sending(number)]) for number in _numbers(steps, "sending")), default=0)


def under_way(steps: Mapping[str, str]) -> list[Step]:
    """Return the steps of parts that may have been sent, and whose ids are not known yet."""
    return [Step.sending(number) for number in _numbers(steps, "sending") if Step.sent(number) not in steps]


def _numbers(steps: Mapping[str, str], kind: str) -> list[int]:
    found = (name.split(":", 1) for name in steps if name.startswith(f"{kind}:"))
    return sorted(int(number) for _, number in found)


def read_job(queue: str, entry: bytes, record: Sequence[bytes]) -> Job:
    """Read a job as the script gives it: `<id> <accepted> <time> <body>`, and a list of names and values."""
    id_, accepted, time, body = entry.split(b" ", 3)
    pairs = [part.decode() for part in record]
    known = dict(zip(pairs[::2], pairs[1::2], strict=True))
    return Job(
        queue=queue,
        time=int(time),
        body=body,
        id=int(id_),
        accepted=int(accepted),
        attempts=read_value(known.get("attempts", ""), int, 0),
        history=read_value(known.get("history", ""), History, ()),
        steps=steps_in(known),
    )


def steps_in(record: Mapping[str, str]) -> dict[str, str]:
    """Return the steps among what is kept of a job."""
    return {name.removeprefix("step:"): value for name, value in record.items() if name.startswith("step:")}


def read_value(text: str | bytes, type_: type[T] | Any, absent: T) -> T:
    """Read JSON that this version wrote, or another one: of another shape it counts as absent."""
    try:
        value: T = msgspec.json.decode(text, type=type_)
    except msgspec.MsgspecError:
        return absent
    return value
