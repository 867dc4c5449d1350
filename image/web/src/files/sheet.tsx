// A table of a spreadsheet or of a text with commas, some rows at a time.

import { useEffect, useState } from "preact/hooks";
import { ask } from "../http";
import { address, type Cell, type Entry, type Table } from "./entry";
import { Unshown, Wait, words } from "./unshown";

const LIMIT = 200;

export function Sheet({ entry }: { entry: Entry }) {
  const [sheet, setSheet] = useState("");
  const [offset, setOffset] = useState(0);
  const [table, setTable] = useState<Table | null>(null);
  const [fault, setFault] = useState("");
  useEffect(() => {
    const more = { sheet, offset: String(offset), limit: String(LIMIT), v: entry.version };
    ask<Table>("GET", address("table", entry.path, more)).then(
      (found) => {
        setFault("");
        setTable(found);
      },
      (error: unknown) => setFault(words(error)),
    );
  }, [entry.path, entry.version, sheet, offset]);
  if (fault) return <Unshown entry={entry} why={fault} />;
  if (!table) return <Wait />;
  if (table.rows.length === 0 && offset === 0) return <Unshown entry={entry} why="There is nothing in it." />;
  const choose = (name: string) => {
    setOffset(0);
    setSheet(name);
  };
  return (
    <div class="sheet-view">
      {table.sheets.length > 1 && (
        <nav aria-label="Sheets">
          {table.sheets.map((name) => (
            <button
              type="button"
              key={name}
              class="plain"
              aria-current={name === table.sheet ? "true" : undefined}
              onClick={() => choose(name)}
            >
              <bdi>{name}</bdi>
            </button>
          ))}
        </nav>
      )}
      <div class="cells" tabIndex={0} role="region" aria-label={`Table of ${entry.name}`}>
        <table>
          <tbody>
            {table.rows.map((row, index) => (
              <tr key={table.offset + index}>
                <th scope="row">{table.offset + index + 1}</th>
                {Array.from({ length: table.columns }, (_, column) => (
                  <td key={column} dir="auto" class={isNumber(row[column] ?? null) ? "number" : undefined}>
                    {written(row[column] ?? null)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {(offset > 0 || table.more) && (
        <footer>
          <span class="grow">
            Rows {offset + 1} to {offset + table.rows.length}
            {table.total !== null && ` of ${table.total}`}
          </span>
          <button type="button" disabled={offset === 0} onClick={() => setOffset(Math.max(0, offset - LIMIT))}>
            Earlier rows
          </button>
          <button type="button" disabled={!table.more} onClick={() => setOffset(offset + LIMIT)}>
            Later rows
          </button>
        </footer>
      )}
    </div>
  );
}

/** A text with commas has only words: what looks like a number stands like one. */
const isNumber = (cell: Cell) =>
  typeof cell === "number" || (typeof cell === "string" && /^-?\d+([.,]\d+)*$/.test(cell));

function written(cell: Cell): string {
  if (cell === null) return "";
  if (typeof cell === "boolean") return cell ? "yes" : "no";
  return String(cell);
}
