"""Readings that are kept: read once, in order by any number of processes, again where damaged, and after kills."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image
from rendered import lettered

from trifacet.base.errors import DataError, TrifacetError
from trifacet.lettering.lines import Lettering
from trifacet.lettering.reading import Readings, read_pictures
from trifacet.lettering.settings import Reading

pytest.importorskip("rapidocr", reason="pip install 'trifacet[lettering]'")
from trifacet.lettering.engines.rapid import Rapid

SIGNS = ("OPEN", "Closed", "No 17")


@pytest.fixture
def signs(tmp_path):
    """Pictures with a sign each."""
    paths = []
    for number, sign in enumerate(SIGNS):
        lettered(sign).save(tmp_path / f"{number}.png")
        paths.append(tmp_path / f"{number}.png")
    return paths


@pytest.fixture
def counted(monkeypatch):
    """How many pictures the engine was given in this process."""
    given = []
    read = Rapid.read

    def counting(self, picture):
        given.append(picture.size)
        return read(self, picture)

    monkeypatch.setattr(Rapid, "read", counting)
    return given


def texts(found):
    return [str(one) if isinstance(one, DataError) else one.text for one in found]


def kept_files(folder):
    return sorted(folder.rglob("*.json"))


def test_what_was_read_is_not_read_again(signs, tmp_path, counted):
    told = []
    first = list(read_pictures(signs, Reading(), folder=tmp_path / "kept", on_progress=lambda *at: told.append(at)))
    assert texts(first) == list(SIGNS)
    assert len(counted) == 3
    assert told == [(n, 3) for n in range(1, 4)]
    assert list(read_pictures(signs, Reading(), folder=tmp_path / "kept")) == first
    assert list(read_pictures(signs, Reading(), folder=tmp_path / "kept", workers=2)) == first
    assert len(counted) == 3


def test_two_processes_read_the_same_in_the_same_order(signs, tmp_path, rapid):
    (tmp_path / "broken.png").write_bytes(signs[0].read_bytes()[:200])
    paths = [signs[0], tmp_path / "missing.png", *signs[1:], tmp_path / "broken.png", signs[0]]
    by_two = list(read_pictures(paths, Reading(), folder=tmp_path / "two", workers=2))
    assert [one for one in by_two if isinstance(one, Lettering)] == [
        rapid.read(Image.open(path).convert("RGB")) for path in [*signs, signs[0]]
    ]
    assert [number for number, one in enumerate(by_two) if isinstance(one, DataError)] == [1, 4]
    assert "missing.png: no such file" in str(by_two[1])
    assert "broken.png" in str(by_two[4])
    assert len(kept_files(tmp_path / "two")) == 3


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("OPEN", "SHUT"),
        lambda text: "",
        lambda text: json.dumps({key: value for key, value in json.loads(text).items() if key != "seal"}),
        lambda text: "[1]",
    ],
)
def test_a_damaged_reading_is_read_again(damage, signs, tmp_path, counted):
    readings = Readings(Reading(), tmp_path / "kept")
    before = readings.of(signs[0])
    (kept,) = kept_files(tmp_path / "kept")
    sound = kept.read_text()
    kept.write_text(damage(sound))
    assert readings.of(signs[0]) == before
    assert len(counted) == 2
    assert kept.read_text() == sound


def test_a_copy_is_not_read_and_other_settings_are_other_readings(signs, tmp_path, counted):
    readings = Readings(Reading(), tmp_path / "kept")
    readings.of(signs[0])
    (tmp_path / "copy.png").write_bytes(signs[0].read_bytes())
    assert readings.of(signs[0]) == readings.of(tmp_path / "copy.png")
    assert len(counted) == 1
    Readings(Reading(longest_side=300), tmp_path / "kept").of(signs[0])
    assert len(counted) == 2
    assert len(kept_files(tmp_path / "kept")) == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_one_line(signs, tmp_path):
    (tmp_path / "kept").mkdir(mode=0o500)
    with pytest.raises(TrifacetError, match=r"cannot write .*Permission denied"):
        Readings(Reading(), tmp_path / "kept").of(signs[0])


def test_a_file_in_the_folders_place_is_one_line(signs, tmp_path):
    (tmp_path / "kept").write_text("")
    for workers in (1, 2):
        with pytest.raises(TrifacetError, match=r"cannot write .*kept") as error:
            list(read_pictures(signs[:1], Reading(), folder=tmp_path / "kept", workers=workers))
        assert len(str(error.value).splitlines()) == 1


def test_pictures_that_cannot_be_used_are_named(signs, tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.png").write_bytes(b"")
    Image.new("1", (9000, 9000)).save(tmp_path / "bomb.png")
    names = ["text.png", "empty.png", "bomb.png"]
    found = list(read_pictures([tmp_path / name for name in names], Reading(), folder=tmp_path / "kept"))
    for name, error in zip(names, found, strict=True):
        assert isinstance(error, DataError)
        assert name in str(error)
        assert len(str(error).splitlines()) == 1
    assert not kept_files(tmp_path / "kept")


def test_turned_and_see_through_pictures_are_read_as_they_are_shown(signs, tmp_path):
    picture = Image.open(signs[0]).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise
    picture.rotate(90, expand=True).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    found = Readings(Reading(), tmp_path / "kept").of(tmp_path / "turned.jpg")
    assert (found.text, found.size) == ("OPEN", picture.size)
    ink = Image.new("RGBA", picture.size, (0, 0, 0, 0))
    ink.paste((0, 0, 0, 255), mask=picture.convert("L").point(lambda v: 255 - v))
    ink.save(tmp_path / "clear.png")
    assert Readings(Reading(), tmp_path / "kept").of(tmp_path / "clear.png").text == "OPEN"


KILLED = """
import sys
from pathlib import Path
from trifacet.lettering.reading import read_pictures
from trifacet.lettering.settings import Reading
folder = Path(sys.argv[1])
for found in read_pictures(sorted(folder.glob("*.png")), Reading(), folder=folder / "kept", workers=2):
    print(found.text, flush=True)
"""


def test_a_kill_loses_what_was_being_read_at_most(tmp_path, counted):
    for number in range(5):
        lettered(f"Number {number}").save(tmp_path / f"{number}.png")
    running = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert running.stdout.readline() == "Number 0\n"
    running.send_signal(signal.SIGKILL)
    running.wait()
    for _ in range(100):  # its workers end with it
        before = len(kept_files(tmp_path / "kept"))
        time.sleep(0.1)
        if before == len(kept_files(tmp_path / "kept")):
            break
    assert 1 <= before < 5
    found = list(read_pictures(sorted(tmp_path.glob("*.png")), Reading(), folder=tmp_path / "kept"))
    assert texts(found) == [f"Number {number}" for number in range(5)]
    assert len(counted) == 5 - before


@pytest.mark.endurance
def test_memory_stays_flat(rapid):
    """Pictures of many shapes: the engine keeps nothing of each."""

    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def read(number):
        rapid.read(lettered(f"Number {number}", size=12 + number % 17).resize((100 + number % 97, 60 + number % 31)))

    reads = int(os.environ.get("TRIFACET_READS", "200"))
    first = max(60, reads // 10)  # until each shape was there: the engine keeps room for the largest
    for number in range(first):
        read(number)
    before = resident()
    for number in range(first, first + reads):
        read(number)
        if not (number - first) % (reads // 10):
            print(f"{number} reads: {resident() / 1e6:.0f} MB")
    assert resident() - before < 30_000_000
