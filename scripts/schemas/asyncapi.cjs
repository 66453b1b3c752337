// Reads schemas/asyncapi.json with AsyncAPI's own parser and renders it as one HTML page.
//
//   node asyncapi.cjs NODE_MODULES ASYNCAPI.JSON [PAGE.HTML]
//
// Any warning or error of the parser is an error, and so is a page without one of the messages.
const { readFileSync, writeFileSync } = require("node:fs");
const { createRequire } = require("node:module");

const [modules, file, page] = process.argv.slice(2);
const load = createRequire(`${modules}/`);
const { Parser } = load("@asyncapi/parser");
// Code generators, Modelina for one, do not read version 3.1 yet, and the document needs nothing of it.
const IGNORED = ["asyncapi-latest-version"];

function fail(what) {
  console.error(`asyncapi: ${what}`);
  process.exit(1);
}

async function main() {
  const text = readFileSync(file, "utf8");
  const { document, diagnostics } = await new Parser().parse(text);
  const found = diagnostics.filter(({ code }) => !IGNORED.includes(code));
  if (found.length > 0 || !document) {
    const lines = found.slice(0, 20).map(({ code, message, path }) => `${code} at /${path.join("/")}: ${message}`);
    fail(`the parser has ${found.length} complaints about ${file}:\n${lines.join("\n")}`);
  }
  const anonymous = document.allSchemas().all().filter((schema) => schema.type() === "object" && schema.id().startsWith("<anonymous"));
  if (anonymous.length > 0) fail(`an object has no name: ${JSON.stringify(anonymous[0].json()).slice(0, 300)}`);
  const messages = document.allMessages().all();
  const examples = messages.flatMap((message) => message.examples().all());
  console.log(`AsyncAPI parser: ${messages.length} messages with ${examples.length} examples, no warning`);
  if (page) writePage(document, JSON.parse(text), messages);
}

/** The page shows its text without JavaScript; with it, one can open and close its parts. */
function writePage(document, json, messages) {
  const { createElement } = load("react");
  const { renderToStaticMarkup } = load("react-dom/server");
  const { default: AsyncApi } = load("@asyncapi/react-component");
  const config = { show: { sidebar: true } };
  const static_ = renderToStaticMarkup(createElement(AsyncApi, { schema: document, config }));
  const missing = messages.filter((message) => !static_.includes(`>${message.name()}<`));
  if (missing.length > 0) fail(`the page lacks ${missing.map((message) => message.name())}`);
  const part = (name) => readFileSync(load.resolve(`@asyncapi/react-component/${name}`), "utf8");
  // A closing tag in a script would end it.
  const script = part("browser/standalone/index.js").replace(/<\/script/g, "<\\/script");
  const data = JSON.stringify(json).replace(/</g, "\\u003c");
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${json.info.title}</title>
<style>${part("styles/default.min.css")}</style>
</head>
<body>
<div id="events">${static_}</div>
<script>${script}</script>
<script>AsyncApiStandalone.render({ schema: ${data}, config: ${JSON.stringify(config)} }, document.getElementById("events"));</script>
</body>
</html>
`;
  writeFileSync(page, html);
  console.log(`${page}: ${(html.length / 1e6).toFixed(1)} MB`);
}

main().catch((error) => fail(error.stack));
