from edge.graph.groups import in_groups


def test_groups_are_full_but_never_too_large_except_for_one_large_tensor() -> None:
    sizes = [("a", 3), ("b", 4), ("c", 4), ("d", 20), ("e", 1), ("f", 7)]
    assert list(in_groups(sizes, 8)) == [["a", "b"], ["c"], ["d"], ["e", "f"]]
    assert list(in_groups([], 8)) == []
