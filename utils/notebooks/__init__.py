"""The notebooks as files: find and read them, clean them, generate parts of them, check them."""
