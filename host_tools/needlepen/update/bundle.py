"""A bundle: one file with a program for pens of one board, signed for those that run a production build.

A zip archive of `manifest` (the list of the set), `signature` (64 bytes, not in an unsigned one) and `code/HASH` for
each module. The signature is Ed25519 over a short text with the SHA-256 of the list, which holds the hash of every
file: so it covers all of them.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from needlepen.build import code_set
from needlepen.build.code_set import CodeSet
from needlepen.errors import Refused, UsageError
from needlepen.firmware_modules import firmware_module

SUFFIX = ".npb"
_DATE = (1980, 1, 1, 0, 0, 0)
_MEMBERS_MAX = code_set.FILES_MAX + 2
_MANIFEST_MAX = 24_576


@dataclass(frozen=True)
class Bundle:
    """A program and its signature, b"" for none. All files are what the list says."""

    program: CodeSet
    signature: bytes = b""

    def is_signed_by(self, public_key: bytes) -> bool:
        """Whether the signature was made with the key of this public key (32 bytes)."""
        try:
            Ed25519PublicKey.from_public_bytes(public_key).verify(
                self.signature, signed_text(self.program.manifest)
            )
        except InvalidSignature:
            return False
        return True


def signed_text(manifest: bytes) -> bytes:
    """What is signed of a list; the pen makes the same."""
    text: bytes = firmware_module("pen.update").signed_text(manifest)
    return text


def sign(program: CodeSet, key: Ed25519PrivateKey) -> Bundle:
    """The program as a signed bundle."""
    return Bundle(program, key.sign(signed_text(program.manifest)))


def make_bundle(bundle: Bundle) -> bytes:
    """The content of the bundle's file: the same program and key, the same bytes."""
    members = {"manifest": bundle.program.manifest}
    if bundle.signature:
        members["signature"] = bundle.signature
    members |= {f"{code_set.CODE}/{name}": data for name, data in sorted(bundle.program.files.items())}
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, _DATE), data, zipfile.ZIP_DEFLATED)
    return target.getvalue()


def read_bundle(path: Path) -> Bundle:
    """The bundle in a file, with everything checked that can be checked without a key.

    Raises UsageError for a file that cannot be read or is no bundle, Refused for a bundle whose content is not what its
    list says.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{path}: {error.strerror}; give the file of a bundle (needlepen bundle make)"
        ) from None
    try:
        return parse_bundle(content)
    except ValueError as error:
        raise UsageError(
            f"{path}: no bundle of needlepen ({error}); make one with 'needlepen bundle make'"
        ) from None
    except Refused as error:
        raise Refused(f"{path}: {error}") from None


def parse_bundle(content: bytes) -> Bundle:
    """As `read_bundle`, of a file's content. Raises ValueError for what is no bundle, Refused for a damaged one."""
    members = _members(content)
    manifest = members.pop("manifest", None)
    signature = members.pop("signature", b"")
    if manifest is None or not code_set.is_sound(manifest):
        raise Refused(
            "the list of the program is missing or damaged; nothing of it can be trusted: fetch it again"
        )
    try:
        code_set.about(manifest)
        entries = code_set.entries(manifest)
    except (ValueError, UnicodeDecodeError):
        raise Refused("the list of the program has another format; use the needlepen that made it") from None
    if len(signature) not in (0, 64):
        raise Refused(f"the signature has {len(signature)} bytes instead of 64; fetch the bundle again")
    files = {name.removeprefix(f"{code_set.CODE}/"): data for name, data in members.items()}
    for crc, size, _, name, module in entries:
        data = files.get(name)
        if data is None:
            raise Refused(f"{module} is missing; fetch the bundle again")
        if len(data) != size or zlib.crc32(data) != crc or code_set.content_name(data) != name:
            raise Refused(f"{module} is not what the list says: altered or damaged; fetch the bundle again")
    surplus = sorted(files.keys() - {entry[3] for entry in entries})
    if surplus:
        raise Refused(f"{surplus[0]} belongs to no module of the list; fetch the bundle again")
    return Bundle(CodeSet(manifest, files), signature)


def _members(content: bytes) -> dict[str, bytes]:
    """The files of the archive; their sizes are judged before anything is unpacked."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            infos = archive.infolist()
            if len(infos) > _MEMBERS_MAX or any(info.file_size > _MANIFEST_MAX for info in infos):
                raise ValueError("too many or too long files")
            return {info.filename: archive.read(info) for info in infos}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise ValueError(str(error) or type(error).__name__) from None
