"""Days since 2000-01-01 and the calendar, without a clock module: Gregorian rules from 2000 to 2099."""

_BEFORE_MONTH = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def day_number(year, month, day):
    """Days from 2000-01-01 to a date of the years 2000 to 2099, where every fourth year is a leap year."""
    years = year - 2000
    leap_days = (years + 3) // 4 + (1 if years % 4 == 0 and month > 2 else 0)
    return 365 * years + leap_days + _BEFORE_MONTH[month - 1] + day - 1


def civil(day):
    """(year, month, day of month) of a day number."""
    year = 2000 + (4 * day) // 1461
    if day < day_number(year, 1, 1):
        year -= 1
    month = 12
    while day < day_number(year, month, 1):
        month -= 1
    return year, month, day - day_number(year, month, 1) + 1


def months_later(day, months):
    """The same day of the month so many months later; the last of the month if it is shorter."""
    year, month, of_month = civil(day)
    month += months - 1
    year, month = year + month // 12, month % 12 + 1
    longest = _LONGEST[month - 1] if month != 2 or year % 4 == 0 else 28
    return day_number(year, month, min(of_month, longest))
