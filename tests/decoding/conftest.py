"""A small model of the library, of one family and the other."""

import pytest
from small_models import small_gpt2, small_llama


@pytest.fixture(params=[small_llama, small_gpt2], ids=["llama", "gpt2"])
def small(request):
    return request.param()
