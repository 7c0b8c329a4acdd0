"use strict";

document.body.style.margin = "0";

const text = 'system-ui, -apple-system, "Segoe UI", "Noto Sans", sans-serif';
const code = 'ui-monospace, "Cascadia Mono", "Noto Sans Mono", monospace';

Redoc.init(
  "/openapi.json",
  {
    hideHostname: true,
    nativeScrollbars: true,
    sanitize: true,
    theme: {
      typography: {
        fontFamily: text,
        headings: { fontFamily: text },
        code: { fontFamily: code },
      },
    },
  },
  document.getElementById("view"),
);
