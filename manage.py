#!/usr/bin/env python
"""Django's command-line utility. Runs in the development environment unless ENVIRONMENT is set."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("ENVIRONMENT_DEFAULT", "development")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "authsite.settings")
    execute_from_command_line(sys.argv)
