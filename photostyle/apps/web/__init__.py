"""The web page of photostyle: what ``photostyle serve`` shows. It needs gradio, from ``photostyle[web]``."""
