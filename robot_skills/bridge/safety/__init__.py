"""The safety chain: one file one rule, in the order of `chain.ORDER`.

A rule looks at a motion before it is sent, together with the way to rest from it, and may object. Then what
is sent is the way to rest from the motion before, to which no rule objected: so from every motion that is
sent the arm can stop within every limit. An objection that stops latches: it takes `resume` to move again.

This is software on a computer that is not safety-rated. It keeps mistakes small; it certifies nothing, and
stands in for no hardware emergency stop.
"""
