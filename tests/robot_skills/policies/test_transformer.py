"""The shared transformer: what a token may see, and the cache of what was seen."""

import math

import pytest
import torch

from robot_skills.policies.transformer import Block, Stack, sinusoids


@pytest.fixture
def stack() -> Stack:
    torch.manual_seed(0)
    return Stack(32, 2, 4).eval()


def test_a_causal_token_sees_none_after_it(stack: Stack) -> None:
    x = torch.randn(2, 6, 32)
    changed = x.clone()
    changed[:, 4] = torch.randn(2, 32)
    before, after = stack(x, causal=True), stack(changed, causal=True)
    assert torch.allclose(before[:, :4], after[:, :4], atol=1e-6)
    assert ((before - after).abs().amax((0, 2))[4:] > 1e-3).all()
    assert ((stack(x) - stack(changed)).abs().amax((0, 2)) > 1e-3).all()  # not causal: all see it


def test_token_by_token_is_what_all_at_once_is(stack: Stack) -> None:
    x = torch.randn(3, 7, 32)
    first, seen = stack.extend(x[:, :4])
    parts = [first]
    for place in range(4, 7):
        token, seen = stack.extend(x[:, place : place + 1], seen)
        parts.append(token)
    assert torch.allclose(torch.cat(parts, dim=1), stack(x, causal=True), atol=1e-5)


def test_a_block_is_its_formula() -> None:
    torch.manual_seed(0)
    block, x, memory = Block(8, 2, memory=True).eval(), torch.randn(1, 3, 8), torch.randn(1, 5, 8)

    def attend(q, k, v):
        out = torch.zeros(3, 8)
        for head in (slice(0, 4), slice(4, 8)):
            out[:, head] = (q[:, head] @ k[:, head].T / 2).softmax(-1) @ v[:, head]
        return out

    y = x[0]
    q, k, v = block.qkv(block.norm_attention(y)).split(8, dim=1)
    y = y + block.out(attend(q, k, v))
    k, v = block.tell(memory[0]).split(8, dim=1)
    y = y + block.answer(attend(block.ask(block.norm_memory(y)), k, v))
    y = y + block.mlp(block.norm_mlp(y))
    assert torch.allclose(block(x, memory=memory)[0], y, atol=1e-5)


def test_dropout_is_for_training_alone() -> None:
    torch.manual_seed(0)
    stack, x = Stack(32, 2, 4, dropout=0.5), torch.randn(1, 4, 32)
    assert not torch.equal(stack(x), stack(x))
    stack.eval()
    assert torch.equal(stack(x), stack(x))


def test_positions_are_sines_and_cosines() -> None:
    positions = sinusoids(50, 8)
    for place in (0, 1, 49):
        for i in range(4):
            angle = place / 10_000 ** (2 * i / 8)
            assert positions[place, i] == pytest.approx(math.sin(angle), abs=1e-5)
            assert positions[place, 4 + i] == pytest.approx(math.cos(angle), abs=1e-5)
    assert sinusoids(3, 5).shape == (3, 5)
