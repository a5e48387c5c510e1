"""The SCIM endpoints. Only the token of a directory authenticates; cookies are ignored."""

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet
from django.http import Http404
from django.urls import path
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import ParseError
from rest_framework.permissions import BasePermission
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.activity.services import Actor
from accounts.calls import conditions
from accounts.common.api import JSONParser
from accounts.common.client_info import client_of, header_of
from accounts.scim import discovery, groups, services, users
from accounts.scim.models import Directory
from accounts.scim.protocol import (
    MEDIA_TYPE,
    MESSAGES,
    Resource,
    Schema,
    ScimError,
    chosen,
    conditions_in,
    error_body,
    patched,
)
from accounts.throttle.limits import STAFF, UNGUESSABLE
from accounts.throttle.services import around, hit
from accounts.tokens.errors import InvalidToken

DEFAULT_RESULTS = 100
# The limit of a directory is this many times the limit for acts of staff: 100,000 requests an hour.
OF_DIRECTORIES = 280
# The ``scimType`` of the site's errors, by their codes.
_KINDS = {"parse_error": "invalidSyntax", "invalid": "invalidValue"}
_NUMBER = re.compile("-?[0-9]{1,9}", re.ASCII)


class DirectoryAuthentication(BaseAuthentication):
    """Authenticates the requests of directories: ``Authorization: Bearer authsite_scim_…``."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, Directory] | None:
        """Return the directory of the token, or None if the request has no token.

        Raises:
            InvalidToken: the token is not a valid token of an enabled directory.
            RateLimited: there were too many wrong tokens, or too many requests of the
                directory.
        """
        scheme, text = header_of(request)
        directory = services.find(text) if scheme == "bearer" else None
        if not text:
            return None
        if directory is None:
            hit(*around(UNGUESSABLE, client_of(request), "client"))
            raise InvalidToken
        hit(STAFF.times(OF_DIRECTORIES).of("directory", directory.pk))
        services.note_use(directory)
        return AnonymousUser(), directory

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class IsDirectory(BasePermission):
    """Requires the token of a directory."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return isinstance(request.auth, Directory)


class Renderer(JSONRenderer):
    """Renders JSON with the media type of SCIM."""

    media_type = MEDIA_TYPE


class Parser(JSONParser):
    """Parses JSON with the media type of SCIM."""

    media_type = MEDIA_TYPE


class ScimView(APIView):
    """The base class of views for directories."""

    authentication_classes = (DirectoryAuthentication,)
    permission_classes = (IsDirectory,)
    renderer_classes = (Renderer,)
    parser_classes = (Parser, JSONParser)
    # The API description does not contain these views, because the server describes itself.
    schema = None
    http_method_names = ["get", "head", "post", "put", "patch", "delete"]

    @property
    def directory(self) -> Directory:
        """The directory that makes the request."""
        return cast(Directory, self.request.auth)

    @property
    def actor(self) -> Actor:
        """The directory as the actor for the security history."""
        return self.directory.actor(client_of(self.request._request))

    def get_exception_handler(self) -> Any:
        """Return an exception handler that converts the site's errors to SCIM errors."""
        handle = super().get_exception_handler()

        def handler(error: Exception, context: Any) -> Response | None:
            response = handle(error, context)
            if response is not None:
                kind = getattr(error, "kind", _KINDS.get(response.data.get("code", ""), ""))
                detail = str(response.data.get("detail", ""))
                response.data = error_body(response.status_code, detail, kind)
            return response

        return handler

    def listed(self, rows: Sequence[Resource], total: int, first: int = 1) -> Response:
        """Return a list response with the page ``rows``; ``first``: the index of its first row."""
        body = {
            "schemas": [f"{MESSAGES}ListResponse"],
            "totalResults": total,
            "startIndex": first,
            "itemsPerPage": len(rows),
            "Resources": rows,
        }
        return Response(body)

    def body(self) -> Any:
        """Return the parsed body.

        Raises:
            ParseError: the body is missing.
        """
        if not self.request.data:
            raise ParseError
        return self.request.data


class ResourcesView(ScimView):
    """The base class of the views of users and groups. ``module``: the services for them."""

    module: Any

    @property
    def schema_of(self) -> Schema:
        """The schema of the attributes that can be written."""
        return cast(Schema, self.module.SCHEMA)

    def shown(self, row: Any, status: int = 200) -> Response:
        """Return the response with a resource and its entity tag."""
        resource = self.module.resource(row)
        response = conditions.tagged(self.request, resource)
        response.status_code = status if response.status_code == 200 else response.status_code
        if response.data is not None:
            meta = {**resource["meta"], "version": response["ETag"]}
            response.data = chosen({**resource, "meta": meta}, self.request.query_params)
            response["Location"] = meta["location"]
        return response

    def check(self, resource: Resource) -> None:
        """Require that ``resource`` is what the client read, if there is ``If-Match``.

        Raises:
            PreconditionFailed: it has changed since.
        """
        conditions.check(self.request, resource)


