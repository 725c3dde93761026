"""What the author of a provider needs: HTTP, payloads, signatures, splitting text, placeholders."""
