"""A proxy before a store that leads new connections elsewhere, as managed failovers do."""

import asyncio
import ssl
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Self


class Proxy:
    """Leads `url` to one store, and after `lead` to another; open connections stay where they are.

    With a TLS context, clients have to speak TLS.
    """

    def __init__(self, url: str, tls: ssl.SSLContext | None = None) -> None:
        self._target, self._tls = _port(url), tls
        self._writers: set[asyncio.StreamWriter] = set()
        self._silent: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls))
        scheme = "rediss" if self._tls else "redis"
        self.url = f"{scheme}://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/0"
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def lead(self, url: str) -> None:
        """Lead new connections to another store."""
        self._target = _port(url)

    def silence(self) -> None:
        """Let nothing more through the connections that are open, and do not close them either."""
        self._loop.call_soon_threadsafe(lambda: self._silent.update(self._writers))

    def _run(self, what: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(10)

    async def _close(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            back, forth = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        both = {writer, forth}
        self._writers |= both
        await asyncio.gather(self._carry(reader, forth), self._carry(back, writer))
        self._writers -= both

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                if writer not in self._silent:
                    writer.write(data)
                    await writer.drain()
        if writer not in self._silent:
            writer.close()


def _port(url: str) -> int:
    return int(url.rpartition(":")[2].partition("/")[0])
