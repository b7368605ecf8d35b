"""Rows, batches and signatures for tests of steps, from plain dicts, and running a step over them in parts."""

import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from trifacet.building.rows import ROWS, RowBatch
from trifacet.building.step import GlobalStep, Signatures, Tools


def table_of(*rows):
    """A table of schema ROWS; what a row leaves out has a plain value (``row`` counts from 0) or is null."""
    plain = [
        {"row": number, "id": f"r{number}", "source": 0, "source_row": number + 1, "context": "", "alt": ""} | row
        for number, row in enumerate(rows)
    ]
    return pa.Table.from_pylist(plain, schema=ROWS)


def batch_of(*rows, name="step"):
    return RowBatch(table_of(*rows), 1, name)


def tools_of(folder, seed=17, **roots):
    return Tools(seed=seed, folder=folder, roots=roots)


def decided(step, parts, chosen, tools, folder):
    """What a global step decides over these parts; a table, by row, each row once."""
    files = []
    for number, part in enumerate(parts):
        files.append(folder / f"signatures-{step.name}-{len(parts)}-{number}.parquet")
        pq.write_table(step.sign(part, chosen, tools), files[-1])
    found = step.decide(Signatures(tuple(files)), chosen, tools)
    table = found.read_all() if isinstance(found, pa.RecordBatchReader) else found
    rows = table.column("row").to_pylist()
    assert rows == sorted(set(rows)), "decisions are sorted by row, each row once"
    return table


def about(decisions, part):
    """Those decisions that speak of a part's rows."""
    return decisions.filter(pa.compute.is_in(decisions.column("row"), part.column("row").combine_chunks()))


def run_step(step, rows, folder, part_rows=None, **parameters):
    """The rows that stay and the events, as lists of dicts, of a map or global step over ``rows`` in parts."""
    table = table_of(*rows)
    size = part_rows or max(1, table.num_rows)
    parts = [table.slice(at, size) for at in range(0, table.num_rows, size)]
    chosen, tools = step.parameters.model_validate(parameters), tools_of(folder)
    batches = [RowBatch(part, 1, step.name) for part in parts]
    if isinstance(step, GlobalStep):
        decisions = decided(step, parts, chosen, tools, folder)
        for batch in batches:
            step.apply(batch, about(decisions, batch.table), chosen, tools)
    else:
        for batch in batches:
            step.apply(batch, chosen, tools)
    results = [batch.result() for batch in batches]
    for stay, events in results:
        assert stay.schema.names == ROWS.names
        assert set(events.column("row").to_pylist()) <= set(table.column("row").to_pylist())
    return [row for stay, _ in results for row in stay.to_pylist()], [e for _, es in results for e in es.to_pylist()]
