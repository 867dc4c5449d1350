import { render } from "preact";
import { App } from "./app";
import { start } from "./store";
import "./style.css";

const root = document.getElementById("app");
if (root) {
  root.textContent = "";
  render(<App />, root);
}
start();
