"""The kinds of values in the settings: each is taken as it is meant, or refused with the remedy."""

import re
import ssl
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

import redis
from pydantic import AfterValidator, BaseModel, ConfigDict, SecretStr

from clients.transport import is_address, is_public

OLDEST_VERSION = 21
"""The oldest version of the Graph API that Meta still serves (2026-11). https://developers.facebook.com/docs/graph-api/changelog"""

_HOST = re.compile(r"[\w-]+(\.[\w-]+)*\.?", re.ASCII)
_INTERNAL = (".localhost", ".local", ".internal", ".lan", ".home.arpa", ".test", ".example")


class Section(BaseModel):
    """A part of the settings: frozen, no unknown keys, and ids may be written without quotes."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True, validate_default=True)


def _filled(value: str) -> str:
    value = value.strip()
    if not value:
        raise ValueError("must not be empty")
    return value


def _http_url(value: str) -> str:
    value = value.strip()
    parts = _split(value)
    if parts is None:
        shown = "it" if "@" in value else repr(value)  # before an @ there may be a password
        raise ValueError(f"{shown} is no web address; write it in full, such as https://acme.example.com")
    if "@" in parts.netloc:
        raise ValueError("has a user name or a password in it, which are not sent; leave them out")
    if "?" in value or "#" in value:
        raise ValueError(
            "has a ? or a # in it, behind which no path can be added; leave out all from there on"
        )
    return value.rstrip("/")


def _origin(value: str) -> str:
    if (parts := _split(value)) and parts.path.strip("/"):
        raise ValueError("has a path; write scheme and host only, such as https://acme.example.com")
    return _http_url(value)


def origin_of(url: str) -> str:
    """Return the scheme, host and port of a web address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _split(value: str) -> SplitResult | None:
    """Split a web address; None if it is none."""
    try:
        parts = urlsplit(value)
        good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return parts if good and not re.search(r"\s", value) else None


def is_remote_http(url: str) -> bool:
    """Return whether what is sent there goes over foreign networks for everybody to read."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_address(host):
        return parts.scheme == "http" and is_public(host)
    return parts.scheme == "http" and "." in host and not host.endswith(_INTERNAL)


def _graph_url(value: str) -> str:
    if re.search(r"/v\d+\.\d+$", value):
        raise ValueError("ends with a version; leave it out, and write it in graph.version")
    return value


def _graph_version(value: str) -> str:
    value = value.strip()
    found = re.fullmatch(r"v(\d{1,3})\.\d", value)
    if not found:
        raise ValueError("must be a version of the Graph API, such as v26.0")
    if int(found[1]) < OLDEST_VERSION:
        raise ValueError(
            f"is a version that Meta does not serve any more; take one from v{OLDEST_VERSION}.0 on"
        )
    return value


def _redis_url(value: str) -> str:
    if not value:
        return value
    try:
        redis.ConnectionPool.from_url(value).make_connection()
        is_server = urlsplit(value).port != 0
    except (ValueError, TypeError):
        is_server = False
    if not is_server:
        raise ValueError("write redis://host:6379/0, rediss://… (TLS) or unix:///path; or leave it empty")
    return value


def _host(value: str) -> str:
    value = _filled(value)
    if not is_address(value) and not _HOST.fullmatch(value):
        raise ValueError(
            "is no name of a host; write it alone, such as cdn.example.com, without https://, port or *"
        )
    return value


def _page_id(value: str) -> str:
    value = _filled(value)
    if not (value.isascii() and value.isdecimal()):
        raise ValueError(
            "must be the page's number, digits only; Facebook shows it as “Page ID” in the page's settings"
        )
    return value


def _app_id(value: str) -> str:
    value = value.strip()
    if value and not (value.isascii() and value.isdecimal()):
        raise ValueError("must be the app's number, digits only; copy it from your Meta app: Settings, Basic")
    return value


def _token(value: SecretStr) -> SecretStr:
    """Take a token without the line break that a file of secrets leaves behind it."""
    token = value.get_secret_value().strip()
    if not (token.isascii() and token.isprintable()):
        raise ValueError("has characters that no token has; copy it again")
    return SecretStr(token)


def _filled_secret(value: SecretStr) -> SecretStr:
    _filled(value.get_secret_value())
    return value


def _app_secret(value: SecretStr) -> SecretStr:
    if (secret := value.get_secret_value()) and not re.fullmatch("[0-9a-fA-F]{32}", secret):
        raise ValueError(
            "must be 32 digits and letters from a to f; copy it from your Meta app: Settings, Basic"
        )
    return value


def _proxy(value: str) -> str:
    value = value.strip()
    parts = _split(value)
    if value and (parts is None or parts.scheme != "http" or parts.path.strip("/") or parts.query):
        raise ValueError("must be the proxy's address, http://proxy.internal:3128; or leave it empty")
    return value.rstrip("/")


def _ca_file(value: str) -> str:
    if not value:
        return value
    try:
        ssl.create_default_context(cafile=value)
    except ssl.SSLError:
        raise ValueError("holds no certificate; it must be one or more, in PEM") from None
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror}); name a file with certificates in PEM") from None
    return value


Filled = Annotated[str, AfterValidator(_filled)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
Origin = Annotated[str, AfterValidator(_origin)]
GraphUrl = Annotated[HttpUrl, AfterValidator(_graph_url)]
GraphVersion = Annotated[str, AfterValidator(_graph_version)]
RedisUrl = Annotated[str, AfterValidator(_redis_url)]
Host = Annotated[str, AfterValidator(_host)]
Proxy = Annotated[str, AfterValidator(_proxy)]
CaFile = Annotated[str, AfterValidator(_ca_file)]
AppId = Annotated[str, AfterValidator(_app_id)]
PageId = Annotated[str, AfterValidator(_page_id)]
Token = Annotated[SecretStr, AfterValidator(_token)]
Secret = Annotated[Token, AfterValidator(_filled_secret)]
AppSecret = Annotated[Token, AfterValidator(_app_secret)]
