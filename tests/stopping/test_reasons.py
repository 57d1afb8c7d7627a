"""Reasons as people write them."""

from __future__ import annotations

from keepbest.stopping.reasons import StopReason, in_words


def test_every_reason_has_words() -> None:
    words = {reason: in_words(reason.value) for reason in StopReason}
    assert words[StopReason.NON_FINITE] == "not finite"
    assert words[StopReason.PATIENCE_EXHAUSTED] == "patience exhausted"
    assert len(set(words.values())) == len(StopReason)
    assert in_words("of_somebody_else") == "of somebody else"
