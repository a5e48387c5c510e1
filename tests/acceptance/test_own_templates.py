"""The templates and texts in "Your brand" of ``docs/operating.md``, used by a running site."""

import re

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from tests.support.site import ROOT, Site

PAGE = ROOT / "docs" / "operating.md"
BLOCK = re.compile(r"```(html|po)\n(?:# |<!-- )(\S+)(?: -->)?\n(.*?)```", re.DOTALL)


def test_the_templates_and_texts_of_the_guide_replace_those_of_the_site(tmp_path):
    section = PAGE.read_text().partition("\n## Your brand\n")[2].partition("\n## ")[0]
    blocks = BLOCK.findall(section)
    assert [language for language, *_more in blocks] == ["html", "po"]
    for _language, name, text in blocks:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        if name.endswith(".po"):
            with file.open("rb") as po, file.with_suffix(".mo").open("wb") as mo:
                write_mo(mo, read_po(po))

    with Site(TEMPLATES_DIR=str(tmp_path), LANGUAGE_VARIANTS="de-formal") as site:
        browser = site.client(Accept_Language="en")
        page = browser.get("/help/").text
        assert "Call us" in page
        assert 'id="wasnt"' in page, "the rest of the page is the site's own"
        assert "Lost your password?" in browser.get("/accounts/login/").text
        german = site.client(Accept_Language="de").get("/accounts/password/reset/").text
        assert "Lost your password?" not in german
        assert "Geben Sie Ihren Benutzernamen" in german
