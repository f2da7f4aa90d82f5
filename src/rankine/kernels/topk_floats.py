"""The k best items, and where targets rank, from products worked out tile by tile and never written down as a whole."""

from __future__ import annotations

import numpy as np

from rankine.arrays import Array, Float, Int, Offsets
from rankine.kernels.jit import kernel
from rankine.kernels.lanes import aligned
from rankine.kernels.topk_lists import SLACK, cut, put_best_first
from rankine.kernels.topk_tiles import BLOCK, PANEL, SPAN, TILE, append_above, block_tile, count_above, fused, row_tile


@kernel
def best_of_spans(
    start: int, stop: int, vectors: Float, panels: Float, n_items: int, hidden: Int, hidden_ptr: Offsets, items: Int,
    best: Float,
) -> None:  # fmt: skip
    """The k best for the users of spans start .. stop; `hidden` ascends within a row."""
    dim, k = vectors.shape[1], items.shape[1]
    room = k + SLACK + TILE + 64
    scores, ids = np.empty(SPAN * room, np.float32), np.empty(SPAN * room, np.int32)
    size, due = np.empty(SPAN, np.int64), np.empty(SPAN, np.int64)
    limit, cursor = np.empty(SPAN, np.float32), np.empty(SPAN, np.int64)
    tile, users, zeros = aligned(BLOCK * TILE), aligned(SPAN * dim), np.zeros(BLOCK, np.float32)
    for span in range(start, stop):
        first, n_users = span * SPAN, min(SPAN, len(vectors) - span * SPAN)
        pack_users(vectors, first, n_users, users)
        for row in range(n_users):
            size[row], due[row], limit[row], cursor[row] = 0, k, -np.inf, hidden_ptr[first + row]
        for tile_at in range(0, n_items, TILE):
            for block in range(0, n_users, BLOCK):
                fill(users, block, n_users, zeros, panels, tile_at, dim, tile)
                for row in range(block, min(n_users, block + BLOCK)):
                    at = (row - block) * TILE
                    cursor[row] = blank(tile, at, tile_at, hidden, cursor[row], hidden_ptr[first + row + 1])
                    blank_rest(tile, at, tile_at, n_items)
                    n, above, to = size[row], limit[row], row * room
                    n = append_above(tile, at, above, tile_at, scores, ids, to, n)
                    if n >= due[row]:
                        n, limit[row] = cut(scores, ids, to, n, k)
                        due[row] = n + SLACK
                    size[row] = n
        for row in range(n_users):
            size[row], _ = cut(scores, ids, row * room, size[row], k)
            put_best_first(scores, ids, row * room, size[row], best[first + row], items[first + row])


@kernel
def ranks_of_spans(
    start: int, stop: int, vectors: Float, panels: Float, n_items: int, hidden: Int, hidden_ptr: Offsets, targets: Int,
    own: Float, limits: Float, order: Int, offsets: Offsets, ranks: Offsets,
) -> None:  # fmt: skip
    """1 + scores above `limits` for targets that score `own`; `order` are the targets of a row in ascending order."""
    dim = vectors.shape[1]
    cursor, passed = np.empty(SPAN, np.int64), np.empty(SPAN, np.int64)
    tile, users, zeros = aligned(BLOCK * TILE), aligned(SPAN * dim), np.zeros(BLOCK, np.float32)
    for span in range(start, stop):
        first, n_users = span * SPAN, min(SPAN, len(vectors) - span * SPAN)
        pack_users(vectors, first, n_users, users)
        for row in range(n_users):
            cursor[row], passed[row] = hidden_ptr[first + row], offsets[first + row]
            among_targets(targets, own, n_items, offsets[first + row], offsets[first + row + 1], ranks)
        for tile_at in range(0, n_items, TILE):
            for block in range(0, n_users, BLOCK):
                fill(users, block, n_users, zeros, panels, tile_at, dim, tile)
                for row in range(block, min(n_users, block + BLOCK)):
                    at, end = (row - block) * TILE, offsets[first + row + 1]
                    cursor[row] = blank(tile, at, tile_at, hidden, cursor[row], hidden_ptr[first + row + 1])
                    passed[row] = blank(tile, at, tile_at, order, passed[row], end)
                    blank_rest(tile, at, tile_at, n_items)
                    for target in range(offsets[first + row], end):
                        ranks[target] += count_above(tile, at, TILE, limits[target])


