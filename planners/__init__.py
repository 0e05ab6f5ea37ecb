"""From a command in plain language to a goal formula, a verified plan, and its execution."""
