"""A writer of small location files in MaxMind's format (version 2.0 of its specification).

It writes IPv6 trees with records of 24 bits. An IPv4 network is in ``::/96``, where readers look.
"""

from ipaddress import ip_network
from pathlib import Path

MARKER = b"\xab\xcd\xefMaxMind.com"
STRING, UINT16, UINT32, MAP, UINT64, ARRAY = 2, 5, 6, 7, 9, 11
EXTENDED = 7

type Value = str | dict[str, Value] | list[str]


def write(path: Path, places: dict[str, Value], *, kind: str = "GeoLite2-City") -> Path:
    """Write a location file that holds ``places`` by network, and return its path."""
    nodes: list[list[int | None]] = [[None, None]]
    data, offsets = b"", {}
    for network, place in places.items():
        offsets[network] = len(data)
        data += _encoded(place)
    leaves: dict[tuple[int, int], int] = {}
    for network in places:
        bits = _bits(network)
        node = 0
        for bit in bits[:-1]:
            following = nodes[node][bit]
            if following is None:
                nodes.append([None, None])
                following = nodes[node][bit] = len(nodes) - 1
            node = following
        leaves[node, bits[-1]] = offsets[network]
    count = len(nodes)
    tree = b"".join(
        (count + 16 + leaves[number, bit] if (number, bit) in leaves else record or count).to_bytes(
            3, "big"
        )
        for number, node in enumerate(nodes)
        for bit, record in enumerate(node)
    )
    path.write_bytes(tree + bytes(16) + data + MARKER + _metadata(count, kind))
    return path


def city(name: str, **names: str) -> Value:
    """A place as it is in files of cities; ``names`` are those of other languages."""
    return {"city": {"names": {"en": name, **names}}}


def _bits(network: str) -> list[int]:
    parsed = ip_network(network)
    number, length = int(parsed.network_address), parsed.prefixlen
    length += 96 if parsed.version == 4 else 0
    return [number >> (127 - place) & 1 for place in range(length)]


def _metadata(nodes: int, kind: str) -> bytes:
    entries = {
        "binary_format_major_version": _number(UINT16, 2),
        "binary_format_minor_version": _number(UINT16, 0),
        "build_epoch": _number(UINT64, 1_700_000_000),
        "database_type": _encoded(kind),
        "description": _encoded({"en": "A few places for tests"}),
        "ip_version": _number(UINT16, 6),
        "languages": _encoded(["en"]),
        "node_count": _number(UINT32, nodes),
        "record_size": _number(UINT16, 24),
    }
    pairs = b"".join(_encoded(name) + value for name, value in entries.items())
    return _control(MAP, len(entries)) + pairs


def _encoded(value: Value) -> bytes:
    if isinstance(value, dict):
        pairs = b"".join(_encoded(name) + _encoded(entry) for name, entry in value.items())
        return _control(MAP, len(value)) + pairs
    if isinstance(value, list):
        return _control(ARRAY, len(value)) + b"".join(map(_encoded, value))
    text = value.encode()
    return _control(STRING, len(text)) + text


def _number(kind: int, value: int) -> bytes:
    octets = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return _control(kind, len(octets)) + octets


def _control(kind: int, size: int) -> bytes:
    """The byte that announces a value; sizes from 29 to 284 take another one."""
    more = b"" if size < 29 else bytes([size - 29])
    size = min(size, 29)
    if kind <= EXTENDED:
        return bytes([kind << 5 | size]) + more
    return bytes([size, kind - EXTENDED]) + more
