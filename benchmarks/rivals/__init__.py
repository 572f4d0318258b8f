"""The model of the paper, written by hand in other ways: yardsticks for its speed.

Each module has a function `make(width, static_dim, number)` that gives a pair: a
function `train(frames, batch)`, which takes one step on each batch of uint8 frames
`(S, N, 64, 64, 3)` and returns the last loss in nats, and the number of weights.
"""
