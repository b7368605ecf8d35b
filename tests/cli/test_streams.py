"""The ends of the program: output that nobody reads or that cannot be written, signals, errors that nobody foresaw."""

import os
import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer

from trifacet.base.errors import TrifacetError, of_the_users
from trifacet.cli import families, main
from trifacet.cli.common import err, out, plain, print_table, write_json

TRIFACET = f"{sys.executable} -m trifacet"


def shell(command, **options):
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120, check=False, **options)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("command", "code", "told"),
    [
        ("recipes --json - >&-", 2, "error: standard output: Bad file descriptor; it is closed"),
        ("recipes >/dev/full", 2, "error: standard output: No space left on device; free some space\n"),
        ("recipes --json - | true; exit ${PIPESTATUS[0]}", 141, ""),
        ("recipes | true; exit ${PIPESTATUS[0]}", 141, ""),
        ("recipes copy none 2>/dev/full", 2, ""),
        ("recipes copy none 2>&-", 2, ""),
        ("recipes copy none <&- >&- 2>&-", 2, ""),
    ],
)
def test_output_that_cannot_be_written(command, code, told):
    found, _, error = shell(f"{TRIFACET} {command}")
    assert found == code, error
    assert error.startswith(told) if told else error == ""
    assert error.count("\n") <= 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_all_is_imported_is_130_and_one_line(number, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(  # says when the first of our modules is there
        "import sys, pathlib\n"
        "class Seen:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'typer': pathlib.Path('started').touch(); import time; time.sleep(20)\n"
        "sys.meta_path.insert(0, Seen())\n"
    )
    paths = os.pathsep.join([str(tmp_path), *sys.path])
    process = subprocess.Popen(
        [sys.executable, "-m", "trifacet", "recipes"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env={**os.environ, "PYTHONPATH": paths},
    )  # fmt: skip
    end = time.monotonic() + 60
    while not (tmp_path / "started").exists():
        assert process.poll() is None and time.monotonic() < end, process.communicate()
        time.sleep(0.01)
    process.send_signal(number)
    told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert told == ("", "interrupted by SIGTERM\n" if number == signal.SIGTERM else "interrupted\n")


def test_an_interruption_within_a_module_in_c_is_130_too(tmp_path):
    """``python -m`` itself would end by SIGINT."""
    for end in ("main", "command"):
        (tmp_path / f"{end}.py").write_text(
            "import ctypes, sys\nfrom trifacet.cli import main\n\ndef interrupted():\n"
            "    ctypes.pythonapi.PyRun_SimpleString(b'raise KeyboardInterrupt')\n    sys.exit(130)\n\n"
            f"main.main = interrupted\nmain.{end}()\n"
        )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    codes = [
        subprocess.run([sys.executable, "-m", end], env=environment, capture_output=True, check=False).returncode
        for end in ("main", "command")
    ]
    assert codes == [-signal.SIGINT, 130]


def test_a_recipe_that_is_refused_does_not_wait_for_torch(tmp_path):
    (tmp_path / "x.yaml").write_text("a: " + "[" * 500)
    code = (
        "import re, sys\nfrom trifacet.cli import main\n"
        "for verb in ('run', 'sft', 'align', 'build'):\n"
        "    sys.argv = ['trifacet', verb, 'x.yaml']\n"
        "    try:\n        main.main()\n    except SystemExit as end:\n        assert end.code == 2\n"
        "assert 'torch' not in sys.modules\n"
        "peak = re.search(r'VmHWM:\\s+(\\d+) kB', open('/proc/self/status').read())\n"  # rusage's is the parent's too
        "assert int(peak[1]) < 300_000\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("error: x.yaml, line 1") == done.stderr.count("\n") == 4


@pytest.fixture
def failing(trifacet, monkeypatch):
    """The command ``fail``, which raises; what its end tells."""

    def run(error):
        app = typer.Typer(cls=main._Commands)

        @app.command()
        def fail():
            raise error

        @app.command()
        def other():
            pass

        monkeypatch.setattr(main, "app", app)
        return trifacet("fail")

    return run


def test_an_error_that_nobody_foresaw_is_a_line_and_a_file(failing, monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("MY_MODELS_KEY", "sk-4711-0815")
    code, printed, told = failing(ZeroDivisionError("sk-4711-0815 at https://me:pass@host/x\nsecond \x1b line"))
    assert (code, printed) == (1, "")
    found = re.fullmatch(
        r"error: unforeseen ZeroDivisionError: \*\*\* at https://\*\*\*@host/x; please report it with the file (.*)\n",
        told,
    )
    report = Path(found[1])
    assert report.parent == tmp_path
    assert stat.S_IMODE(report.stat().st_mode) == 0o600
    assert "Traceback (most recent call last)" in report.read_text()
    assert "raise error" in report.read_text()
    assert "4711" not in report.read_text() and "pass@" not in report.read_text()


def test_no_report_where_none_can_be_written(failing, monkeypatch):
    def full(**_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.mkstemp", full)
    code, _, told = failing(ZeroDivisionError("x"))
    assert code == 1
    assert told == "error: unforeseen ZeroDivisionError: x; its report cannot be written (No space left on device)\n"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(24, "Too many open files", "x"), "x: Too many open files; let fewer work at the same time, or allow"),
        (OSError(36, "File name too long", "aaa"), "aaa: File name too long; use a shorter name"),
        (OSError(40, "Too many levels of symbolic links", "x"), "x: Too many levels of symbolic links; a link leads"),
        (OSError(28, "No space left on device"), "a file: No space left on device; free some space"),
        (FileNotFoundError(2, "No such file or directory", "x"), "x: No such file or directory; correct the path"),
        (RuntimeError("Symlink loop from 'x'"), "Symlink loop from 'x'; correct the link"),
        (ValueError("embedded null byte"), "a path holds a NUL"),
        (UnicodeEncodeError("utf-8", "caf\udce9", 3, 4, "surrogates not allowed"), "is not UTF-8 text"),
        (BaseException("panicked"), None),
        (MemoryError(), None),
        (BrokenPipeError(32, "Broken pipe"), None),  # of a worker, not of standard output
    ],
)
def test_what_paths_and_texts_can_cause_is_the_users(failing, error, told):
    code, printed, said = failing(error)
    if told is None:
        assert of_the_users(error) is None
        return
    assert (code, printed) == (2, "")
    assert told in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("place", ["a" * 300, "loop/x", "loop", "caf\udce9", "/dev/full/x"])
@pytest.mark.parametrize("words", [("run", "{}"), ("report", "{}"), ("lint", "{}"), ("recipes", "copy", "demo", "{}"),
                                   ("data", "check", "{}"), ("compare", "{}", "{}"), ("families", "--json", "{}"),
                                   ("score", "{}", "--references", "{}")])  # fmt: skip
def test_odd_paths_are_one_line_wherever_they_are_given(trifacet, tmp_path, monkeypatch, words, place):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    code, _, told = trifacet(*[word.format(place) for word in words])
    if code == 0:  # a file of that name can be written
        assert words[0] in ("recipes", "families") and told == ""
        return
    assert code == 2
    assert "unforeseen" not in told
    assert told.count("\n") == 1


HOSTILE = "\x1b[31mred\u202e\x9b1m\x07\udce9[red]tag[/red]:smile:"


def test_what_a_name_holds_is_seen_and_not_obeyed(capfd, trifacet, monkeypatch):
    from trifacet.base.progress import Bar, console

    out.print(plain(HOSTILE))
    out.print(HOSTILE, markup=False)
    print_table(plain(HOSTILE), ("a",), [[plain(HOSTILE)]])
    err.print(plain(HOSTILE))
    console.print(HOSTILE, markup=False)
    with Bar(plain(HOSTILE)) as bar:
        bar._said -= 100
        bar.update(1, 2, "note")
    write_json({"a": HOSTILE}, "-")
    told = "".join(capfd.readouterr())

    def rows():
        raise TrifacetError(HOSTILE)

    monkeypatch.setattr(families, "rows", rows)
    code, _, error = trifacet("families")
    assert code == 2
    for text in (told, error):
        assert not set(text) & set("\x1b\u202e\x9b\x07\udce9")
        assert "\\x1b[31mred\\u202e" in text
        assert ":smile:" in text
    assert "\\u001b[31mred\\u202e" in told  # JSON's own escapes
