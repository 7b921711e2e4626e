"""Requests to a CMS: paced, tried again, never redirected, TLS verified."""

import base64
import logging
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from dawnlist.errors import DeliveryError, SettingsError
from dawnlist.export.presets import Preset, fill
from dawnlist.redaction import redacted
from dawnlist.settings import Delivery

if TYPE_CHECKING:
    import urllib3

# Statuses after which the same request may pass later; urllib3 heeds Retry-After.
PASSING: Final = (408, 425, 429, 500, 502, 503, 504)
# Statuses that are about the content of a batch: it is halved until the document is found that is refused.
ABOUT_CONTENT: Final = (400, 413, 422)
BACKOFF_MOST_SECONDS: Final = 120
LOCAL: Final = ("localhost", "127.0.0.1", "::1")
REASON_CHARACTERS: Final = 200


class Client:
    """Requests to `settings.to`. `n_requests` and `n_retried` count what was sent, and what had to be sent more than once."""

    def __init__(self, settings: Delivery, preset: Preset) -> None:
        import urllib3

        self.to, self._pause, self._sent_at = str(settings.to), 1 / settings.requests_per_second, 0.0
        self.n_requests = self.n_retried = 0
        self._headers = {"Content-Type": "application/json"}
        if settings.token:
            if urlsplit(self.to).scheme != "https" and urlsplit(self.to).hostname not in LOCAL:
                raise SettingsError(f"delivery.to = {self.to} would carry the token in the clear: use https://.")
            token = settings.token.get_secret_value()
            self._headers[preset.token.header] = fill(preset.token.value, {"token": token, "token_base64": base64.b64encode(token.encode()).decode()})
        retries = urllib3.Retry(
            total=settings.attempts - 1,
            redirect=False,
            allowed_methods=None,  # POST too: a key makes it safe, or what is there is looked at again
            status_forcelist=PASSING,
            backoff_factor=settings.backoff_seconds,
            backoff_max=BACKOFF_MOST_SECONDS,
            backoff_jitter=settings.backoff_seconds,
            raise_on_status=False,
        )
        logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # its warnings have paths, and those may have ids
        self._pool = urllib3.PoolManager(retries=retries, timeout=settings.timeout_seconds)

    def request(
        self, method: str, path: str = "", body: str | None = None, *, key: str | None = None, passed: tuple[int, ...] = ()
    ) -> "urllib3.BaseHTTPResponse":
        """The answer to a request below `settings.to`: 2xx, a status about its content, or one of `passed`. `key`: its idempotency key.

        Raises DeliveryError for every other answer, and for none.
        """
        import urllib3

        time.sleep(max(0.0, self._sent_at + self._pause - time.monotonic()))
        self._sent_at = time.monotonic()
        self.n_requests += 1
        headers = self._headers | ({"Idempotency-Key": key} if key else {})
        try:
            answer = self._pool.request(method, self.to + path, body=None if body is None else body.encode(), headers=headers, redirect=False)
        except urllib3.exceptions.HTTPError as error:
            raise DeliveryError(
                f"{self.to} cannot be reached ({type(error).__name__}). Run this again: it goes on where it stopped."
            ) from None  # it has the path
        self.n_retried += bool(answer.retries and answer.retries.history)
        if answer.status >= 300 and answer.status not in (*ABOUT_CONTENT, *passed):
            what = "check DAWNLIST_DELIVERY__TOKEN" if answer.status in (401, 403) else "check delivery.to, or ask its operator"
            raise DeliveryError(f"{self.to} answered with status {answer.status}: {what}. Run this again: it goes on where it stopped.")
        return answer


def reason(answer: "urllib3.BaseHTTPResponse") -> str:
    """What an answer says, as it is kept."""
    return kept(answer.data.decode(errors="replace"))


def kept(words: str) -> str:
    """The beginning of a CMS's words, without what has the form of a direct identifier."""
    return redacted(words)[:REASON_CHARACTERS]
