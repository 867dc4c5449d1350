import { persistently } from "../backoff";

/** Fetches the terminal's code, so that it opens at once. */
export const loadTerminal = () => persistently(() => import("./terminal"));
