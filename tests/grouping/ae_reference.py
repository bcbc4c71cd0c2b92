"""The AE code's grouping once more, in plain Python and in its own order of steps: what `AEGreedy` must equal.

People live in dicts keyed by an embedding value, and the assignment is Munkres' algorithm on lists with a table of
marks. Nothing here is shared with the library.
"""

import numpy as np


def group(types, scores, embeddings, order, threshold=1.0, detection_threshold=-np.inf, max_people=30):
    """Sets of candidate numbers, one per person, in the order in which people were started."""
    placed, values = {}, {}  # key -> {type: candidate}; key -> embeddings since the key was last started
    for step, kind in enumerate(order):
        here = [i for i in range(len(types)) if types[i] == kind and scores[i] > detection_threshold]
        here.sort(key=lambda i: -scores[i])
        if step == 0 or not placed:
            for i in here:
                placed.setdefault(embeddings[i][0], {})[kind] = i
                values[embeddings[i][0]] = [embeddings[i]]
            continue
        keys = list(placed)[:max_people]
        if len(keys) == max_people or not here:
            continue
        means = [np.mean(values[key], axis=0) for key in keys]
        distance = [[np.mean((embeddings[i].astype(np.float64) - mean) ** 2) ** 0.5 for mean in means] for i in here]
        cost = [[float(np.round(d)) * 100 - float(scores[i]) for d in row] for i, row in zip(here, distance)]
        cost = [row + [1e10] * (len(here) - len(keys)) for row in cost]
        for row, column in enumerate(assign(cost)):
            i = here[row]
            if column < len(keys) and distance[row][column] < threshold:
                placed[keys[column]][kind] = i
                values[keys[column]].append(embeddings[i])
            else:
                placed.setdefault(embeddings[i][0], {})[kind] = i
                values[embeddings[i][0]] = [embeddings[i]]
    return [set(person.values()) for person in placed.values()]


STAR, PRIME = 1, 2


def assign(cost):
    """Munkres' six steps on lists. Returns the column of each row of ``cost`` (rows <= columns)."""
    n, wanted = len(cost[0]), len(cost)
    c = [list(row) for row in cost] + [[0.0] * n for _ in range(n - wanted)]
    c = [[value - min(row) for value in row] for row in c]
    mark = [[0] * n for _ in range(n)]
    for i in range(n):
        for j in range(n):
            if c[i][j] == 0 and STAR not in mark[i] and all(mark[k][j] != STAR for k in range(n)):
                mark[i][j] = STAR
    while sum(row.count(STAR) for row in mark) < n:
        row_covered = [False] * n
        column_covered = [any(mark[i][j] == STAR for i in range(n)) for j in range(n)]
        i0 = j0 = 0
        while True:
            found = _zero(c, row_covered, column_covered, i0, j0)
            if found is None:
                least = min(c[i][j] for i in range(n) for j in range(n) if not row_covered[i] and not column_covered[j])
                for i in range(n):
                    for j in range(n):
                        c[i][j] += least if row_covered[i] else 0
                        c[i][j] -= 0 if column_covered[j] else least
                i0 = j0 = 0
                continue
            i, j = found
            mark[i][j] = PRIME
            if STAR not in mark[i]:
                break
            i0, j0 = i, mark[i].index(STAR)
            row_covered[i], column_covered[j0] = True, False
        path = [(i, j)]
        while any(mark[k][path[-1][1]] == STAR for k in range(n)):
            k = next(k for k in range(n) if mark[k][path[-1][1]] == STAR)
            path += [(k, path[-1][1]), (k, mark[k].index(PRIME))]
        for i, j in path:
            mark[i][j] = 0 if mark[i][j] == STAR else STAR
        mark = [[0 if m == PRIME else m for m in row] for row in mark]
    return [mark[i].index(STAR) for i in range(wanted)]


def _zero(c, row_covered, column_covered, i0, j0):
    """First row from ``i0`` around with an uncovered zero; of its uncovered zeros the last from ``j0`` around."""
    n = len(c)
    for i in [(i0 + a) % n for a in range(n)]:
        if not row_covered[i]:
            columns = [j for j in [(j0 + b) % n for b in range(n)] if c[i][j] == 0 and not column_covered[j]]
            if columns:
                return i, columns[-1]
    return None
