"""The settings: one frozen object from `settings.yaml` and the environment, refused as a whole if wrong."""

import os
from collections import Counter
from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import quote

import yaml
from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as UnreadVariable

import tasks.connections
from clients.channel import OTHER_KINDS
from clients.channels.registry import CHANNELS
from clients.helpdesks.registry import check_options, find_adapter
from connector import environment, faults
from connector.cipher import Cipher, is_key
from connector.connection import Connection, read_stored
from connector.values import (
    AppId,
    AppSecret,
    CaFile,
    Filled,
    GraphUrl,
    GraphVersion,
    Host,
    HttpUrl,
    Origin,
    Proxy,
    RedisUrl,
    Secret,
    Section,
    Token,
    is_remote_http,
    origin_of,
)
from tasks.connections import Read

PREFIX = "CONNECTOR_"
PATH_VARIABLE = "CONNECTOR_SETTINGS"
DEFAULT_PATH = "settings.yaml"
LONGEST_SOCKET = 103
"""How many bytes the path of a socket may have (unix(7): 107; macOS: 103)."""


LONG_TOKEN = 20
"""How many characters a bearer token has that nobody guesses."""


class SettingsError(Exception):
    """The settings cannot be used; `faults` holds one readable line for each thing that is wrong."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def _adapter(name: str) -> str:
    find_adapter(name)
    return name


def _event_kind(name: str) -> str:
    known = sorted({OTHER_KINDS}.union(*(channel.kinds for channel in CHANNELS.values())))
    if name not in known:
        raise ValueError(f"is no kind of event; write one of {', '.join(known)}")
    return name


EventKind = Annotated[str, AfterValidator(_event_kind)]


class GraphSettings(Section):
    """How Meta is reached."""

    base_url: GraphUrl = "https://graph.facebook.com"
    version: GraphVersion = "v26.0"
    app_id: AppId = ""
    app_secret: AppSecret = SecretStr("")
    http_proxy: Proxy = Field(default="", repr=False)  # it may hold a password
    typing: bool = True
    mark_seen: bool = True
    media_hosts: tuple[Host, ...] = ("fbcdn.net", "fbsbx.com", "facebook.com", "cdninstagram.com")


class HelpdeskSettings(Section):
    """How the helpdesk is reached, and how its webhooks prove themselves."""

    adapter: Annotated[str, AfterValidator(_adapter)] = "rest"
    base_url: HttpUrl
    ca_file: CaFile = ""
    http_proxy: Proxy = Field(default="", repr=False)  # it may hold a password
    api_token: Secret
    webhook_secret: Token = SecretStr("")
    options: dict[str, Any] = Field(default_factory=dict)
    file_hosts: tuple[Host, ...] = ()
    poll_every: Annotated[float, Field(ge=0)] | None = None

    @field_validator("webhook_secret")
    @classmethod
    def _suits_the_adapter(cls, secret: SecretStr, info: ValidationInfo) -> SecretStr:
        if adapter := info.data.get("adapter"):
            find_adapter(adapter).check_secret(secret.get_secret_value())
        return secret

    @field_validator("options")
    @classmethod
    def _suit_the_adapter(cls, options: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if adapter := info.data.get("adapter"):
            check_options(find_adapter(adapter), options)
        return options

    @property
    def poll_interval(self) -> float:
        """Return how often the helpdesk is polled, in seconds; 0 is never."""
        return find_adapter(self.adapter).poll_every if self.poll_every is None else self.poll_every


class CloudFrontSettings(Section):
    """The key pair that signs CloudFront URLs, and how many seconds they last: for Meta, and for people."""

    key_pair_id: str = ""
    private_key_file: str = ""
    expires_in: Annotated[int, Field(gt=0)] = 3600
    link_expires_in: Annotated[int, Field(gt=0)] = 30 * 24 * 3600


class AttachmentSettings(Section):
    """How an agent's files reach Messenger, and how large a file may be (bytes)."""

    delivery: Literal["upload", "url", "cloudfront"] = "upload"
    max_bytes: Annotated[int, Field(gt=0)] = 26_214_400
    cloudfront: CloudFrontSettings = CloudFrontSettings()

    @model_validator(mode="after")
    def _cloudfront_has_its_key(self) -> Self:
        if self.delivery == "cloudfront":
            if not self.cloudfront.key_pair_id:
                raise ValueError("delivery is cloudfront, so cloudfront.key_pair_id must be set")
            if not Path(self.cloudfront.private_key_file).is_file():
                raise ValueError(
                    "delivery is cloudfront, so cloudfront.private_key_file must name a PEM file"
                )
        return self


class WorkerSettings(Section):
    """How the work is done; `concurrency` is how many threads are relayed at once in one process.

    All times are in seconds. A worker has a queue for `lease` and renews that while it works. A job
    that fails for its own fault is tried `attempts` times. A reply of unknown outcome waits `echo_wait`
    for its echo before it is sent again.
    """

    pool: Literal["threads", "prefork", "solo"] = "threads"
    concurrency: Annotated[int, Field(gt=0)] = 16
    lease: Annotated[float, Field(ge=1)] = 15
    attempts: Annotated[int, Field(gt=0)] = 10
    retry_max: Annotated[float, Field(gt=0)] = 300
    echo_wait: Annotated[float, Field(ge=0)] = 30


