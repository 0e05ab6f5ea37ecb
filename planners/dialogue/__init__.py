"""A conversation with the arm: answers, pronouns over turns, corrections in flight, undoing (`manager`)."""
