"""WordNet for METEOR, without a download.

Invariant: there always is one that answers METEOR's questions, and whichever it is, a score is the same; the note says
which it is.
"""

from __future__ import annotations

import functools
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any, NamedTuple

from trifacet.base.embedded import cache_folder

# Where the Debian packages wordnet-base and wordnet-sense-index install the database.
DEBIAN_FOLDER = Path("/usr/share/wordnet")

# What NLTK's reader opens, less `lexnames`, which the Debian packages leave out and which is written below.
_FILES = (
    *("cntlist.rev", "index.sense", "adj.exc", "adv.exc", "noun.exc", "verb.exc"),
    *("index.adj", "index.adv", "index.noun", "index.verb", "data.adj", "data.adv", "data.noun", "data.verb"),
)

# WordNet's lexicographer files in the order of their numbers (wordnet manual page lexnames(5WN)).
_LEXICOGRAPHER_FILES = (
    *("adj.all", "adj.pert", "adv.all", "noun.Tops", "noun.act", "noun.animal", "noun.artifact", "noun.attribute"),
    *("noun.body", "noun.cognition", "noun.communication", "noun.event", "noun.feeling", "noun.food", "noun.group"),
    *("noun.location", "noun.motive", "noun.object", "noun.person", "noun.phenomenon", "noun.plant"),
    *("noun.possession", "noun.process", "noun.quantity", "noun.relation", "noun.shape", "noun.state"),
    *("noun.substance", "noun.time", "verb.body", "verb.change", "verb.cognition", "verb.communication"),
    *("verb.competition", "verb.consumption", "verb.contact", "verb.creation", "verb.emotion", "verb.motion"),
    *("verb.perception", "verb.possession", "verb.social", "verb.stative", "verb.weather", "adj.ppl"),
)
_PART_OF_SPEECH = {"noun": 1, "verb": 2, "adj": 3, "adv": 4}


class WordNet(NamedTuple):
    """A reader for NLTK and a note on where it comes from."""

    reader: Any
    note: str


@functools.cache
def find_wordnet() -> WordNet:
    """NLTK's own corpus where it is installed, else Debian's packages laid out in the user's cache, else our own."""
    reader = _nltk_corpus()
    if reader is not None:
        return WordNet(reader, f"WordNet {reader.get_version()} from NLTK's data")
    if not all((DEBIAN_FOLDER / name).is_file() for name in _FILES):
        return packaged_wordnet()
    try:
        reader = _open(lay_out(DEBIAN_FOLDER, cache_folder() / "nltk_data"))
    except (OSError, LookupError, ValueError) as error:
        own = packaged_wordnet()
        return WordNet(own.reader, f"{own.note} (Debian's could not be laid out for NLTK: {error})")
    return WordNet(reader, f"WordNet {reader.get_version()} from Debian's wordnet packages")


@functools.cache
def packaged_wordnet() -> WordNet:
    """The synonyms that come with Trifacet."""
    from trifacet.metrics.wordnet_synonyms import SynonymReader

    return WordNet(SynonymReader(), "the synonyms of WordNet 3.0 that come with Trifacet")


def lay_out(source: Path, data: Path) -> Path:
    """Copy the database in ``source`` to ``data/corpora/wordnet``, as NLTK wants it, unless it already lies there.

    Copied, not linked: NLTK follows no link out of its data folders. The copy gets its name only when it is whole.

    Returns:
        The folder of the corpus.
    """
    corpus = data / "corpora" / "wordnet"
    if _complete(corpus, source):
        return corpus
    corpus.parent.mkdir(parents=True, exist_ok=True)
    for folder in (data, corpus.parent):
        folder.chmod(0o755)  # NLTK reads nothing from a folder that others can write to
    temporary = Path(tempfile.mkdtemp(prefix=".wordnet-", dir=corpus.parent))
    try:
        for name in _FILES:
            shutil.copyfile(source / name, temporary / name)
        (temporary / "lexnames").write_text(_lexnames(), encoding="ascii")
        for file in temporary.iterdir():
            file.chmod(0o644)
        temporary.chmod(0o755)
        shutil.rmtree(corpus, ignore_errors=True)  # of another version, or damaged
        temporary.rename(corpus)
    except OSError:
        if not _complete(corpus, source):  # else another process was quicker, and its copy is as good
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return corpus


def _complete(corpus: Path, source: Path) -> bool:
    try:
        same = all((corpus / name).stat().st_size == (source / name).stat().st_size for name in _FILES)
        return same and (corpus / "lexnames").read_text(encoding="ascii") == _lexnames()
    except (OSError, ValueError):
        return False


def _lexnames() -> str:
    """The file ``lexnames``: number, lexicographer file, part of speech."""
    return "".join(
        f"{number:02d}\t{name}\t{_PART_OF_SPEECH[name.split('.')[0]]}\n"
        for number, name in enumerate(_LEXICOGRAPHER_FILES)
    )


def _nltk_corpus() -> Any | None:
    from nltk.corpus import wordnet

    try:
        wordnet.synsets("dog")
    except (LookupError, OSError):
        return None
    return wordnet


def _open(corpus: Path) -> Any:
    import nltk
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    data = str(corpus.parent.parent)
    if data not in nltk.data.path:
        nltk.data.path.append(data)  # NLTK opens files below these folders only
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no multilingual WordNet: METEOR asks for English words only
        reader = WordNetCorpusReader(nltk.data.FileSystemPathPointer(str(corpus)), None)
    reader.synsets("dog")
    return reader
