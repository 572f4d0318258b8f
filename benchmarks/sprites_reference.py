"""Reference metrics of a model trained on LPC sprites, beside chance.

    python benchmarks/sprites_reference.py RUN STORE [--out metrics.json]

RUN is a folder made by `ddr fit`, or a .keras file; STORE is made by
`ddr preprocess sprites`. Scored on the identities of the split test, with probes
fitted on those of train: attributes and pose from f, from raw z and from z~, the
standard score of z under p(z | f); and the swap error beside plain reconstruction and
the mean image. The last column is what a prototype reached (width 32, dim f 64, dim z
2, 3,000 steps of 32 sets of 3 frames, raw z, probes fitted on 150 identities).
"""

import argparse
import sys
import time

# label, code: accuracy of the prototype
REFERENCE = {
    ("hair", "f"): 1.00,
    ("torso", "f"): 0.94,
    ("legs", "f"): 0.50,
    ("body", "f"): 0.48,
    ("pose", "z"): 0.375,
}
REFERENCE_SWAP = {"swap": 0.0100, "reconstruction": 0.0089, "mean_image": 0.0223}
ATTRIBUTES = ("hair", "torso", "legs", "body")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("store", metavar="STORE")
    parser.add_argument("--out", help="write all metrics to this JSON file")
    parser.add_argument(
        "--split", default="test", help="split to score on (%(default)s)"
    )
    parser.add_argument(
        "--sequences", type=int, help="identities of each split at most (all)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of choices (%(default)s)")
    arguments = parser.parse_args()

    # Importing them takes seconds, which --help need not wait for.
    from keras_ddr.data import FrameStore
    from keras_ddr.errors import InputError
    from keras_ddr.evaluation import evaluate
    from keras_ddr.files import write_json
    from keras_ddr.runs import check_fits, load_model

    try:
        store = FrameStore.open(arguments.store)
        model = load_model(arguments.run)
        check_fits(model, store)
        began = time.monotonic()
        report = evaluate(
            model,
            store,
            arguments.split,
            sequences=arguments.sequences,
            seed=arguments.seed,
        )
    except InputError as error:
        sys.exit(f"error: {error}")
    seconds = time.monotonic() - began
    print(report.table())
    print()
    print("\n".join(compare(report)))
    print(f"\nmeasured in {seconds:.0f} s")
    if arguments.out:
        write_json(arguments.out, {**report.to_dict(), "seconds": seconds})
        print(f"wrote {arguments.out}")


def compare(report):
    """Lines of the measures that have a reference value, beside it."""
    lines = [f"{'measure':<28}{'here':>9}{'chance':>9}{'prototype':>11}"]
    for (label, code), reference in REFERENCE.items():
        if label in report.probes:
            score = report.probes[label][code]
            lines.append(
                f"{f'{label} from {code}':<28}{score.value:>9.3f}{score.chance:>9.3f}"
                f"{reference:>11.3f}"
            )
    for code in ("z", "z~"):
        found = [report.probes[a][code] for a in ATTRIBUTES if a in report.probes]
        if found:
            mean = sum(score.value for score in found) / len(found)
            chance = sum(score.chance for score in found) / len(found)
            lines.append(
                f"{f'attributes from {code} (leak)':<28}{mean:>9.3f}{chance:>9.3f}"
                f"{'.18 to .30' if code == 'z' else '':>11}"
            )
    if report.swap:
        for name, value in report.swap.to_dict().items():
            if name != "pairs":
                reference = REFERENCE_SWAP.get(name)
                text = f"{reference:.4f}" if reference else ""
                lines.append(f"{f'mse {name}':<28}{value:>9.4f}{'':>9}{text:>11}")
    return lines


if __name__ == "__main__":
    main()
