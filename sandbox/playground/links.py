"""Where the product's own pages of the running demo are."""

import httpx

from sandbox.stack import Stack


def links(stack: Stack) -> dict[str, str]:
    """Return the addresses of the Messenger tab and of the operator's board, those that answer 200."""
    desk_id = stack.pages[0].desk_id
    known = {"tab": f"{stack.url}/desks/{desk_id}/messenger", "board": f"{stack.url}/board"}
    return {name: address for name, address in known.items() if _answers(stack, address)}


def _answers(stack: Stack, address: str) -> bool:
    try:
        return stack.http.get(address).status_code == 200
    except httpx.TransportError:
        return False
