"""The formats of the files that the package writes and reads back, each with everything that such a file may hold.

All but the initial noise, labels and images of the user, which have readers of their own, and models of other libraries.
"""

from __future__ import annotations

from ._schema import (
    CHECKSUM,
    Arrays,
    TensorFormat,
    digest_text,
    list_of,
    number,
    optional,
    record,
    text,
    whole,
)

__all__ = [
    "ANSWERS",
    "INTERRUPTED_RUN",
    "NETWORK",
    "POPULATION",
    "RESULTS",
    "SCRIPT_RUN",
    "SIMULATION",
    "TRAINING",
]

_INDICES = list_of(whole(0))
_SHAPE = list_of(whole(1))

#: A population; what the values must be is checked by its constructor.
POPULATION = TensorFormat(
    "kappaflow-population-2",
    "a saved population",
    facts={
        "population": record(
            {
                "dimension": whole(1),
                "shape": _SHAPE,
                "sample_size": optional(whole(1)),
                "provenance": record({}, more=True),
                "group_count": optional(whole(1)),
                "versions": whole(1),
            },
            missing=("group_count", "versions"),
        )
    },
    arrays={
        "eigenvalues": Arrays("f8", ("k",), needed=True),
        "multiplicity": Arrays("f8", ("k",), needed=True),
        "mean": Arrays("f8", ("d",), needed=True),
        "eigenvectors": Arrays("f8 f4", ("d", "k")),
        "profiles": Arrays("f4", ("M", "k")),
        "groups": Arrays("i8", ("M",)),
    },
    again="make it again with kappaflow moments or Population.save",
)

#: Statistics of simulated training sets: an unfinished or finished part of `kappaflow validate linear`.
SIMULATION = TensorFormat(
    "kappaflow-simulation-1",
    "saved statistics",
    facts={"identity": record({}, more=True)},
    arrays={
        "done": Arrays("i8", ("G",), needed=True),
        "array:gain/": Arrays("f8", ("G", "k")),
        "array:equal/": Arrays("f8", ("G", "k")),
        "array:total/": Arrays("f8", ("G",)),
        "array:pairs/": Arrays("f8", ("G", "p", "p")),
        "array:average/": Arrays("f8", ("G", "k")),
        "array:output/": Arrays("f8", ("G", "B", "k")),
        "array:output_mean/": Arrays("f8", ("G", "B", "k")),
        "array:pixel/": Arrays("f8", ("G", "d")),
        "array:trajectory/": Arrays("f8", ("G", "B", "k")),
        "array:trace": Arrays("f8", ("G", "T")),
        "array:step_error/": Arrays("f8", ("G", "B", "k")),
        "sum:mean/": Arrays("f8", ("k", "k")),
        "sum:variance/": Arrays("f8", ("k", "k")),
    },
    again="remove it, and it is simulated again",
)

_NETWORK_CONFIG = record({"arch": text, "shape": _SHAPE, "sigma_data": number(0), "options": record({}, more=True)})

#: A trained network. Networks that functions of users save need no facts but their configuration.
NETWORK = TensorFormat(
    "kappaflow-network-1",
    "a network",
    facts={
        "facts": record(
            {
                "network": _NETWORK_CONFIG,
                "training": record({}, more=True),
                "run": text,
                "stratum": optional(text),
                "seconds": number(0),
                "indices": _INDICES,
                "images": digest_text,
                "shape": _SHAPE,
            },
            missing=("training", "run", "stratum", "seconds", "indices", "images", "shape"),
            more=True,
        )
    },
    arrays={"weights/": Arrays(None)},
    again="remove it, and it is trained again",
)

#: A network in training.
TRAINING = TensorFormat(
    "kappaflow-training-1",
    "a training checkpoint",
    facts={
        "config": record(
            {"network": _NETWORK_CONFIG, "training": record({}, more=True), "images": digest_text}, more=True
        ),
        "step": whole(0),
        "seconds": number(0),
    },
    arrays={name: Arrays(None) for name in ("weights/", "ema/", "adam/exp_avg/", "adam/exp_avg_sq/", "adam/step/")},
    again="remove it, and the training starts again",
)

#: Outputs of a network.
ANSWERS = TensorFormat(
    "kappaflow-answers-1",
    "answers of a model",
    facts={"run": text},
    arrays={
        "samples/": Arrays("f8", finite=False),  # networks may give anything
        "loss/": Arrays("f8", ("S",), finite=False),
        "shared": Arrays("f4", needed=True, finite=False),
    },
    again="remove it, and it is computed again",
)

#: options.json of a folder of results.
RESULTS = record(
    {
        "format": text,
        "options": record({}, more=True),
        "files": list_of(text),
        CHECKSUM: digest_text,
    },
    more=True,
)

#: options.json of a folder with the work of an interrupted run.
INTERRUPTED_RUN = record({"format": text, "options": record({}, more=True), CHECKSUM: digest_text})

#: run.json of a network that the user's command trained.
SCRIPT_RUN = record(
    {
        "run": text,
        "command": text,
        "seed": whole(0),
        "steps": whole(0),
        "seconds": number(0),
        "indices": _INDICES,
        "images": digest_text,
        "shape": _SHAPE,
        "result": digest_text,
        CHECKSUM: digest_text,
    }
)
