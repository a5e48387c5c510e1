"""Flask-Security-Too, set up as its quick start says, with this site's cost of a password hash."""

import secrets

from flask import Flask
from flask_security import Security, SQLAlchemyUserDatastore
from flask_security.models import fsqla_v3
from flask_sqlalchemy import SQLAlchemy

application = Flask(__name__)
application.config.update(
    SECRET_KEY=secrets.token_urlsafe(),
    SECURITY_PASSWORD_SALT=secrets.token_urlsafe(),
    SECURITY_PASSWORD_HASH="argon2",
    SECURITY_PASSWORD_HASH_PASSLIB_OPTIONS={
        "argon2__time_cost": 2,
        "argon2__memory_cost": 19 * 1024,
        "argon2__parallelism": 1,
    },
    SQLALCHEMY_DATABASE_URI="sqlite:///:memory:",
)
database = SQLAlchemy(application)
fsqla_v3.FsModels.set_db_info(database)


class Role(database.Model, fsqla_v3.FsRoleMixin):
    pass


class User(database.Model, fsqla_v3.FsUserMixin):
    pass


Security(application, SQLAlchemyUserDatastore(database, User, Role))
with application.app_context():
    database.create_all()
