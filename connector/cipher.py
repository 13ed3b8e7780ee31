"""Encryption of the secrets of connections that were added at run time."""

from collections.abc import Iterable

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class Unreadable(ValueError):
    """A secret was encrypted with a key that `secret_key` does not have (any more)."""

    def __init__(self) -> None:
        super().__init__("its secrets were encrypted with a key that secret_key does not have (any more)")


def new_key() -> str:
    """Make a key."""
    return Fernet.generate_key().decode()


def is_key(text: str) -> bool:
    """Return whether a text is a key: 32 bytes in URL-safe base64."""
    try:
        Fernet(text)
    except ValueError:
        return False
    return True


class Cipher:
    """Encrypts with the first of several keys, and decrypts with any of them.

    https://github.com/fernet/spec/blob/master/Spec.md
    """

    def __init__(self, keys: Iterable[str]) -> None:
        fernets = [Fernet(key) for key in keys]
        self._fernet, self._newest = MultiFernet(fernets), fernets[0]

    def encrypt(self, secret: str) -> str:
        """Encrypt a secret."""
        return self._fernet.encrypt(secret.encode()).decode()

    def decrypt(self, token: str) -> str:
        """Decrypt a secret. Raises `Unreadable`."""
        try:
            return self._fernet.decrypt(token).decode()
        except InvalidToken:
            raise Unreadable from None

    def is_newest(self, token: str) -> bool:
        """Return whether a secret was encrypted with the first key."""
        try:
            self._newest.decrypt(token)
        except InvalidToken:
            return False
        return True

    def rotate(self, token: str) -> str:
        """Encrypt a secret anew, with the first key. Raises `Unreadable`."""
        try:
            return self._fernet.rotate(token).decode()
        except InvalidToken:
            raise Unreadable from None