class ListView(ResourcesView):
    """List or create users or groups."""

    def get(self, request: Request) -> Response:
        """Return a page of the resources that meet the filter (RFC 7644 section 3.4.2)."""
        params = request.query_params
        first = max(1, _number(params, "startIndex", 1))
        most = min(max(0, _number(params, "count", DEFAULT_RESULTS)), discovery.MOST_RESULTS)
        meets = conditions_in(params["filter"]) if "filter" in params else {}
        rows = self.selected(meets)
        total = rows.count()
        resources = [self.module.resource(row) for row in rows[first - 1 : first - 1 + most]]
        return self.listed([chosen(each, params) for each in resources], total, first)

    def selected(self, meets: Mapping[str, Any]) -> QuerySet[Any]:
        """Return the rows that meet the conditions."""
        return cast(QuerySet[Any], self.module.select(self.directory, meets))

    def post(self, request: Request) -> Response:
        """Create a resource."""
        row = self.module.create(self.directory, self.body(), self.actor)
        return self.shown(row, status=201)


class ItemView(ResourcesView):
    """Show, change or delete a user or group."""

    def get(self, request: Request, id: uuid.UUID) -> Response:
        """Return a resource.

        Raises:
            Http404: the directory sees no such resource.
        """
        row = self.module.of(self.directory).filter(pk=id).first()
        if row is None:
            raise Http404
        return self.shown(row)

    def put(self, request: Request, id: uuid.UUID) -> Response:
        """Replace a resource (RFC 7644 section 3.5.1)."""
        return self._change(id, lambda _present: self.body())

    def patch(self, request: Request, id: uuid.UUID) -> Response:
        """Change a resource by operations (RFC 7644 section 3.5.2)."""
        return self._change(id, lambda present: patched(present, self.body(), self.schema_of))

    def delete(self, request: Request, id: uuid.UUID) -> Response:
        """Delete a resource (RFC 7644 section 3.6)."""
        self.module.delete(self.directory, id, self.actor, self.check)
        return Response(status=204)

    def _change(self, id: uuid.UUID, apply: Callable[[Resource], Any]) -> Response:
        def checked(present: Resource) -> Any:
            self.check(present)
            return apply(present)

        # A malformed body is refused before any row is locked.
        self.body()
        return self.shown(self.module.change(self.directory, id, self.actor, checked))


class UsersView(ListView):
    """List or create people."""

    module = users


class UserView(ItemView):
    """Show, change or delete a person."""

    module = users


class GroupsView(ListView):
    """List or create groups."""

    module = groups

    def selected(self, meets: Mapping[str, Any]) -> QuerySet[Any]:
        """Return the rows that meet the conditions, with members only if the client wants them."""
        wants = "members" in chosen({"members": ()}, self.request.query_params)
        return groups.select(self.directory, meets, has_members=wants)


class GroupView(ItemView):
    """Show, change or delete a group."""

    module = groups


class ConfigView(ScimView):
    """Show the configuration of the service provider."""

    def get(self, request: Request) -> Response:
        """Return the configuration."""
        return Response(discovery.provider_config())


class DocumentsView(ScimView):
    """List the resource types or schemas, or show one of them. ``documents``: returns all."""

    documents: Callable[[], list[Resource]]

    def get(self, request: Request, id: str = "") -> Response:
        """Return all documents, or the one with this id.

        Raises:
            Http404: there is no such document.
            ScimError: there is a filter, which would hide documents (RFC 7644 section 4).
        """
        found = type(self).documents()
        if not id:
            if "filter" in request.query_params:
                raise ScimError("", "A filter is not possible here.", 403)
            return self.listed(found, len(found))
        if one := [each for each in found if each["id"] == id]:
            return Response(one[0])
        raise Http404


class TypesView(DocumentsView):
    """List or show the resource types."""

    documents = staticmethod(discovery.resource_types)


class SchemasView(DocumentsView):
    """List or show the schemas."""

    documents = staticmethod(discovery.schemas)


class UnsupportedView(ScimView):
    """Refuses requests that the configuration calls unsupported."""

    def post(self, request: Request) -> Response:
        """Refuse the request.

        Raises:
            ScimError: always.
        """
        raise ScimError("", "This is not supported.", 501)

    get = put = patch = delete = post

    def finalize_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().finalize_response(*args, **kwargs)
        # Django would log status 501 as a failure of the site, but RFC 7644 section 3.12 requires
        # it.
        setattr(response, "_has_been_logged", True)  # noqa: B010 its type does not have it
        return response


def _number(params: Mapping[str, str], name: str, default: int) -> int:
    text = params.get(name, str(default)).strip()
    if not _NUMBER.fullmatch(text):
        raise ScimError("invalidValue", f"“{name}” is not a number.")
    return int(text)


urlpatterns = [
    path("ServiceProviderConfig", ConfigView.as_view(), name="scim-config"),
    path("ResourceTypes", TypesView.as_view(), name="scim-types"),
    path("ResourceTypes/<str:id>", TypesView.as_view(), name="scim-type"),
    path("Schemas", SchemasView.as_view(), name="scim-schemas"),
    path("Schemas/<str:id>", SchemasView.as_view(), name="scim-schema"),
    path("Users", UsersView.as_view(), name="scim-users"),
    path("Users/<uuid:id>", UserView.as_view(), name="scim-user"),
    path("Groups", GroupsView.as_view(), name="scim-groups"),
    path("Groups/<uuid:id>", GroupView.as_view(), name="scim-group"),
    path("Bulk", UnsupportedView.as_view(), name="scim-bulk"),
    path("Me", UnsupportedView.as_view(), name="scim-me"),
    path(".search", UnsupportedView.as_view(), name="scim-search"),
]
