"""The options that say how far a saved model's probabilities can be believed, and what they did."""

from typing import Any

from toolkit.cli.sections import trust_option

calibrate_option = trust_option(
    "--calibrate",
    is_flag=True,
    help="Divide the logits by a temperature, found on the validation images, so that the model is "
    "as sure as it is right.",
)

reject_below_option = trust_option(
    "--reject-below",
    type=float,
    default=0.0,
    show_default=True,
    metavar="PROBABILITY",
    help="Where the highest probability is lower, the saved model gives no label. 0: never.",
)


def answered_line(selective: dict[str, Any]) -> str:
    """`selective` of measured figures in one sentence."""
    least = f"probability at least {selective['reject_below']:g}"
    if not selective["answered"]:
        return f"No image is answered ({least})."
    low, high = selective["accuracy_ci95"]
    return (
        f"{selective['coverage']:.2%} of the images are answered ({least}), and of these "
        f"{selective['accuracy']:.2%} rightly (95 % interval {low:.2%} to {high:.2%})."
    )


def calibration_line(calibration: dict[str, Any]) -> str:
    """`calibration` of `metrics.json` in one sentence."""
    before, after = calibration["before"], calibration["after"]
    error = f"{after['expected_calibration_error']:.2%}"
    if calibration["temperature"] == 1:
        return f"Calibration error {error}."
    return (
        f"Temperature {calibration['temperature']:.3f}, found on validation: calibration error "
        f"{before['expected_calibration_error']:.2%} before, {error} after; log-loss "
        f"{before['loss']:.4f} before, {after['loss']:.4f} after."
    )
