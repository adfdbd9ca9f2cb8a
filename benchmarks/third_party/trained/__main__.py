"""Is the chosen engine of other people's trained networks no slower than what a user could have had instead?

``python -m benchmarks.third_party.trained --out FILE.json`` trains SegFormer-B0 (Hugging Face), a U-Net with a
MobileNetV2 encoder (segmentation_models_pytorch) and nnU-Net's PlainConvUNet for some five minutes each (weights that
are there are taken), deploys them at gate 99.9 and compares each chosen engine with its peers as ``benchmarks.peers``
does. Needs the environment of ``benchmarks/third_party/requirements.txt``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.peers.__main__ import compare
from benchmarks.peers.arguments import add_minutes, comparison_parser
from benchmarks.training import model_folder, trained

FOLDER = Path("benchmarks/third_party/trained")
NETWORKS = ("segformer", "smp_mobilenet", "nnunet")


def main() -> None:
    arguments = _parse()
    for name in arguments.networks:
        training = arguments.training / name
        trained(FOLDER / name, arguments.training_data or arguments.data, training)
        model_folder(FOLDER / name, training, arguments.models / name)
    compare(arguments)


def _parse() -> argparse.Namespace:
    parser = comparison_parser("benchmarks.third_party.trained", __doc__)
    add_minutes(parser, 15.0)
    parser.add_argument("--training-data", type=Path, help="image set to train on, where there is a larger one")
    parser.add_argument("--training", type=Path, default=Path("out/third_party/training"), help="weights go here")
    parser.set_defaults(
        networks=list(NETWORKS), models=Path("out/third_party/models"), runs=Path("out/third_party/runs")
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
