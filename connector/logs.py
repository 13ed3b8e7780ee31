"""Logs: one line an event, a static name with its ids as fields. No text of a message, no token, no body."""

import logging
import sys

import structlog

# These would log addresses with their queries, or a line for every wake-up.
_QUIET = ("httpx", "httpcore", "celery", "kombu", "asyncio", "markdown_it")

_AUDIT = "audit"
audit = structlog.wrap_logger(
    None, wrapper_class=structlog.make_filtering_bound_logger(logging.INFO), logger_factory_args=(_AUDIT,)
)
"""The logger of what people did with what others wrote: no `log_level` leaves it out."""

_SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]


_FOR_PROGRAMS: list[structlog.typing.Processor] = [
    structlog.processors.format_exc_info,  # without variables: they may be secrets
    structlog.processors.JSONRenderer(ensure_ascii=False),
]


def configure(part: str, level: str = "info", form: str = "text") -> None:
    """Send this process's logs, and those of its libraries, to standard error in one form: text or json."""
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(part, form))
    logging.captureWarnings(capture=True)
    logging.getLogger("py.warnings").setLevel(logging.ERROR)  # Python's warnings are for who writes code
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    logging.getLogger(_AUDIT).setLevel(logging.INFO)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    # It would log each attempt to reach the broker; ours are logged once a minute.
    logging.getLogger("celery.worker.consumer.consumer").setLevel(logging.CRITICAL)


def _formatter(part: str, form: str) -> logging.Formatter:
    def add_part(logger: object, name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        """Name the part in every line, those of libraries and of other threads too."""
        event["part"] = part
        return event

    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_SHARED,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            add_part,
            _written_out,
            *(_FOR_PROGRAMS if form == "json" else [_renderer()]),
        ],
    )


def _written_out(logger: object, name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Write characters out that a terminal acts on, or that are not seen: ids are what others chose."""
    for key, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            shown = (char if char.isprintable() or char in "\n\t" else repr(char)[1:-1] for char in value)
            event[key] = "".join(shown)
    return event


def _renderer() -> structlog.typing.Processor:
    """Render lines for people; with plain tracebacks, as rich ones show variables, so secrets."""
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(),
        pad_event_to=28,
        sort_keys=False,
        exception_formatter=structlog.dev.plain_traceback,
    )
