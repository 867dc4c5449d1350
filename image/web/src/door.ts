// What happens when this device is no longer signed in: the server has a page of its own for that.

export const SIGNED_OUT_CODE = 4403;

let isLeaving = false;

/** Loads the page again: the server answers with the way in, which leads back to here. */
export function leave(): void {
  if (isLeaving) return;
  isLeaving = true;
  location.reload();
}
