"""English: units of measure and money, as written and as spoken."""

from __future__ import annotations

CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "₹": ("rupee", "rupees", "paisa", "paise"),
    "¥": ("yen", "yen", "sen", "sen"),
    "USD": ("dollar", "dollars", "cent", "cents"),
    "EUR": ("euro", "euros", "cent", "cents"),
    "GBP": ("pound", "pounds", "penny", "pence"),
}
SCALES = {"k": "thousand", "m": "million", "mn": "million", "b": "billion", "bn": "billion"}

UNITS = {
    "km": "kilometer", "m": "meter", "cm": "centimeter", "mm": "millimeter", "μm": "micrometer",
    "nm": "nanometer", "mi": "mile", "yd": "yard", "ft": "foot", "kg": "kilogram", "g": "gram",
    "mg": "milligram", "μg": "microgram", "lb": "pound", "lbs": "pound", "oz": "ounce",
    "l": "liter", "L": "liter", "ml": "milliliter", "mL": "milliliter", "cl": "centiliter",
    "km^2": "square kilometer", "m^2": "square meter", "cm^2": "square centimeter",
    "m^3": "cubic meter", "cm^3": "cubic centimeter", "°": "degree", "h": "hour", "hr": "hour",
    "hrs": "hour", "min": "minute", "mins": "minute", "s": "second", "sec": "second",
    "secs": "second", "ms": "millisecond", "μs": "microsecond", "W": "watt", "kW": "kilowatt",
    "MW": "megawatt", "GW": "gigawatt", "kWh": "kilowatt hour", "Wh": "watt hour", "V": "volt",
    "mV": "millivolt", "kV": "kilovolt", "mA": "milliamp", "mAh": "milliamp hour",
    "KB": "kilobyte", "kB": "kilobyte", "MB": "megabyte", "GB": "gigabyte", "TB": "terabyte",
    "dB": "decibel", "kJ": "kilojoule", "kcal": "kilocalorie", "kPa": "kilopascal", "px": "pixel",
}  # fmt: skip
PLURALS = {"foot": "feet"}
INVARIANT = {
    "%": "percent", "°C": "degrees Celsius", "°F": "degrees Fahrenheit", "Hz": "hertz",
    "kHz": "kilohertz", "MHz": "megahertz", "GHz": "gigahertz", "hPa": "hectopascals",
    "mph": "miles per hour", "kph": "kilometers per hour", "kmh": "kilometers per hour",
    "kbps": "kilobits per second", "Mbps": "megabits per second", "Gbps": "gigabits per second",
    "rpm": "revolutions per minute", "fps": "frames per second",
}  # fmt: skip
PER = {
    "s": "second", "sec": "second", "second": "second", "h": "hour", "hr": "hour", "hour": "hour",
    "min": "minute", "minute": "minute", "day": "day", "week": "week", "mo": "month",
    "month": "month", "yr": "year", "year": "year", "night": "night", "person": "person",
    "kg": "kilogram", "lb": "pound", "l": "liter", "L": "liter", "dL": "deciliter",
    "m^2": "square meter", "m^3": "cubic meter",
}  # fmt: skip
