"""What a test is, and the few words it checks with."""


class Skip(Exception):
    """The machine lacks what the test needs; the text says what."""


TESTS = []


def test(modes="both", timeout=60, tags=()):
    """Marks a function as a test.

    modes: both (as the current user, and once more as an ordinary one when
    that is root), root, user, any (once, whoever we are).
    """
    def mark(fn):
        TESTS.append((fn.__name__, fn, modes, timeout, frozenset(tags)))
        return fn
    return mark


def eq(got, want, what=""):
    if got != want:
        raise AssertionError(f"{what}: got {got!r}, want {want!r}")


def has(text, *words):
    for w in words:
        if w.lower() not in str(text).lower():
            raise AssertionError(f"{w!r} not in {text!r}")


def ok(cond, what):
    if not cond:
        raise AssertionError(what)
