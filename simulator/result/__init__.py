"""An estimate and its forms as data: no text for people, no files."""
