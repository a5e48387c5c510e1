"""An application that answers every request of a proxy with yes."""


def application(_environ, start_response):
    start_response("200 OK", [("Content-Length", "0")])
    return [b""]
