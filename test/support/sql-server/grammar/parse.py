"""Parses Transact-SQL by the grammar of sqlfluff: a JSON value {"sql": ...} a line, answered by {"problems": [...]}."""

import json
import sys

from sqlfluff.core import FluffConfig, Linter

linter = Linter(config=FluffConfig(overrides={"dialect": "tsql"}))


def problems_in(sql):
    parsed = linter.parse_string(sql)
    if parsed.violations:
        return [str(one) for one in parsed.violations]
    return [f"cannot be parsed: {one.raw}" for one in parsed.tree.recursive_crawl("unparsable")]


for line in sys.stdin:
    print(json.dumps({"problems": problems_in(json.loads(line)["sql"])}), flush=True)
