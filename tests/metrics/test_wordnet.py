"""WordNet is laid out whole, once, and repaired when it is damaged."""

import pytest

from trifacet.base.embedded import cache_folder
from trifacet.metrics import wordnet
from trifacet.metrics.wordnet import lay_out, packaged_wordnet

pytestmark = pytest.mark.skipif(
    not all((wordnet.DEBIAN_FOLDER / name).is_file() for name in wordnet._FILES),
    reason="the Debian packages wordnet-base and wordnet-sense-index are not installed",
)


def test_debians_wordnet_answers_from_a_private_folder(tmp_path):
    corpus = lay_out(wordnet.DEBIAN_FOLDER, tmp_path / "nltk_data")
    reader = wordnet._open(corpus)
    assert reader.get_version() == "3.0"
    assert "automobile" in {lemma.name() for synset in reader.synsets("car") for lemma in synset.lemmas()}
    assert reader.synset("dog.n.01").lexname() == "noun.animal"
    assert reader.synset("run.v.01").lexname() == "verb.motion"
    assert [path.name for path in corpus.parent.iterdir()] == ["wordnet"]


def test_a_damaged_copy_is_replaced_and_a_whole_one_kept(tmp_path):
    corpus = lay_out(wordnet.DEBIAN_FOLDER, tmp_path)
    before = (corpus / "data.noun").stat().st_ino
    assert lay_out(wordnet.DEBIAN_FOLDER, tmp_path) == corpus
    assert (corpus / "data.noun").stat().st_ino == before
    (corpus / "data.verb").write_bytes(b"half")
    lay_out(wordnet.DEBIAN_FOLDER, tmp_path)
    assert (corpus / "data.verb").stat().st_size == (wordnet.DEBIAN_FOLDER / "data.verb").stat().st_size


def test_a_cache_that_cannot_be_written_is_said_and_our_synonyms_serve(monkeypatch, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    monkeypatch.setattr(wordnet, "_nltk_corpus", lambda: None)
    assert cache_folder().parent == blocked
    found = wordnet.find_wordnet.__wrapped__()
    assert found.reader is packaged_wordnet().reader
    assert "come with Trifacet" in found.note
    assert "could not be laid out" in found.note
