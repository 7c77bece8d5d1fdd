"""`toolkit audit`."""

from typing import TYPE_CHECKING, Any

import click

from toolkit.cli.source_options import cache_size_option, max_pixels_option, source_options

if TYPE_CHECKING:
    from toolkit.auditing import AuditResult

COLOURS = {"serious": "bold red", "doubtful": "yellow", "note": "cyan"}


@click.command()
@click.argument("data", metavar="SOURCE")
@click.option(
    "--output",
    default="audit",
    show_default=True,
    metavar="FOLDER",
    help="Where the page, the record and the quarantine go.",
)
@click.option(
    "--backbone",
    metavar="NAME",
    help="The pretrained network whose features judge the labels.  [default: labels are not "
    "judged]",
)
@click.option(
    "--weights", default="imagenet", show_default=True, metavar="imagenet|PATH", help="Its weights."
)
@source_options(grouped=True)
@cache_size_option
@max_pixels_option
@click.option("--seed", default=0, show_default=True, help="Of what is drawn by chance.")
@click.option("--json", "as_json", is_flag=True, help="Print the record as one JSON object.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
def audit(as_json: bool, **options: Any) -> None:
    """Look for what is wrong with labelled images before anything is trained on them.

    Damaged files, wrong extensions, identical and nearly identical images, above all in two splits
    or under two labels, small classes, odd sizes, splits that differ from the training images, and
    with --backbone doubtful labels and outliers. Nothing is changed or deleted: what is better left
    out is listed in quarantine.csv, which --exclude takes.

    \b
    Examples:
      toolkit audit ./images
      toolkit audit ./images --backbone efficientnet-lite0
      toolkit finetune --data ./images --exclude audit/quarantine.csv
    """
    from toolkit.cli.libraries import import_tensorflow_alone, quiet_import

    if options["backbone"] is None:
        import_tensorflow_alone()
    with quiet_import():
        from toolkit.auditing import audit as run

    result = run(**options)
    if as_json:
        print((result.folder / "audit.json").read_text(encoding="utf-8"))
    else:
        _print(result)


def _print(result: "AuditResult") -> None:
    from rich.console import Console
    from rich.text import Text

    from toolkit.checks.findings import SEVERITIES, count

    console = Console(highlight=False)
    found = count(len(result.findings), "finding") if result.findings else "nothing was found"
    console.print(f"{count(result.images)}: {found}")
    for finding in result.findings:
        severity = SEVERITIES[finding.severity]
        line = Text(f"{severity:<10}", COLOURS[severity]).append(f"{finding.title}. ", "default")
        console.print(line.append(finding.advice, "dim"))
    for remark in result.remarks:
        console.print(Text(remark, "dim"))
    console.print(f"Look at {result.page}", soft_wrap=True, markup=False)
