"""The synonyms that come with Trifacet are those of NLTK's corpus, for every word."""

import random
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest
from nltk.corpus.reader.wordnet import WordNetCorpusReader

from trifacet.metrics import paper, wordnet
from trifacet.metrics.paper import paper_scores
from trifacet.metrics.wordnet import find_wordnet, lay_out, packaged_wordnet
from trifacet.metrics.wordnet_synonyms import FILE, SynonymReader

ROOT = Path(__file__).parents[2]

needs_debians = pytest.mark.skipif(
    not all((wordnet.DEBIAN_FOLDER / name).is_file() for name in wordnet._FILES),
    reason="the Debian packages wordnet-base and wordnet-sense-index are not installed",
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return wordnet._open(lay_out(wordnet.DEBIAN_FOLDER, tmp_path_factory.mktemp("nltk_data")))


def synonyms(reader, word):
    """As NLTK's METEOR collects them."""
    lemmas = chain.from_iterable(synset.lemmas() for synset in reader.synsets(word))
    return {lemma.name() for lemma in lemmas if "_" not in lemma.name()}


# What NLTK 3.10.4 gives with its corpus.
SYNONYMS = {
    "cars": "auto automobile car gondola machine motorcar railcar",  # by a rule
    "mice": "mouse shiner",  # by the list of irregular forms
    "axes": "Axis ax axe axis bloc",  # of a verb too; capitals stay
    "larger": "big bigger bombastic declamatory enceinte expectant gravid great heavy large larger magnanimous orotund "
    "prominent tumid turgid",
    "Danes": "Dane",  # capitals are looked up in small letters
    "hot_dogs": "dog frank frankfurter hotdog weenie wiener wienerwurst",
    "galore": "abounding galore",  # the database has "galore(ip)"
    "hot dog": "",
    "xyzzy": "",
    "": "",
}


@pytest.mark.parametrize("word", SYNONYMS)
def test_synonyms_of_some_words(word):
    assert synonyms(packaged_wordnet().reader, word) == set(SYNONYMS[word].split())


def test_base_forms_of_some_words():
    reader = packaged_wordnet().reader
    assert [reader._morphy("best", pos) for pos in "nvar"] == [["best"], ["best"], ["best", "good"], ["best", "well"]]
    assert [reader._morphy("men", pos) for pos in "nvar"] == [["men", "man"], [], [], []]


def test_without_an_installed_wordnet_ours_serves_and_it_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(wordnet, "DEBIAN_FOLDER", tmp_path)
    monkeypatch.setattr(wordnet, "_nltk_corpus", lambda: None)
    monkeypatch.setattr(paper, "find_wordnet", find_wordnet.__wrapped__)
    scores = paper_scores(["a car"], ["an auto"], tokenize=str.split)
    assert scores.rows[0]["meteor"] == 25  # one of two words in one chunk
    assert any("the synonyms of WordNet 3.0 that come with Trifacet" in note for note in scores.notes)


@needs_debians
@pytest.mark.endurance
def test_synonyms_are_those_of_the_corpus_for_every_word(corpus):
    """The rules and the look-up are NLTK's own, so equal lemmas, irregular forms and sets make equal answers."""
    ours = packaged_wordnet().reader
    assert (SynonymReader.synsets, SynonymReader._morphy) == (WordNetCorpusReader.synsets, WordNetCorpusReader._morphy)
    for pos in "nvar":
        assert ours._exception_map[pos] == corpus._exception_map[pos]
        assert set(ours._lemma_pos_offset_map.joined[pos]) == set(corpus.all_lemma_names(pos))
    for lemma in corpus.all_lemma_names():
        assert synonyms(ours, lemma) == synonyms(corpus, lemma), lemma


@needs_debians
def test_synonyms_of_inflected_forms_are_those_of_the_corpus(corpus):
    ours = packaged_wordnet().reader
    lemmas = random.Random(7).sample(sorted(corpus.all_lemma_names()), 1_000)
    rules = set(chain.from_iterable(corpus.MORPHOLOGICAL_SUBSTITUTIONS.values()))
    regular = {lemma.removesuffix(base) + ending for lemma in lemmas for ending, base in rules if lemma.endswith(base)}
    assert len(regular) > 4_000
    for word in regular.union(*corpus._exception_map.values()):
        assert synonyms(ours, word) == synonyms(corpus, word), word


@needs_debians
def test_the_tool_makes_the_same_file_again(tmp_path):
    again = tmp_path / "wordnet.txt"
    tool = [sys.executable, str(ROOT / "tools" / "wordnet_synonyms.py"), "--output", str(again)]
    subprocess.run(tool, check=True)
    assert again.read_bytes() == FILE.read_bytes()


def test_the_licence_travels_with_the_words():
    assert (ROOT / "LICENSE.WordNet").read_text(encoding="ascii") in FILE.read_text(encoding="ascii")
