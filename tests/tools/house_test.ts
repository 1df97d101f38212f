import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { FLOORS, TOP, WINGS } from "../../tools/house.ts";

const SDK = new URL("../../sdk/", import.meta.url);
const PAGE = Deno.readTextFileSync(new URL("../../docs/architecture.md", import.meta.url));

/** The rows of the page's tables, as cells. */
const ROWS = PAGE.split("\n").filter((line) => line.startsWith("|"))
  .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));

/** The room of a cell; what lies loose in sdk/ is `errors`. */
function roomOf(cell: string): string {
  return cell === "`sdk/*.ts`" ? "errors" : /^`sdk\/(\w+)\/`$/.exec(cell)?.[1] ?? cell;
}

function foldersIn(folder: URL): string[] {
  return [...Deno.readDirSync(folder)].filter((e) => e.isDirectory).map((e) => e.name).sort();
}

describe("the house in docs/architecture.md", () => {
  it("has each floor and its rooms, as tools/house.ts", () => {
    const drawn = ROWS.filter(([floor]) => /^\d+$/.test(floor)).map(([n, room]) => [Number(n), roomOf(room)]);
    const built = FLOORS.flatMap((rooms, n) => rooms.map((room) => [n, room])).sort(([a], [b]) => +b - +a);
    assertEquals(drawn, built);
  });

  it("has each room's wings in their order, as tools/house.ts", () => {
    const drawn = ROWS.filter((row) => row.length === 2 && row[0].startsWith("`sdk/"))
      .map(([room, wings]) => [roomOf(room), [...wings.matchAll(/`([^`]+)`/g)].map(([, wing]) => wing)]);
    assertEquals(drawn, Object.entries(WINGS).map(([room, wings]) => [room, [...wings]]));
  });
});

describe("tools/house.ts", () => {
  it("names each folder of sdk/, and none that is not there", () => {
    assertEquals(FLOORS.flat().filter((room) => room !== "errors").sort(), foldersIn(SDK));
  });

  it("names no wing that is not there", () => {
    for (const [room, wings] of Object.entries(WINGS)) {
      const there = foldersIn(new URL(`${room}/`, SDK));
      assertEquals(wings.filter((w) => w !== TOP && !there.includes(w)), [], room);
    }
  });
});
