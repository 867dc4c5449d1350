// What the terminal's sixteen colours are on a light and on a dark page.

import type { ITheme } from "@xterm/xterm";

export const DARK: ITheme = {
  background: "#14171a",
  foreground: "#e4e7e5",
  cursor: "#7fd6c4",
  cursorAccent: "#14171a",
  selectionBackground: "#3d5a66",
  black: "#2b3033",
  red: "#f07f78",
  green: "#86cf93",
  yellow: "#e6c473",
  blue: "#7fb2f0",
  magenta: "#cf9be6",
  cyan: "#74cfd4",
  white: "#d5d9d6",
  brightBlack: "#7b8488",
  brightRed: "#ff9d96",
  brightGreen: "#a5e5ae",
  brightYellow: "#f5da96",
  brightBlue: "#a3caff",
  brightMagenta: "#e2bbf5",
  brightCyan: "#9be6ea",
  brightWhite: "#ffffff",
};

export const LIGHT: ITheme = {
  background: "#fdfcfa",
  foreground: "#1f2321",
  cursor: "#0d6b61",
  cursorAccent: "#fdfcfa",
  selectionBackground: "#bcd9d3",
  black: "#1f2321",
  red: "#b0322b",
  green: "#1d6a3c",
  yellow: "#7d5200",
  blue: "#1c5fa8",
  magenta: "#8a3d8f",
  cyan: "#0b6a74",
  white: "#d9d6cf",
  brightBlack: "#5e645f",
  brightRed: "#c43c33",
  brightGreen: "#217a45",
  brightYellow: "#8f5f00",
  brightBlue: "#256fc2",
  brightMagenta: "#9d4aa3",
  brightCyan: "#0f7884",
  brightWhite: "#ffffff",
};

/** Found words stand out on either; borders rather than grounds, so that the text keeps its contrast. */
export const FOUND = {
  matchBorder: "#c98a00",
  matchOverviewRuler: "#c98a00",
  activeMatchBackground: "#f4c46c",
  activeMatchBorder: "#c98a00",
  activeMatchColorOverviewRuler: "#f4c46c",
};
