"""Texts are put into documents and taken out again: by digest, all or nothing, safe against kills and full disks."""

import hashlib
import os
import random
import signal
import stat
import subprocess
import sys
import threading
import time

import pytest
from full_disk import files_up_to
from hypothesis import given
from hypothesis import strategies as st
from packed_documents import drawing, paragraph, table, word
from searching import searched

from trifacet.base.errors import TrifacetError
from trifacet.describing.formats import pictures
from trifacet.describing.formats import table as tables
from trifacet.describing.formats import word as words
from trifacet.describing.patching import apply, undo
from trifacet.describing.place import Edit
from trifacet.describing.planning import FOLDER, NOTHING, Change, planned

KNOWN = (words.FORMAT, pictures.FORMAT, tables.FORMAT)
OLD = table(("a.png", "", "first, with a comma"), ("b.png", "a cat", 'so "quoted"'))
NEW = table(("a.png", "A dog runs", "first, with a comma"), ("b.png", "a cat", 'so "quoted"'))


def format_of(path, data):
    return next((one for one in KNOWN if path.endswith(tuple(one.suffixes))), None)


def digest(data):
    return hashlib.sha256(data).hexdigest()


def wanted(**documents):
    """Edits of CSV files by name: the text of the first row."""
    return {f"{name}.csv": (digest(data), {"0": Edit(alt)}) for name, (data, alt) in documents.items()}


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "a.csv").write_bytes(OLD)
    return folder


def files(root):
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*")
            if path.is_file() and FOLDER not in path.parts}  # fmt: skip


EDIT = wanted(a=(OLD, "A dog runs"))


def test_a_text_is_put_in_and_taken_out(root):
    (told,) = apply(root, EDIT, format_of)
    assert (told.told, told.texts) == ("applied", 1)
    assert files(root) == {"a.csv": NEW}
    (told,) = undo(root)
    assert told.told == "undone"
    assert files(root) == {"a.csv": OLD}
    assert undo(root) == []


def test_a_dry_run_writes_nothing(root):
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    (change,) = planned(root, EDIT, format_of)
    assert change.after == NEW
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_a_document_that_changed_is_asked_anew(root):
    other = OLD + b"c.png,,later\r\n"
    (root / "a.csv").write_bytes(other)
    (told,) = apply(root, EDIT, format_of)
    assert told.told == "changed" and "scan it again" in told.problem
    assert files(root) == {"a.csv": other}


def test_one_document_that_fails_stops_no_other(root):
    (root / "b.csv").write_bytes(OLD)
    (root / "c.xyz").write_bytes(b"?")
    many = EDIT | {"gone.csv": (digest(OLD), {"0": Edit("x")}), "c.xyz": (digest(b"?"), {"0": Edit("x")})}
    many |= {"b.csv": (digest(OLD), {"9": Edit("x")})}
    told = {one.path: one for one in apply(root, many, format_of)}
    assert {path: one.told for path, one in told.items()} == {
        "a.csv": "applied", "gone.csv": "refused", "c.xyz": "refused", "b.csv": "refused",
    }  # fmt: skip
    assert "holds no place '9'" in told["b.csv"].problem
    assert all(len(one.problem.splitlines()) <= 1 for one in told.values())


@pytest.mark.parametrize(
    "path", ["../a.csv", "/etc/passwd.csv", "x/../a.csv", "./a.csv", "a\0.csv", "", "x\\a.csv", f"{FOLDER}/a.csv"]
)
def test_nothing_outside_the_root_is_touched(root, path):
    (root.parent / "a.csv").write_bytes(OLD)
    (told,) = apply(root, {path: (digest(OLD), {"0": Edit("x")})}, format_of)
    assert told.told == "refused" and "no path below" in told.problem
    assert (root.parent / "a.csv").read_bytes() == OLD


@pytest.mark.parametrize("folder", [False, True])
def test_links_are_refused(root, folder):
    out = root.parent / "out"
    out.mkdir()
    (out / "b.csv").write_bytes(OLD)
    if folder:
        (root / "sub").symlink_to(out)
    else:
        (root / "b.csv").symlink_to(out / "b.csv")
    (told,) = apply(root, {"sub/b.csv" if folder else "b.csv": (digest(OLD), {"0": Edit("x")})}, format_of)
    assert told.told == "refused" and "symbolic link" in told.problem
    assert (out / "b.csv").read_bytes() == OLD


