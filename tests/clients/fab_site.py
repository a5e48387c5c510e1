"""A site made by Flask-AppBuilder, which shows who is signed in."""

import os

from flask import Flask
from flask_appbuilder import AppBuilder
from flask_appbuilder.models.sqla.base import SQLA
from werkzeug.middleware.proxy_fix import ProxyFix

app = Flask(__name__)
app.config.from_object("fab_config")
app.config["SECRET_KEY"] = os.environ["SECRET_KEY"]
app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///shop.sqlite3"
app.wsgi_app = ProxyFix(app.wsgi_app)
with app.app_context():
    AppBuilder(app, SQLA(app).session)

app.run("127.0.0.1", int(os.environ["PORT"]))
