// @vitest-environment jsdom
import { expect, test } from "vitest";
import { pathOf, placeOf } from "./place";

const ID = "91ea181d-5cd2-4d4f-894b-352f7e08148d";

test("each place has an address, and the address leads to it", () => {
  for (const path of ["/", `/c/${ID}`, "/settings/general", "/settings/authentication"])
    expect(pathOf(placeOf(path))).toBe(path);
});

test("addresses that lead nowhere lead to a new chat", () => {
  for (const path of ["/nowhere", "/c/", "/c/../../etc", `/c/${ID.toUpperCase()}`, "/c/<script>"])
    expect(placeOf(path)).toEqual({ page: "chat", conversation: null });
});

test("unknown settings are the general ones", () => {
  expect(placeOf("/settings/constructor")).toEqual({ page: "settings", section: "general" });
});