_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The loader in C takes a quarter of the time, which many connections make felt at every start."""


def _file_values(settings: type[BaseSettings]) -> dict[str, Any]:
    """Read the file. Refuse a key that stands twice, if the settings have it: nobody knows which is meant."""
    path = settings_path()
    loader = _SafeLoader(path.read_text(encoding="utf-8"))
    try:
        node = loader.get_single_node()
        doubled = faults.doubled(node) if node else {}  # before << is resolved, which may replace a key
        data = loader.construct_document(node) if node else {}
    finally:
        loader.dispose()
    if not isinstance(data, dict | None):
        raise SettingsError([f"{path}: holds no keys and values; see the settings.yaml we ship"])
    everything = settings.model_config.get("extra") == "forbid"
    if found := [line for key, line in doubled.items() if everything or key in settings.model_fields]:
        raise SettingsError(found)
    return data or {}


def _environment_values(settings: type[BaseSettings], file: Mapping[str, Any]) -> dict[str, Any]:
    """Read what the environment says. Its connections are those of the file, with what it gives to each."""
    wrong: list[str] = []
    given = environment.read(settings, wrong)
    if wrong:
        raise SettingsError(wrong)
    of_pages = {name: one for name, one in given.items() if name.startswith(environment.CONNECTION)}
    source = EnvSettingsSource(settings)
    source.env_vars = {
        f"{PREFIX}{name}".lower(): one.text for name, one in given.items() if name not in of_pages
    }
    values = source()
    listed = values.get("connections", file.get("connections", []))
    if of_pages and isinstance(listed, list):
        keys = Connection.model_fields.keys() - {"page_id"}
        values["connections"] = environment.connections(listed, of_pages, keys, wrong)
    if wrong:
        raise SettingsError(wrong)
    return values


class StoreSettings(BaseSettings):
    """What leads to the store. Whatever else the settings say may be wrong, or missing."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="ignore",
        frozen=True,
        validate_default=True,
        coerce_numbers_to_str=True,
    )

    redis_url: RedisUrl = Field("", repr=False)  # it may hold a password
    broker_url: RedisUrl = Field("", repr=False)
    key_prefix: str = ""
    data_dir: Path = Path("var")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"

    @model_validator(mode="after")
    def _socket_has_a_short_path(self) -> Self:
        length = len(os.fsencode(self.socket))
        if not self.redis_url and length > LONGEST_SOCKET:
            raise ValueError(
                f"data_dir is too long for a socket in it: {self.socket} has {length} bytes, "
                f"{LONGEST_SOCKET} are possible; name a folder with a shorter path"
            )
        return self

    @property
    def socket(self) -> Path:
        """Where the embedded store listens."""
        return self.data_dir.resolve() / "valkey.sock"

    @property
    def store_url(self) -> str:
        """Where Redis or Valkey is: `redis_url`, or the embedded server's address."""
        return self.redis_url or f"unix://{quote(str(self.socket))}"

    @property
    def store_key(self) -> str:
        """Return the key that says where the store is."""
        return "redis_url" if self.redis_url else "data_dir"

    @property
    def celery_broker_url(self) -> str:
        """Where Celery's wake-ups go."""
        return self.broker_url or self.store_url

    @property
    def broker_key(self) -> str:
        """Return the key that says where Celery's wake-ups go."""
        return "broker_url" if self.broker_url else self.store_key

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment override the file."""
        file = _file_values(settings_cls)
        given = _environment_values(settings_cls, file)
        return InitSettingsSource(settings_cls, given), InitSettingsSource(settings_cls, file)


class Settings(StoreSettings):
    """All settings. Each key is explained in `settings.yaml`."""

    model_config = SettingsConfigDict(extra="forbid")

    host: Filled = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 8000
    public_url: HttpUrl = "http://127.0.0.1:8000"
    secret_key: SecretStr = SecretStr("")
    admin_token: Token = SecretStr("")
    metrics_token: Token = SecretStr("")
    framed_by: tuple[Origin, ...] = ()
    graph: GraphSettings = GraphSettings()
    helpdesk: HelpdeskSettings
    backfill: bool = True
    attachments: AttachmentSettings = AttachmentSettings()
    worker: WorkerSettings = WorkerSettings()
    check_every: Annotated[float, Field(ge=0)] = 10
    check_tickets: bool = True
    events: dict[EventKind, Literal["open_ticket", "join_ticket"]] = {}
    connections: tuple[Connection, ...] = ()

    @field_validator("secret_key")
    @classmethod
    def _is_keys(cls, secret: SecretStr) -> SecretStr:
        if not all(map(is_key, _keys(secret))):
            raise ValueError(
                "must be one or more keys, the newest first, with commas between them; "
                "“connector secrets new-key” prints one"
            )
        return secret

    @field_validator("connections")
    @classmethod
    def _one_active_connection_a_page(cls, connections: tuple[Connection, ...]) -> tuple[Connection, ...]:
        counts = Counter(connection.page_id for connection in connections if connection.active)
        for page_id, count in counts.items():
            if count > 1:
                raise ValueError(f"page {page_id} has {count} active connections; keep one active")
        return connections

    @property
    def frame_ancestors(self) -> tuple[str, ...]:
        """Return the origins whose pages may show ours in a frame: by default that of the helpdesk's API."""
        return self.framed_by or (origin_of(self.helpdesk.base_url),)

    @property
    def cipher(self) -> Cipher | None:
        """Return what encrypts with the keys of `secret_key`, the newest first; None if there is none."""
        keys = _keys(self.secret_key)
        return Cipher(keys) if keys else None

    @property
    def read_connection(self) -> Read | None:
        """Return what reads a connection that was added at run time; None without a `secret_key`."""
        cipher = self.cipher
        return (lambda record: read_stored(record.body, cipher)) if cipher else None

    @cached_property
    def fixed_connections(self) -> tuple[tasks.connections.Connection, ...]:
        """Return the connections that are listed, as the work knows them."""
        return tuple(one.as_data() for one in self.connections)