@pytest.mark.parametrize("mode", [0o640, 0o755, 0o600, 0o2664])
def test_the_mode_stays(root, mode):
    (root / "a.csv").chmod(mode)
    there = stat.S_IMODE((root / "a.csv").stat().st_mode)
    apply(root, EDIT, format_of)
    assert stat.S_IMODE((root / "a.csv").stat().st_mode) == there
    undo(root)
    assert stat.S_IMODE((root / "a.csv").stat().st_mode) == there


@pytest.mark.parametrize("name", ["", ".lock", "journal.jsonl", "before", ".gitignore"])
def test_a_journal_that_leads_out_of_the_root_is_refused(root, tmp_path_factory, name):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "journal.jsonl").write_bytes(b"")  # a folder of a journal is told by this file
    (outside / "kept").write_bytes(b"of another")
    if name:
        (root / FOLDER).mkdir()
        (root / FOLDER / "journal.jsonl").write_bytes(b"")
        (root / FOLDER / name).unlink(missing_ok=True)
    (root / FOLDER / name if name else root / FOLDER).symlink_to(
        outside if name in ("", "before") else outside / "kept"
    )
    before = {path.name: path.read_bytes() for path in outside.iterdir()}
    for work in (lambda: apply(root, EDIT, format_of), lambda: undo(root)):
        with pytest.raises(TrifacetError, match="is a symbolic link"):
            work()
    assert {path.name: path.read_bytes() for path in outside.iterdir()} == before


def test_undo_leaves_alone_what_changed_since(root):
    (root / "b.csv").write_bytes(OLD)
    apply(root, EDIT | wanted(b=(OLD, "A hen")), format_of)
    (root / "a.csv").write_bytes(NEW + b"more")
    told = {one.path: one.told for one in undo(root)}
    assert told == {"a.csv": "changed", "b.csv": "undone"}
    assert files(root) == {"a.csv": NEW + b"more", "b.csv": OLD}
    (root / "a.csv").write_bytes(NEW)
    assert [one.told for one in undo(root)] == ["undone"]
    assert files(root)["a.csv"] == OLD


def test_undo_takes_the_last_run_or_all(root):
    apply(root, EDIT, format_of)
    apply(root, {"a.csv": (digest(NEW), {"1": Edit("Two cats")})}, format_of)
    undo(root)
    assert files(root) == {"a.csv": NEW}
    apply(root, {"a.csv": (digest(NEW), {"1": Edit("Three cats")})}, format_of)
    undo(root, everything=True)
    assert files(root) == {"a.csv": OLD}


def test_a_document_that_was_made_is_taken_away_again(root):
    (root / "p.png").write_bytes(b"x")
    edit = {"p.png.alt.txt": (NOTHING, {"text": Edit("A hen")})}
    (change,) = planned(root, edit, format_of)
    assert change.made
    apply(root, edit, format_of)
    assert files(root)["p.png.alt.txt"] == b"A hen\n"
    undo(root)
    assert "p.png.alt.txt" not in files(root)


def test_damaged_old_bytes_are_not_put_back(root):
    apply(root, EDIT, format_of)
    (kept,) = (root / FOLDER / "before").iterdir()
    kept.write_bytes(kept.read_bytes()[:-3])
    (told,) = undo(root)
    assert told.told == "refused" and "damaged" in told.problem
    assert files(root) == {"a.csv": NEW}


def test_a_journal_of_somebody_elses_reaches_no_file_outside(root):
    secret = root.parent / "secret.csv"
    apply(root, EDIT, format_of)
    secret.write_bytes(NEW)
    journal = root / FOLDER / "journal.jsonl"
    from trifacet.base.journal import Journal

    book = Journal(journal)
    row = dict(book.rows[0])
    book.append([row | {"id": "1", "path": "../secret.csv"}, row | {"id": "2", "before": "../../x"}, {"id": 3}])
    told = undo(root, everything=True)
    assert {one.path: one.told for one in told} == {"../secret.csv": "refused", "a.csv": "undone"}
    assert secret.read_bytes() == NEW


