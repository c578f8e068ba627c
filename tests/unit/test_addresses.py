"""URLs of servers: every accepted form comes back by `str`, every other one is refused with a reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftpsvc.addresses import DEFAULT_PORT, Address
from ftpsvc.exceptions import ConfigError


@pytest.mark.parametrize(
    ("text", "host", "port", "shown"),
    [
        ("ftpsvc+tcp://127.0.0.1:9000", "127.0.0.1", 9000, None),
        ("ftpsvc+tcp://example.org", "example.org", DEFAULT_PORT, "ftpsvc+tcp://example.org:9021"),
        ("ftpsvc+tcp://Example.ORG:1/", "example.org", 1, "ftpsvc+tcp://example.org:1"),
        ("FTPSVC+TCP://h:65535", "h", 65535, "ftpsvc+tcp://h:65535"),
        ("ftpsvc+tcp://[::1]:9000", "::1", 9000, None),
        ("ftpsvc+tcp://[::1]", "::1", DEFAULT_PORT, "ftpsvc+tcp://[::1]:9021"),
        ("ftpsvc+tcp://[fe80::1%eth0]:5", "fe80::1%eth0", 5, None),
    ],
)
def test_tcp(text: str, host: str, port: int, shown: str | None) -> None:
    address = Address.parse(text)
    assert (address.scheme, address.host, address.port, address.path) == ("ftpsvc+tcp", host, port, None)
    assert str(address) == (shown or text)
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize(
    ("text", "host", "port", "shown"),
    [
        ("ftpsvc://127.0.0.1:9000", "127.0.0.1", 9000, None),
        ("FTPSVC://Example.org/", "example.org", DEFAULT_PORT, "ftpsvc://example.org:9021"),
        ("ftpsvc://[::]", "::", DEFAULT_PORT, "ftpsvc://[::]:9021"),
    ],
)
def test_tls(text: str, host: str, port: int, shown: str | None) -> None:
    address = Address.parse(text)
    assert (address.scheme, address.host, address.port, address.path) == ("ftpsvc", host, port, None)
    assert address.is_tls
    assert not address.is_unix
    assert str(address) == (shown or text)
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize("path", ["/run/x.sock", "/tmp/a b", "/tmp/ü", "/tmp/100%", "/tmp/a?b#c"])
def test_unix(path: str) -> None:
    address = Address("ftpsvc+unix", path=path)
    assert address.is_unix
    assert Address.parse(str(address)) == address


def test_unix_as_a_person_writes_it() -> None:
    assert Address.parse("ftpsvc+unix:///tmp/a b").path == "/tmp/a b"
    assert Address.parse("ftpsvc+unix:///tmp/a%20b").path == "/tmp/a b"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("x" * 2000, "too long"),
        ("127.0.0.1:9021", "no scheme"),
        ("ftp://127.0.0.1:9021", "scheme is not known"),
        ("ftpsvcs://127.0.0.1:9021", "scheme is not known"),
        ("ftpsvc+tcp://", "no host"),
        ("ftpsvc+tcp://:9021", "no host"),
        ("ftpsvc+tcp://h:", "port"),
        ("ftpsvc+tcp://h:65536", "port"),
        ("ftpsvc+tcp://h:-1", "port"),
        ("ftpsvc+tcp://h:٣", "port"),
        ("ftpsvc+tcp://h:9021x", "port"),
        ("ftpsvc+tcp://h:0", "port 0"),
        ("ftpsvc+tcp://::1:9021", "brackets"),
        ("ftpsvc+tcp://[::1", "brackets"),
        ("ftpsvc+tcp://[::1]9021", "brackets"),
        ("ftpsvc+tcp://[localhost]:9021", "IPv6"),
        ("ftpsvc+tcp://h/dir", "path"),
        ("ftpsvc+tcp://h:9021/dir", "path"),
        ("ftpsvc+tcp://me@h", "user name"),
        ("ftpsvc+tcp://a b", "character"),
        ("ftpsvc+tcp://a\x1bb", "character"),
        ("ftpsvc+unix://relative", "absolute"),
        ("ftpsvc+unix:///", "socket"),
        ("ftpsvc+unix:///a%00b", "socket"),
        ("ftpsvc+unix:///%ff", "Unicode"),
        ("ftpsvc+unix:///" + "x" * 107, "107"),
    ],
)
def test_refused(text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as caught:
        Address.parse(text)
    assert "\x1b" not in str(caught.value)


def test_only_a_server_may_leave_the_port_to_the_system() -> None:
    assert Address.parse("ftpsvc+tcp://127.0.0.1:0", listening=True).port == 0


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_a_config_error(text: str) -> None:
    for candidate in (text, f"ftpsvc://{text}", f"ftpsvc+tcp://{text}", f"ftpsvc+unix:///{text}"):
        try:
            address = Address.parse(candidate)
        except ConfigError:
            continue
        assert Address.parse(str(address)) == address
