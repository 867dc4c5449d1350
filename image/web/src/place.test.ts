// @vitest-environment jsdom
import { expect, test } from "vitest";
import { pathOf, placeOf } from "./place";

const ID = "91ea181d-5cd2-4d4f-894b-352f7e08148d";

test("each place has an address, and the address leads to it", () => {
  for (const path of ["/", `/c/${ID}`, "/files", "/settings/general", "/settings/authentication"])
    expect(pathOf(placeOf(path))).toBe(path);
});

test("a file's address holds its name whole, and only in the fragment", () => {
  for (const path of ["notes.md", "a b/c#d?e%.txt", ".env", "ملف/صورة.png"]) {
    const [before, fragment] = pathOf({ page: "files", path }).split("#");
    expect(before).toBe("/files");
    expect(placeOf("/files", `#${fragment}`)).toEqual({ page: "files", path });
  }
  expect(placeOf("/files", "#/%E0%A4%A")).toEqual({ page: "files", path: "" });
});

test("addresses that lead nowhere lead to a new chat", () => {
  for (const path of ["/nowhere", "/c/", "/c/../../etc", `/c/${ID.toUpperCase()}`, "/c/<script>"])
    expect(placeOf(path)).toEqual({ page: "chat", conversation: null });
});

test("unknown settings are the general ones", () => {
  expect(placeOf("/settings/constructor")).toEqual({ page: "settings", section: "general" });
});
