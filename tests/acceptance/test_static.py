"""Static files once they are collected: compressed, kept for ever, and never stale."""

import gzip
import os
import re
from collections.abc import Callable, Iterator

import brotli
import pytest

from tests.support.client import Response
from tests.support.site import Site
from tests.support.steps import LOGIN

DOCS = "/api/v1/docs/"
REFERENCE = re.compile(r'(?:href|src)="(/static/[^"]+)"')
HASHED = re.compile(r"/static/[\w./-]+\.[0-9a-f]{12}\.\w+")
YEAR_SECONDS = 365 * 24 * 3600


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(data_dir=tmp_path_factory.mktemp("collected"), migrate=False)
    site.make_database()
    site.manage("collectstatic", "--noinput", "--verbosity", "0")
    with site:
        yield site


def kept_for_ever(answer: Response) -> bool:
    found = re.search(r"max-age=(\d+), public, immutable", answer.headers["Cache-Control"])
    return answer.status == 200 and bool(found and int(found[1]) >= YEAR_SECONDS)


@pytest.mark.parametrize("page", [LOGIN, DOCS])
@pytest.mark.parametrize("language", ["en", "de"])
def test_pages_name_files_by_what_is_in_them(collected: Site, page: str, language: str) -> None:
    client = collected.client(Accept_Language=language)
    shown = client.get(page)

    assert shown.headers["Content-Language"] == language
    named = REFERENCE.findall(shown.text)
    assert named
    for path in named:
        assert HASHED.fullmatch(path)
        answer = client.get(path)
        assert kept_for_ever(answer), path
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_modules_import_each_other_by_these_names(collected: Site) -> None:
    client = collected.client()
    (script,) = (p for p in REFERENCE.findall(client.get(LOGIN).text) if p.endswith(".js"))

    imported = re.findall(r'import\("\./([^"]+)"\)', client.get(script).text)

    assert len(imported) == 2
    assert all(kept_for_ever(client.get(f"/static/{name}")) for name in imported)


@pytest.mark.parametrize("encoding, unpack", [("br", brotli.decompress), ("gzip", gzip.decompress)])
def test_they_are_sent_compressed_to_who_takes_it(
    collected: Site, encoding: str, unpack: Callable[[bytes], bytes]
) -> None:
    client = collected.client()
    (style,) = (p for p in REFERENCE.findall(client.get(LOGIN).text) if p.endswith(".css"))
    plain = client.get(style)

    packed = client.get(style, headers={"Accept-Encoding": f"{encoding}, deflate"})

    assert packed.headers["Content-Encoding"] == encoding
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert len(packed.body) < len(plain.body) / 2
    assert unpack(packed.body) == plain.body


def test_files_that_were_changed_since_are_served_as_they_lie(collected: Site) -> None:
    os.utime(collected.data_dir / "static" / "staticfiles.json", (0, 0))
    collected.stop()
    collected.start()
    client = collected.client()

    named = REFERENCE.findall(client.get(LOGIN).text)

    assert "/static/app.css" in named
    for path in named:
        answer = client.get(path)
        assert answer.status == 200
        assert not kept_for_ever(answer)
