"""Faults of an installation that the doctor finds."""

FAULTS = {
    code: code
    for code in (
        *("hsts", "headers", "server_named", "cookies", "compressed", "cached", "client_forged"),
        *("proxy_untrusted", "bodies_unbuffered", "tls_untrusted", "tls_expires", "tls_old"),
        *("static_broken", "redirect_missing", "redirect_host", "unreachable", "origin_port"),
        *("probe_refused", "descriptors", "scheme"),
    )
} | {"underscores": "client_forged"}
