"""STAR: skill codes from a rotation-augmented residual VQ, composed by a causal transformer.

After Li et al. 2025 (arXiv 2506.03863), with codebooks that learn, an offset for whatever code is picked,
and an auxiliary loss on where the target is.
"""
