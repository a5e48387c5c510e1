"""The documents that describe what the server offers (RFC 7643 sections 5 to 7)."""

from typing import Any

from accounts.common.pages import absolute
from accounts.scim import groups, users
from accounts.scim.protocol import CORE, Resource

MOST_RESULTS = 200
_SCHEMA, _TYPE = f"{CORE}Schema", f"{CORE}ResourceType"


def provider_config() -> Resource:
    """Return the configuration of the service provider."""
    off = {"supported": False}
    return {
        "schemas": [f"{CORE}ServiceProviderConfig"],
        "patch": {"supported": True},
        "bulk": {**off, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": True, "maxResults": MOST_RESULTS},
        "changePassword": off,
        "sort": off,
        "etag": {"supported": True},
        "authenticationSchemes": [
            {
                "type": "oauthbearertoken",
                "name": "Bearer token",
                "description": "A token of a directory, in the header Authorization (RFC 6750).",
                "primary": True,
            }
        ],
        "meta": {
            "resourceType": "ServiceProviderConfig",
            "location": absolute("scim-config"),
        },
    }


def resource_types() -> list[Resource]:
    """Return the types of resources."""
    return [
        {
            "schemas": [_TYPE],
            "id": name,
            "name": name,
            "endpoint": f"/{name}s",
            "schema": f"{CORE}{name}",
            "meta": {
                "resourceType": "ResourceType",
                "location": absolute("scim-type", name),
            },
        }
        for name in (users.TYPE, groups.TYPE)
    ]


def schemas() -> list[Resource]:
    """Return the schemas, which contain only the attributes that the site stores."""
    return [
        {
            "schemas": [_SCHEMA],
            "id": f"{CORE}{name}",
            "name": name,
            "description": description,
            "attributes": attributes,
            "meta": {
                "resourceType": "Schema",
                "location": absolute("scim-schema", f"{CORE}{name}"),
            },
        }
        for name, description, attributes in (
            (users.TYPE, "A person.", _USER),
            (groups.TYPE, "A group of people, without rights at this site.", _GROUP),
        )
    ]


def _attribute(
    name: str, description: str, parts: list[Resource] | None = None, **more: Any
) -> Resource:
    return {
        "name": name,
        "type": "complex" if parts else "string",
        "multiValued": False,
        "description": description,
        "required": False,
        "caseExact": False,
        "mutability": "readWrite",
        "returned": "default",
        "uniqueness": "none",
        **({"subAttributes": parts} if parts else {}),
        **more,
    }


def _reference(name: str, **more: Any) -> Resource:
    of_type: Resource = {"type": "reference", "referenceTypes": [name], "caseExact": True}
    return _attribute("$ref", "The URL.", **of_type, **more)


_IMMUTABLE: Resource = {"mutability": "immutable"}
_READ_ONLY: Resource = {"mutability": "readOnly"}
_MANY: Resource = {"multiValued": True}
_EXTERNAL_ID = _attribute("externalId", "The id in the directory.", caseExact=True)
_USER = [
    _attribute("userName", "The name in the directory.", required=True, uniqueness="server"),
    _EXTERNAL_ID,
    _attribute("displayName", "The name that other people see."),
    _attribute(
        "name",
        "The parts of the name.",
        [_attribute("givenName", "The given name."), _attribute("familyName", "The family name.")],
    ),
    _attribute(
        "emails",
        "One email address: of several, the primary one, or the first of the type “work”.",
        [
            _attribute("value", "The email address.", required=True, uniqueness="server"),
            _attribute("type", "Always “work”.", canonicalValues=["work"]),
        ],
        required=True,
        **_MANY,
    ),
    _attribute("active", "Whether the person can sign in.", type="boolean", required=True),
    _attribute(
        "groups",
        "The groups of the person.",
        [
            _attribute("value", "The id of the group.", **_READ_ONLY),
            _reference("Group", **_READ_ONLY),
            _attribute("display", "The name of the group.", **_READ_ONLY),
        ],
        **_MANY,
        **_READ_ONLY,
    ),
]
_GROUP = [
    _attribute("displayName", "The name of the group.", required=True, uniqueness="server"),
    _EXTERNAL_ID,
    _attribute(
        "members",
        "Those members whom the directory manages.",
        [
            _attribute("value", "The id of the person.", **_IMMUTABLE, required=True),
            _reference("User", **_IMMUTABLE),
        ],
        **_MANY,
    ),
]
