"""A calibration or a daily check in the terminal: what to do, what was found, and the keys of the technician."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from needlepen.calibration import automatic
from needlepen.calibration.automatic import Measured
from needlepen.calibration.bench import Bench
from needlepen.calibration.gauges import GaugeError
from needlepen.calibration.model import Calibration, Finding, Taken
from needlepen.calibration.procedure import Procedure
from needlepen.errors import InfrastructureError, Refused, UsageError
from needlepen.runtime.progress import TerminalProgress

KEYS = "Enter takes, r repeats, b steps back, k keeps a doubtful one, q leaves (resume later)"


class Left(InfrastructureError):
    """The technician leaves; a calibration waits."""

    def __init__(self, procedure: Measured) -> None:
        stage = procedure.stage
        waits = isinstance(procedure, Procedure)
        then = "nothing is lost: `needlepen calibrate --resume` goes on" if waits else "nothing of it is kept"
        super().__init__(f"left at {stage.done} of {stage.total} readings; {then}")


class Dialogue:
    """Leads through a procedure. `unattended`: nobody is asked anything; what needs a person ends it, resumable."""

    def __init__(self, console: Console, bench: Bench, unattended: bool, prefix: str = "calibrate") -> None:
        self._prefix = prefix
        self._console = console
        self._bench = bench
        self._unattended = unattended
        self._shown = ""

    def calibrate(self, procedure: Procedure) -> Calibration:
        """To the end. Raises Left, Doubt, or what the procedure raises; the session can be resumed then."""
        self.measure(procedure)
        with TerminalProgress(self._prefix) as progress:
            progress.step("deciding, writing the record, storing the result")
            result = automatic.patiently(procedure.finish) if not procedure.is_finished else procedure.result
        assert result is not None
        return result

    def measure(self, procedure: Measured) -> None:
        """All readings that are missing. Raises Left, Doubt, or what the procedure raises."""
        if self._bench.gauge.automatic:
            self._by_itself(procedure)
        else:
            self._by_hand(procedure)

    # ------------------------------------------------------------------ automatic gauge
    def _by_itself(self, procedure: Measured) -> None:
        while procedure.stage.point is not None:
            setting_up = automatic.needs_a_person(procedure, self._bench.simulated)
            if setting_up and not self._unattended:
                self._tell_stage(procedure)
                if self._ask(procedure, f"{setting_up}, then Enter (q leaves) > "):
                    continue
            try:
                self._runs(procedure)
            except automatic.Doubt as doubt:
                if self._unattended:
                    raise
                self._decide(procedure, doubt.findings)
            except (InfrastructureError, GaugeError) as error:
                if self._unattended:
                    raise
                self._tell_error(procedure, error)

    def _runs(self, procedure: Measured) -> None:
        """Until a person is needed, or all readings are there."""
        doubt_repeats = automatic.DOUBT_REPEATS if self._unattended else 0
        title = ""
        with TerminalProgress(self._prefix) as progress:
            while procedure.stage.point is not None:
                stage = procedure.stage
                if stage.title != title:
                    progress.step(f"{stage.title} ({stage.done} of {stage.total})")
                    title = stage.title
                progress.amount(stage.done, stage.total)
                automatic.take_point(procedure, lambda taken, found: None, doubt_repeats)
                if automatic.needs_a_person(procedure, self._bench.simulated) and not self._unattended:
                    return

    def _decide(self, procedure: Measured, findings: list[Finding]) -> None:
        """A reading of an automatic gauge is doubtful: repeat it, keep it, or step back."""
        if procedure.present is not None:
            self._tell_reading(procedure.present, findings)
        answer = self._ask(procedure, "r repeats, k keeps it knowingly, b steps back, q leaves [r] > ")
        if answer == "k":
            self._keep(procedure)
            if not procedure.is_doubtful:
                procedure.next()
        elif answer == "b":
            self._back(procedure)
        else:
            procedure.repeat()

    # ------------------------------------------------------------------ typed readings
    def _by_hand(self, procedure: Measured) -> None:
        if self._unattended:
            raise UsageError("--yes needs a gauge that can be asked; with a typed one stay at the terminal")
        self._console.print(f"Type what the gauge shows and press Enter. {KEYS}.", highlight=False)
        while procedure.stage.point is not None:
            try:
                self._point_by_hand(procedure)
            except Left:
                raise
            except (InfrastructureError, UsageError, Refused) as error:
                self._tell_error(procedure, error)

    def _point_by_hand(self, procedure: Measured) -> None:
        self._tell_stage(procedure)
        procedure.prepare()
        point = procedure.stage.point
        if point is None:
            return
        while True:
            text = self._ask(procedure, f"{point.set_um / 1e3:5.2f} mm, reading {point.number + 1} > ")
            if text in ("r", "b", "k", ""):
                if self._moved(procedure, text):
                    return
                continue
            try:
                findings = procedure.take(self._bench.gauge.parse(text))
            except UsageError as error:
                self._console.print(f"[red]{escape(str(error))}[/red]", highlight=False)
                continue
            assert procedure.present is not None
            self._tell_reading(procedure.present, findings)
            if not procedure.is_doubtful:
                procedure.next()
                return
            self._console.print("Type the repeated reading (r moves the pen there anew), or k to keep it.")

    def _moved(self, procedure: Measured, key: str) -> bool:
        """Carry out a key; True if this point is to be begun anew, or another one."""
        if key == "r":
            procedure.repeat()
            return True
        if key == "b":
            self._back(procedure)
            return True
        if key == "k":
            self._keep(procedure)
        if procedure.present is None or procedure.is_doubtful:
            self._console.print(f"Type what the gauge shows. {KEYS}.", highlight=False)
            return False
        procedure.next()
        return True

    def _keep(self, procedure: Measured) -> None:
        try:
            procedure.keep()
        except UsageError as error:
            self._console.print(f"[red]{escape(str(error))}[/red]", highlight=False)

    def _back(self, procedure: Measured) -> None:
        try:
            if isinstance(procedure, Procedure):
                procedure.back()
            else:
                procedure.repeat()  # a check has nothing behind it that could be wrong and unseen
        except UsageError as error:
            self._console.print(f"[red]{escape(str(error))}[/red]", highlight=False)

    # ------------------------------------------------------------------ talking
    def _ask(self, procedure: Measured, prompt: str) -> str:
        """A line of the technician. Raises Left for q, and at the end of the input."""
        try:
            answer = self._console.input(escape(prompt)).strip()
        except EOFError:
            raise Left(procedure) from None
        if answer.lower() == "q":
            raise Left(procedure)
        return answer.lower() if len(answer) == 1 else answer

    def _tell_error(self, procedure: Measured, error: Exception) -> None:
        """What went wrong at a point of which nothing was kept."""
        self._console.print(f"[red]{escape(str(error))}[/red]", highlight=False)
        self._ask(procedure, "Enter tries again, q leaves > ")

    def _tell_stage(self, procedure: Measured) -> None:
        stage = procedure.stage
        if stage.title != self._shown:
            self._shown = stage.title
            self._console.print(f"\n[bold]{escape(stage.title)}[/bold]  ({stage.done} of {stage.total})")
            self._console.print(escape(stage.instruction), highlight=False)
            self._console.print(f"[dim]{escape(stage.why)}[/dim]", highlight=False)

    def _tell_reading(self, taken: Taken, findings: list[Finding]) -> None:
        self._console.print(
            f"  set {taken.point.set_um / 1e3:.2f} mm, found {taken.value_um / 1e3:.3f} mm, off by "
            f"{taken.error_um:+.0f} um",
            highlight=False,
        )
        colours = {"note": "dim", "doubt": "yellow", "stop": "red"}
        for finding in findings:
            colour = colours[finding.severity]
            self._console.print(
                f"  [{colour}]{finding.severity}: {escape(finding.text)}[/{colour}]", highlight=False
            )


def tell_result(console: Console, result: Calibration) -> None:
    """The verdict, large, with every criterion; why it failed, and what has become of the pen's record."""
    decision = result.decision
    table = Table(title=f"Calibration {result.number}", title_justify="left")
    for heading in ("criterion", "value", "limit", ""):
        table.add_column(heading, justify="right" if heading in ("value", "limit") else "left")
    for check in decision.checks:
        unit = f" {check.unit}" if check.unit else ""
        verdict = "[green]pass[/green]" if check.passed else "[red]FAIL[/red]"
        table.add_row(
            check.name, f"{check.value:.4g}{unit}", f"{check.relation} {check.limit:.4g}{unit}", verdict
        )
    console.print(table)
    for check in decision.checks:
        if not check.passed:
            console.print(f"[red]{check.name}: {escape(check.reason)}[/red]", highlight=False)
    console.print(escape(decision.rule), highlight=False, style="dim")
    console.print(_verdict(result), highlight=False)


def _verdict(result: Calibration) -> str:
    if result.decision.accepted:
        return f"[bold green]PASS[/bold green]: pen {result.pen.unique_id} is calibrated, due {result.due:%Y-%m-%d}."
    if result.record_hex:
        became = "its old record is withdrawn: it does not run until it passes a calibration"
    else:
        became = "nothing was written to it: its record, if it has one, is as it was"
    return f"[bold red]FAIL[/bold red]: pen {result.pen.unique_id} is refused; {became}."
