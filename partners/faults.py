"""What can be wrong with a row, in sentences: what it is, and what to do about it."""

from collections.abc import Mapping
from typing import NamedTuple


class Fault(NamedTuple):
    """One way in which a cell or a row cannot be used. Both are source sentences for gettext; values go in by name."""

    title: str
    remedy: str


class Found(NamedTuple):
    """A fault of one row."""

    column: str
    """Title of the column as it stands in the file; empty: the whole row."""
    code: str
    """Of FAULTS."""
    value: str = ""
    """What stands there, shortened."""
    expected: str = ""
    """What should, or what is known instead."""


FAULTS: Mapping[str, Fault] = {
    "formula": Fault("This row holds a formula.", "Replace formulas by their values (copy, then paste as values)."),
    "json": Fault("This line is no JSON object.", "Write one object in braces on each line."),
    "encoding": Fault("This row holds characters that could not be read.", "Save the file as UTF-8 and send it again."),
    "name_missing": Fault("The name is missing.", "Enter the name as it is registered."),
    "nothing_named": Fault("Neither a name nor a code is given.", "Enter the credit code, or the registered name."),
    "code_number": Fault(
        "The spreadsheet has turned this code into a rounded number.",
        "Format the column as text and enter the 18 characters again.",
    ),
    "code_invalid": Fault(
        "“%(value)s” is no credit code: its form or its check digit is wrong.", "Compare it with the business licence."
    ),
    "code_like": Fault(
        "“%(value)s” is no credit code: its form or its check digit is wrong.", "Perhaps %(expected)s is meant."
    ),
    "code_unknown": Fault(
        "No entity with the code %(value)s is registered here.",
        "Check the code. Entities of other cities cannot be evaluated here.",
    ),
    "name_differs": Fault(
        "The code belongs to “%(expected)s”, not to “%(value)s”.", "Correct the code or the name, so that they agree."
    ),
    "out_of_scope": Fault(
        "%(expected)s lies outside of what your organisation may evaluate.",
        "Leave the row out, or ask the regulator to extend your scope.",
    ),
    "grade_missing": Fault("The grade is missing.", "Enter one of %(expected)s."),
    "grade_unknown": Fault("The scheme has no grade “%(value)s”.", "Enter one of %(expected)s."),
    "day_missing": Fault("The day of the evaluation is missing.", "Enter it as 2026-03-05."),
    "day_unreadable": Fault("“%(value)s” is no day.", "Enter it as 2026-03-05."),
    "day_ahead": Fault(
        "The day of the evaluation is still to come.", "Correct the day, or send the row when it has come."
    ),
    "day_old": Fault("This day is too long ago: %(value)s.", "Correct the year."),
    "until_unreadable": Fault(
        "“%(value)s” is no day.", "Enter the last day of validity as 2029-03-04, or leave it empty."
    ),
    "until_before": Fault("The validity ends before the day of the evaluation.", "Correct one of the two days."),
    "until_long": Fault(
        "The validity is longer than the scheme allows.", "The last day by the scheme is %(expected)s."
    ),
    "certificate_missing": Fault("The certificate number is missing.", "Enter it as the scheme describes it."),
    "certificate_form": Fault(
        "The certificate number “%(value)s” does not have the form that the scheme describes.",
        "Compare it with the certificate.",
    ),
    "certificate_grade": Fault(
        "The certificate number says another grade than the row.", "For this grade it must hold %(expected)s."
    ),
    "certificate_year": Fault(
        "The certificate number says another year than the day of the evaluation.", "It must hold %(expected)s."
    ),
    "cell_missing": Fault("This cell must not be empty.", "Enter what the scheme asks for."),
    "cell_long": Fault("This cell holds too much.", "Use at most 200 characters."),
    "cell_number": Fault("“%(value)s” is no number.", "Enter digits only, such as 12.5."),
    "cell_integer": Fault("“%(value)s” is no whole number.", "Enter digits only, such as 12."),
    "cell_day": Fault("“%(value)s” is no day.", "Enter it as 2026-03-05."),
    "cell_choice": Fault("“%(value)s” is not among the choices.", "Enter one of %(expected)s."),
    "twice": Fault("The same evaluation stands in row %(expected)s already.", "Leave one of the two rows out."),
    "withdrawn": Fault(
        "This evaluation was withdrawn before.",
        "What was withdrawn is not shown again. Evaluate anew, with the day of the new evaluation.",
    ),
    "not_confirmed": Fault(
        "Nobody has said which entity this name means.", "Choose it on the batch's page, or enter its code."
    ),
    "left_out": Fault("You left this row out.", "Enter the credit code and send it again if it should count."),
}
"""Our word for each fault, as the API gives it, and what people read."""
