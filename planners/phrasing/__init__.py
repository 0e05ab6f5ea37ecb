"""Commands with their scenes and answers, by the ten thousand: what the language reader learns from."""
