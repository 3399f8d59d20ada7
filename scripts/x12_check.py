"""Reads X12 files with pyx12, which Lockstep has no part in, and fails on the first word of complaint.

Every file: envelopes, control numbers, counts. Functional acknowledgements: each segment and element against pyx12's own
map of 997 in version 004010.

    x12_check.py FILE...
"""

import io
import logging
import re
import sys

import pyx12.params
import pyx12.x12file
import pyx12.x12n_document


def complaints(path):
    """What is wrong with a file, in pyx12's words."""
    found, sets = [], []
    with open(path, encoding="utf-8") as text, pyx12.x12file.X12Reader(text) as reader:
        for segment in reader:
            found.extend(str(error) for error in reader.pop_errors())
            if segment.get_seg_id() == "ST":
                sets.append(segment.get_value("ST01"))
        reader.cleanup()
        found.extend(str(error) for error in reader.pop_errors())
    if sets == ["997"]:
        found.extend(against_the_map(path))
    return sets, found


def against_the_map(path):
    """pyx12's map is that of health care, which acknowledges its own groups and sets alone: one of those takes the place
    of ours. All else stays."""
    with open(path, encoding="utf-8") as text:
        known = re.sub(r"(?m)^AK2.\d{3}", "AK2*837", re.sub(r"(?m)^AK1.[A-Z]{2}", "AK1*HC", text.read()))
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    logger = logging.getLogger("pyx12")
    logger.addHandler(handler)
    good = pyx12.x12n_document.x12n_document(pyx12.params.ParamsBase(), io.StringIO(known), None, None)
    logger.removeHandler(handler)
    return [] if good else [said.getvalue().strip() or "not valid"]


def main(paths):
    failed = 0
    for path in paths:
        try:
            sets, found = complaints(path)
        except Exception as error:  # whatever it raises is a complaint
            sets, found = [], [repr(error)]
        print(f"{path}: {','.join(sets)}: {'; '.join(found) if found else 'accepted'}")
        failed += bool(found) or not sets
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
