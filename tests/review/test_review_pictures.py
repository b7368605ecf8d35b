"""A picture that is dear to decode keeps no judge from the others, and is decoded once."""

import threading
import time

from PIL import Image

from trifacet.base import images
from trifacet.review import pictures as review_pictures
from trifacet.review.pictures import Pictures
from trifacet.web.pictures import picture


def test_a_dear_picture_is_none_at_once_the_next_time_and_others_come_meanwhile(tmp_path, monkeypatch):
    Image.new("L", (9, 9), 7).save(tmp_path / "slow.png")
    Image.new("L", (9, 9), 7).save(tmp_path / "fine.png")
    kept = Pictures(tmp_path)
    started, come = threading.Event(), threading.Event()
    real = review_pictures.within_bounds

    def within_bounds(function, name, *arguments, **options):
        if name != "slow.png":
            return real(function, name, *arguments, **options)
        started.set()
        assert come.wait(20)
        return real(time.sleep, name, 60)  # a decoder that does not come back

    monkeypatch.setattr(review_pictures, "within_bounds", within_bounds)
    monkeypatch.setattr(images, "DECODING_SECONDS", 0.3)
    found = []
    judge = threading.Thread(target=lambda: found.append(kept.get("slow.png")))
    judge.start()
    assert started.wait(20)
    monkeypatch.setattr(images, "DECODING_SECONDS", 10)
    fine = kept.get("fine.png")
    monkeypatch.setattr(images, "DECODING_SECONDS", 0.3)
    come.set()
    judge.join(20)
    assert fine is not None and (fine.width, fine.height, fine.type) == (9, 9, "image/png")
    assert found == [None]
    began = time.monotonic()
    assert kept.get("slow.png") is None
    assert time.monotonic() - began < 0.2
    assert kept.get("fine.png") is fine


def test_what_is_missing_may_come_later(tmp_path):
    kept = Pictures(tmp_path)
    assert kept.get("a.png") is None
    Image.new("RGB", (4, 3)).save(tmp_path / "a.png")
    assert kept.get("a.png") is not None


def test_a_page_says_why_a_picture_is_not_shown(tmp_path):
    Image.new("L", (1, 50_000)).save(tmp_path / "narrow.png")
    assert "a side of more than 14142" in picture(tmp_path, "narrow.png").problem
    Image.new("L", (10, 20)).save(tmp_path / "fine.png")
    shown = picture(tmp_path, "fine.png")
    assert (shown.width, shown.height, shown.problem) == (10, 20, "")
    assert shown.url.startswith("data:image/png;base64,")
