"""Where the API is: one address, however it is written."""

import openai
import pytest

from identity_em.errors import InputError
from identity_em.training.openai_address import ADDRESS, address

WRITTEN = {
    "http://LOCALHOST:8000/v1": "http://localhost:8000/v1",
    "HTTPS://API.openai.com:443/v1/": "https://api.openai.com/v1",
    "http://host:80": "http://host",
    "http://host:/v1//": "http://host/v1",
    "https://host:80/V1": "https://host:80/V1",
    "http://Name:Word@Host/v1": "http://Name:Word@host/v1",
    "http://[2001:DB8::1]:8000/v1": "http://[2001:db8::1]:8000/v1",
    "http://b\u00fccher.example/v1": "http://xn--bcher-kva.example/v1",
    "": "https://api.openai.com/v1",
}


@pytest.mark.parametrize("written", WRITTEN)
def test_an_address_is_spelled_as_the_client_spells_it(written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ADDRESS, written)
    assert address() == WRITTEN[written]
    with openai.OpenAI(api_key="sk-local", base_url=address()) as client:
        assert str(client.base_url).rstrip("/") == address()


@pytest.mark.parametrize("written", ["localhost:8000", "ftp://host/v1", "http://", "http://host:v1", "http://[::1/v1"])
def test_what_is_no_address_is_one_line(written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ADDRESS, written)
    with pytest.raises(InputError, match="without http:// and host"):
        address()