@kernel
def among_targets(targets: Int, own: Float, n_items: int, start: int, stop: int, ranks: Offsets) -> None:
    """Begin the ranks of one row: 1 + targets that score more, or the same and come earlier; N + 1 without a score."""
    for target in range(start, stop):
        if not 0 <= targets[target] < n_items:
            ranks[target] = n_items + 1  # its own score is NaN: no comparison adds to it
            continue
        ranks[target] = 1
        for other in range(start, stop):
            ranks[target] += own[other] > own[target] or (own[other] == own[target] and other < target)


@kernel
def pair_scores(start: int, stop: int, vectors: Float, rows: Float, who: Offsets, items: Int, out: Float) -> None:
    """The scores of pairs: user who[i] and item items[i], or NaN for an item without a row."""
    for i in range(start, stop):
        total = np.float32(0)
        if 0 <= items[i] < len(rows):
            user, row = vectors[who[i]], rows[items[i]]
            for d in range(len(row)):
                total = fused(row[d], user[d], total)
        else:
            total = np.float32(np.nan)
        out[i] = total


@kernel
def written_spans(start: int, stop: int, vectors: Float, panels: Float, out: Float) -> None:
    """All scores of the users of spans start .. stop."""
    dim, n_items = vectors.shape[1], out.shape[1]
    tile, users, zeros = aligned(BLOCK * TILE), aligned(SPAN * dim), np.zeros(BLOCK, np.float32)
    for span in range(start, stop):
        first, n_users = span * SPAN, min(SPAN, len(vectors) - span * SPAN)
        pack_users(vectors, first, n_users, users)
        for tile_at in range(0, n_items, TILE):
            n = min(TILE, n_items - tile_at)
            for block in range(0, n_users, BLOCK):
                fill(users, block, n_users, zeros, panels, tile_at, dim, tile)
                for row in range(block, min(n_users, block + BLOCK)):
                    at = (row - block) * TILE
                    for i in range(n):
                        out[first + row, tile_at + i] = tile[at + i]


@kernel
def pack_users(vectors: Array, first: int, n_users: int, users: Array) -> None:
    """The coordinates of users first .. first + n_users in blocks, a lone user in a block of one."""
    dim = vectors.shape[1]
    if n_users == 1:
        for d in range(dim):
            users[d] = vectors[first, d]
        return
    for block in range(0, n_users, BLOCK):
        for j in range(BLOCK):
            for d in range(dim):
                users[(block * dim) + d * BLOCK + j] = vectors[first + block + j, d] if block + j < n_users else 0


@kernel
def fill(
    users: Float, block: int, n_users: int, zeros: Float, panels: Float, tile_at: int, dim: int, tile: Float
) -> None:
    """Scores of a block of users, or of a lone one, for the tile of items that begins at `tile_at`."""
    if n_users == 1:
        for item in range(0, TILE, 4 * PANEL):
            row_tile(users, 0, zeros, panels, (tile_at + item) * dim, dim, tile, item)
    else:
        for item in range(0, TILE, PANEL):
            block_tile(users, block * dim, zeros, panels, (tile_at + item) * dim, dim, tile, item)


@kernel
def blank(tile: Float, at: int, tile_at: int, items: Int, place: int, stop: int) -> int:
    """Put NaN, which is above nothing, in place of items[place:stop] as far as they lie in the tile; returns how far."""
    while place < stop and items[place] < tile_at + TILE:
        if items[place] >= tile_at:
            tile[at + items[place] - tile_at] = np.nan
        place += 1
    return place


@kernel
def blank_rest(tile: Float, at: int, tile_at: int, n_items: int) -> None:
    """Put NaN behind the last item."""
    for i in range(n_items - tile_at, TILE):
        tile[at + i] = np.nan
