"""The one exception of the asset layer."""


class AssetError(RuntimeError):
    """An asset cannot be had; the message is one sentence that says what to do."""