S = TypeVar("S", bound=StoreSettings)


def _keys(secret: SecretStr) -> list[str]:
    return [key for one in secret.get_secret_value().split(",") if (key := one.strip())]


def settings_path() -> Path:
    """Return the settings file: `CONNECTOR_SETTINGS`, or `settings.yaml` in the current folder."""
    return Path(os.environ.get(PATH_VARIABLE, DEFAULT_PATH))


@cache
def get_settings() -> Settings:
    """Read the settings once.

    Raises `SettingsError` with a line for each fault.
    """
    return load_settings()


def load_settings() -> Settings:
    """Read the settings now. Raises `SettingsError` with a line for each fault."""
    return _load(Settings)


def load_store_settings() -> StoreSettings:
    """Read what leads to the store, and nothing else. Raises `SettingsError` with a line for each fault."""
    return _load(StoreSettings)


def _load(settings: type[S]) -> S:
    path = settings_path()
    try:
        return settings()  # type: ignore[call-arg]  # the sources fill it
    except ValidationError as error:
        raise SettingsError(faults.of_values(error)) from None
    except yaml.YAMLError as error:
        raise SettingsError([faults.of_yaml(path, error)]) from None
    except UnreadVariable as error:
        raise SettingsError([faults.of_variable(error)]) from None
    except OSError as error:
        raise SettingsError([faults.of_file(path, error)]) from None
    except UnicodeDecodeError:
        raise SettingsError([f"{path}: is no text in UTF-8; save it as such"]) from None
    except ValueError as error:  # a value that only looks like a date
        raise SettingsError([f"{path}: holds a value that cannot be read ({error})"]) from None


def unknown_variables() -> list[str]:
    """Return the variables of the environment, and files of secrets, that look like settings and are none."""
    return environment.unknown(Settings)


def doubtful(settings: Settings) -> dict[str, str]:
    """Return the keys whose values may be meant, but seldom are, and what to do about each."""
    found = {}
    for key, url in (
        ("graph.base_url", settings.graph.base_url),
        ("helpdesk.base_url", settings.helpdesk.base_url),
    ):
        if is_remote_http(url):
            found[key] = "tokens and messages go there unencrypted; write https://"
    if is_remote_http(settings.public_url):
        found["public_url"] = "Meta calls https:// only; write the address of your reverse proxy with TLS"
    if not settings.cipher and not any(connection.active for connection in settings.connections):
        found["connections"] = "no page is connected, so nothing is relayed; add one, or set active: true"
    if token := settings.admin_token.get_secret_value():
        if len(token) < LONG_TOKEN:
            found["admin_token"] = (
                f"it can be guessed; take {LONG_TOKEN} random characters or more, such as those of "
                "“connector secrets new-key”"
            )
        if not settings.cipher:
            hint = "/connections can only show and remove; “connector secrets new-key” prints a key"
            found["secret_key"] = hint
    if settings.graph.app_secret.get_secret_value() and (missing := missing_for_login(settings)):
        found["graph.app_secret"] = f"nobody can log in to connect pages before {', '.join(missing)} is set"
    return found


def missing_for_login(settings: Settings) -> list[str]:
    """Return the keys that are empty, and are needed for people to connect pages by a login."""
    needed = {
        "graph.app_id": settings.graph.app_id,
        "graph.app_secret": settings.graph.app_secret.get_secret_value(),
        "secret_key": settings.cipher,
        "admin_token": settings.admin_token.get_secret_value(),
    }
    return [key for key, value in needed.items() if not value]


def changed_for_good(old: Settings, new: Settings) -> list[str]:
    """Return the keys that differ and may not change while parts run: one would part from the others."""
    keys = ("host", "port", "public_url", "redis_url", "broker_url", "key_prefix", "data_dir")
    changed = [key for key in keys if getattr(old, key) != getattr(new, key)]
    return changed + ["helpdesk.base_url"] * (old.helpdesk.base_url != new.helpdesk.base_url)
