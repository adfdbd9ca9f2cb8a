from contextlib import closing

from edge.backends import find_backend
from edge.quantization.schemes import find_scheme
from edge.search.dialect import PlainDialect
from edge.search.local_bench import LocalBench
from edge.targets.target import find_target


def test_a_report_says_that_weights_have_7_bits_only_where_they_have():
    def notes(scheme: str) -> tuple[str, ...]:
        bench = LocalBench(find_backend("openvino"), find_target("cpu"), PlainDialect(find_scheme(scheme)))
        with closing(bench):
            return bench.notes()

    assert notes("openvino") == ()
    assert notes("openvino-avx2") == ("This CPU adds products of 8 bits in 16 (no VNNI), so INT8 weights have 7 bits",)
