// xterm and CodeMirror write <style> elements and style attributes, which a strict content security policy refuses. What
// they write goes the ways that the policy leaves open to our own code: constructed style sheets, and the style object.

/** While `work` runs, every style element made is a stand-in whose text becomes an adopted style sheet. */
export function withAdoptedStyles<T>(work: () => T): T {
  const create = document.createElement;
  document.createElement = function (this: Document, name: string, options?: ElementCreationOptions) {
    return name === "style" ? adopted() : create.call(this, name, options);
  } as typeof document.createElement;
  try {
    return work();
  } finally {
    document.createElement = create;
  }
}

function adopted(): HTMLElement {
  const sheet = new CSSStyleSheet();
  document.adoptedStyleSheets.push(sheet);
  const element: HTMLElement = document.createElementNS("http://www.w3.org/1999/xhtml", "template") as HTMLElement;
  Object.defineProperty(element, "textContent", { get: () => "", set: (text: string) => sheet.replaceSync(text) });
  element.remove = () => {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((one) => one !== sheet);
    Element.prototype.remove.call(element);
  };
  return element;
}

/** From here on `setAttribute("style", …)` of a span sets its style object: that is how xterm colours its cells. */
export function styleSpansByObject(): void {
  const set = Element.prototype.setAttribute;
  HTMLSpanElement.prototype.setAttribute = function (name: string, value: string) {
    if (name === "style") this.style.cssText = value;
    else set.call(this, name, value);
  };
}
