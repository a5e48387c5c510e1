"""``maintenance_page``: write the page that a proxy shows while no node responds."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles import finders
from django.core.management.base import BaseCommand, CommandParser
from django.template.loader import render_to_string

from accounts.common.brand.files import brand_of

# The folder and its URL, which are also in the files of ``deploy/``.
NAME = "authsite-away"


class Command(BaseCommand):
    """The page is in all languages, because no program chooses one."""

    help = "Write the page that nginx or Caddy shows while no node answers."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, help=f"the page is written to FOLDER/{NAME}")

    def handle(self, *_args: Any, folder: Path, **_options: Any) -> None:
        brand = brand_of(settings.AUTHSITE)
        files = {name: file.content for name, file in brand.files.items()}
        for name in ("app.css", "favicon.svg"):
            files[name] = Path(str(finders.find(name))).read_bytes()
        urls = {name: getattr(brand, name) for name in ("style", "favicon", "logo", "logo_dark")}
        context = {
            # A logo on another server is left out, because the page's policy forbids it.
            "brand": {name: Path(url).name for name, url in urls.items() if "/brand/" in url}
            | {"is_wordmark": brand.is_wordmark},
            "folder": f"/{NAME}/",
            "config": settings.AUTHSITE,
            "languages": [code for code, _name in settings.LANGUAGES],
        }
        files["index.html"] = render_to_string("maintenance.html", context).encode()
        target = folder / NAME
        target.mkdir(parents=True, exist_ok=True)
        target.chmod(0o755)
        for name, content in files.items():
            draft = target / f".{name}"
            draft.write_bytes(content)
            # The proxy runs as another user.
            draft.chmod(0o644)
            draft.rename(target / name)
        self.stdout.write(f"{target}/index.html")
