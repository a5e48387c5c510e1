"""Faults of an installation that the doctor finds."""

FAULTS = {
    **{
        code: code
        for code in ("hsts", "headers", "server_named", "cookies", "compressed", "cached")
    },
    **{code: code for code in ("client_forged", "proxy_untrusted", "bodies_unbuffered")},
    **{code: code for code in ("tls_untrusted", "tls_expires", "tls_old", "static_broken")},
    **{code: code for code in ("redirect_missing", "redirect_host", "unreachable", "origin_port")},
    **{code: code for code in ("probe_refused", "descriptors", "scheme")},
    "underscores": "client_forged",
}