def test_nothing_to_undo_is_one_line(root):
    with pytest.raises(TrifacetError, match="nothing was applied"):
        undo(root)
    assert not (root / FOLDER).exists()


def test_the_folder_of_the_journal_is_ignored_by_git(root):
    apply(root, EDIT, format_of)
    subprocess.run(["git", "init", "-q", root], check=True)
    told = subprocess.run(["git", "-C", root, "status", "--short"], capture_output=True, text=True, check=True)
    assert told.stdout == "?? a.csv\n"


def test_two_at_once(root):
    inside, leave = threading.Event(), threading.Event()

    def slow(path, data):
        inside.set()
        assert leave.wait(30)
        return format_of(path, data)

    one = threading.Thread(target=apply, args=(root, EDIT, slow))
    one.start()
    assert inside.wait(30)
    try:
        with pytest.raises(TrifacetError, match="another process"):
            apply(root, EDIT, format_of)
        with pytest.raises(TrifacetError, match="another process"):
            undo(root)
    finally:
        leave.set()
        one.join()
    assert files(root) == {"a.csv": NEW}


def test_a_change_meanwhile_is_kept(root):
    other = OLD + b"z.png,,new\r\n"

    def meanwhile(path, data):
        (root / "a.csv").write_bytes(other)
        return format_of(path, data)

    (told,) = apply(root, EDIT, meanwhile)
    assert told.told == "changed"
    assert files(root) == {"a.csv": other}
    assert undo(root) == []


def test_a_full_disk_is_one_line_and_nothing_is_lost(root):
    big = table(*((f"{number}.png", "", "x" * 200) for number in range(500)))
    (root / "a.csv").write_bytes(big)
    for size in (0, 10, 300, 2000, len(big) // 2):
        with files_up_to(size), pytest.raises(TrifacetError) as caught:
            apply(root, {"a.csv": (digest(big), {"0": Edit("A dog")})}, format_of)
        assert "free some space" in str(caught.value) and len(str(caught.value).splitlines()) == 1
        assert files(root) == {"a.csv": big}
    (told,) = apply(root, {"a.csv": (digest(big), {"0": Edit("A dog")})}, format_of)
    assert told.told == "applied"
    undo(root)
    assert files(root) == {"a.csv": big}


# --- kills ------------------------------------------------------------------------------------------------------

STEPS = ("open", "os.rename", "os.remove", "os.chmod", "os.mkdir", "os.chown", "os.scandir")


def killed_at(step, act):
    """Run ``act`` in a process that kills itself at its so-manieth step on the disk; whether it came so far."""
    child = os.fork()
    if child == 0:
        left = step

        def hook(event, arguments):
            nonlocal left
            if event in STEPS:
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.addaudithook(hook)
            act()
            os._exit(0)
        except BaseException:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL)
    return code != 0


def test_a_kill_at_any_step_leaves_old_or_new_and_undo_gives_back_the_old(root):
    (root / "b.csv").write_bytes(OLD)
    before = files(root)
    both = EDIT | wanted(b=(OLD, "A dog runs")) | {"p.png.alt.txt": (NOTHING, {"text": Edit("A hen")})}
    after = {"a.csv": NEW, "b.csv": NEW, "p.png.alt.txt": b"A hen\n"}
    step, survived = 0, 0
    while killed_at(step := step + 1, lambda: apply(root, both, format_of)):
        there = {name: data for name, data in files(root).items() if not name.endswith(".tmp")}
        assert all(data in (before.get(name), after[name]) for name, data in there.items())
        if (root / FOLDER / "journal.jsonl").is_file():
            for again in (1 + step % 11, 1 + step * 7 % 40):  # and undo is killed as well
                killed_at(again, lambda: undo(root, everything=True))
            undo(root, everything=True)
            assert files(root) == before
        survived += 1
    assert survived > 30
    assert files(root) == after
    undo(root)
    assert files(root) == before


