"""Classes of many label files made one list: by name, by number only without names."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from scanlearn.cohort.labels.paint import IGNORED
from scanlearn.errors import BadLabels
from scanlearn.letters import hidden_letter, without_hidden

#: Names listed in a remark.
_FEW = 4

#: Names that programs give by themselves: they are numbers.
_NUMBERED = re.compile(r"(segment|label|class|roi|region)[\s_-]*\d+", re.IGNORECASE)

_BLANKS = re.compile(r"[\s_\-]+")
_ACCENTS = re.compile("[\u0300-\u036f]")


@dataclass(frozen=True)
class FileClasses:
    """What one label file says of its classes.

    Parameters
    ----------
    file
        Its name, for remarks.
    voxels
        How many voxels each of its values has.
    names
        The names that it states by value, also of empty regions; none in most masks.
    """

    file: str
    voxels: Mapping[int, int]
    names: Mapping[int, str]


@dataclass(frozen=True)
class JoinedClasses:
    """The classes of all files.

    Parameters
    ----------
    names
        Of each class, by its value from 1 to 254.
    values
        For each file, its own values -> those of the classes.
    joined
        What was joined or renumbered; it names no file.
    remarks
        The same, and in which files regions are empty or have one name.
    """

    names: Mapping[int, str]
    values: tuple[Mapping[int, int], ...]
    joined: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def check_visible(names: Iterable[str]) -> None:
    """Refuse names of classes with letters that are not seen.

    Raises
    ------
    BadLabels
        If one holds control characters or marks that turn the direction of text.
    """
    for name in names:
        hidden = hidden_letter(name)
        if hidden:
            shown = without_hidden(name)
            raise BadLabels(
                f"the name of the class '{shown}' holds {hidden}, which is not seen",
                expected="letters, digits and signs that are seen",
                next_step="Rename the class in the program that wrote the labels.",
            )


def folded(name: str) -> str:
    """Return a name as it is compared: without case, blanks, hyphens and accents."""
    plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", name)).casefold()
    return _BLANKS.sub("", plain) or name


def join_classes(
    files: Sequence[FileClasses], listed: Mapping[int, str]
) -> JoinedClasses:
    """Give the classes of label files one numbering.

    The same name is the same class in all files, whatever its number. Names that differ
    only in case, blanks, hyphens or accents are the same, which is told. Where no file
    states names, the same number is the same class.

    Parameters
    ----------
    files
        Of one cohort.
    listed
        Names by value that the user gave: they name the numbers of files that state
        none, and fix the values of classes.

    Raises
    ------
    BadLabels
        If some files state names and others do not, or there are too many classes.
    """
    if not any(one.names for one in files):
        return _by_number(files, listed)
    named = [_all_named(one, listed, files) for one in files]
    spellings: dict[str, Counter[str]] = defaultdict(Counter)
    numbers: dict[str, Counter[int]] = defaultdict(Counter)
    for one in named:
        for value, name in one.names.items():
            spellings[folded(name)][name] += 1
            if one.voxels.get(value):
                numbers[folded(name)][value] += 1
    values, renamed = _values_of(numbers, spellings, listed)
    titles = {key: _title(spellings[key], listed, key) for key in numbers} | renamed
    maps = tuple(
        {v: values[folded(n)] for v, n in one.names.items() if folded(n) in values}
        for one in named
    )
    names = {
        values[key]: titles[key] for key in sorted(numbers, key=values.__getitem__)
    }
    joined = (
        *_of_spellings(spellings, titles),
        *_of_numbers(numbers, values, titles),
        *(
            f"{_few(sorted(spellings[key]))} is taken for {title} by its number"
            for key, title in renamed.items()
        ),
    )
    remarks = (*joined, *_of_doubles(named), *_of_empty(named))
    return JoinedClasses(names, maps, joined, remarks)


def _by_number(
    files: Sequence[FileClasses], listed: Mapping[int, str]
) -> JoinedClasses:
    found = sorted({value for one in files for value in one.voxels})
    names = {value: listed.get(value, f"class {value}") for value in found}
    return JoinedClasses(names, tuple({v: v for v in found} for _ in files))


def _all_named(
    one: FileClasses, listed: Mapping[int, str], files: Sequence[FileClasses]
) -> FileClasses:
    """Return a file with a name for each of its values."""
    unnamed = sorted(set(one.voxels) - set(one.names))
    if one.names:
        more = {value: f"label {value}" for value in unnamed}
    else:
        more = {value: listed[value] for value in unnamed if value in listed}
        if len(more) < len(unnamed):
            others = next(other for other in files if other.names)
            raise BadLabels(
                f"{one.file} has numbers without names, but {others.file} names its "
                f"classes ({_few(list(others.names.values()))})",
                expected="names in all files, or in none",
                next_step="Write the names of its numbers into classes.json beside the "
                'label maps, such as {"1": "lung", "2": "nodule"}.',
            )
    return FileClasses(one.file, one.voxels, {**one.names, **more})


def _values_of(
    numbers: Mapping[str, Counter[int]],
    spellings: Mapping[str, Counter[str]],
    listed: Mapping[int, str],
) -> tuple[dict[str, int], dict[str, str]]:
    """Return the value of each class, and titles of those renamed by their number.

    A listed class has its listed value, others the number that most files give them, if
    it is free. A name that says no more than a number, such as Segment_1, may stand for
    the class that is listed with that number.
    """
    fixed = {folded(name): value for value, name in listed.items()}
    values = {key: fixed[key] for key in numbers if key in fixed}
    renamed = {}
    for key, counts in numbers.items():
        number = min(counts)
        name = listed.get(number, "")
        free = name and len(counts) == 1 and folded(name) not in numbers
        if free and any(map(_NUMBERED.fullmatch, (name, *spellings[key]))):
            values[key], renamed[key] = number, name
    taken = set(values.values()) | set(listed)
    rest = [(-n, v, key) for key, c in numbers.items() for v, n in c.items()]
    for _, number, key in sorted(rest):
        usable = number not in taken and number < IGNORED
        if key not in values and usable:
            values[key] = number
            taken.add(number)
    for key in sorted(set(numbers) - set(values)):
        values[key] = _lowest_free(taken, len(numbers))
        taken.add(values[key])
    return values, renamed


def _lowest_free(taken: set[int], classes: int) -> int:
    free = [value for value in range(1, IGNORED) if value not in taken]
    if not free:
        raise BadLabels(
            f"the label files name {classes} classes",
            expected=f"at most {IGNORED - 1}",
            next_step="Leave the regions out that are not to be learned.",
        )
    return free[0]


def _title(spellings: Counter[str], listed: Mapping[int, str], key: str) -> str:
    for name in listed.values():
        if folded(name) == key:
            return name
    return min(spellings, key=lambda name: (-spellings[name], name)).strip()


def _of_spellings(
    spellings: Mapping[str, Counter[str]], titles: Mapping[str, str]
) -> list[str]:
    return [
        f"{_few(sorted(names), quoted=True)} were taken for one class, {titles[key]}: "
        "they differ in case, blanks, hyphens or accents only"
        for key, names in sorted(spellings.items())
        if len(names) > 1 and key in titles
    ]


def _of_numbers(
    numbers: Mapping[str, Counter[int]],
    values: Mapping[str, int],
    titles: Mapping[str, str],
) -> list[str]:
    differ = [key for key, counts in numbers.items() if set(counts) != {values[key]}]
    if not differ:
        return []
    return [
        "the files number their classes differently; classes were joined by name: "
        + _few([titles[key] for key in sorted(differ, key=lambda key: values[key])])
    ]


def _of_doubles(files: Sequence[FileClasses]) -> list[str]:
    found = []
    for one in files:
        counts = Counter(folded(name) for value, name in one.names.items())
        doubles = {folded(n): n for n in one.names.values() if counts[folded(n)] > 1}
        found += [
            f"{one.file}: {counts[key]} regions called {name} are one class"
            for key, name in doubles.items()
        ]
    return found


def _of_empty(files: Sequence[FileClasses]) -> list[str]:
    empty: dict[str, list[str]] = defaultdict(list)
    for one in files:
        for value, name in one.names.items():
            if not one.voxels.get(value):
                empty[name].append(one.file)
    if len(empty) > _FEW:
        some = [f"{name} (in {len(places)})" for name, places in empty.items()]
        return [f"{len(empty)} regions are empty in some files: {_few(some)}"]
    return [
        f"region {name} is empty in {_few(sorted(places))}"
        for name, places in sorted(empty.items())
    ]


def _few(names: Sequence[str], *, quoted: bool = False) -> str:
    shown = [f"'{name}'" if quoted else name for name in names[:_FEW]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
