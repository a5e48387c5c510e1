"""System 5: secrets in the browser.

Row 3, the refresh token, is in tests/browser/test_example_page.py, and row 5, the back button, in
tests/browser/test_sessions.py.
"""

import re

from django.utils.html import escape

from tests.support.browser_steps import newcomer, sees, sign_in
from tests.support.standards import proves
from tests.support.steps import CONFIRM, LOGIN, confirm, mail_to, sign_up

SCRIPT = "<script>document.title='pwned'</script>"


@proves("V1.1.2", "V1.2.1", "V3.2.2")
def test_5_2_a_stored_script_is_shown_as_text_on_every_page(configure, client, tmp_path):
    # Of all texts that people can store, only the name of an API key may have angle brackets. The
    # name of the site may have them, too.
    configure(site_name=f"The {SCRIPT} site", email_url=tmp_path.as_uri())
    name = f"'\"><img src=x onerror=ran=1>{SCRIPT}"[:60]
    pages = [sign_up(client, SCRIPT), sign_up(client, "bob"), client.get(CONFIRM)]
    mail = mail_to("bob")
    (tmp_path / "one.eml").write_bytes(mail.message().as_bytes())
    confirm(client, "bob")
    key = {"name": name, "profile": "read", "expires": "7"}
    pages += [client.get("/"), client.post("/accounts/keys/new/", key, follow=True)]
    paths = ("/accounts/keys/", "/accounts/activity/", "/dev/mail/", "/dev/mail/one/")
    pages += map(client.get, paths)

    shown = [page.text for page in pages if page.status_code == 200]
    assert len(shown) == len(pages) - 1, "only the sign-up redirects"
    for text in (*shown, str(mail.alternatives[0].content)):
        assert escape(SCRIPT) in text
        assert SCRIPT not in text
        assert "<img src=x" not in text
    assert [escape(name) in text for text in shown[-5:]] == [True] * 3 + [False] * 2


@proves("V1.2.3")
def test_5_2_the_content_security_policy_blocks_an_injected_script(site, chromium):
    # The fixture ``page`` would fail because of the violations.
    page = chromium.new_context(base_url=site.origin).new_page()
    page.add_init_script(
        "blocked = [];"
        "addEventListener('securitypolicyviolation', e => blocked.push(e.effectiveDirective))"
    )
    holes = (
        "<script>ran = 1</script>"
        "<img src='/no-such-image' onerror='ran = 1'>"
        "<script src='/static/app.js?ran'></script>"
        "<iframe srcdoc='<script>parent.ran = 1</script>'></iframe>"
        "<base href='https://evil.example/'>"
        "<form id='gift' action='https://evil.example/'></form>"
    )

    def inject(route):
        answer = route.fetch()
        route.fulfill(response=answer, body=re.sub("</main>", f"{holes}</main>", answer.text()))

    page.route(f"**{LOGIN}", inject)
    loaded: list[str] = []
    page.on("response", lambda response: loaded.append(response.url))
    page.goto(LOGIN, wait_until="networkidle")
    page.evaluate("gift.submit()")
    page.wait_for_function("() => blocked.includes('form-action')")

    assert page.evaluate("typeof ran") == "undefined"
    assert page.evaluate("document.baseURI") == site.origin + LOGIN
    assert page.url == site.origin + LOGIN
    assert not [url for url in loaded if url.endswith("?ran")]
    assert set(page.evaluate("blocked")) >= {*("script-src-elem", "script-src-attr", "base-uri")}
    page.context.close()


@proves("V3.3.4", "V14.3.3")
def test_5_1_scripts_cannot_read_any_cookie_or_token(site, page):
    newcomer(site, "reached")
    page.goto(LOGIN)
    sign_in(page, "reached")
    sees(page, "Hello, reached")

    cookies = {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}
    secrets = [value for name, value in cookies.items() if "last-method" not in name]
    assert len(secrets) == 3
    kept = "[document.cookie, ...Object.values(localStorage), ...Object.values(sessionStorage)]"
    assert page.evaluate(kept) == [""]
    for secret in secrets:
        assert secret not in page.content()
        assert secret not in page.url
