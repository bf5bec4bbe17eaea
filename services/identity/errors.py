"""What can go wrong in the registry, each situation by its name; `detail` is one clear sentence."""

from __future__ import annotations

from chassis.errors import NamedError, UnauthorizedError, UnavailableError


class RefusedEntryError(NamedError):
    """Something given does not fit the registry; subclasses say what."""

    code, status, title = "refused_entry", 422, "The registry cannot hold this"


class InvalidTextError(RefusedEntryError):
    code, title = "invalid_text", "This text is empty, too long or holds control characters"


class InvalidIdError(RefusedEntryError):
    code, title = "invalid_id", "This id is not made of lower-case letters, digits and hyphens"


class InvalidZoneError(RefusedEntryError):
    code, title = "invalid_zone", "This is not a time zone of the IANA database"


class InvalidPostalCodeError(RefusedEntryError):
    code, title = "invalid_postal_code", "A postal code is five digits"


class InvalidDatesError(RefusedEntryError):
    code, title = "invalid_dates", "The end comes before the start"


class InvalidEstablishmentError(RefusedEntryError):
    code, title = "invalid_uai", "This is not a UAI"


class InvalidKeyError(RefusedEntryError):
    code, title = "invalid_key", "This is not an Ed25519 public key (base64 of 32 bytes, or PEM)"


class InvalidTokenError(RefusedEntryError):
    code, title = "invalid_token", "A token is 32 to 200 visible ASCII characters"


class InvalidThresholdError(RefusedEntryError):
    code, title = "invalid_threshold", "The Social threshold may be raised above 5, never lowered"


class UnknownFamilyError(RefusedEntryError):
    code, title = "unknown_family", "No such family in the catalogue"


class InvalidGrantError(RefusedEntryError):
    code, title = "invalid_grant", "This is not a grant"


class InvalidFileError(RefusedEntryError):
    code, title = "invalid_file", "The file is not a territory to import"


class AlreadyThereError(NamedError):
    code, status, title = "already_there", 409, "The registry holds this already"


class ConventionOverlapError(NamedError):
    code, status, title = "convention_overlap", 409, "Another convention covers part of this time"


class GrantOverlapError(NamedError):
    code, status, title = "grant_overlap", 409, "Another grant covers part of these days"


class AgreedMemberError(NamedError):
    code, status, title = "agreed_member", 409, "A convention ties the establishment to this territory"


class NotFoundError(NamedError):
    """Something named is not in the registry; subclasses say what."""

    code, status, title = "not_found", 404, "The registry does not hold this"


class UnknownTerritoryError(NotFoundError):
    code, title = "unknown_territory", "No such territory"


class UnknownEstablishmentError(NotFoundError):
    code, title = "unknown_establishment", "No such establishment"


class UnknownMemberError(NotFoundError):
    code = "unknown_member"


class UnknownConventionError(NotFoundError):
    code, title = "unknown_convention", "No convention in force or to come"


class UnknownAgentError(NotFoundError):
    code, title = "unknown_agent", "No such agent"


class UnknownKeyError(NotFoundError):
    code, title = "unknown_key", "The agent has no such key"


class UnknownGrantError(NotFoundError):
    code, title = "unknown_grant", "No grant of this agent for this establishment and family covers or follows that day"


class UnknownTokenError(NotFoundError):
    code, title = "unknown_token", "No such token"


class RefusedTokenError(UnauthorizedError):
    """Unknown, expired or revoked: one answer, and another code than that of an asker without the internal token."""

    code, title = "refused_token", "No such token in force"


class UnknownInvitationError(NotFoundError):
    code, title = "unknown_invitation", "No such invitation"


class NothingToGrantError(RefusedEntryError):
    code, title = "nothing_to_grant", "An invitation needs grants, or an agent that has some"


class MalformedMessageError(RefusedEntryError):
    code, title = "malformed", "The message is not understood"


class BadSignatureError(UnauthorizedError):
    """Unknown agent, no key in force, wrong signature: one answer."""

    code, title = "bad_signature", "No key in force has signed this"


class RefusedCodeError(NamedError):
    """Unknown, used with another key, expired or revoked: one answer."""

    code, status, title = "refused_code", 403, "No such code in force; ask the operator for a new one"


class NoConventionError(NamedError):
    code, status, title = "no_convention", 403, "No convention is in force for any establishment of this agent"


class EndedKeyError(NamedError):
    code, status, title = "ended_key", 409, "This key was ended; make a new one"


class TooManyKeysError(NamedError):
    code, status, title = "too_many_keys", 409, "The agent has several keys in force already; wait until one has ended"


class RegistryMissingError(UnavailableError):
    code = "registry_missing"
    title = "The database has no registry yet: start the identity service once (python -m services.identity)"
