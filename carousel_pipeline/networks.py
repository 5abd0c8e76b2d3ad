"""Addresses and blocks of the internet, as settings write them and as requests come from them."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address


def networks(written: str) -> tuple[Network, ...]:
    """Return the networks of a setting: addresses or blocks between commas.

    Raises:
        ValueError: one of them is neither.
    """
    return tuple(ip_network(part.strip()) for part in written.split(",") if part.strip())


def sender(peer: str | None, forwarded: Sequence[str], proxies: Sequence[Network]) -> Address | None:
    """Return the address a request really came from, None when that cannot be said.

    Args:
        peer: the socket's other end.
        forwarded: the values of `X-Forwarded-For`, in the order of the headers.
        proxies: our own proxies; each of them appends the address it saw, so hops are believed from the end, as long as the one
            who wrote them is ours. The first entry is anybody's to write.
    """
    hops = [hop.strip() for line in forwarded for hop in line.split(",")]
    at = _address(peer)
    while at is not None and within(at, proxies) and hops:
        at = _address(hops.pop())
    return at


def within(address: Address, blocks: Iterable[Network]) -> bool:
    """Return whether an address lies in one of the blocks."""
    return any(address.version == block.version and address in block for block in blocks)


def _address(written: str | None) -> Address | None:
    try:
        found = ip_address((written or "").partition("%")[0])
    except ValueError:
        return None
    # A socket that listens on IPv6 shows IPv4 peers inside IPv6 addresses.
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found