def test_a_run_that_was_killed_goes_on_by_the_same_edits(root):
    (root / "b.csv").write_bytes(OLD)
    both = EDIT | wanted(b=(OLD, "A dog runs"))
    for step in range(1, 200):
        if not killed_at(step, lambda: apply(root, both, format_of)):
            break
        told = {one.path: one.told for one in apply(root, both, format_of)}
        assert set(told.values()) <= {"applied", "unchanged"}
        assert files(root) == {"a.csv": NEW, "b.csv": NEW}
        undo(root, everything=True)
        assert files(root) == {"a.csv": OLD, "b.csv": OLD}


@pytest.mark.endurance
def test_kills_at_random_moments(root):
    document = word(*(paragraph(drawing(number, None)) for number in range(2000)))
    (root / "a.docx").write_bytes(document)
    edits = {"a.docx": (digest(document), {f"word/document.xml#{n}": Edit(f"text {n}") for n in range(2000)})}
    new = words.FORMAT.edited(document, "a.docx", edits["a.docx"][1])
    draw = random.Random(5)
    for _ in range(40):
        child = os.fork()
        if child == 0:
            apply(root, edits, format_of)
            os._exit(0)
        time.sleep(draw.random() * 1.5)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert (root / "a.docx").read_bytes() in (document, new)
        if (root / FOLDER / "journal.jsonl").is_file():
            undo(root, everything=True)
        assert (root / "a.docx").read_bytes() == document


# --- patches ----------------------------------------------------------------------------------------------------

LINES = st.lists(st.sampled_from([b"a\n", b"b\r\n", b"\n", b"\xff\xfe\n", b"- c\n", b"same\n", b"x"]), max_size=60)
NAMES = ["a.csv", "with blank.csv", 'q"uote.csv', "ü/ä.csv", "tab\tname.csv", "deep/er/a.csv"]


def patched(tool, folder, name, before, patch):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(before)
    command = ["git", "apply", "-"] if tool == "git" else ["patch", "-p1", "--binary", "-s"]
    environment = dict(os.environ, GIT_CEILING_DIRECTORIES=str(folder.parent))
    told = subprocess.run(command, input=patch, cwd=folder, capture_output=True, check=False, env=environment)
    assert told.returncode == 0, told.stderr
    return path.read_bytes()


@pytest.mark.parametrize("tool", ["git", "patch"])
@pytest.mark.parametrize("name", NAMES)
def test_the_patch_is_taken_by(tool, name, tmp_path):
    draw = random.Random(name)
    for number in range(8):
        old = [draw.choice([b"a\n", b"b\r\n", b"\n", b"\xff\n", b"-c\n", b"\f\n"]) for _ in range(draw.randint(1, 80))]
        new = [line if draw.random() > 0.1 else b"new %d\r\n" % draw.randint(0, 9) for line in old]
        if number % 2:
            new += [b"last"]
        before, after = b"".join(old), b"".join(new)
        change = Change(name, before, after)
        if before != after:
            assert patched(tool, tmp_path / f"{number}", name, before, change.patch) == after


def test_the_patch_of_a_document_that_is_made(tmp_path):
    change = Change("sub/p.png.alt.txt", b"", b"A hen\n", made=True)
    environment = dict(os.environ, GIT_CEILING_DIRECTORIES=str(tmp_path.parent))
    subprocess.run(["git", "apply", "-"], input=change.patch, cwd=tmp_path, check=True, env=environment)
    assert (tmp_path / "sub" / "p.png.alt.txt").read_bytes() == b"A hen\n"


@searched(60)
@given(old=LINES, new=LINES)
def test_any_two_documents_have_a_patch_that_git_takes(old, new, tmp_path_factory):
    before, after = b"".join(old), b"".join(new)
    if before != after and before and after:
        folder = tmp_path_factory.mktemp("patched")
        assert patched("git", folder, "a.csv", before, Change("a.csv", before, after).patch) == after


def test_a_packed_document_has_a_listing_instead(root):
    document = word(paragraph(drawing(1, None)))
    (root / "a.docx").write_bytes(document)
    (change,) = planned(root, {"a.docx": (digest(document), {"word/document.xml#0": Edit("A dog")})}, format_of)
    assert change.patch == b""
    assert list(change.shown) == ["a.docx: word/media/image1.png: none -> 'A dog'"]
