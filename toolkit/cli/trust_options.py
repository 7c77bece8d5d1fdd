"""The options that say how far a saved model's probabilities can be believed, and what they did."""

from typing import Any

import click

calibrate_option = click.option(
    "--calibrate",
    is_flag=True,
    help="Divide the logits by a temperature, found on the validation images, so that the model is "
    "as sure as it is right.",
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
