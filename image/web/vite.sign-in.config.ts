// The sign-in page stands by itself under /sign-in/: those files are for everybody, all others for who is in.
import { defineConfig } from "vite";

export default defineConfig({
  root: "sign-in",
  base: "/sign-in/",
  publicDir: false,
  build: {
    target: "es2022",
    outDir: "../dist/sign-in",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
});
