#!/usr/bin/env python3
"""Verifies an evidence package with nothing but Python's standard library.

    python3 verify.py PACKAGE.tfpack LOG.vkey

LOG.vkey is the log's public key, which you got from the operator some other way than with the package. Exit status: 0
when everything holds, 1 when something does not; the first bad entry is named.
"""
import base64
import hashlib
import json
import sys
import zipfile


def fail(text):
    sys.exit("FAILED: " + text)


# Ed25519 (RFC 8032), verification only.
P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)


def add(a, b):
    x1, y1, z1, t1 = a
    x2, y2, z2, t2 = b
    e = (y1 - x1) * (y2 - x2) % P
    f = (y1 + x1) * (y2 + x2) % P
    g = 2 * D * t1 * t2 % P
    h = 2 * z1 * z2 % P
    w, x, y, z = f - e, h - g, h + g, f + e
    return (w * x % P, y * z % P, x * y % P, w * z % P)


def times(scalar, point):
    result = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point = add(point, point)
        scalar >>= 1
    return result


def point_of(encoded):
    number = int.from_bytes(encoded, "little")
    sign, y = number >> 255, number & (2**255 - 1)
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


BASE = point_of((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def verifies(public, message, signature):
    key, r = point_of(public), point_of(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or key is None or r is None or s >= ORDER:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % ORDER
    left, right = times(s, BASE), add(r, times(k, key))
    return (left[0] * right[2] - right[0] * left[2]) % P == 0 and (left[1] * right[2] - right[1] * left[2]) % P == 0


# Signed notes and trees (C2SP signed-note, tlog-checkpoint; RFC 6962).
def read_key(text):
    name, key_id, encoded = text.strip().split("+", 2)
    typed = base64.b64decode(encoded, validate=True)
    expected = hashlib.sha256(name.encode() + b"\n" + typed).digest()[:4]
    if typed[0] != 1 or len(typed) != 33 or expected.hex() != key_id:
        fail("the key is not an Ed25519 vkey")
    return name, expected, typed[1:]


def signed_text(note, key):
    name, key_id, public = key
    text, _, signatures = note.rpartition("\n\n")
    text += "\n"
    for line in signatures.splitlines():
        dash, signer, encoded = line.split(" ")
        signature = base64.b64decode(encoded, validate=True)
        if dash == "\u2014" and signer == name and signature[:4] == key_id:
            if verifies(public, text.encode(), signature[4:]):
                return text
            fail("the signature is wrong")
    fail("the key has not signed")


def sha256(data):
    return hashlib.sha256(data).digest()


def append(stack, leaf):
    """Adds a leaf hash to the roots of the perfect subtrees, which the stack holds with their sizes."""
    node, size = leaf, 1
    while stack and stack[-1][1] == size:
        node, size = sha256(b"\x01" + stack.pop()[0] + node), 2 * size
    stack.append((node, size))


def root(stack):
    if not stack:
        return sha256(b"")
    node = stack[-1][0]
    for left, _ in reversed(stack[:-1]):
        node = sha256(b"\x01" + left + node)
    return node


def tile_name(index, width):
    name = "%03d" % (index % 1000)
    index //= 1000
    while index:
        name = "x%03d/%s" % (index % 1000, name)
        index //= 1000
    return "tile/0/" + name + ("" if width == 256 else ".p/%d" % width)


def main(package, key_file):
    with open(key_file, encoding="utf-8") as file:
        key = read_key(file.read())
    archive = zipfile.ZipFile(package)
    names = archive.namelist()
    if len(names) != len(set(names)):
        fail("two files have one name")

    text = signed_text(archive.read("checkpoint").decode(), key)
    origin, size, signed_root = text.splitlines()
    size, signed_root = int(size), base64.b64decode(signed_root, validate=True)
    if not origin.startswith(key[0] + "/taskforce/t/"):
        fail("the checkpoint is of another installation")
    tenant = origin.rsplit("/", 1)[1]

    hashes = b""
    for index in range((size + 255) // 256):
        hashes += archive.read(tile_name(index, min(256, size - 256 * index)))
    stack, commitments, previous, count = [], [], None, 0
    for seq, line in enumerate(archive.open("entries.ndjson")):
        leaf = sha256(b"\x00" + line.rstrip(b"\n"))
        if seq >= size or leaf != hashes[32 * seq : 32 * seq + 32]:
            fail("entry %d does not have the hash that was recorded" % seq)
        entry = json.loads(line)
        if (entry["seq"], entry["log"], entry["tenant"], entry["prev_ts"]) != (seq, origin, tenant, previous):
            fail("entry %d is not in its place" % seq)
        if previous is not None and entry["ts"] < previous:
            fail("entry %d is earlier than the one before it" % seq)
        previous = entry["ts"]
        if entry["payload_commit"] is not None:
            commitments.append((seq, entry["payload_commit"]))
        append(stack, leaf)
        count += 1
    if count != size:
        fail("entry %d is missing" % count)
    if root(stack) != signed_root:
        fail("the entries do not have the signed root")

    payloads = iter(archive.open("payloads.ndjson"))
    for seq, commitment in commitments:
        line = json.loads(next(payloads, b"{}"))
        if line.get("seq") != seq or "payload" not in line:
            fail("the payload of entry %d is missing" % seq)
        salted = base64.b64decode(line["salt"], validate=True) + base64.b64decode(line["payload"], validate=True)
        if sha256(b"taskforce/payload/1\x00" + salted).hex() != commitment:
            fail("the payload of entry %d is not what it committed to" % seq)

    manifest = archive.read("manifest.json")
    expected = "taskforce/package/1\n%s\n%s\n" % (origin, sha256(manifest).hex())
    if signed_text(archive.read("manifest.sig").decode(), key) != expected:
        fail("manifest.json is not the one that was signed")
    listed = {file["name"]: file["sha256"] for file in json.loads(manifest)["files"]}
    if set(listed) != set(names) - {"manifest.json", "manifest.sig"}:
        fail("files are missing or do not belong there")
    for name, digest in listed.items():
        if sha256(archive.read(name)).hex() != digest:
            fail("%s is not the file that is listed" % name)
    print("OK: %s, %d entries, %d payloads" % (origin, size, len(commitments)))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        main(sys.argv[1], sys.argv[2])
    except (KeyError, ValueError, TypeError, OSError, zipfile.BadZipFile) as error:
        fail("the package is damaged: %s" % error)
