"""Damage is told by the file's name, whatever bit it is in; what has no seal is taken as it is."""

import json
import shutil

import pytest
from flips import flipped
from hypothesis import given
from hypothesis import strategies as st

from trifacet.base import seals
from trifacet.base.claims import claimed
from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.seals import damages, read_document, refuse_damaged, seal_folder, seal_of, sealed, unsealed

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text().filter(lambda key: key != "seal"), JSON, max_size=5))
def test_what_was_sealed_is_opened_as_it_was(document):
    text = json.dumps(sealed(document))
    assert unsealed(json.loads(text)) == json.loads(json.dumps(document))
    plain = json.loads(json.dumps(document))  # made before there were seals
    assert unsealed(plain) == plain


@pytest.mark.parametrize("indent", [None, 2])
def test_no_flipped_bit_of_a_document_goes_unnoticed(tmp_path, indent):
    document = {"part": 3, "files": {"rows/a": [12, "ab" * 32]}, "seconds": 0.25, "name": "blüe \n", "none": None}
    text = json.dumps(sealed(document), indent=indent, ensure_ascii=False).encode()
    for place in range(8 * len(text)):
        try:
            found = unsealed(json.loads(flipped(text, place)))
        except ValueError:
            continue
        assert found in (None, document), flipped(text, place)  # \N for \n is refused by JSON, 1E5 is 1e5


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"\xff", b"\0", b"[" * 100_000, b'{"a": 1, "seal": "0123456789abcdef"}']
)
def test_a_damaged_document_is_one_line_with_its_cure(tmp_path, content):
    (tmp_path / "done.json").write_bytes(content)
    with pytest.raises(DataError, match=r"done\.json: is damaged; put it back$"):
        read_document(tmp_path / "done.json", "put it back")


def test_damaged_files_are_all_named_with_what_is_wrong(tmp_path):
    for name in ("a", "b/c", "b/d", "e"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"this is {name}")
    noted = {name: seal_of(tmp_path / name) for name in ("a", "b/c", "b/d")} | {"e": seal_of(tmp_path / "e")[1]}
    assert list(damages(tmp_path, noted)) == []
    (tmp_path / "a").unlink()
    (tmp_path / "b/c").write_text("this is")
    (tmp_path / "b/d").write_text("that is b/d"[:11])
    (tmp_path / "e").write_text("that is e")
    told = [
        "a is missing",
        "b/c has 7 bytes instead of 11",
        "b/d is not as it was written",
        "e is not as it was written",
    ]
    assert [str(one) for one in damages(tmp_path, noted)] == told
    assert [str(one) for one in damages(tmp_path, noted, whole=False)] == told[:2]


def test_a_sealed_folder_is_used_only_as_it_was_written_and_is_read_once(tmp_path, monkeypatch):
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "config.json").write_bytes(b"{}")
    refuse_damaged(tmp_path)
    seal_folder(tmp_path)
    refuse_damaged(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(seals, "file_digest", lambda path: pytest.fail(f"{path} is read again"))
        refuse_damaged(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"Weights")
    with pytest.raises(
        TrifacetError, match=r"model\.safetensors is not as it was written; put it back, or delete .*complete\.json"
    ):
        refuse_damaged(tmp_path)
    refuse_damaged(tmp_path, lambda name: name == "config.json")
    (tmp_path / "complete.json").unlink()
    refuse_damaged(tmp_path)


@pytest.mark.parametrize("noted", ["{}", '{"files": [1]}', '{"files": {"a": [1]}}', "", "\0"])
def test_a_damaged_seal_is_damage(tmp_path, noted):
    (tmp_path / "complete.json").write_text(noted)
    assert [str(one) for one in seals.folder_damages(tmp_path)] == ["complete.json is damaged"]


@pytest.mark.parametrize("then", ["note", "write", "recreate"])
def test_a_folder_that_is_removed_under_a_command_is_one_line(tmp_path, then):
    folder = tmp_path / "out"
    with (
        pytest.raises(TrifacetError, match=r"out was removed while the command ran"),
        claimed(folder, "run.json") as claim,
    ):
        claim.begin({"seed": 1})
        shutil.rmtree(folder)
        if then == "note":
            claim.finish()
        elif then == "write":
            (folder / "log.jsonl").open("a")
        else:
            folder.mkdir()
            raise TrifacetError("cannot write: no such file; free some space")
    assert not (folder / "run.json").exists()
