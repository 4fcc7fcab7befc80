"""What the Python recorder remembers: a file of one JSON line per event, and counts.

The file format and the summary are those of the Node recorder (tests/servers/node/record.mjs), so
a test reads both alike. A line is handed to the kernel before `add` returns; a line cut short by a
crash is removed at the next start. The bodies kept in memory never exceed `keep`.
"""

import collections
import json
import os
import re

USER_PATH = re.compile(r"^users/([^/]+)")


class Record:
    """The events that arrived, in order of arrival."""

    def __init__(self, path, keep):
        self._recent = collections.deque(maxlen=keep)
        self._tally = Tally()
        self._file = None
        if path:
            self._file = self._open(path)

    @property
    def count(self):
        return self._tally.events

    def add(self, arrivals, sync):
        """Writes dictionaries with event, body, socket and namespace as lines, in one go."""
        lines = []
        for arrival in arrivals:
            line = {**arrival, "n": self.count + 1}
            self._remember(line)
            lines.append(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
        if self._file is None:
            return
        self._write("".join(lines).encode())
        if sync:
            os.fdatasync(self._file)

    def recent(self, limit):
        return list(self._recent)[-limit:]

    def summary(self):
        return self._tally.summary()

    def reset(self):
        self._recent.clear()
        self._tally = Tally()
        if self._file is not None:
            os.ftruncate(self._file, 0)

    def _remember(self, line):
        self._tally.add(line["body"])
        self._recent.append(line)

    def _write(self, data):
        while data:
            data = data[os.write(self._file, data) :]

    def _open(self, path):
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        with open(path, "rb") as reader:
            content = reader.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.ftruncate(file, whole)
        for line in content[:whole].splitlines():
            self._remember(json.loads(line))
        return file


class Tally:
    """Counts, repeats, and per user whether first arrivals came in order of details.sequence."""

    def __init__(self):
        self.events = 0
        self._repeats = 0
        self._out_of_order = 0
        self._ids = set()
        self._keys = {}

    def add(self, body):
        self.events += 1
        if not isinstance(body, dict):
            return
        identifier = body.get("id")
        if identifier is not None:
            if identifier in self._ids:
                self._repeats += 1
                return
            self._ids.add(identifier)
        self._order(key_of(body), (body.get("details") or {}).get("sequence"))

    def _order(self, key, text):
        seen = self._keys.setdefault(key, {"first": 0, "last": -1, "outOfOrder": 0})
        seen["first"] += 1
        if text is None:
            return
        sequence = int(text)
        if sequence < seen["last"]:
            seen["outOfOrder"] += 1
            self._out_of_order += 1
        seen["last"] = max(seen["last"], sequence)

    def summary(self):
        return {
            "count": self.events,
            "distinct": len(self._ids),
            "repeats": self._repeats,
            "outOfOrder": self._out_of_order,
            "keys": self._keys,
        }


def key_of(body):
    """The user an event is about, within its realm."""
    user = body.get("userId")
    if user is None:
        match = USER_PATH.match(body.get("resourcePath") or "")
        user = match.group(1) if match else ""
    return f"{body.get('realmName') or body.get('realmId') or ''}/{user}"
