"""Order: nodes that stand before what they read are sorted. Runtimes open such files, checkers and editors do not."""

from __future__ import annotations

import onnx

from edge.errors import InputError
from edge.graph.bodies import bodies
from edge.loading.normalize.step import Change, Draft, Step


def _apply(draft: Draft) -> Change | None:
    graph = draft.proto.graph
    made = {output: index for index, node in enumerate(graph.node) for output in node.output if output}
    needs = [{made[name] for name in read_names(node) if name in made} for node in graph.node]
    if all(earlier < index for index, wanted in enumerate(needs) for earlier in wanted):
        return None
    proto = draft.copy()
    del proto.graph.node[:]
    proto.graph.node.extend(graph.node[index] for index in _sorted(needs, draft.where))
    return Change(draft.with_proto(proto))


def _sorted(needs: list[set[int]], where: str) -> list[int]:
    """Indices in an order in which each stands behind what it needs; otherwise as they were (Kahn)."""
    import heapq

    readers: list[list[int]] = [[] for _ in needs]
    missing = [len(wanted) for wanted in needs]
    for index, wanted in enumerate(needs):
        for earlier in wanted:
            readers[earlier].append(index)
    ready = [index for index, count in enumerate(missing) if not count]
    heapq.heapify(ready)
    found: list[int] = []
    while ready:
        index = heapq.heappop(ready)
        found.append(index)
        for reader in readers[index]:
            missing[reader] -= 1
            if not missing[reader]:
                heapq.heappush(ready, reader)
    if len(found) < len(needs):
        raise InputError(f"{where}: its nodes read each other in a circle; export the model again")
    return found


def read_names(node: onnx.NodeProto) -> set[str]:
    """Names that a node reads, those inside its subgraphs too."""
    names = set(node.input)
    for body in bodies(node):
        for inner in body.node:
            names |= read_names(inner)
        names |= {output.name for output in body.output}
    return names


STEP = Step("sorted nodes", _apply)
