"""The validation of ``next`` URLs."""

import pytest

from accounts.common.pages import safe_next


@pytest.mark.parametrize(
    "evil",
    ["//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example",
     "https:evil.example", "http://evil.example", "javascript:alert(1)", "data:text/html,x", "evil",
     "HTTPS://evil.example/", "/\r\nSet-Cookie: a=b", "/\0", "/\x1f/evil.example", "/\u2028",
     "/\ud800", "", "/" + "a" * 2000, " //evil.example", "\t//evil.example"],
)  # fmt: skip
def test_a_next_url_that_leaves_the_site_is_discarded(evil: str) -> None:
    assert safe_next(evil) == ""


@pytest.mark.parametrize("path", ["/", "/admin/?a=b#c", "/a//b", "/%2f%2fevil.example", "/\xe9"])
def test_a_path_on_the_site_is_kept(path: str) -> None:
    assert safe_next(path) == path
