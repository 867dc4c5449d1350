/** Has the browser save what is at an address of this workspace, under the name that it comes with. */
export function saveFrom(address: string): void {
  const link = document.createElement("a");
  link.href = address;
  link.download = "";
  link.click();
}
