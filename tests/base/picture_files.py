"""Picture files that no encoder writes: dear ones, damaged ones, and their pieces."""

import io
import struct
import zlib

from PIL import Image


def saved(image, kind, **options):
    buffer = io.BytesIO()
    image.copy().save(buffer, kind, **options)  # saving leaves settings of one format behind for the next
    return buffer.getvalue()


def run_lengths(width, height, data):
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, 0, 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 54 + 1024) + header + bytes(1024) + data


def repeated_scans(count):
    jpeg = saved(Image.new("L", (800, 800), 77), "JPEG", progressive=True)
    return jpeg[:-2] + jpeg[jpeg.rfind(b"\xff\xda") : -2] * count + b"\xff\xd9"


def chunk(name, body=b""):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png_with(extra, image=None, before=b"IDAT"):
    png = saved(image or Image.new("L", (9, 9)), "PNG")
    place = png.find(before) - 4
    return png[:place] + extra + png[place:]


def tiff(entries, data=b""):
    """A TIFF with these tags: {number: (type, count, value)}; the data begin at 8."""
    tags = b"".join(struct.pack("<HHII", tag, *entry) for tag, entry in sorted(entries.items()))
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + struct.pack("<H", len(entries)) + tags + bytes(4)


def large_tile():
    packed = zlib.compress(bytes(81))
    grey = {256: (4, 1, 9), 257: (4, 1, 9), 258: (3, 1, 8), 259: (3, 1, 8), 262: (3, 1, 1), 277: (3, 1, 1)}
    return tiff(grey | {322: (4, 1, 32000), 323: (4, 1, 32000), 324: (4, 1, 8), 325: (4, 1, len(packed))}, packed)


def pages(count):
    one = saved(Image.new("L", (1, 1)), "TIFF")
    start = struct.unpack("<I", one[4:8])[0]
    directory = one[start : start + 2 + 12 * struct.unpack("<H", one[start : start + 2])[0]]
    step = len(directory) + 4
    follows = [start + step * page for page in range(1, count)]
    return one[:start] + b"".join(directory + struct.pack("<I", place) for place in [*follows, 0])
