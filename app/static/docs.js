"use strict";

document.body.style.margin = "0";

window.ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#view",
  deepLinking: true,
  displayRequestDuration: true,
  filter: true,
  validatorUrl: null,
});
