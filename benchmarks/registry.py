"""Which benchmarks there are: plain data; a benchmark's module is imported when it is run."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Benchmark:
    """One benchmark.

    Attributes:
        name: On the command line, and of its files.
        module: Has `run(settings) -> Outcome`; its docstring says what is compared and how.
        summary: One line.
        repetitions: By default.
    """

    name: str
    module: str
    summary: str
    repetitions: int


BENCHMARKS = {
    benchmark.name: benchmark
    for benchmark in (
        Benchmark(
            "time-to-accuracy",
            "benchmarks.time_to_accuracy",
            "A whole job against Keras' transfer-learning guide and a PyTorch loop.",
            1,
        ),
        Benchmark(
            "features",
            "benchmarks.features",
            "The feature pass against model.predict over image_dataset_from_directory.",
            3,
        ),
        Benchmark(
            "decode",
            "benchmarks.decode",
            "Reading photos against image_dataset_from_directory and Pillow.",
            5,
        ),
        Benchmark(
            "audit",
            "benchmarks.audit",
            "A look at a whole data set against decoding its photos.",
            3,
        ),
        Benchmark(
            "augmentation",
            "benchmarks.augmentation",
            "Augmented batches against Keras' layers and a bare albumentations loop.",
            5,
        ),
        Benchmark(
            "scaling",
            "benchmarks.scaling",
            "Time and memory of the feature pass as the images become many.",
            1,
        ),
        Benchmark(
            "serving",
            "benchmarks.serving",
            "A bundle's SavedModel against its network alone and Pillow with model.predict.",
            5,
        ),
        Benchmark(
            "ensemble-serving",
            "benchmarks.ensemble_serving",
            "The SavedModel of an ensemble against its members' networks alone.",
            25,
        ),
        Benchmark(
            "start-up",
            "benchmarks.start_up",
            "Whole processes: help, and the prediction of one photo.",
            5,
        ),
        Benchmark(
            "fine-tuning",
            "benchmarks.fine_tuning",
            "Training from cached activations against training from images.",
            3,
        ),
        Benchmark(
            "variants",
            "benchmarks.variants",
            "What options of finetune gain and lose.",
            3,
        ),
        Benchmark(
            "few-photos",
            "benchmarks.few_photos",
            "Probe, fine-tuning and MLP with 5, 10 and 20 photos of each class.",
            3,
        ),
        Benchmark(
            "imbalance",
            "benchmarks.imbalance",
            "Classes made 20 to 1 uneven, with --imbalance and without.",
            3,
        ),
        Benchmark(
            "ensembles",
            "benchmarks.ensembles",
            "Three networks trained on few photos, and what they are together.",
            3,
        ),
    )
}
