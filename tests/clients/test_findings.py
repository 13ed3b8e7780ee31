"""What a check finds, as people read it: each finding in both languages."""

import pytest

from clients.findings import Finding, Level, _meanings, add_meanings, finding
from clients.notices import Value, notice, say
from tasks import words

VALUES: dict[str, Value] = {
    "url": "https://acme.example.com/hook",
    "ours": "https://new.example.com/hook",
    "reason": notice("http_status", service=notice("helpdesk"), status=500),
    "what": notice("page_not_subscribed"),
}
EXPECTED = {
    "page_not_subscribed": (
        (
            "The page is not subscribed: it does not send its messages to the app. Customers' messages do "
            "not arrive. Run “connector check --fix” to subscribe it again at once; otherwise the next "
            "scheduled check does, unless check_every is 0."
        ),
        (
            "Strona nie jest zasubskrybowana: nie wysyła wiadomości do aplikacji. Wiadomości od klientów nie "
            "docierają. Uruchom „connector check --fix”, aby zasubskrybować ją od razu; w przeciwnym razie "
            "zrobi to najbliższa zaplanowana kontrola, chyba że check_every wynosi 0."
        ),
    ),
    "app_subscribed_elsewhere": (
        (
            "The Meta app sends its webhooks to https://acme.example.com/hook instead of "
            "https://new.example.com/hook. Customers' messages do not arrive. If they are to come here, run "
            "“connector check --fix”; if not, correct public_url."
        ),
        (
            "Aplikacja Meta wysyła webhooki na adres https://acme.example.com/hook zamiast "
            "https://new.example.com/hook. Wiadomości od klientów nie docierają. Jeśli mają trafiać tutaj, "
            "uruchom „connector check --fix”; jeśli nie, popraw public_url."
        ),
    ),
    "helpdesk_away": (
        (
            "The helpdesk cannot be used: the helpdesk returned an error (HTTP 500). Messages wait and "
            "become tickets once this is fixed. Check that it runs, and that helpdesk.base_url leads to it."
        ),
        (
            "Nie można korzystać z helpdesku: helpdesk zwraca błąd (HTTP 500). Wiadomości czekają i staną "
            "się zgłoszeniami, gdy zostanie to naprawione. Sprawdź, czy działa i czy helpdesk.base_url do "
            "niego prowadzi."
        ),
    ),
}
CODES = sorted(_meanings)


def _said(code: str, language: str) -> str:
    values: dict[str, Value] = dict.fromkeys(_names(code), "7")
    one = Finding(code, values | VALUES)
    return " ".join(words.say(part, language) for part in (one.what, one.means, one.remedy) if part)


def _names(code: str) -> set[str]:
    meaning = _meanings[code]
    text = meaning.what + meaning.means + meaning.remedy
    return {part.partition("}")[0] for part in text.split("{")[1:]}


@pytest.mark.parametrize("code", CODES)
def test_a_finding_is_said_whole_in_both_languages(code: str) -> None:
    english, polish = _said(code, "en"), _said(code, "pl")

    assert english != polish
    assert not {"{", "}", "…", ".means", ".remedy"} & {*english, *polish}
    assert english.endswith(".")
    assert polish.endswith(".")


@pytest.mark.parametrize("code", EXPECTED)
def test_a_finding_says_what_it_is_what_it_means_and_what_to_do(code: str) -> None:
    assert (_said(code, "en"), _said(code, "pl")) == EXPECTED[code]


@pytest.mark.parametrize("code", CODES)
def test_what_is_wrong_says_more_than_what_is_right(code: str) -> None:
    meaning = _meanings[code]
    is_wrong = meaning.level in {Level.WARNING, Level.STOPS_MESSAGES}

    says_how_to_find_out = meaning.level == Level.UNKNOWN and not meaning.means
    if not says_how_to_find_out:
        assert bool(meaning.means or meaning.remedy) == (is_wrong and code != "setting_doubtful")
    assert is_wrong or meaning.is_set_up or not meaning.can_be_fixed
    assert meaning.can_be_fixed or not meaning.is_fixed_unasked


def test_a_code_of_another_version_is_a_warning_that_says_its_code() -> None:
    one = finding("of_another_version", page="7")

    assert (one.level, one.is_wrong, one.means, one.remedy) == (Level.WARNING, True, None, None)
    assert say(one.what) == "of_another_version page=7"


def test_a_code_has_one_meaning() -> None:
    with pytest.raises(ValueError, match="page_not_subscribed"):
        add_meanings({"page_not_subscribed": _meanings["page_subscribed"]})
