"""Ways of damaging a file, whatever it is: bytes, types, encodings, nesting, keys that come again, parts of archives."""
# ruff: noqa: E501 - what stands together is one table

import gzip
import io
import json
import random
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq

BITS = (b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b'"\\ud800"', b"\\u0000", "\u202e\x1b[2J".encode(), b"NaN", b"1e999",
        b"-Infinity", b"9" * 401, b"9" * 5000, b"[" * 3000, b'{"a":' * 3000, b"[[[[[[" * 20 + b"]]]]]]" * 20, b"null", b"true",
        b"[]", b"{}", b'""', b"-1", b"0.1", b'"' + b"x" * 30_000 + b'"', b"\n", b"\r", b"\t", b",", b";", b'"', b"'", b"{", b"}",
        b"]", b"PAR1", b"PK\x03\x04", b"\x1f\x8b", b"<![CDATA[", b"<!--", b"&#x110000;", b"=1+1")  # fmt: skip


def damaged(content: bytes, rng: random.Random) -> bytes:
    """The file with something wrong in it; ``rng`` says what and where."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        content = rng.choice(_WAYS)(content, rng)
    return content


def _flip(content, rng):
    if not content:
        return content
    at = rng.randrange(len(content))
    return content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1 :]


def _cut(content, rng):
    a, b = sorted((rng.randint(0, len(content)), rng.randint(0, len(content))))
    return rng.choice((content[:a], content[a:], content[:a] + content[b:]))


def _insert(content, rng):
    at = rng.randint(0, len(content))
    return content[:at] + rng.choice(BITS) + content[at:]


def _repeat(content, rng):
    a = rng.randint(0, len(content))
    b = min(len(content), a + rng.randint(1, 200))
    return content[:b] + content[a:b] * rng.choice((1, 3, 50)) + content[b:]


def _other_encoding(content, rng):
    try:
        return content.decode().encode(
            rng.choice(("utf-16", "utf-16-le", "utf-32", "utf-7", "latin-1", "cp500", "utf-8-sig"))
        )
    except UnicodeError:
        return content


def _swap(content, rng):
    """One value of a JSON file in the place of another, or something of another type there; else bytes anywhere."""
    try:
        lines = content.decode().splitlines() if b"\n{" in content else [content.decode()]
        at = rng.randrange(len(lines))
        value = json.loads(lines[at])
    except (ValueError, RecursionError):
        return _insert(content, rng)
    places = list(_places(value))
    if not places:
        return _insert(content, rng)
    (holder, key), (other, other_key) = rng.choice(places), rng.choice(places)
    mark = f"@{rng.random()}@"
    other_text = json.dumps(other[other_key])
    new = rng.choice(
        (other_text, *map(_text, BITS[7:24]), json.dumps({"path": None, "bytes": None}), json.dumps(["x", 1, None]))
    )
    holder[key] = mark
    text = json.dumps(value)
    if isinstance(holder, dict) and rng.random() < 0.2:  # the key again
        new = f'{new}, "{key}": {other_text}'
    lines[at] = text.replace(json.dumps(mark), new)
    return "\n".join(lines).encode()


def _text(bit):
    return bit.decode("utf-8", "replace")


def _places(value):
    for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from _places(value[key])


def _repacked(content, rng):
    """A workbook, or what is in gzip, with something wrong inside."""
    if content.startswith(b"\x1f\x8b"):
        try:
            return gzip.compress(damaged(gzip.decompress(content), rng), mtime=0)
        except Exception:
            return content
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as parts:
            held = {name: parts.read(name) for name in parts.namelist()}
    except Exception:
        return _flip(content, rng)
    if held:
        name = rng.choice(list(held))
        held[name] = rng.choice((_flip, _cut, _insert, _repeat))(held[name], rng)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as parts:
        for name, data in held.items():
            parts.writestr(name, data)
    return file.getvalue()


def _retyped(content, rng):
    """A Parquet file one of whose columns has another type."""
    try:
        table = pq.read_table(io.BytesIO(content))
    except Exception:
        return _flip(content, rng)
    if not table.num_columns:
        return content
    at, rows = rng.randrange(table.num_columns), table.num_rows
    other = rng.choice((pa.array([1.5] * rows), pa.array([None] * rows), pa.array([b"\xff\xfe"] * rows), pa.array([[1]] * rows),
                        pa.array([{"path": "a.png", "bytes": b"x"}] * rows), pa.array([2**62] * rows, pa.timestamp("us")),
                        pa.array([b"\xff"] * rows).view(pa.string()), pa.array(["x" * 10_000] * rows).dictionary_encode(),
                        pa.array([10**30] * rows, pa.decimal128(38, 2)), pa.array([2**62] * rows, pa.duration("us"))))  # fmt: skip
    file = io.BytesIO()
    names = [*table.column_names[:at], rng.choice((*table.column_names, "image")), *table.column_names[at + 1 :]]
    columns = [*table.columns[:at], other, *table.columns[at + 1 :]]
    pq.write_table(pa.Table.from_arrays(columns, names=names), file, store_schema=rng.random() < 0.5)
    return file.getvalue()


_WAYS = (_flip, _cut, _insert, _repeat, _swap, _swap, _swap, _repacked, _retyped, _other_encoding)
