"""The run-time type checker of the tests: beartype, with int accepted where float is asked.

Beartype looks at one member of a container, which it draws. It gets a generator of its own:
with the global one, a server's threads would move the numbers that a test draws beside them.
"""

import random

_kept, random.getrandbits = random.getrandbits, random.Random(0).getrandbits
from beartype import BeartypeConf, beartype  # noqa: E402 - it takes the name as it is imported

random.getrandbits = _kept

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
